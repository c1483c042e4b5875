"""Arguments that are numbers of things."""

from __future__ import annotations

from typing import Any

from synapse_core.errors import ValidationError

__all__ = ["whole_number", "whole_number_or_none"]


def whole_number(name: str, given: Any, *, least: int = 1) -> int:
    """Return an argument that is a number of things.

    Args:
        name: Of the argument.
        given: What it is.
        least: The smallest number that makes sense.

    Raises:
        ValidationError: It is no whole number, or a smaller one.
    """
    if isinstance(given, bool) or not isinstance(given, int) or given < least:
        raise ValidationError(f"{name} is {given!r}; it has to be a whole number from {least} on")
    return given


def whole_number_or_none(name: str, given: Any, *, least: int = 1) -> int | None:
    """Return an argument that is a number of things, or None where it is left to somebody else.

    Raises:
        ValidationError: It is neither None nor a whole number, or a smaller one.
    """
    return None if given is None else whole_number(name, given, least=least)
