"""Excel workbooks: one sheet, under one header."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from synapse_core.errors import ExecutionError, ValidationError
from synapse_core.safe_text import safe_str
from synapse_flow.collecting import Collector, RowCollector, Validator
from synapse_flow.entries import EntryTypedDict
from synapse_flow.excel import LONGEST_TEXT, MOST_COLUMNS, MOST_ROWS, excel_text, excel_value, openpyxl
from synapse_flow.hooks.base import BaseHook
from synapse_flow.outputs.base import BaseOutputAdapter, collected_entry
from synapse_flow.outputs.headers import given_columns, known_columns
from synapse_flow.outputs.line_columns import FAILED_COLUMNS, unknown_columns
from synapse_flow.publication import Publication
from synapse_flow.used_files import UsedFile

__all__ = ["ExcelOutputAdapter"]

_COPIED = 1 << 20
_LONGEST_TITLE = 31
_NOT_IN_TITLES = set("[]:*?/\\")


@dataclass
class _Cells(RowCollector):
    """Rows, with values as cells hold them.

    Attributes:
        failed: What is written of records that failed.
    """

    failed: list[str]

    def of_values(self, values: list[Any], entries: Sequence[EntryTypedDict] | None, validator: Validator) -> Any:
        rows = super().of_values(values, entries, validator)
        return [{name: excel_value(value) for name, value in row.items()} for row in rows]

    def of_failed(self, entries: list[EntryTypedDict]) -> Any:
        rows = super().of_failed(entries)
        return [{name: _shortened(excel_value(row.get(name))) for name in self.failed} for row in rows]


def _shortened(value: Any) -> Any:
    # Whoever needs the whole of a long record writes errors as lines of JSON.
    return value[: LONGEST_TEXT - 1] + "…" if isinstance(value, str) and len(value) > LONGEST_TEXT else value


class ExcelOutputAdapter(BaseOutputAdapter):
    """Writes records to a sheet of a new ``.xlsx`` workbook, which is there when it is whole, and not before.

    The columns are `fieldnames`, or the fields of the model, or the columns of the input; where nothing tells them
    beforehand, they are the keys of the first record. Numbers, bools, days and times have their types, the last to
    the millisecond; what Excel has no cells for is text: lists and dicts as JSON, times with a zone, numbers of more
    than 15 digits. Failed entries are written with position, line, errors and raw data. A run that was killed cannot
    be continued.

    Args:
        target: Path, or a URL that fsspec knows.
        sheet: Name of the sheet.
        fieldnames: The columns, in this order; a record's field that is none of them ends the run.
        storage_options: For the file system, such as credentials.
        pre_hooks: Hooks of this output, before the validation.
        post_hooks: Hooks of this output, after the validation.

    Raises:
        ValidationError: Excel has no sheets of that name, or a column is named twice.
    """

    def __init__(
        self,
        target: str | os.PathLike[str],
        *,
        sheet: str = "Sheet1",
        fieldnames: Sequence[str] | None = None,
        storage_options: Mapping[str, Any] | None = None,
        pre_hooks: Iterable[BaseHook] | None = None,
        post_hooks: Iterable[BaseHook] | None = None,
    ) -> None:
        super().__init__(pre_hooks=pre_hooks, post_hooks=post_hooks)
        if not sheet or len(sheet) > _LONGEST_TITLE or set(sheet) & _NOT_IN_TITLES:
            raise ValidationError(
                f"sheet is {sheet!r}; it has to have 1 to {_LONGEST_TITLE} characters, and none of []:*?/\\"
            )
        self._file = Publication(target, storage_options)
        self._title = sheet
        self._given = given_columns(fieldnames)
        self._columns = self._given
        self._workbook: Any = None
        self._sheet: Any = None
        self._cell: Any = None
        self._errors: frozenset[str] = frozenset()
        self._written = 0
        self._finished = False

    @property
    def path(self) -> str:
        """The file's path, or URL."""
        return self._file.name

    def check(self) -> None:
        """See what is in the way of the file.

        Raises:
            ExecutionError: A folder is in its place, or a file in that of its folder.
        """
        self._file.check()

    def used_files(self) -> Iterable[UsedFile]:
        """Return the file, and its part."""
        return self._file.used()

    def begin(self, model: Any, columns: list[str] | None) -> None:
        """Take the columns of the model, or of the input."""
        self._columns = self._given or known_columns(model, columns)

    def open(self) -> None:
        """Begin the workbook.

        Raises:
            BackendMissingError: openpyxl is not installed.
            ExecutionError: It cannot be written.
        """
        package = openpyxl()
        self._file.open()
        self._workbook = package.Workbook(write_only=True)
        self._sheet = self._workbook.create_sheet(self._title)
        self._cell = package.cell.WriteOnlyCell
        self._errors = frozenset(package.cell.cell.ERROR_CODES)
        self._written, self._finished = 0, False
        if self._columns:
            self._put_header()

    def collector(self) -> Collector:
        """Return what makes rows of cells, on workers."""
        return _Cells(self._given or FAILED_COLUMNS)

    def write_chunk(self, collected: Any) -> None:
        """Write rows.

        Raises:
            ExecutionError: A record has a field that is no column, or does not fit into the sheet.
        """
        for row in collected or ():
            if not self._columns:
                self._columns = list(row)
                self._put_header()
            if list(row) == self._columns:
                self._put(row.values())
            elif row.keys() <= set(self._columns):
                self._put([row.get(name) for name in self._columns])
            else:
                raise unknown_columns(self.path, self._columns, row)

    def write(self, entry: EntryTypedDict) -> None:
        """Write one entry."""
        self.write_chunk(collected_entry(self.collector(), entry))

    def finish(self) -> None:
        """Save the workbook.

        Raises:
            ExecutionError: It cannot be written.
        """
        with tempfile.TemporaryFile() as whole:
            try:
                self._workbook.save(whole)  # which goes back in the file, as not every place can
            except Exception as error:
                raise self._unwritable(error) from error
            whole.seek(0)
            while data := whole.read(_COPIED):
                self._file.write(data)
        self._workbook = self._sheet = None
        self._file.flush()
        self._finished = True

    def close(self) -> None:
        """Put the workbook in its place.

        Raises:
            ExecutionError: It cannot be written.
        """
        if not self._finished:
            self.finish()
        self._file.publish()

    def discard(self) -> None:
        """Remove what was written."""
        sheet, self._workbook, self._sheet = self._sheet, None, None
        self._file.discard()
        if sheet is not None:
            with suppress(Exception):
                sheet.close()
            with suppress(Exception):
                sheet._writer.cleanup()  # the file in which it keeps rows, or that stays until the process ends

    def abandon(self) -> None:
        """Wait no longer for anybody who reads what is written."""
        self._file.give_up()

    def _put_header(self) -> None:
        if len(self._columns) > MOST_COLUMNS:
            raise ExecutionError(f"{self.path}: {len(self._columns):,} columns are more than Excel's {MOST_COLUMNS:,}")
        self._put([excel_text(str(name)) for name in self._columns])

    def _put(self, values: Iterable[Any]) -> None:
        if self._written == MOST_ROWS:
            raise ExecutionError(
                f"{self.path}: a sheet has {MOST_ROWS:,} rows, and there are more records; write CSV, or several files"
            )
        row = [self._kept(value) if type(value) in (str, float) else value for value in values]
        try:
            self._sheet.append(row)
        except Exception as error:
            raise self._unwritable(error) from error
        self._written += 1

    def _kept(self, value: str | float) -> Any:
        """Return a value, or the cell that keeps it as it is."""
        if isinstance(value, float):
            if float(f"{value:.16g}") == value:
                return value
            made = self._cell(self._sheet, value)
            made._value = repr(value)  # the package writes one digit too few
            return made
        if len(value) > LONGEST_TEXT:
            raise ExecutionError(
                f"{self.path}: a text of {len(value):,} characters, {value[:20]!r}…, is longer than a cell's "
                f"{LONGEST_TEXT:,}; write CSV, or leave the field out with fieldnames= and a hook"
            )
        if value[:1] != "=" and value not in self._errors:
            return value
        made = self._cell(self._sheet, value)
        made.data_type = "s"  # a text, and no formula that Excel would follow
        return made

    def _unwritable(self, error: Exception) -> ExecutionError:
        return ExecutionError(f"{self.path} cannot be written: {safe_str(error) or type(error).__name__}")
