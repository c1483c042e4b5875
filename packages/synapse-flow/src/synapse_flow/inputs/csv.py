"""CSV files: cut into blocks of whole records here, and parsed on workers."""

from __future__ import annotations

import codecs
import csv
import io
import os
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any

from synapse_core.errors import ExecutionError, ValidationError
from synapse_core.whole_numbers import whole_number
from synapse_flow.chunks import ChunkSizes, Decoder
from synapse_flow.columns import duplicates
from synapse_flow.hooks.base import BaseHook
from synapse_flow.identity import digest_of
from synapse_flow.inputs.base import Block, Start
from synapse_flow.inputs.block_input import BlockInputAdapter
from synapse_flow.inputs.blocks import RecordCutter, transcoded
from synapse_flow.inputs.csv_decoding import CsvDecoder
from synapse_flow.inputs.csv_dialect import Dialect
from synapse_flow.source_file import SourceFile
from synapse_flow.used_files import UsedFile

__all__ = ["CSVInputAdapter"]


class CSVInputAdapter(BlockInputAdapter):
    """Reads a CSV file, whose first row names the columns. Values are text; blank lines are left out.

    A row with fewer or more fields than the header fails, and so does one that is not text in `encoding`; the
    others go on.

    Args:
        source: Path, or a URL that fsspec knows.
        delimiter: Between fields.
        quotechar: Around fields with delimiters, line ends or quotes in them; None for none.
        escapechar: Before a character that means itself.
        skipinitialspace: Whether spaces behind a delimiter belong to no field.
        encoding: Of the file; a byte-order mark is skipped.
        fieldnames: Names of the columns, where the file has no header.
        skip_rows: Lines to leave out before the header.
        compression: ``"infer"`` (by the suffix), ``"gzip"``, ``"zstd"`` or None.
        storage_options: For the file system, such as credentials.
        max_record_bytes: The longest record; a quote that is never closed would hold the rest of the file otherwise.
        id_generator: Makes an id for each record, in order.
        pre_hooks: Hooks of this input, before the validation.
        post_hooks: Hooks of this input, after the validation.
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        *,
        delimiter: str = ",",
        quotechar: str | None = '"',
        escapechar: str | None = None,
        skipinitialspace: bool = False,
        encoding: str = "utf-8",
        fieldnames: list[str] | None = None,
        skip_rows: int = 0,
        compression: str | None = "infer",
        storage_options: Mapping[str, Any] | None = None,
        max_record_bytes: int = 1 << 28,
        id_generator: Callable[[], Any] | None = None,
        pre_hooks: Iterable[BaseHook] | None = None,
        post_hooks: Iterable[BaseHook] | None = None,
    ) -> None:
        super().__init__(id_generator=id_generator, pre_hooks=pre_hooks, post_hooks=post_hooks)
        self._dialect = Dialect(delimiter, quotechar, escapechar, skipinitialspace)
        self._fieldnames = list(fieldnames) if fieldnames is not None else None
        self._names: list[str] = []
        self._skip_rows = whole_number("skip_rows", skip_rows, least=0)
        self._file = SourceFile(source, compression, storage_options)
        self._encoding, self._transcodes = transcoded(encoding)
        self._given_encoding = encoding
        self._most = whole_number("max_record_bytes", max_record_bytes)
        self._cutter: RecordCutter | None = None
        self._dialect.check()
        if isinstance(fieldnames, str):
            raise ValidationError(f"fieldnames is {fieldnames!r}; it has to be a list")
        if fieldnames is not None:
            self._check_names(self._fieldnames or [], "fieldnames= names")

    @property
    def path(self) -> str:
        """The file's path, or URL."""
        return self._file.name

    def used_files(self) -> Iterable[UsedFile]:
        """Return the file."""
        return [self._file.used()]

    def open(self) -> None:
        """Open the file, and read the header.

        Raises:
            ValidationError: There is no such file, or its header names a column twice.
        """
        self._file.open()
        harmless, any_record = self._dialect.patterns(self._encoding) or (None, None)
        self._cutter = RecordCutter(
            self._file,
            record_end=self._record_end,
            specials=[
                mark.encode(self._encoding) for mark in (self._dialect.quotechar, self._dialect.escapechar) if mark
            ],
            harmless=harmless,
            record=any_record,
            most=self._most,
            hint="a quote that is never closed does that; ",
            transcode=self._given_encoding if self._transcodes else None,
        )
        self._cutter.skip_mark(codecs.BOM_UTF8 if self._encoding == "utf-8" else b"")
        for _ in range(self._skip_rows):
            self._cutter.line()
        names = self._fieldnames
        while names is None:
            record = self._cutter.record()
            if record is None:
                names = []
            elif record.strip(b"\r\n"):
                names = self._header(record)
        self._names = names

    def _header(self, record: bytes) -> list[str]:
        try:
            names: list[str] = next(self._dialect.reader(io.StringIO(record.decode(self._encoding), newline="")))
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            hint = self._file.hint(record) or "name the file's encoding with encoding="
            raise ValidationError(
                f"the header of {self._file.name} is not {self._given_encoding}: byte {byte:#04x} at {error.start}; "
                f"{hint}"
            ) from None
        if b"\0" in record:
            raise ValidationError(f"the header of {self._file.name} is no text: {self._file.hint(record)}")
        self._check_names(names, f"the header of {self._file.name} names")
        return names

    def _check_names(self, names: list[str], who_names: str) -> None:
        if twice := duplicates(names):
            raise ValidationError(
                f"{who_names} {twice} more than once; give the columns names of their own with "
                "fieldnames=, and leave the header out with skip_rows=1 where there is one"
            )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def columns(self) -> list[str] | None:
        """Return the names in the header."""
        return self._names

    def decoder(self) -> Decoder:
        """Return what parses blocks."""
        return CsvDecoder(self._dialect, self._names, self._encoding, self._given_encoding)

    def blocks(self, sizes: ChunkSizes, start: Start) -> Generator[Block]:
        """Yield blocks of whole records, as bytes."""
        cutter = self._cutter
        assert cutter is not None, "open() comes first"
        if start.cursor is not None:
            cutter.go_to(*start.cursor)
        yield from cutter.blocks(sizes)

    def done(self) -> tuple[int, int] | None:
        """Return how many bytes of the file have been read, and how many there are."""
        return self._file.progress()

    def identity(self) -> Any:
        """Return the file's name, size and time of change, the columns, and a digest of the options."""
        options = digest_of(self._dialect, self._given_encoding, self._file.compression, self._skip_rows)
        return {**self._file.identity(), "columns": self._names, "options": options}

    def _record_end(self, data: bytes, final: bool) -> tuple[int, int] | None:
        """Return where the record that `data` begins with ends, and how many lines it has."""
        text = data.decode(self._encoding, "surrogateescape")
        if final and not text.endswith(("\n", "\r")):
            text += "\n"  # behind an escaped line end, the csv module takes nothing else for the end of a row
        lines = _Lines(text)
        reader = self._dialect.reader(lines)
        try:
            next(reader, None)
        except csv.Error as error:
            raise ExecutionError(f"{self._file.name} cannot be parsed: {error}") from error
        if lines.wanted:
            if not final:
                return None
            raise ExecutionError(
                f"{self._file.name} ends inside a quoted field: the quote in the record {data[:60]!r}... is never "
                "closed, so the file is cut off or the quote does not belong there"
            )
        return min(len(data), len(lines.taken().encode(self._encoding, "surrogateescape"))), reader.line_num


class _Lines:
    """The lines of a text, how much of it has been taken, and whether more was wanted."""

    def __init__(self, text: str) -> None:
        self._stream = io.StringIO(text, newline="")
        self._text = text
        self._length = 0
        self.wanted = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._stream.readline()
        if not line:
            self.wanted = True
            raise StopIteration
        self._length += len(line)
        return line

    def taken(self) -> str:
        return self._text[: self._length]
