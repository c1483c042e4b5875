"""Take an exception apart and make it again, without its own ``__init__``."""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import Any, TypeVar

__all__ = ["rebuild_exception", "take_apart"]

E = TypeVar("E", bound=BaseException)


def take_apart(error: BaseException) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments and attributes that `rebuild_exception` takes.

    What builtin bases keep in C, such as ``OSError.filename``, is in neither ``args`` nor
    ``__dict__``; their own ``__reduce__`` knows it.
    """
    _, args, *rest = _builtin(type(error), "__reduce__")(error)
    return args, dict(rest[0] or {}) if rest else {}


def rebuild_exception(cls: type[E], args: tuple[Any, ...], state: Mapping[str, Any]) -> E:
    """Return an instance with these arguments and attributes.

    Calling the class would hand ``args`` to an ``__init__`` that may want others: after
    ``super().__init__(f"code {code}")``, ``args`` is the text and not the code.
    """
    error = cls.__new__(cls, *args)
    _builtin(cls, "__init__")(error, *args)
    BaseException.__setstate__(error, dict(state))
    return error


def _builtin(cls: type, method: str) -> Any:
    """Return the method of the nearest base that is written in C."""
    for base in cls.__mro__:
        found = base.__dict__.get(method)
        if found is not None and not isinstance(found, FunctionType):
            return found
    raise TypeError(f"{cls!r} is no exception")
