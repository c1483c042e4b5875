"""Excel workbooks: the rows of a sheet, one after another."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Any

from synapse_core.errors import ExecutionError, ValidationError, nearest
from synapse_core.safe_text import safe_str
from synapse_core.whole_numbers import whole_number
from synapse_flow.chunks import Chunk, ChunkSizes, Decoder, Records, rows_at_once
from synapse_flow.columns import duplicates
from synapse_flow.excel import openpyxl, plain_text
from synapse_flow.hooks.base import BaseHook
from synapse_flow.inputs.base import Block, Start
from synapse_flow.inputs.block_input import BlockInputAdapter
from synapse_flow.source_file import SourceFile
from synapse_flow.used_files import UsedFile

__all__ = ["ExcelInputAdapter"]

_OLD = b"\xd0\xcf\x11\xe0"

Row = tuple[Any, ...]


class ExcelInputAdapter(BlockInputAdapter):
    """Reads a sheet of an ``.xlsx`` workbook, whose first row names the columns. Blank rows are left out.

    Numbers, bools, days and times come as Python has them, days as a `datetime`; an empty cell is None. Of a
    formula, what it gave when the workbook was saved is read. A row with a value under no name fails; the others
    go on.

    Args:
        source: Path, or a URL that fsspec knows.
        sheet: Name of the sheet, or its number from 0. Default: the first one.
        fieldnames: Names of the columns, where the sheet has no header.
        skip_rows: Rows to leave out before the header.
        storage_options: For the file system, such as credentials.
        id_generator: Makes an id for each record, in order.
        pre_hooks: Hooks of this input, before the validation.
        post_hooks: Hooks of this input, after the validation.
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        *,
        sheet: str | int | None = None,
        fieldnames: list[str] | None = None,
        skip_rows: int = 0,
        storage_options: Mapping[str, Any] | None = None,
        id_generator: Callable[[], Any] | None = None,
        pre_hooks: Iterable[BaseHook] | None = None,
        post_hooks: Iterable[BaseHook] | None = None,
    ) -> None:
        super().__init__(id_generator=id_generator, pre_hooks=pre_hooks, post_hooks=post_hooks)
        self._file = SourceFile(source, None, storage_options)
        self._sheet = sheet
        if isinstance(fieldnames, str):
            raise ValidationError(f"fieldnames is {fieldnames!r}; it has to be a list")
        self._fieldnames = list(fieldnames) if fieldnames is not None else None
        if twice := duplicates(self._fieldnames or []):
            raise ValidationError(f"fieldnames= names {twice} more than once")
        self._skip_rows = whole_number("skip_rows", skip_rows, least=0)
        self._names: list[str | None] = []
        self._workbook: Any = None
        self._rows: Iterator[tuple[int, Row]] = iter(())
        self._most: int | None = None
        self._number = 0

    @property
    def path(self) -> str:
        """The file's path, or URL."""
        return self._file.name

    def used_files(self) -> Iterable[UsedFile]:
        """Return the file."""
        return [self._file.used()]

    def open(self) -> None:
        """Open the workbook, and read the header.

        Raises:
            ValidationError: There is no such file or sheet, it is no workbook, or its header names a column twice.
            BackendMissingError: openpyxl is not installed.
        """
        package = openpyxl()
        self._file.open()
        self._number = 0
        try:
            self._workbook = package.load_workbook(self._file.raw, read_only=True, data_only=True)
        except Exception as error:  # each part of it may be missing, or broken in its own way
            raise self._no_workbook(error) from error
        sheet = self._found()
        self._most = sheet.max_row
        sheet.reset_dimensions()  # what it says of its size need not be so
        self._rows = self._numbered(sheet, self._skip_rows + 1)
        self._names = list(self._fieldnames) if self._fieldnames is not None else self._header()

    def _no_workbook(self, error: Exception) -> ValidationError:
        with suppress(Exception):
            self._file.raw.seek(0)
            if self._file.raw.read(4) == _OLD:
                return ValidationError(
                    f"{self._file.name} is an old workbook (.xls), or one with a password; save it as .xlsx without one"
                )
        return ValidationError(
            f"{self._file.name} is no whole Excel workbook (.xlsx): {safe_str(error) or type(error).__name__}"
        )

    def _found(self) -> Any:
        sheets = {sheet.title: sheet for sheet in self._workbook.worksheets}
        wanted = 0 if self._sheet is None else self._sheet
        if isinstance(wanted, int) and not isinstance(wanted, bool) and 0 <= wanted < len(sheets):
            return list(sheets.values())[wanted]
        if isinstance(wanted, str) and wanted in sheets:
            return sheets[wanted]
        near = nearest(wanted, sheets) if isinstance(wanted, str) else ""
        raise ValidationError(
            f"{self._file.name} has no sheet {wanted!r}.{near} Its sheets are: {', '.join(map(repr, sheets)) or 'none'}"
        )

    def _numbered(self, sheet: Any, first: int) -> Iterator[tuple[int, Row]]:
        """Yield rows from the number `first` on that are not blank, with their numbers.

        Raises:
            ExecutionError: The workbook is damaged.
        """
        try:
            for number, row in enumerate(sheet.iter_rows(min_row=first, values_only=True), first):
                self._number = number
                if any(value is not None for value in row):
                    yield number, row
        except Exception as error:
            raise ExecutionError(
                f"{self._file.name} is damaged behind row {self._number}: {safe_str(error) or type(error).__name__}"
            ) from error

    def _header(self) -> list[str | None]:
        _, row = next(self._rows, (0, ()))
        names = [None if value is None else plain_text(str(value)) for value in row]
        if twice := duplicates([name for name in names if name is not None]):
            raise ValidationError(
                f"the header of {self._file.name} names {twice} more than once; give the columns names of their own "
                "with fieldnames=, and leave the header out with skip_rows=1"
            )
        while names and names[-1] is None:
            names.pop()
        return names

    def close(self) -> None:
        """Close the file."""
        if self._workbook is not None:
            self._workbook.close()
            self._workbook = None
        self._rows = iter(())
        self._file.close()

    def columns(self) -> list[str] | None:
        """Return the names in the header."""
        return [name for name in self._names if name is not None]

    def decoder(self) -> Decoder:
        """Return what makes records of rows."""
        return _RowDecoder(self._names)

    def blocks(self, sizes: ChunkSizes, start: Start) -> Generator[Block]:
        """Yield rows in blocks, with their numbers in the sheet."""
        rows = islice(self._rows, start.position, None)
        while block := list(islice(rows, sizes.rows)):
            yield Block(len(block), block, line=block[0][0])

    def done(self) -> tuple[int, int] | None:
        """Return how many rows have been read, and how many there are, where the sheet says so."""
        return (self._number, self._most) if self._most else None

    def identity(self) -> Any:
        """Return the file's name, size and time of change, the sheet, and the columns."""
        return {**self._file.identity(), "sheet": self._sheet, "columns": self._names}


@dataclass
class _RowDecoder:
    names: list[str | None]

    def decode(self, chunk: Chunk) -> Iterator[Records]:
        """Yield a record for each row."""
        rows: list[tuple[int, Row]] = chunk.payload
        step = rows_at_once(len(self.names))
        for first in range(0, len(rows), step):
            yield self._records(rows[first : first + step])

    def _records(self, rows: list[tuple[int, Row]]) -> Records:
        raws: list[dict[str, Any]] = []
        records = Records(raws, line_of=lambda index: rows[index][0])
        for index, (number, row) in enumerate(rows):
            raw: dict[str, Any] = {}
            more: dict[int, Any] = {}
            for column, (name, value) in enumerate(zip_longest(self.names, row)):
                if type(value) is str:
                    value = plain_text(value)
                if name is not None:
                    raw[name] = value
                elif value is not None:
                    more[column] = value
            if more:
                raw[""] = list(more.values())
                records.problems[index] = [
                    {"type": "column_count", "message": f"{_cells(more, number)} under no name of the header"}
                ]
            raws.append(raw)
        return records


def _cells(columns: Iterable[int], row: int) -> str:
    from openpyxl.utils import get_column_letter

    names = [f"{get_column_letter(column + 1)}{row}" for column in columns]
    return f"the cell {names[0]} is" if len(names) == 1 else f"the cells {', '.join(names)} are"
