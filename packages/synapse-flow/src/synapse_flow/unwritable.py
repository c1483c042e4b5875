"""Which record it is that cannot be written, where many are written in one call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pydantic_core

from synapse_core.errors import ExecutionError
from synapse_core.safe_text import safe_str
from synapse_flow.collecting import Validator

__all__ = ["NOT_SERIALIZABLE", "unwritable"]

NOT_SERIALIZABLE = (pydantic_core.PydanticSerializationError, UnicodeEncodeError)
"""What serializers raise of a value that has no JSON form."""


def unwritable(
    error: Exception, values: Sequence[Any], positions: Iterable[int | None], validator: Validator
) -> ExecutionError:
    """Return what is said of the first record that cannot be written as JSON: its position, its field, and why.

    Args:
        error: What was raised for all of them.
        values: What was to be written.
        positions: Of their records in the input.
        validator: Whose values they are.
    """
    for value, position in zip(values, positions, strict=False):
        try:
            validator.to_json_lines([value])
        except Exception as found:
            return ExecutionError(
                f"the record at position {position} cannot be written as JSON{_culprit(validator, value)}: "
                f"{safe_str(found)}. Nothing is published; have a hook or the model leave what JSON can hold"
            )
    return ExecutionError(f"a record cannot be written as JSON: {safe_str(error)}")


def _culprit(validator: Validator, value: Any) -> str:
    """Return which field it is, and of which type; not what it holds, which may be secret."""
    try:
        row = validator.to_dict(value)
    except Exception:  # which the model's own code may raise here too
        return ""
    field = next((name for name, item in row.items() if not _has_json(item)), None)
    return "" if field is None else f", because of its field {field!r}, of type {type(row[field]).__name__}"


def _has_json(value: Any) -> bool:
    try:
        pydantic_core.to_json(value)
    except Exception:
        return False
    return True
