"""JSON: lines are cut into blocks here and parsed on workers; an array is read item by item."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from decimal import Decimal
from importlib import import_module
from itertools import islice
from typing import Any

from synapse_core.errors import BackendMissingError, ExecutionError, ValidationError
from synapse_core.whole_numbers import whole_number
from synapse_flow.chunks import ChunkSizes, Decoder
from synapse_flow.hooks.base import BaseHook
from synapse_flow.inputs.base import Block, Start
from synapse_flow.inputs.block_input import BlockInputAdapter
from synapse_flow.inputs.blocks import RecordCutter, transcoded
from synapse_flow.inputs.json_decoding import SPACE, LineDecoder
from synapse_flow.inputs.row_decoding import RowDecoder
from synapse_flow.source_file import SourceFile
from synapse_flow.used_files import UsedFile

__all__ = ["JSONInputAdapter"]

_READ = 1 << 16


class JSONInputAdapter(BlockInputAdapter):
    """Reads objects from a JSON file: one in each line, or the items of an array.

    A line that is no JSON, or no object, fails, and the others go on; blank lines are left out. An array is read
    item by item, so that it may be of any size; what is wrong in it ends the run.

    Args:
        source: Path, or a URL that fsspec knows.
        format: ``"jsonl"``, ``"array"``, or ``"auto"``: an array where the file begins with ``[``.
        item_path: Keys that lead to the array, where the file is an object: ``"data.rows"``.
        encoding: Of the file; a byte-order mark is skipped.
        compression: ``"infer"`` (by the suffix), ``"gzip"``, ``"zstd"`` or None.
        storage_options: For the file system, such as credentials.
        max_record_bytes: The longest line.
        id_generator: Makes an id for each record, in order.
        pre_hooks: Hooks of this input, before the validation.
        post_hooks: Hooks of this input, after the validation.
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        *,
        format: str = "auto",
        item_path: str | None = None,
        encoding: str = "utf-8",
        compression: str | None = "infer",
        storage_options: Mapping[str, Any] | None = None,
        max_record_bytes: int = 1 << 28,
        id_generator: Callable[[], Any] | None = None,
        pre_hooks: Iterable[BaseHook] | None = None,
        post_hooks: Iterable[BaseHook] | None = None,
    ) -> None:
        super().__init__(id_generator=id_generator, pre_hooks=pre_hooks, post_hooks=post_hooks)
        if format not in ("auto", "jsonl", "array"):
            raise ValidationError(f"format is {format!r}; it may be 'jsonl', 'array' or 'auto'")
        if item_path is not None and format == "jsonl":
            raise ValidationError("item_path= leads to an array, and format is 'jsonl'; leave one of them out")
        self._file = SourceFile(source, compression, storage_options)
        self._format = "array" if item_path is not None else format
        self._is_array = False
        self._path = item_path or ""
        name, recoded = transcoded(encoding)
        self._transcode = encoding if recoded or name != "utf-8" else None
        self._most = whole_number("max_record_bytes", max_record_bytes)
        self._cutter: RecordCutter | None = None

    @property
    def path(self) -> str:
        """The file's path, or URL."""
        return self._file.name

    def used_files(self) -> Iterable[UsedFile]:
        """Return the file."""
        return [self._file.used()]

    def open(self) -> None:
        """Open the file, and see how it begins.

        Raises:
            ValidationError: There is no such file, or it begins as none of this format and encoding does.
            BackendMissingError: It is an array, and ijson is not installed.
        """
        self._file.open()
        self._cutter = RecordCutter(
            self._file,
            blank=SPACE,
            most=self._most,
            hint="one document of many records is read with item_path=; ",
            transcode=self._transcode,
        )
        beginning = self._cutter.peek(4)
        self._cutter.skip_mark(codecs.BOM_UTF8)
        if self._transcode is None and (hint := self._file.hint(beginning)):
            raise ValidationError(f"{self._file.name} is no text in UTF-8: {hint}")
        line = self._first_line()
        self._is_array = self._format == "array" or (self._format == "auto" and line.startswith(b"["))
        if self._is_array:
            _ijson()
            self._check_array(line)
        elif self._format == "auto" and line.rstrip() == b"{":
            raise ValidationError(
                f"{self._file.name} begins with an object of several lines; if it is one document, name the keys that "
                "lead to the array in it, such as item_path='data.rows'"
            )

    def _first_line(self) -> bytes:
        """Return what stands behind blank lines, up to the end of that line; it is not gone beyond."""
        assert self._cutter is not None
        while (text := self._cutter.peek(_READ)) and not (found := text.lstrip()):
            self._cutter.take(len(text))
        return found.splitlines()[0] if text else b""

    def _check_array(self, line: bytes) -> None:
        wanted, what = (b"{", "object") if self._path else (b"[", "array")
        if line.startswith(wanted):
            return
        if not line:
            raise ExecutionError(f"{self._file.name} is empty; it should be an {what}")
        found = "an object" if line.startswith(b"{") else "an array" if line.startswith(b"[") else "neither"
        more = "; name the keys that lead to the array in it with item_path=" if found == "an object" else ""
        raise ValidationError(
            f"{self._file.name} should be an {what}, and is {found}{more}; lines of JSON are read with format='jsonl'"
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def decoder(self) -> Decoder:
        """Return what parses blocks of lines; items are parsed already."""
        return RowDecoder() if self._is_array else LineDecoder()

    def blocks(self, sizes: ChunkSizes, start: Start) -> Generator[Block]:
        """Yield blocks of lines, as bytes, or of items."""
        cutter = self._cutter
        assert cutter is not None, "open() comes first"
        if self._is_array:
            yield from self._blocks_of_items(_Stream(cutter), sizes, start.position)
            return
        if start.cursor is not None:
            cutter.go_to(*start.cursor)
        yield from cutter.blocks(sizes)

    def done(self) -> tuple[int, int] | None:
        """Return how many bytes of the file have been read, and how many there are."""
        return self._file.progress()

    def identity(self) -> Any:
        """Return the file's name, size and time of change, how it is read, and where in it records are."""
        how = {"encoding": self._transcode, "compression": self._file.compression}
        return {**self._file.identity(), "format": self._format, "item_path": self._path, **how}

    # -- arrays --

    def _blocks_of_items(self, stream: _Stream, sizes: ChunkSizes, skip: int) -> Generator[Block]:
        rows: list[Any] = []
        begun = 0
        for row in islice(self._items(stream), skip, None):
            rows.append(row)
            if len(rows) >= sizes.rows or stream.taken - begun >= sizes.most_bytes:
                yield Block(len(rows), rows)
                rows, begun = [], stream.taken
        if rows:
            yield Block(len(rows), rows)

    def _items(self, stream: _Stream) -> Iterator[Any]:
        """Yield the items of the array, with numbers as ``json`` has them.

        Raises:
            ExecutionError: The file is no JSON, or has no such array.
        """
        ijson = _ijson()
        prefix = f"{self._path}.item".lstrip(".")
        count = 0
        try:
            for item in ijson.items(stream, prefix, buf_size=_READ):
                yield _with_floats(item)
                count += 1
        except ijson.JSONError as error:
            raise self._broken(error, count) from error
        if not count and self._path:
            self._check_path(ijson)

    def _broken(self, error: Exception, count: int) -> ExecutionError:
        where = f"behind item {count - 1}" if count else "before the first item"
        text = error.args[0] if error.args else ""
        text = text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else str(text)
        if "premature EOF" in text or "Incomplete JSON" in text:
            return ExecutionError(
                f"{self._file.name} ends in the middle of its JSON, {where}, counted from 0: the file is cut off, and "
                "what follows is missing"
            )
        more = "; name the file's encoding with encoding=" if "UTF" in text or "utf" in text else ""
        return ExecutionError(f"{self._file.name} is no JSON {where}, counted from 0: {text.splitlines()[0]}{more}")

    def _check_path(self, ijson: Any) -> None:
        """See that the array is there, and empty, where no item has come."""
        self._file.close()
        self.open()
        assert self._cutter is not None
        top = []
        for prefix, event, value in ijson.parse(_Stream(self._cutter), buf_size=_READ):
            if prefix == self._path and event == "start_array":
                return
            if not prefix and event == "map_key":
                top.append(value)
        raise ValidationError(
            f"{self._file.name} has no array at item_path={self._path!r}; its keys are: {', '.join(top) or 'none'}"
        )


class _Stream:
    """A file of bytes for ijson.

    Attributes:
        taken: Bytes that were read.
    """

    def __init__(self, cutter: RecordCutter) -> None:
        self._cutter = cutter
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        data = self._cutter.take(size if size >= 0 else _READ) if size else b""
        self.taken += len(data)
        return data


def _ijson() -> Any:
    try:
        return import_module("ijson")
    except ImportError:
        raise BackendMissingError(
            "JSON arrays need the package ijson, which is not installed here; type: pip install 'synapse-flow[json]'"
        ) from None


_HELD = (Decimal, dict, list)


def _with_floats(value: Any) -> Any:
    """Return a value with floats in place of decimals, which ijson has to use: its floats go with short integers."""
    kind = type(value)
    if kind is Decimal:
        return float(value)
    if kind is dict:
        for key, item in value.items():
            if type(item) in _HELD:
                value[key] = _with_floats(item)
    elif kind is list:
        value[:] = [_with_floats(item) if type(item) in _HELD else item for item in value]
    return value
