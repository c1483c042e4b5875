"""Values of records as cells of a table."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from pydantic_core import from_json

from synapse_flow.json_lines import json_line

__all__ = ["cell", "cell_text"]

_SCALARS = frozenset({type(None), str, bool, int, float, Decimal, datetime, date, time, timedelta})
_TIMES = (datetime, date, time)
_AS_THEY_ARE = frozenset({type(None), str, int, float})


def cell(value: Any) -> Any:
    """Return what stands in a cell for `value`: a number, a time, a bool or None as it is, and text for the rest.

    A member of an Enum is its value; lists, dicts and the like are JSON.
    """
    if type(value) in _SCALARS:
        return value
    if isinstance(value, Enum):
        return cell(value.value)
    if isinstance(value, (UUID, PurePath)):
        return str(value)
    text = json_line(value).decode().rstrip("\n")
    return text if text[0] in "[{" else from_json(text)


def cell_text(value: Any) -> Any:
    """Return what the csv module writes for `value`: text, a number, or None, which it leaves empty.

    Times are written as ISO 8601 has them, and bools as JSON has them.
    """
    if type(value) in _AS_THEY_ARE:
        return value
    value = cell(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, _TIMES):
        return value.isoformat()
    if isinstance(value, timedelta):
        return from_json(json_line(value))
    return value
