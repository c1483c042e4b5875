"""The columns of lines and rows, as workers need to know them: a module that is imported quickly."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from synapse_core.errors import ExecutionError, nearest

__all__ = ["FAILED_COLUMNS", "unknown_columns"]

FAILED_COLUMNS = ["position", "line", "errors", "raw_data"]
"""What is written of records that failed."""


def unknown_columns(output: str, columns: list[str], found: Iterable[Any]) -> ExecutionError:
    """Return what to raise where a record has fields that are no columns.

    Args:
        output: Its name, for the message.
        columns: Those in the header.
        found: The record's fields.
    """
    more = sorted(map(str, set(found) - set(columns)))
    names = ", ".join(map(repr, more[:10])) + (f" and {len(more) - 10} more" if len(more) > 10 else "")
    return ExecutionError(
        f"{output}: a record has {names}, for which the header has no column.{nearest(more[0], columns)} It has: "
        f"{', '.join(map(str, columns))}. Name all columns with fieldnames=[...], or take the field out with a hook"
    )
