"""The file format of params and results: data as a header, and long parts as they lie in memory.

``SYNAPSE1``, the header's length (8 bytes, big end first), its SHA-256, the header (JSON), then the parts one after
another. Nothing in it is a pickle. It is written and read piece by piece: neither side ever holds a second copy of a
long part.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from synapse_core.model.outcome import Outcome
from synapse_core.model.tagged import PlainData, encode
from synapse_core.model.type_names import FindType
from synapse_ray.jobs_api.buffers import Taken, describe_buffer, put_back, raw_bytes, take_out

__all__ = ["BrokenFileError", "Opened", "open_file", "outcome_file", "value_file"]

_MAGIC = b"SYNAPSE1"
_PREAMBLE = struct.Struct(">8sQ32s")
_LONGEST_HEADER = 2**30
_PIECE = 1024 * 1024


class BrokenFileError(ValueError):
    """The file is not of this format, or not all of it has arrived."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that was read.

    Attributes:
        data: What its writer said, as JSON types: an outcome or tagged data.
        mark: By which the places of the parts are known.
        parts: The long parts.
    """

    data: Any
    mark: str
    parts: list[Any]

    def unwrap(self, find_type: FindType) -> Any:
        """Return the value of an outcome, or raise its error, as `Outcome.unwrap` does."""
        value = Outcome.from_dict(self.data).unwrap(find_type)
        return put_back(value, self.mark, self.parts)


def value_file(value: Any) -> Iterator[bytes | memoryview]:
    """Yield the file of a value.

    Raises:
        UnencodableError: It has no form as data; raised before the first piece.
    """
    taken = take_out(value)
    return _written(encode(taken.value), taken)


def outcome_file(outcome: Outcome | None, value: Any) -> Iterator[bytes | memoryview]:
    """Yield the file of an outcome, or of a result where there is none yet.

    A result without a form as data becomes a described stand-in.
    """
    if outcome is not None:
        return _written(outcome.to_dict(), Taken(None, "", []))
    taken = take_out(value)
    made = Outcome.of_value(taken.value, allow_pickle=False)
    if made.stand_in and taken.parts:  # described as what it was, not as what is left of it
        made, taken = Outcome.of_value(value, allow_pickle=False), Taken(None, "", [])
    return _written(made.to_dict(), taken)


def open_file(pieces: Iterable[bytes]) -> Opened:
    """Read a file.

    Raises:
        BrokenFileError: It is no such file, or incomplete.
    """
    source = _Source(pieces)
    magic, length, digest = _PREAMBLE.unpack(source.take(_PREAMBLE.size))
    if magic != _MAGIC or length > _LONGEST_HEADER:
        raise BrokenFileError("this is no file of params or results")
    text = source.take(length)
    if hashlib.sha256(text).digest() != digest:
        raise BrokenFileError("its header was damaged")
    header = json.loads(text)
    parts = [_read_part(described, source) for described in header["parts"]]
    return Opened(header["data"], header["mark"], parts)


def _written(data: Any, taken: Taken) -> Iterator[bytes | memoryview]:
    described = []
    raw = [raw_bytes(part) for part in taken.parts]
    for part, content in zip(taken.parts, raw, strict=True):
        digest = hashlib.sha256(content).hexdigest()
        described.append({**describe_buffer(part), "length": content.nbytes, "sha256": digest})
    header = {"data": data, "mark": taken.mark, "parts": described}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    preamble = _PREAMBLE.pack(_MAGIC, len(text), hashlib.sha256(text).digest())
    return _pieces(preamble, text, raw)


def _pieces(preamble: bytes, text: bytes, raw: list[memoryview]) -> Iterator[bytes | memoryview]:
    yield preamble
    yield text
    yield from raw


def _read_part(described: dict[str, Any], source: _Source) -> Any:
    length, kind = described["length"], described["kind"]
    digest = hashlib.sha256()
    if kind == "ndarray":
        part = _read_array(described, source, digest.update)
    elif kind == "bytearray":
        part = bytearray(length)
        source.fill(memoryview(part), digest.update)
    else:
        # The one way to `bytes` of any length without a second copy: BytesIO gives its own away.
        stream = io.BytesIO()
        for piece in source.pieces(length):
            digest.update(piece)
            stream.write(piece)
        part = stream.getvalue()
        if kind == "str":
            del stream
            part = part.decode()
    if digest.hexdigest() != described["sha256"]:
        raise BrokenFileError("a part of it was damaged")
    return part


def _read_array(described: dict[str, Any], source: _Source, seen: Callable[[memoryview], None]) -> Any:
    try:
        import numpy
    except ImportError:
        raw = bytearray(described["length"])
        source.fill(memoryview(raw), seen)
        fields = {"dtype": described["dtype"], "shape": described["shape"], "data": bytes(raw)}
        return PlainData(fields, type_name="numpy:ndarray")
    array = numpy.empty(described["shape"], numpy.dtype(described["dtype"]), order=described["order"])
    if array.nbytes != described["length"]:
        raise BrokenFileError("an array's length is not that of its shape")
    one_piece = array.T if described["order"] == "F" else array
    source.fill(memoryview(one_piece.reshape(-1).view(numpy.uint8)), seen)
    return array


class _Source:
    """Bytes that arrive in pieces of any length."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def pieces(self, length: int) -> Iterator[memoryview]:
        """Yield the next `length` bytes."""
        while length:
            if not self._rest:
                arrived = next(self._pieces, None)
                if arrived is None:
                    raise BrokenFileError(f"{length} bytes are missing at its end")
                self._rest = memoryview(arrived)
            piece, self._rest = self._rest[:length], self._rest[length:]
            length -= len(piece)
            yield piece

    def take(self, length: int) -> bytes:
        return b"".join(self.pieces(length))

    def fill(self, target: memoryview, seen: Callable[[memoryview], None]) -> None:
        at = 0
        for piece in self.pieces(target.nbytes):
            seen(piece)
            target[at : at + len(piece)] = piece
            at += len(piece)
