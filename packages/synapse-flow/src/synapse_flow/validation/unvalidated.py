"""What stands in the place of a validator where there is no model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from synapse_flow.entries import RecordError
from synapse_flow.json_lines import json_lines

__all__ = ["NoValidator"]


class NoValidator:
    """Lets every record pass as it is."""

    def validate(self, raws: Sequence[Any]) -> tuple[list[Any], dict[int, list[RecordError]]]:
        """Return the records."""
        return list(raws), {}

    def to_dict(self, value: Any) -> dict[str, Any]:
        """Return the record."""
        return cast("dict[str, Any]", value)

    def to_json_lines(self, values: list[Any]) -> bytes:
        """Return one line of JSON for each record."""
        return json_lines(None, None, values)

    def from_dict(self, row: dict[str, Any], value: Any = None) -> Any:
        """Return the row."""
        return row
