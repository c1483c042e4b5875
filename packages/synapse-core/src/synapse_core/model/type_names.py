"""Classes by name, so that data can say what it was made from."""

from __future__ import annotations

import importlib
import inspect
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

__all__ = ["FindType", "generic_reference", "import_type", "loaded_type", "resolve_generic", "type_name"]

FindType = Callable[[str], "type | None"]


def type_name(cls: type) -> str:
    """Return ``module:qualname``."""
    return f"{cls.__module__}:{cls.__qualname__}"


def import_type(name: str) -> type | None:
    """Return the class that `type_name` named, or ``None`` where it cannot be imported here.

    Importing a module runs its code: this is for data whose writer may run code here anyway.
    """
    module_name, _, qualname = name.partition(":")
    if "<" in qualname:
        return None
    found: Any = sys.modules.get(module_name)
    if found is None:
        try:
            found = importlib.import_module(module_name)
        except (Exception, SystemExit):  # a script may even call sys.exit; plain data is the answer to all
            return None
    try:
        for part in _parts(qualname):
            found = getattr(found, part)
    except Exception:  # a module's own `__getattr__` may fail in any way
        return None
    return found if isinstance(found, type) else None


def loaded_type(name: str) -> type | None:
    """Return the class that `type_name` named, or ``None`` where its module was not imported yet.

    It imports nothing and calls nothing: for data from a network or a file that others can write.
    """
    module_name, _, qualname = name.partition(":")
    module = sys.modules.get(module_name)
    if not isinstance(module, types.ModuleType):
        return None
    first, *others = _parts(qualname)
    # Neither a module's `__getattr__` nor a lazy module is asked: both import what they are asked for.
    found: Any = types.ModuleType.__getattribute__(module, "__dict__").get(first)
    for part in others:
        found = inspect.getattr_static(found, part, None)
    return found if isinstance(found, type) else None


def _parts(qualname: str) -> list[str]:
    """Return the names on the way; the name of a parametrised model may hold dots: ``Box[package.Item]``."""
    return qualname.split(".") if "[" not in qualname else [qualname]


def generic_reference(cls: type) -> Any:
    """Return origin and arguments of a parametrised pydantic model as JSON types; ``None`` for any other class.

    ``Box[int]`` exists only where somebody wrote it; ``Box`` and ``int`` can be imported anywhere.
    """
    metadata = cls.__dict__.get("__pydantic_generic_metadata__")
    if not metadata or metadata["origin"] is None:
        return None
    try:
        return _reference(cls)
    except TypeError:  # an argument such as Literal["a"]: the class is looked up by its own name
        return None


def _reference(argument: Any) -> Any:
    metadata = getattr(argument, "__pydantic_generic_metadata__", None)
    if metadata and metadata["origin"] is not None:
        origin, arguments = metadata["origin"], metadata["args"]
    else:
        origin, arguments = typing.get_origin(argument), typing.get_args(argument)
    if origin is types.UnionType or origin is typing.Union:
        return {"origin": "typing:Union", "args": [_reference(item) for item in arguments]}
    if origin is not None and isinstance(origin, type):
        return {"origin": type_name(origin), "args": [_reference(item) for item in arguments]}
    if argument is None or argument is type(None):
        return "types:NoneType"
    if isinstance(argument, type):
        return type_name(argument)
    raise TypeError(argument)


def resolve_generic(reference: Any, find_type: FindType = import_type) -> type | None:
    """Return the class that `generic_reference` described, or ``None`` where it cannot be had here."""
    if isinstance(reference, str):
        return find_type(reference)
    if not isinstance(reference, dict):
        return None
    named = reference["origin"]
    origin: Any = typing.Union if named == "typing:Union" else find_type(named)
    arguments = [resolve_generic(item, find_type) for item in reference["args"]]
    if origin is None or any(argument is None for argument in arguments):
        return None
    try:
        return typing.cast("type", origin[tuple(arguments)])
    except Exception:  # another version of the class takes other arguments
        return None
