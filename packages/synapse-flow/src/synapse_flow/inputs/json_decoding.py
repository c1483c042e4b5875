"""Parses lines of JSON, on workers: a module that is imported quickly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic_core import from_json

from synapse_flow.chunks import Chunk, Records, lines_of_part, rows_at_once
from synapse_flow.entries import RecordError

__all__ = ["SPACE", "LineDecoder"]

SPACE = b" \t"
"""What a line may hold and still be blank."""

_COLUMNS = 8  # a guess: nobody looks at lines before they are parsed
_LONGEST_TEXT = 10_000
_KINDS = {list: "an array", str: "a text", bool: "true or false", type(None): "null"}
_IN_LINE_1 = re.compile(r" at line 1 column (\d+)")


class LineDecoder:
    """Parses lines, each for itself."""

    def decode(self, chunk: Chunk) -> Iterator[Records]:
        """Yield an object for each line that is not blank."""
        lines: list[bytes] = chunk.payload.splitlines()
        if len(lines) != chunk.count:
            lines = [line for line in lines if line.strip(SPACE)]
        numbers = cache(lambda: _numbers(chunk.payload))  # asked for where something failed
        step = rows_at_once(_COLUMNS)
        for first in range(0, len(lines), step):
            records = _records(lines[first : first + step])
            if chunk.line is not None:
                records.line_of = lines_of_part(numbers, chunk.line, first)
            yield records


def _records(lines: list[bytes]) -> Records:
    try:
        records = Records([from_json(line) for line in lines])
    except ValueError:
        records = _singly(lines)
    return records if set(map(type, records.raws)) <= {dict} else _without_others(records)


def _numbers(data: bytes) -> list[int]:
    """Return the line within the block in which each record stands, from 0."""
    return [number for number, line in enumerate(data.splitlines()) if line.strip(SPACE)]


def _singly(lines: list[bytes]) -> Records:
    raws: list[dict[str, Any]] = []
    records = Records(raws)
    for index, line in enumerate(lines):
        try:
            raws.append(from_json(line))
        except ValueError as error:
            text = line[: 4 * _LONGEST_TEXT].decode("utf-8", "backslashreplace")
            raws.append({"value": text[:_LONGEST_TEXT]})
            records.problems[index] = [_problem(line, error)]
    return records


def _problem(line: bytes, error: ValueError) -> RecordError:
    try:
        line.decode()
    except UnicodeDecodeError as wrong:
        byte = line[wrong.start]
        return {
            "type": "encoding",
            "message": f"byte {byte:#04x} at {wrong.start} of the line is not utf-8; such bytes are shown as \\x..",
        }
    why = _IN_LINE_1.sub(r" at column \1", str(error))
    return {"type": "json_invalid", "message": f"the line is no JSON: {why}"}


def _without_others(records: Records) -> Records:
    """Return the records, with a problem for each that is no object."""
    raws = list(records.raws)
    for index, raw in enumerate(raws):
        if type(raw) is not dict:
            kind = _KINDS.get(type(raw), "a number")
            raws[index] = {"value": raw}
            records.problems[index] = [
                {"type": "json_type", "message": f"the line holds {kind}; a record is an object"}
            ]
    records.raws = raws
    return records
