"""Parses blocks of CSV, on workers: a module that is imported quickly."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from synapse_flow.chunks import Chunk, Records, lines_of_part, rows_at_once
from synapse_flow.entries import RecordError
from synapse_flow.inputs.csv_dialect import Dialect
from synapse_flow.row_table import RowTable

__all__ = ["CsvDecoder"]


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
        step = rows_at_once(len(self.names))
        parts, is_text = self._parts(data, chunk.count, step)
        first = 0
        while True:
            try:
                rows = next(parts, None)
            except UnicodeDecodeError:
                parts, is_text = _in_parts(islice(self._escaped_rows(data), first, None), step), False
                continue
            if rows is None:
                return
            records = self._records(rows, is_text=is_text)
            if chunk.line is not None:
                records.line_of = lines_of_part(lines, chunk.line, first)
            first += len(rows)
            yield records

    def _parts(self, data: bytes, count: int, step: int) -> tuple[Iterator[list[list[str]]], bool]:
        """Return rows that are not blank, about `step` at a time, and whether they have text only."""
        if self.encoding == "utf-8":  # no text of the whole block, of which each character may take four bytes
            if self.dialect.splits and _has_one_line_each(data, count):
                return self._split(data, 1 + len(data) * step // max(1, count)), True
            return _in_parts(self._read(map(bytes.decode, data.splitlines(keepends=True))), step), True
        try:
            text = data.decode(self.encoding)
        except UnicodeDecodeError:
            return _in_parts(self._escaped_rows(data), step), False
        return _in_parts(self._read(io.StringIO(text, newline="")), step), True

    def _split(self, data: bytes, size: int) -> Iterator[list[list[str]]]:
        """Yield the rows of lines that are a record each, of about `size` bytes at a time, which stay in a cache."""
        delimiter, quote = self.dialect.delimiter, self.dialect.quotechar
        stream = io.BytesIO(data)
        while part := stream.read(size) + stream.readline():
            text = part.removesuffix(b"\n").decode()
            lines = text.split("\n")
            if quote is None or quote not in text:
                yield [line.split(delimiter) for line in lines]
            else:  # which the csv module parses
                parsed = self.dialect.reader([line for line in lines if quote in line])
                yield [next(parsed) if quote in line else line.split(delimiter) for line in lines]

    def _escaped_rows(self, data: bytes) -> Iterator[list[str]]:
        return self._read(io.StringIO(data.decode(self.encoding, "surrogateescape"), newline=""))

    def _read(self, lines: Iterable[str]) -> Iterator[list[str]]:
        return filter(None, self.dialect.reader(lines))

    def _records(self, rows: list[list[str]], *, is_text: bool) -> Records:
        if is_text and set(map(len, rows)) == {len(self.names)}:
            return Records(RowTable(tuple(self.names), rows))
        raws: list[dict[str, Any]] = [dict(zip(self.names, row, strict=False)) for row in rows]
        records = Records(raws)
        self._find_misfits(rows, raws, records.problems)
        if not is_text:
            self._find_broken(rows, raws, records.problems)
        return records

    def _find_misfits(
        self, rows: list[list[str]], raws: list[dict[str, Any]], problems: dict[int, list[RecordError]]
    ) -> None:
        width = len(self.names)
        for index, row in enumerate(rows):
            if len(row) == width:
                continue
            if len(row) > width:
                raws[index][""] = row[width:]
            missing = f"{', '.join(map(repr, self.names[len(row) :]))} missing" if len(row) < width else "too many"
            problems[index] = [
                {
                    "type": "column_count",
                    "message": f"the row has {len(row)} fields, and the header {width} ({missing})",
                }
            ]

    def _find_broken(
        self, rows: list[list[str]], raws: list[dict[str, Any]], problems: dict[int, list[RecordError]]
    ) -> None:
        for index, row in enumerate(rows):
            for number, field in enumerate(row):
                if (byte := _escaped(field)) is None:
                    continue
                name = self.names[number] if number < len(self.names) else f"field {number + 1}"
                what = f"{name}: byte {byte:#04x} is not {self.given_encoding}; bytes are shown as \\x.."
                raws[index] = {key: self._legible(value) for key, value in raws[index].items()}
                problems.setdefault(index, []).append({"type": "encoding", "message": what})
                break

    def _legible(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._legible(each) for each in value]
        return value.encode(self.encoding, "surrogateescape").decode(self.encoding, "backslashreplace")

    def _lines(self, data: bytes, rows: int) -> Sequence[int]:
        """Return the line within the block in which each record begins, from 0."""
        if _has_one_line_each(data, rows):
            return range(rows)
        reader = self.dialect.reader(io.StringIO(data.decode(self.encoding, "surrogateescape"), newline=""))
        begins, line = [], 0
        for row in reader:
            if row:
                begins.append(line)
            line = reader.line_num
        return begins


def _has_one_line_each(data: bytes, records: int) -> bool:
    """Return whether every line of a block is one of its records: blank lines and longer records add up to more."""
    return b"\r" not in data and data.count(b"\n") + (not data.endswith(b"\n")) == records


def _in_parts(rows: Iterator[list[str]], step: int) -> Iterator[list[list[str]]]:
    while part := list(islice(rows, step)):
        yield part


def _escaped(field: str) -> int | None:
    """Return the first byte in a field that was not text."""
    try:
        field.encode()
    except UnicodeEncodeError as error:
        return ord(field[error.start]) - 0xDC00
    return None
