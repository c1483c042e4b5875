"""Parses blocks of CSV, on workers: a module that is imported quickly."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from typing import Any

from synapse_core.errors import ValidationError
from synapse_flow.chunks import Chunk, Records, lines_of_part, rows_at_once

__all__ = ["CsvDecoder", "Dialect"]

_LARGEST_FIELD = (1 << 31) - 1
# Before 3.11.5 a possessive group that has to give up gives back too much: https://github.com/python/cpython/issues/106052
_RE_IS_WRONG = sys.version_info < (3, 11, 5)


@dataclass(frozen=True)
class Dialect:
    """How fields are told apart; the arguments of the csv module."""

    delimiter: str = ","
    quotechar: str | None = '"'
    escapechar: str | None = None
    skipinitialspace: bool = False

    def reader(self, lines: Iterable[str], *, strict: bool = False) -> Any:
        """Return a reader of the csv module."""
        if csv.field_size_limit() < _LARGEST_FIELD:
            csv.field_size_limit(_LARGEST_FIELD)  # of the process; 128 KiB would end a run at a long field
        quoting: Any = csv.QUOTE_MINIMAL if self.quotechar else csv.QUOTE_NONE
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quotechar,
            escapechar=self.escapechar,
            skipinitialspace=self.skipinitialspace,
            quoting=quoting,
            strict=strict,
        )

    def check(self) -> None:
        """See that fields can be told apart.

        Raises:
            ValidationError: A mark is no single character, or means two things.
        """
        try:
            self.reader([])
        except (TypeError, ValueError) as error:
            raise ValidationError(f"these options make no CSV dialect: {error}") from None
        marks = [mark for mark in (self.delimiter, self.quotechar, self.escapechar) if mark]
        if len({*marks, "\n", "\r"}) < len(marks) + 2 or (self.skipinitialspace and " " in marks):
            raise ValidationError(
                f"these options make no CSV dialect: delimiter={self.delimiter!r}, quotechar={self.quotechar!r} and "
                f"escapechar={self.escapechar!r} have to differ from each other, from line ends, and from a space that "
                "skipinitialspace= leaves out"
            )

    def patterns(self, encoding: str) -> tuple[re.Pattern[bytes], re.Pattern[bytes]] | None:
        """Return what matches text whose quotes stand around fields of one line, and one record of several lines.

        None where that is not so easy. What neither matches, the csv module is asked about.
        """
        if not self.quotechar or self.escapechar or _RE_IS_WRONG:
            return None
        quote, comma = (re.escape(mark.encode(encoding)) for mark in (self.quotechar, self.delimiter))
        # A "\r" is a line end where something else follows that can be seen; before a "\n" it is half of one.
        end = rb"(?:\r?\n|\r(?=[^\n]))"

        def quoted(other: bytes) -> bytes:
            return rb"%b[^%b]*+(?:%b%b[^%b]*+)*+%b" % (quote, other, quote, quote, other, quote)

        # All else has no quotes, and needs no look at fields: so this is ten times as fast as matching those.
        before, behind = rb"(?:(?<=%b)|(?<![^\r\n]))" % comma, rb"(?=%b|[\r\n])" % comma
        one_line = rb"(?:[^%b]*+%b%b%b)*+[^%b]*+" % (quote, before, quoted(quote + rb"\r\n"), behind, quote)
        any_field = rb"(?:%b|[^%b%b\r\n]*+)" % (quoted(quote), quote, comma)
        return re.compile(one_line), re.compile(rb"%b(?:%b%b)*+%b" % (any_field, comma, any_field, end))


@dataclass
class CsvDecoder:
    """Makes records of blocks of whole rows."""

    dialect: Dialect
    names: list[str]
    encoding: str
    given_encoding: str

    def decode(self, chunk: Chunk) -> Iterator[Records]:
        """Yield a record for each row that is not blank."""
        data: bytes = chunk.payload
        lines = cache(lambda: self._lines(data, chunk.count))  # asked for where something failed
        rows, is_text = self._rows(data)
        step = rows_at_once(len(self.names))
        first = 0
        while True:
            try:
                part = list(islice(rows, step))
            except UnicodeDecodeError:
                is_text = False
                rows = islice(self._escaped_rows(data), first, None)
                continue
            if not part:
                return
            records = self._records(part, is_text=is_text)
            if chunk.line is not None:
                records.line_of = lines_of_part(lines, chunk.line, first)
            first += len(part)
            yield records

    def _rows(self, data: bytes) -> tuple[Iterator[list[str]], bool]:
        """Return rows that are not blank, and whether they have text only."""
        if self.encoding == "utf-8":  # a line at a time has its own width of characters, often one byte
            return self._read(map(bytes.decode, data.splitlines(keepends=True))), True
        try:
            text = data.decode(self.encoding)
        except UnicodeDecodeError:
            return self._escaped_rows(data), False
        return self._read(io.StringIO(text, newline="")), True

    def _escaped_rows(self, data: bytes) -> Iterator[list[str]]:
        return self._read(io.StringIO(data.decode(self.encoding, "surrogateescape"), newline=""))

    def _read(self, lines: Iterable[str]) -> Iterator[list[str]]:
        return filter(None, self.dialect.reader(lines))

    def _records(self, rows: list[list[str]], *, is_text: bool) -> Records:
        try:
            records = Records(_maker(tuple(self.names))(rows))
        except ValueError:  # a row has more or fewer fields
            records = Records([dict(zip(self.names, row, strict=False)) for row in rows])
            self._find_misfits(rows, records)
        if not is_text:
            self._find_broken(rows, records)
        return records

    def _find_misfits(self, rows: list[list[str]], records: Records) -> None:
        width = len(self.names)
        for index, row in enumerate(rows):
            if len(row) == width:
                continue
            if len(row) > width:
                records.raws[index][""] = row[width:]
            missing = f"{', '.join(map(repr, self.names[len(row) :]))} missing" if len(row) < width else "too many"
            records.problems[index] = [
                {
                    "type": "column_count",
                    "message": f"the row has {len(row)} fields, and the header {width} ({missing})",
                }
            ]

    def _find_broken(self, rows: list[list[str]], records: Records) -> None:
        for index, row in enumerate(rows):
            for number, field in enumerate(row):
                if (byte := _escaped(field)) is None:
                    continue
                name = self.names[number] if number < len(self.names) else f"field {number + 1}"
                what = f"{name}: byte {byte:#04x} is not {self.given_encoding}; bytes are shown as \\x.."
                records.raws[index] = {key: self._legible(value) for key, value in records.raws[index].items()}
                records.problems.setdefault(index, []).append({"type": "encoding", "message": what})
                break

    def _legible(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._legible(each) for each in value]
        return value.encode(self.encoding, "surrogateescape").decode(self.encoding, "backslashreplace")

    def _lines(self, data: bytes, rows: int) -> Sequence[int]:
        """Return the line within the block in which each record begins, from 0."""
        if b"\r" not in data and data.count(b"\n") + (not data.endswith(b"\n")) == rows:
            return range(rows)
        reader = self.dialect.reader(io.StringIO(data.decode(self.encoding, "surrogateescape"), newline=""))
        begins, line = [], 0
        for row in reader:
            if row:
                begins.append(line)
            line = reader.line_num
        return begins


@lru_cache(maxsize=16)
def _maker(names: tuple[str, ...]) -> Callable[[list[list[str]]], list[dict[str, Any]]]:
    """Return what makes dicts of rows; a display of all its keys is made three times as fast as ``dict(zip(...))``."""
    values = [f"v{number}" for number in range(len(names))]
    items = ", ".join(f"{name!r}: {value}" for name, value in zip(names, values, strict=True))
    code = f"lambda rows: [{{{items}}} for [{', '.join(values)}] in rows]"
    maker: Callable[[list[list[str]]], list[dict[str, Any]]] = eval(code)  # of names as literals, and nothing else
    return maker


def _escaped(field: str) -> int | None:
    """Return the first byte in a field that was not text."""
    try:
        field.encode()
    except UnicodeEncodeError as error:
        return ord(field[error.start]) - 0xDC00
    return None
