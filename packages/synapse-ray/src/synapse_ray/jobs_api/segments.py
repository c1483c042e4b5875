"""A growing stream of bytes as a row of files, so that a reader who comes often never reads much twice.

A dashboard gives a file of a node's log folder whole, or not at all. So the writer goes on in a new file once the old
one has some length; and each append is framed, so that the reader knows where the row goes on, and where it ends.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

__all__ = ["SegmentReader", "SegmentWriter"]

_HEADER = 9  # eight hexadecimal digits and a newline
_NEXT = b"ffffffff\n"
_END = b"eeeeeeee\n"
_LONG_ENOUGH = 16 * 1024
_TOO_LONG = 1024 * 1024
_LONGEST_FRAME = 256 * 1024
_SECONDS = 0.5


class SegmentWriter:
    """Writes such a row; safe to use from many threads. What a full disk does not take is not written in part.

    Args:
        folder: Where the files are made.
        name: Their name, before the number.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._number = 0
        self._lock = threading.Lock()
        self._file: int
        self._begin(self._opened_file(0))

    def write(self, data: bytes | memoryview) -> int:
        """Append `data`, which a reader sees at once, and return how many of its bytes the disk took.

        What comes after the end is dropped.
        """
        taken = 0
        with self._lock:
            if self._file < 0:
                return len(data)
            for start in range(0, len(data), _LONGEST_FRAME):
                self._roll()
                piece = bytes(data[start : start + _LONGEST_FRAME])
                if not self._append(b"%08x\n%b" % (len(piece), piece)):
                    break
                taken += len(piece)
        return taken

    def close(self) -> None:
        """Say that there will be no more."""
        with self._lock:
            self._append(_END)
            os.close(self._file)
            self._file = -1  # another file of this process may get its number

    def _roll(self) -> None:
        is_long = self._length >= _LONG_ENOUGH and time.monotonic() - self._opened > _SECONDS
        if not is_long and self._length < _TOO_LONG:
            return
        try:
            following = self._opened_file(self._number + 1)  # before the old one names it
        except OSError:
            return
        if not self._append(_NEXT):
            os.close(following)
            return
        os.close(self._file)
        self._number += 1
        self._begin(following)

    def _opened_file(self, number: int) -> int:
        return os.open(self._folder / f"{self._name}.{number}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def _begin(self, file: int) -> None:
        self._file, self._length, self._opened = file, 0, time.monotonic()

    def _append(self, frame: bytes) -> bool:
        """Append a whole frame, or else nothing; return which."""
        rest = memoryview(frame)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._length)
            return False
        self._length += len(frame)
        return True


class SegmentReader:
    """Reads such a row; does no I/O itself.

    Attributes:
        ended: Whether the writer has said that there will be no more.
        behind: Whether there certainly is more to be read at once.

    Args:
        name: Name of the files, before the number.
    """

    def __init__(self, name: str) -> None:
        self.ended = False
        self.behind = False
        self._name = name
        self._number = 0
        self._position = 0

    def wanted(self) -> str:
        """Return the name of the file to read next."""
        return f"{self._name}.{self._number}"

    def feed(self, content: bytes | None) -> list[bytes]:
        """Take the file that was wanted, ``None`` where it is not there; return what is new."""
        found: list[bytes] = []
        self.behind = False
        if content is None:
            return found
        while True:
            header = content[self._position : self._position + _HEADER]
            if header == _NEXT:
                self._number, self._position, self.behind = self._number + 1, 0, True
                return found
            if header == _END:
                self.ended = True
                return found
            if len(header) < _HEADER:
                return found
            start = self._position + _HEADER
            try:
                length = int(header, 16)
            except ValueError:  # as a node leaves a file whose power was cut: what follows cannot be told apart
                self.ended = True
                return found
            if len(content) < start + length:  # just being written
                return found
            found.append(content[start : start + length])
            self._position = start + length
