"""Packing of chunks that cross a process boundary: msgpack, and LZ4 where it is wanted."""

from __future__ import annotations

import ipaddress
import pickle
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from importlib import import_module
from pathlib import PurePath
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgpack

from synapse_core.errors import BackendMissingError, ValidationError
from synapse_core.out_of_band import Blob

__all__ = ["Packed", "Packing", "UnpackableValueError"]


class UnpackableValueError(TypeError):
    """A value is of a type that packing does not know."""


class Packed(NamedTuple):
    """A value that is packed."""

    data: bytes


class Packing:
    """Packs plain Python values and gets equal ones back, of the same types.

    Known are JSON types, integers of any size, bytes, tuple, set, frozenset, date, time, datetime, timedelta, Decimal,
    UUID, members of an importable Enum, paths, network addresses, and pydantic's URLs and secrets.

    Args:
        compression: ``"lz4"``, or None.

    Raises:
        ValidationError: Another compression.
        BackendMissingError: LZ4 is not installed.
    """

    def __init__(self, compression: str | None = None) -> None:
        if compression not in (None, "lz4"):
            raise ValidationError(f"compression is {compression!r}; it may be 'lz4' or None")
        self.compression = compression
        if compression:
            _lz4()

    def pack(self, value: Any) -> Packed | Blob:
        """Return what stands for `value`: bytes for themselves, unless they are to be compressed.

        Raises:
            UnpackableValueError: A value in it is of an unknown type.
        """
        if type(value) is bytes and not self.compression:
            return Blob(value)  # blocks of input and output, which are large
        packed = _pack(value)
        return Packed(bytes(_lz4().compress(packed)) if self.compression else packed)

    def unpack(self, packed: Packed | Blob, *, as_view: bool = False) -> Any:
        """Return what was packed.

        Args:
            packed: What `pack` returned.
            as_view: Return a view of bytes, in place of what may have to be a copy of another process's memory.
        """
        if isinstance(packed, Blob):
            return memoryview(packed.buffer) if as_view else bytes(packed)
        return _unpack(_lz4().decompress(packed.data) if self.compression else packed.data)


def _lz4() -> Any:
    try:
        return import_module("lz4.frame")
    except ImportError:
        raise BackendMissingError(
            "compression='lz4' needs the package lz4, which is not installed here; "
            "type: pip install 'synapse-flow[lz4]'"
        ) from None


def _pack(value: Any) -> bytes:
    try:
        packed: bytes = msgpack.packb(value, default=_to_ext, strict_types=True)
    except ValueError as error:  # nested too deeply, or too large
        raise UnpackableValueError(f"a value cannot be packed: {error}") from error
    return packed


def _unpack(data: bytes) -> Any:
    return msgpack.unpackb(data, ext_hook=_from_ext, strict_map_key=False, use_list=True)


# -- types that msgpack does not have ------------------------------------------------------------

# The codes stand in no file: both ends of a run are of one version.
_PICKLED, _PLAIN, _TUPLE, _SET, _FROZENSET, _DATE, _DATETIME, _DECIMAL, _UUID, _INT = range(10)

_PICKLED_TYPES = (
    Enum, datetime, time, timedelta, PurePath, ZoneInfo, ipaddress.IPv4Address, ipaddress.IPv6Address,
    ipaddress.IPv4Network, ipaddress.IPv6Network, ipaddress.IPv4Interface, ipaddress.IPv6Interface,
)  # fmt: skip


_PLAIN_TYPES: tuple[type[Any], ...] = (str, bytes, int, float, dict, list)


def _to_ext(value: Any) -> msgpack.ExtType:
    known = _ENCODERS.get(type(value))
    if known is not None:
        code, encode = known
        return msgpack.ExtType(code, encode(value))
    if isinstance(value, _PICKLED_TYPES) or _is_pydantics(type(value)):
        return msgpack.ExtType(_PICKLED, _pickled(value))
    for plain in _PLAIN_TYPES:
        if isinstance(value, plain):
            return msgpack.ExtType(_PLAIN, _pack(plain(value)))
    raise UnpackableValueError(_cannot(value))


def _is_pydantics(kind: type) -> bool:
    """Return whether it is a URL or a secret, by name: to import those types takes every worker 60 ms."""
    return any(
        base.__module__ == "pydantic.networks"
        or (base.__module__ == "pydantic.types" and base.__name__ in ("SecretStr", "SecretBytes"))
        for base in kind.__mro__
    )


def _pickled(value: Any) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception as error:  # a class inside a function
        raise UnpackableValueError(f"{_cannot(value)}: {error}") from error


def _cannot(value: Any) -> str:
    return f"a value of type {type(value).__module__}.{type(value).__qualname__} cannot be sent to another process"


def _datetime(value: datetime) -> bytes:
    # isoformat has no name of a zone, and no fold.
    return value.isoformat().encode() if value.tzinfo is None and not value.fold else b"!" + _pickled(value)


_ENCODERS: dict[type, tuple[int, Callable[[Any], bytes]]] = {
    tuple: (_TUPLE, lambda value: _pack(list(value))),
    set: (_SET, lambda value: _pack(list(value))),
    frozenset: (_FROZENSET, lambda value: _pack(list(value))),
    date: (_DATE, lambda value: value.toordinal().to_bytes(4, "big")),
    datetime: (_DATETIME, _datetime),
    Decimal: (_DECIMAL, lambda value: str(value).encode()),
    UUID: (_UUID, lambda value: value.bytes),
    int: (_INT, lambda value: value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)),
}

_DECODERS: dict[int, Callable[[bytes], Any]] = {
    _PICKLED: pickle.loads,
    _PLAIN: _unpack,
    _TUPLE: lambda data: tuple(_unpack(data)),
    _SET: lambda data: set(_unpack(data)),
    _FROZENSET: lambda data: frozenset(_unpack(data)),
    _DATE: lambda data: date.fromordinal(int.from_bytes(data, "big")),
    _DATETIME: lambda data: pickle.loads(data[1:]) if data[:1] == b"!" else datetime.fromisoformat(data.decode()),
    _DECIMAL: lambda data: Decimal(data.decode()),
    _UUID: lambda data: UUID(bytes=data),
    _INT: lambda data: int.from_bytes(data, "big", signed=True),
}


def _from_ext(code: int, data: bytes) -> Any:
    return _DECODERS[code](bytes(data))
