"""Records that failed, read from the file of errors of an earlier run."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any, cast

import pydantic_core

from synapse_core.errors import ExecutionError, ValidationError
from synapse_flow.chunks import Chunk, ChunkSizes, Decoder, Records
from synapse_flow.entries import RecordError
from synapse_flow.inputs.base import Block, Start
from synapse_flow.inputs.block_input import BlockInputAdapter
from synapse_flow.inputs.blocks import RecordCutter
from synapse_flow.inputs.mending import mended, still_wrong
from synapse_flow.source_file import SourceFile
from synapse_flow.used_files import UsedFile

__all__ = ["RetryInputAdapter"]

_NOT_OF_READERS = ("HookError", "PackingError")


class RetryInputAdapter(BlockInputAdapter):
    r"""Reads the JSON lines that `JSONOutputAdapter` wrote of failed records: the same raw data, ids and positions.

    A record that the earlier input could not read fails again for that reason, as long as the reason is still to be
    seen in its ``raw_data``; once that is mended it is tried like the others:

    - ``encoding``: a text in it shows a byte as ``\x80`` to ``\xff``.
    - ``column_count``: fields stand under ``""``, for which the header has no name, or a field that the message
      names is missing.
    - ``json_invalid``, ``json_type``, ``InputError``, and ``encoding`` of a line of JSON: it is ``{"value": ...}``.
      Put the object in place of that, or mend the text behind ``value`` until it is the JSON of one.

    Other reasons of an input cannot be told from raw data, nor can a text that does mean ``\xe9``: take ``errors``
    out of the line, and it is tried.

    Args:
        source: Path, or a URL that fsspec knows; may end with ``.gz`` or ``.zst``.
        storage_options: For the file system, such as credentials.
    """

    def __init__(self, source: str | os.PathLike[str], *, storage_options: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._file = SourceFile(source, "infer", storage_options)
        self._cutter: RecordCutter | None = None

    @property
    def path(self) -> str:
        """The file's path, or URL."""
        return self._file.name

    def used_files(self) -> Iterable[UsedFile]:
        """Return the file."""
        return [self._file.used(role="file of errors that is run again")]

    def open(self) -> None:
        """Open the file.

        Raises:
            ValidationError: There is no such file.
        """
        self._file.open()
        self._cutter = RecordCutter(self._file)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def decoder(self) -> Decoder:
        """Return what tells raw data from what the earlier input could not read."""
        return _RetryDecoder()

    def blocks(self, sizes: ChunkSizes, start: Start) -> Generator[Block]:
        """Yield blocks of lines, with the ids and positions that stand in them."""
        cutter = self._cutter
        assert cutter is not None, "open() comes first"
        if start.cursor is not None:
            cutter.go_to(*start.cursor)
        for block in cutter.blocks(sizes):
            rows = [
                self._row(line, (block.line or 1) + number)
                for number, line in enumerate(block.payload.splitlines())
                if line.strip()
            ]
            block.count = len(rows)
            block.payload = [_tried(row) for row in rows]
            ids = [row.get("id") for row in rows]
            block.ids = ids if any(ids) else None
            block.positions = [row.get("position") for row in rows]
            yield block

    def done(self) -> tuple[int, int] | None:
        """Return how many bytes of the file have been read, and how many there are."""
        return self._file.progress()

    def identity(self) -> Any:
        """Return the file's name, size and time of change."""
        return self._file.identity()

    def _row(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            row: Any = pydantic_core.from_json(line)
        except ValueError as error:
            raise ExecutionError(
                f"{self.path}, line {number}, is no JSON: {error}. A retry reads the errors of a flow as JSON lines"
            ) from None
        if not isinstance(row, dict) or not isinstance(row.get("raw_data"), dict):
            raise ValidationError(
                f"{self.path}, line {number}, is no failed record: it has no 'raw_data' with the fields of one. "
                "Give the file that the errors of a flow were written to, as JSON lines"
            )
        position = row.get("position")
        if position is not None and type(position) is not int:
            raise ValidationError(
                f"{self.path}, line {number}: 'position' is {position!r}; it has to be a whole number"
            )
        return row


def _tried(row: dict[str, Any]) -> tuple[dict[str, Any], int | None, list[RecordError]]:
    """Return a record, its line, and why it still is none."""
    errors = _unreadable(row.get("errors"))
    raw = mended(row["raw_data"], errors)
    return raw, row.get("line"), still_wrong(raw, errors)


def _unreadable(errors: Any) -> list[RecordError]:
    """Return why the earlier input could not read a record; nothing where it could."""
    if not isinstance(errors, list):
        return []
    found = [error for error in errors if isinstance(error, dict) and "message" in error]
    return [cast("RecordError", error) for error in found if error.get("type") not in _NOT_OF_READERS]


class _RetryDecoder:
    """Makes records of raw data, lines and reasons."""

    def decode(self, chunk: Chunk) -> Iterator[Records]:
        """Yield the raw data; what could not be read before fails again."""
        lines = [line for _, line, _ in chunk.payload]
        yield Records(
            [raw for raw, _, _ in chunk.payload],
            {index: errors for index, (_, _, errors) in enumerate(chunk.payload) if errors},
            lines.__getitem__,
        )
