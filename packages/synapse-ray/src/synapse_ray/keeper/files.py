"""Logs and results of jobs as files: one folder per job, every write repeatable."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Container
from pathlib import Path

__all__ = ["JobFiles"]

_LOOK_BACK = 64 * 2**10


class JobFiles:
    """The jobs' folders. Writes name the place that they belong to, so that a repeated one changes nothing.

    Args:
        root: Where the folders are; made where there is none.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def write_log(self, nonce: str, offset: int, lines: bytes, *, is_last: bool = False) -> None:
        """Write whole lines at `offset` of a job's log; with `is_last`, what lies behind them is cut off."""
        self._write(self._log(nonce), offset, lines, is_last=is_last)

    def write_result(self, nonce: str, life: str, offset: int, piece: bytes) -> None:
        """Write a piece of a result; each worker process has a file of its own."""
        self._write(self._result(nonce, life), offset, piece)

    def keep_result(self, nonce: str, life: str, size: int) -> bool:
        """Make what this worker process wrote the result; ``False`` where that is not all of it."""
        written, kept = self._result(nonce, life), self._result(nonce)
        with contextlib.suppress(FileNotFoundError):
            if written.stat().st_size == size:
                written.replace(kept)
        return kept.exists() and kept.stat().st_size == size

    def read_result(self, nonce: str, offset: int, limit: int) -> bytes:
        """Return a piece of a result; empty at its end."""
        return self._read(self._result(nonce), offset, limit)

    def read_log(self, nonce: str, offset: int, limit: int) -> bytes:
        """Return whole lines of a log from `offset` on: about `limit` bytes, or one line where that is longer.

        What lies after the last newline was cut off by somebody's death, and is not there.
        """
        while True:
            piece = self._read(self._log(nonce), offset, limit)
            end = piece.rfind(b"\n") + 1
            if end > 0 or len(piece) < limit:
                return piece[:end]
            limit *= 2

    def log_size(self, nonce: str) -> int:
        """Return the size of a log, up to its last newline."""
        path = self._log(nonce)
        try:
            start = path.stat().st_size
        except FileNotFoundError:
            return 0
        while start > 0:
            start, before = max(0, start - _LOOK_BACK), start
            found = self._read(path, start, before - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
        return 0

    def end_of_log(self, nonce: str) -> int:
        """Return where the next line of a log belongs, and cut off what was left unfinished there."""
        end = self.log_size(nonce)
        with contextlib.suppress(FileNotFoundError):
            os.truncate(self._log(nonce), end)
        return end

    def remove(self, nonce: str) -> None:
        """Remove a job's folder."""
        shutil.rmtree(self._root / nonce, ignore_errors=True)

    def remove_others(self, known: Container[str]) -> None:
        """Remove the folders that no job has any more."""
        for folder in self._root.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)

    def _log(self, nonce: str) -> Path:
        return self._root / nonce / "log"

    def _result(self, nonce: str, life: str = "") -> Path:
        return self._root / nonce / (f"result-{life}" if life else "result")

    def _write(self, path: Path, offset: int, data: bytes, *, is_last: bool = False) -> None:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            rest = memoryview(data)
            while rest:
                written = os.pwrite(descriptor, rest, offset)
                rest, offset = rest[written:], offset + written
            if is_last:
                os.ftruncate(descriptor, offset)
        finally:
            os.close(descriptor)

    def _read(self, path: Path, offset: int, limit: int) -> bytes:
        try:
            with path.open("rb") as file:
                file.seek(offset)
                return file.read(limit)
        except FileNotFoundError:
            return b""
