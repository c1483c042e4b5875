"""Looks at single records, where the validation of many has said that some do not fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic_core import ValidationError

from synapse_core.safe_text import safe_str
from synapse_flow.entries import RecordError

__all__ = ["split_up", "validate_singly"]


def split_up(values: list[Any]) -> tuple[list[Any], list[int]]:
    """Return what is valid of what a forgiving schema made of records, and the indexes of the others."""
    if None not in values:
        return values, []
    invalid = [index for index, value in enumerate(values) if value is None]
    return [value for value in values if value is not None], invalid


def validate_singly(
    validate: Callable[[Any], Any], raws: Sequence[Any], values: list[Any], indexes: list[int]
) -> tuple[list[Any], dict[int, list[RecordError]]]:
    """Validate some records alone; whichever is valid after all goes where it belongs among the others.

    Args:
        validate: Returns what becomes of one record, or raises.
        raws: All records.
        values: What became of those that are known to be valid; changed.
        indexes: Of the others, ascending.
    """
    problems: dict[int, list[RecordError]] = {}
    for index in indexes:
        try:
            values.insert(index - len(problems), validate(raws[index]))
        except Exception as error:
            problems[index] = _told(error)
    return values, problems


def _told(error: Exception) -> list[RecordError]:
    if not isinstance(error, ValidationError):
        return [{"loc": [], "msg": safe_str(error), "type": type(error).__name__}]
    return [
        {"loc": list(each["loc"]), "msg": each["msg"], "type": each["type"]}
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    ]
