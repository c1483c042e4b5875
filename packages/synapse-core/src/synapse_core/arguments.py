"""Refuse unknown keyword arguments by naming the nearest known one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from synapse_core.errors import nearest

__all__ = ["refuse_unknown_arguments"]

P = ParamSpec("P")
S = TypeVar("S")


def refuse_unknown_arguments(constructor: Callable[Concatenate[S, P], None]) -> Callable[Concatenate[S, P], None]:
    """Decorate an ``__init__`` so that a mistyped keyword raises a ``TypeError`` that helps."""
    known = [name for name in inspect.signature(constructor).parameters if name != "self"]

    @wraps(constructor)
    def checked(self: S, *args: P.args, **kwargs: P.kwargs) -> None:
        for name in kwargs:
            if name not in known:
                raise TypeError(
                    f"{type(self).__name__} has no argument {name!r}.{nearest(name, known)} "
                    f"Arguments: {', '.join(known)}"
                )
        constructor(self, *args, **kwargs)

    return checked  # type: ignore[return-value]  # wraps() forgets that self is positional
