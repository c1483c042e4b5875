"""Compressed data: made in parts that can stand one behind the other, and read as a stream."""

from __future__ import annotations

import gzip
import zlib
from importlib import import_module
from pathlib import Path
from typing import Any

from synapse_core.errors import BackendMissingError, ValidationError

__all__ = ["DamagedError", "compressed", "compression_of", "decompressed"]

_BY_SUFFIX = {".gz": "gzip", ".zst": "zstd"}
_KNOWN = (None, "infer", "gzip", "zstd")
_AT_ONCE = 1 << 14  # bytes of a zstd file that are decompressed at once; they may become many times as many


class DamagedError(Exception):
    """Data is not what its format wants."""


def compression_of(target: str, compression: str | None) -> str | None:
    """Return ``"gzip"``, ``"zstd"`` or None; ``"infer"`` goes by the suffix ``.gz`` or ``.zst``.

    Raises:
        ValidationError: Another word.
        BackendMissingError: zstd is not installed.
    """
    if compression not in _KNOWN:
        raise ValidationError(f"compression is {compression!r}; it may be 'infer', 'gzip', 'zstd' or None")
    found = _BY_SUFFIX.get(Path(target).suffix) if compression == "infer" else compression
    if found == "zstd":
        _zstandard()
    return found


def compressed(data: bytes, compression: str | None) -> bytes:
    """Return data as a part of a compressed file: parts one behind the other make a whole one."""
    if compression == "gzip":
        return gzip.compress(data, compresslevel=6, mtime=0)
    if compression == "zstd":
        return bytes(_zstandard().ZstdCompressor(write_checksum=True).compress(data))
    return data


def _zstandard() -> Any:
    try:
        return import_module("zstandard")
    except ImportError:
        raise BackendMissingError(
            "zstd needs the package zstandard, which is not installed here; type: pip install 'synapse-flow[zstd]'"
        ) from None


def decompressed(raw: Any, compression: str | None) -> Any:
    """Return a stream of what a file holds; it raises `EOFError` where the file is cut off, and `DamagedError`.

    Args:
        raw: The file, open.
        compression: ``"gzip"``, ``"zstd"`` or None.
    """
    if compression == "gzip":
        return _GzipStream(raw)
    return _ZstdStream(raw) if compression == "zstd" else raw


class _GzipStream:
    """Reads gzip members one behind the other."""

    def __init__(self, raw: Any) -> None:
        self._file = gzip.GzipFile(fileobj=raw, mode="rb")

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except (gzip.BadGzipFile, zlib.error) as error:
            raise DamagedError(str(error)) from error

    def close(self) -> None:
        self._file.close()


class _ZstdStream:
    """Reads zstd frames one behind the other.

    The package's own reader takes the end of a file for the end of a frame, wherever it comes; here it is an
    `EOFError`, as it is with gzip.
    """

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._frame: Any = None
        self._compressed = b""
        self._ready = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        while self._at >= len(self._ready):
            if not self._compressed:
                self._compressed = self._raw.read(_AT_ONCE)
            if not self._compressed:
                if self._frame is not None:
                    raise EOFError
                return b""
            self._decompress()
        data = self._ready[self._at : self._at + size]
        self._at += len(data)
        return data

    def _decompress(self) -> None:
        if self._frame is None:
            self._frame = _zstandard().ZstdDecompressor().decompressobj()
        try:
            self._ready, self._at = self._frame.decompress(self._compressed), 0
        except _zstandard().ZstdError as error:
            raise DamagedError(str(error)) from error
        self._compressed = self._frame.unused_data if self._frame.eof else b""
        if self._frame.eof:
            self._frame = None

    def close(self) -> None:
        self._ready = self._compressed = b""
