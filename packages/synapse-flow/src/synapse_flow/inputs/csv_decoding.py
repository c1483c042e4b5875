"""Parses blocks of CSV, on workers: a module that is imported quickly."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from typing import Any

from synapse_flow.chunks import Chunk, Records, lines_of_part, rows_at_once
from synapse_flow.inputs.csv_dialect import Dialect

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
