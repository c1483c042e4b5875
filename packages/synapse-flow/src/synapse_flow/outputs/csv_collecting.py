"""Renders records as CSV, on workers: a module that is imported quickly."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from synapse_core.errors import ExecutionError
from synapse_flow.cells import cell_text
from synapse_flow.collecting import RowCollector, Validator, error_row
from synapse_flow.entries import EntryTypedDict
from synapse_flow.json_lines import json_line
from synapse_flow.outputs.line_columns import FAILED_COLUMNS, unknown_columns

__all__ = ["FirstRowsCollector", "Format", "CsvCollector"]

_JSON = ("errors", "raw_data")


@dataclass(frozen=True)
class Format:
    """How lines look."""

    name: str
    delimiter: str
    quotechar: str
    encoding: str

    def lines(self, rows: Iterable[Iterable[Any]], errors: str = "strict") -> bytes:
        r"""Return lines, each with its end.

        Raises:
            ExecutionError: A text has characters that the encoding has not.
        """
        parts: list[str] = []
        # With this end, it puts quotes around "\n" and "\r" alike; with another one, a "\r" would cut a row.
        writer = csv.writer(_Parts(parts), delimiter=self.delimiter, quotechar=self.quotechar, lineterminator="\r\n")
        writer.writerows(rows)
        text = "".join([part[:-2] + "\n" for part in parts])
        try:
            return text.encode(self.encoding, errors)
        except UnicodeEncodeError as error:
            found = error.object[error.start : error.end][:20]
            raise ExecutionError(
                f"{self.name}: {found!r} cannot be written in {self.encoding}; choose another encoding=, such as "
                "'utf-8'"
            ) from None

    def records(self, columns: list[str], rows: Iterable[dict[str, Any]]) -> bytes:
        """Return the lines of records.

        Raises:
            ExecutionError: A record has a field that is no column.
        """
        known = set(columns)
        lines = []
        for row in rows:
            if list(row) == columns:
                lines.append(map(cell_text, row.values()))
                continue
            if not row.keys() <= known:
                raise unknown_columns(self.name, columns, row)
            lines.append(map(cell_text, map(row.get, columns)))
        return self.lines(lines)

    def failed(self, columns: list[str], entries: list[EntryTypedDict]) -> bytes:
        """Return the lines of entries that failed, with raw data and errors as JSON."""
        lines = []
        for entry in entries:
            row = error_row(entry)
            lines.append([self._json(row[name]) if name in _JSON else cell_text(row.get(name)) for name in columns])
        return self.lines(lines, "backslashreplace")

    def _json(self, value: Any) -> str:
        text = json_line(value).decode().rstrip("\n")
        return (
            text if self.encoding.startswith("utf") else json.dumps(json.loads(text))
        )  # with escapes, which are ASCII


class _Parts:
    def __init__(self, parts: list[str]) -> None:
        self.write = parts.append


@dataclass
class CsvCollector:
    """Makes lines under columns that are known."""

    format: Format
    columns: list[str]

    sees_entries = False

    def of_values(self, values: list[Any], entries: Sequence[EntryTypedDict] | None, validator: Validator) -> bytes:
        """Return a line for each value."""
        return self.format.records(self.columns, map(validator.to_dict, values))

    def joined(self, parts: list[bytes]) -> bytes:
        """Return all lines."""
        return b"".join(parts)

    def of_failed(self, entries: list[EntryTypedDict]) -> bytes:
        """Return a line for each entry, under the columns of an output for errors."""
        return self.format.failed(self.columns, entries)


@dataclass
class FirstRowsCollector(RowCollector):
    """Leaves the making of lines to the output, which learns the columns from the first row."""

    format: Format

    def of_failed(self, entries: list[EntryTypedDict]) -> bytes:
        """Return a line for each entry, under the columns of an output for errors."""
        return self.format.failed(FAILED_COLUMNS, entries)
