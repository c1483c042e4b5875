"""CSV files: rendered on workers, under one header."""

from __future__ import annotations

import codecs
import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synapse_core.errors import ConfigError, ExecutionError, ValidationError
from synapse_flow.cells import cell_text
from synapse_flow.collecting import Collector, RowCollector, Validator, error_row
from synapse_flow.entries import EntryTypedDict
from synapse_flow.hooks.base import BaseHook
from synapse_flow.json_lines import json_line
from synapse_flow.outputs.files import FileOutputAdapter
from synapse_flow.outputs.headers import FAILED_COLUMNS, given_columns, known_columns, unknown_columns

__all__ = ["CSVOutputAdapter"]

_JSON = ("errors", "raw_data")

# Every chunk is encoded for itself, and a mark stands at the beginning of the file only.
_MARKED = {
    "utf-8-sig": ("utf-8", codecs.BOM_UTF8),
    "utf-16": ("utf-16-le", codecs.BOM_UTF16_LE),
    "utf-32": ("utf-32-le", codecs.BOM_UTF32_LE),
}


@dataclass(frozen=True)
class _Format:
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
class _Lines:
    """Makes lines under columns that are known."""

    format: _Format
    columns: list[str]

    sees_entries = False

    def of_values(self, values: list[Any], entries: Sequence[EntryTypedDict] | None, validator: Validator) -> bytes:
        return self.format.records(self.columns, map(validator.to_dict, values))

    def of_failed(self, entries: list[EntryTypedDict]) -> bytes:
        return self.format.failed(self.columns, entries)


@dataclass
class _FirstRows(RowCollector):
    """Leaves the making of lines to the output, which learns the columns from the first row."""

    format: _Format

    def of_failed(self, entries: list[EntryTypedDict]) -> bytes:
        return self.format.failed(FAILED_COLUMNS, entries)


class CSVOutputAdapter(FileOutputAdapter):
    """Writes records as CSV, under one header.

    The columns are `fieldnames`, or the fields of the model, or the columns of the input; where nothing tells them
    beforehand, they are the keys of the first record. None is an empty field, times are written as ISO 8601 has
    them, true and false in small letters, lists and dicts as JSON. Failed entries are written with position, line,
    errors and raw data.

    Args:
        target: Path, or a URL that fsspec knows.
        fieldnames: The columns, in this order; a record's field that is none of them ends the run.
        delimiter: Between fields.
        quotechar: Around fields with delimiters, line ends or quotes in them.
        encoding: Of the file.
        compression: ``"infer"`` (by the suffix), ``"gzip"``, ``"zstd"`` or None.
        storage_options: For the file system, such as credentials.
        pre_hooks: Hooks of this output, before the validation.
        post_hooks: Hooks of this output, after the validation.

    Raises:
        ValidationError: The marks make no CSV, the encoding does not exist, or a column is named twice.
    """

    _compares_itself = ("_given", "_columns", "_learns")  # in resume(), which tells what the columns were

    def __init__(
        self,
        target: str | os.PathLike[str],
        *,
        fieldnames: Sequence[str] | None = None,
        delimiter: str = ",",
        quotechar: str = '"',
        encoding: str = "utf-8",
        compression: str | None = "infer",
        storage_options: Mapping[str, Any] | None = None,
        pre_hooks: Iterable[BaseHook] | None = None,
        post_hooks: Iterable[BaseHook] | None = None,
    ) -> None:
        super().__init__(
            target, compression=compression, storage_options=storage_options, pre_hooks=pre_hooks, post_hooks=post_hooks
        )
        self._given = given_columns(fieldnames)
        try:
            known = codecs.lookup(encoding).name
            "a".encode(known)
        except LookupError:
            raise ValidationError(
                f"there is no encoding {encoding!r}; common ones are utf-8, latin-1, cp1252"
            ) from None
        name, self._mark = _MARKED.get(known, (known, b""))
        self._format = _Format(self.path, delimiter, quotechar, name)
        try:
            self._format.lines([])
        except (TypeError, ValueError) as error:
            raise ValidationError(f"these options make no CSV dialect: {error}") from None
        if not quotechar or delimiter == quotechar or {delimiter, quotechar} & {"\n", "\r"}:
            raise ValidationError(
                f"delimiter={delimiter!r} and quotechar={quotechar!r} make no CSV: they have to be characters that "
                "differ from each other and from line ends"
            )
        self._columns = self._given
        self._learns = not self._given

    def begin(self, model: Any, columns: list[str] | None) -> None:
        """Take the columns of the model, or of the input."""
        self._columns = self._given or known_columns(model, columns)
        self._learns = not self._columns

    def head(self) -> bytes:
        """Return the header, where the columns are known."""
        return self._mark + self._format.lines([self._columns]) if self._columns else b""

    def lines(self) -> Collector:
        """Return what makes lines."""
        return _Lines(self._format, self._columns)

    def collector(self) -> Collector:
        """Return what makes lines, on workers; rows, where the first one tells the columns."""
        return _FirstRows(self._format) if self._learns else super().collector()

    def write_chunk(self, collected: Any) -> None:
        """Write finished lines, or rows.

        Raises:
            ExecutionError: A record has a field that is no column, or the file cannot be written.
        """
        if not self._learns:
            super().write_chunk(collected)
        elif collected:
            is_lines = isinstance(collected, bytes)
            if self._empty:
                self._columns = FAILED_COLUMNS if is_lines else list(collected[0])
                self._put(self.head())
            self._empty = False
            self._put(collected if is_lines else self._format.records(self._columns, collected))

    def resume(self, state: Any) -> None:
        """Go on behind what was committed.

        Raises:
            ConfigError: The columns are not those of the file.
        """
        columns = state["columns"]
        if self._columns and columns != self._columns:
            raise ConfigError(
                f"the unfinished {self.path} has the columns {', '.join(columns)}, and now there are "
                f"{', '.join(self._columns)}; start afresh with --fresh, or remove the checkpoint"
            )
        super().resume(state)
        self._columns, self._learns = columns, not columns

    def state(self) -> Any:
        """Return how much was written, and under which columns."""
        return {**super().state(), "columns": self._columns}
