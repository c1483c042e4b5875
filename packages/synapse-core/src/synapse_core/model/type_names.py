"""Classes by name, so that data can say what it was made from."""

from __future__ import annotations

import importlib
import sys
import types
import typing
from typing import Any

__all__ = ["generic_reference", "import_type", "resolve_generic", "type_name"]


def type_name(cls: type) -> str:
    """Return ``module:qualname``."""
    return f"{cls.__module__}:{cls.__qualname__}"


def import_type(name: str) -> type | None:
    """Return the class that `type_name` named, or ``None`` where it cannot be imported here."""
    found = _import(name)
    return found if isinstance(found, type) else None


def _import(name: str) -> Any:
    module_name, _, qualname = name.partition(":")
    if "<" in qualname:
        return None
    try:
        found: Any = sys.modules.get(module_name) or importlib.import_module(module_name)
        # The name of a parametrised model may hold dots: Box[package.Item].
        for part in qualname.split(".") if "[" not in qualname else [qualname]:
            found = getattr(found, part)
    except KeyboardInterrupt:
        raise
    except BaseException:  # an import may fail in any way, sys.exit included; plain data is the answer to all
        return None
    return found


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


def resolve_generic(reference: Any) -> type | None:
    """Return the class that `generic_reference` described, or ``None`` where it cannot be had here."""
    if isinstance(reference, str):
        return import_type(reference)
    if not isinstance(reference, dict):
        return None
    origin = _import(reference["origin"])
    arguments = [resolve_generic(item) for item in reference["args"]]
    if origin is None or any(argument is None for argument in arguments):
        return None
    try:
        return typing.cast("type", origin[tuple(arguments)])
    except Exception:  # another version of the class takes other arguments
        return None
