"""Checks of the numbers that engines are made with."""

from __future__ import annotations

from synapse_core.errors import ValidationError

__all__ = ["positive"]


def positive(name: str, given: int | None, default: int) -> int:
    """Return `given`, or `default` for None.

    Raises:
        ValidationError: It is no whole number above zero.
    """
    if given is None:
        return default
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise ValidationError(f"{name} is {given!r}; it has to be a whole number from 1 on")
    return given
