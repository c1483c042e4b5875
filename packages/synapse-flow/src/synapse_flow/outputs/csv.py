"""CSV files: rendered on workers, under one header."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from synapse_core.errors import ConfigError, ValidationError
from synapse_flow.collecting import Collector
from synapse_flow.hooks.base import BaseHook
from synapse_flow.outputs.csv_collecting import CsvCollector, FirstRowsCollector, Format
from synapse_flow.outputs.files import FileOutputAdapter
from synapse_flow.outputs.headers import given_columns, known_columns
from synapse_flow.outputs.line_columns import FAILED_COLUMNS

__all__ = ["CSVOutputAdapter"]

# Every chunk is encoded for itself, and a mark stands at the beginning of the file only.
_MARKED = {
    "utf-8-sig": ("utf-8", codecs.BOM_UTF8),
    "utf-16": ("utf-16-le", codecs.BOM_UTF16_LE),
    "utf-32": ("utf-32-le", codecs.BOM_UTF32_LE),
}


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
        self._format = Format(self.path, delimiter, quotechar, name)
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
        return CsvCollector(self._format, self._columns)

    def collector(self) -> Collector:
        """Return what makes lines, on workers; rows, where the first one tells the columns."""
        return FirstRowsCollector(self._format) if self._learns else super().collector()

    def write_chunk(self, collected: Any) -> None:
        """Write finished lines, or rows.

        Raises:
            ExecutionError: A record has a field that is no column, or the file cannot be written.
        """
        if not self._learns:
            super().write_chunk(collected)
        elif collected:
            is_lines = isinstance(collected, (bytes, memoryview))
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
