"""What an output wants of the records of a chunk: made on the worker, so that it is all that travels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Protocol

from synapse_flow.entries import EntryTypedDict
from synapse_flow.json_lines import json_line

__all__ = ["Collector", "DropCollector", "EntryCollector", "RowCollector", "Validator", "error_row"]


class Validator(Protocol):
    """What makes values of raw records: a model's, or none."""

    def to_dict(self, value: Any) -> dict[str, Any]:
        """Return a value's fields, as Python values."""
        ...

    def to_json_lines(self, values: list[Any]) -> bytes:
        """Return one line of JSON for each value."""
        ...


class Collector(Protocol):
    """Makes what an output takes. Picklable."""

    @property
    def sees_entries(self) -> bool:
        """Whether it needs entries, which are made only for those who need them."""
        ...

    def of_values(self, values: list[Any], entries: Sequence[EntryTypedDict] | None, validator: Validator) -> Any:
        """Return what is made of some values of a chunk; `entries` are theirs, where they are needed."""
        ...

    def joined(self, parts: list[Any]) -> Any:
        """Return what the output takes of a chunk, of which `of_values` made these parts."""
        ...

    def of_failed(self, entries: list[EntryTypedDict]) -> Any:
        """Return what the output takes of entries that failed."""
        ...


class DropCollector:
    """For no output at all."""

    sees_entries = False

    def of_values(self, values: list[Any], entries: Sequence[EntryTypedDict] | None, validator: Validator) -> None:
        """Return nothing."""

    def joined(self, parts: list[Any]) -> None:
        """Return nothing."""

    def of_failed(self, entries: list[EntryTypedDict]) -> None:
        """Return nothing."""


class EntryCollector:
    """For outputs that take entries."""

    sees_entries = True

    def of_values(self, values: list[Any], entries: Sequence[EntryTypedDict] | None, validator: Validator) -> Any:
        """Return the entries."""
        return list(entries or ())

    def joined(self, parts: list[Any]) -> Any:
        """Return the entries of all parts."""
        return list(chain.from_iterable(parts))

    def of_failed(self, entries: list[EntryTypedDict]) -> Any:
        """Return the entries."""
        return entries


class RowCollector:
    """For outputs that take the fields of records, as Python values."""

    sees_entries = False

    def of_values(self, values: list[Any], entries: Sequence[EntryTypedDict] | None, validator: Validator) -> Any:
        """Return the fields of each."""
        return [validator.to_dict(value) for value in values]

    def joined(self, parts: list[Any]) -> Any:
        """Return the rows of all parts."""
        return list(chain.from_iterable(parts))

    def of_failed(self, entries: list[EntryTypedDict]) -> Any:
        """Return position, line, raw data and reasons of each; raw data and reasons as JSON."""
        rows = []
        for entry in entries:
            row = error_row(entry)
            for key in ("raw_data", "errors"):
                row[key] = json_line(row[key]).decode().rstrip()
            rows.append(row)
        return rows


def error_row(entry: EntryTypedDict) -> dict[str, Any]:
    """Return what is written of an entry that failed."""
    row: dict[str, Any] = {key: entry[key] for key in ("id", "position", "line", "made_by") if key in entry}
    row |= {"raw_data": entry.get("raw_data"), "errors": entry.get("errors", [])}
    if entry.get("metadata"):
        row["metadata"] = entry["metadata"]
    return row
