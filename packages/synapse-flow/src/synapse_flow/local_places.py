"""Places of this machine as they are: links followed, owners and modes kept, and devices written to directly."""

from __future__ import annotations

import errno
import os
import re
import select
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import sleep

__all__ = ["Through", "is_null", "is_through", "obstacle", "real_path", "take_access"]

_DESCRIPTORS = re.compile(r"/proc/(\d+)(?:/task/\d+)?/fd|/dev/fd")
_MOST_LINKS = 40
_LOOKS = 0.02  # seconds between looks for a reader, and for an end of the run
_AT_ONCE = 1 << 20
_ROOM = 4096  # bytes that a pipe takes without waiting when it says that it takes some
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EROFS)


def real_path(path: Path) -> Path:
    """Return where a path leads when all links are followed, whether something is there or not.

    Raises:
        OSError: The links lead nowhere, but to each other.
    """
    real = Path(os.path.realpath(path))
    if real.is_symlink():
        raise OSError(errno.ELOOP, "its links lead to each other")
    return real


def obstacle(path: Path) -> Path | None:
    """Return what is in the way of the folder of a path, since it is no folder; None where nothing is."""
    found = next((each for each in path.parents if os.path.lexists(each)), None)
    return None if found is None or found.is_dir() else found


def is_through(path: Path) -> bool:
    """Say whether what is written to a path goes on as it comes: to a device, a FIFO, a socket, or an open file.

    Of an open file, as ``/dev/stdout`` stands for, others know how far it is written; so it is never replaced.
    """
    if _descriptor(path) is not None:
        return True
    mode = _mode(path)
    return mode is not None and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def is_null(path: Path) -> bool:
    """Say whether a path is the null device, which keeps nothing."""
    with suppress(OSError):
        found, null = os.stat(path), os.stat(os.devnull)
        return stat.S_ISCHR(found.st_mode) and stat.S_ISCHR(null.st_mode) and found.st_rdev == null.st_rdev
    return False


def take_access(descriptor: int, path: Path, also: int = 0) -> None:
    """Give an open file the owner and the mode of the file that it is to replace, where there is one.

    Args:
        descriptor: Of the open file.
        path: Of the other one.
        also: Bits that the mode has in any case.
    """
    try:
        old, new = os.stat(path), os.fstat(descriptor)
    except FileNotFoundError:
        return
    if os.name == "nt" or not (stat.S_ISREG(old.st_mode) and stat.S_ISREG(new.st_mode)):
        return
    mode = old.st_mode & 0o777
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        with suppress(OSError):  # none but root gives files away
            os.fchown(descriptor, -1, old.st_gid)
            os.fchown(descriptor, old.st_uid, -1)
        if os.fstat(descriptor).st_gid != old.st_gid:  # another group gets no more than everybody
            mode = mode & ~0o070 | (mode & 0o007) << 3
    if os.fstat(descriptor).st_mode & 0o777 != mode | also:
        os.fchmod(descriptor, mode | also)


class Through:
    """What is written to directly: nothing is made, replaced or removed.

    Args:
        path: A device, a FIFO, a socket, or what stands for an open file.
        is_given_up: Asked while somebody at the other end is waited for; then what is written is dropped.

    Attributes:
        lost: Whether something was dropped.

    Raises:
        OSError: It cannot be opened for writing.
    """

    def __init__(self, path: Path, is_given_up: Callable[[], bool]) -> None:
        self._is_given_up = is_given_up
        self.lost = False
        self._descriptor = self._opened(path)
        mode = 0 if self._descriptor is None else os.fstat(self._descriptor).st_mode
        self._most = _ROOM if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else _AT_ONCE

    def write(self, data: memoryview) -> int:
        """Write some of the data, and return how much."""
        if self._descriptor is None or not self._has_room():
            self.lost = True
            return len(data)
        try:
            return os.write(self._descriptor, data[: self._most])
        except BlockingIOError:
            return 0

    def flush(self) -> None:
        """Wait until what was written is where it cannot get lost, where that means anything."""
        if self._descriptor is None:
            return
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            if error.errno not in _NO_SYNC:
                raise

    def close(self) -> None:
        """Let go of it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)

    def _opened(self, path: Path) -> int | None:
        found = _descriptor(path)
        if found is not None and found[0] in (None, os.getpid()):
            return os.dup(found[1])  # behind what was written to it
        mode = _mode(path) or 0
        if stat.S_ISSOCK(mode):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(os.fspath(path))
                return connection.detach()
        if stat.S_ISFIFO(mode):
            return self._opened_fifo(path)
        return os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOCTTY", 0))

    def _opened_fifo(self, path: Path) -> int | None:
        while not self._is_given_up():
            try:
                return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
            sleep(_LOOKS)  # nobody reads it yet
        return None

    def _has_room(self) -> bool:
        """Wait until it takes something, and return whether that has come."""
        if not hasattr(select, "poll"):  # Windows
            return True
        look = select.poll()
        look.register(self._descriptor or 0, select.POLLOUT)
        while not look.poll(_LOOKS * 1000):
            if self._is_given_up():
                return False
        return True


def _mode(path: Path) -> int | None:
    try:
        return os.stat(path).st_mode
    except OSError:
        return None


def _descriptor(path: Path) -> tuple[int | None, int] | None:
    """Return the process, and the number in it, of an open file that a path stands for; None where it does not."""
    at = os.fspath(path)
    for _ in range(_MOST_LINKS):
        folder, name = os.path.split(at)
        folder = os.path.realpath(folder or os.curdir)
        found = _DESCRIPTORS.fullmatch(folder)
        if found and name.isdigit():
            return (int(found[1]) if found[1] else None), int(name)
        try:
            at = os.path.join(folder, os.readlink(os.path.join(folder, name)))
        except OSError:
            return None
    return None
