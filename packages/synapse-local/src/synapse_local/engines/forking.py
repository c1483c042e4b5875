"""Workers that are forks of this process: they have at once what new ones would have to import."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any

__all__ = ["Parent", "can_fork", "end_with", "forking", "give_up"]

_FILES = Path("/proc/self/fd")
_THREADS = Path("/proc/self/task")
_FIRST_FILE = 3  # behind those for input, output and errors
_ENDING_SECONDS = 0.02


@dataclass(frozen=True)
class Parent:
    """What a process has that forks of it have to give up.

    Attributes:
        pid: Of the process.
        files: Descriptor → device and inode.
        signals: Those that it had blocked.
    """

    pid: int
    files: dict[int, tuple[int, int]]
    signals: set[Any]


def can_fork() -> bool:
    """Return whether a fork of this process does not depend on what other threads do at that moment.

    That is told on Linux, by the number of threads, those of libraries in C included. Where another way of starting
    processes than forks is set for `multiprocessing`, it is respected.
    """
    if sys.platform != "linux" or multiprocessing.get_start_method(allow_none=True) not in (None, "fork"):
        return False
    until = time.monotonic() + _ENDING_SECONDS
    try:
        while len(list(_THREADS.iterdir())) > 1:
            if threading.active_count() > 1 or time.monotonic() > until:
                return False
            time.sleep(0.001)  # one that was joined has not quite ended
    except OSError:
        return False
    return True


@contextlib.contextmanager
def forking() -> Iterator[Parent]:
    """Have forks made inside, and give what they need to become workers.

    No signal comes meanwhile, of which handlers would run in the midst of it, or in a fork that is no worker yet. Where
    it fails, those that were made are ended.
    """
    known = set(multiprocessing.active_children())
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield Parent(os.getpid(), _open_files(), before)
    except BaseException:
        for process in multiprocessing.active_children():
            if process not in known:
                process.kill()
                process.join()
                process.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _open_files() -> dict[int, tuple[int, int]]:
    numbers = [int(each.name) for each in _FILES.iterdir()]
    return {number: file for number in numbers if number >= _FIRST_FILE and (file := _file(number)) is not None}


def _file(number: int) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):  # of the descriptor by which they were listed
        found = os.fstat(number)
        return found.st_dev, found.st_ino
    return None


def give_up(parent: Parent) -> None:
    """Keep nothing, in a fork, of what belongs to its parent.

    Files, with their locks, stay the parent's own: in place of each one there is nothing to read here, and writing does
    nothing. Signals do what they do in a new process. What the parent would collect as garbage is kept.
    """
    gc.freeze()
    nothing = os.open(os.devnull, os.O_RDWR)
    for number, file in parent.files.items():
        if _file(number) != file:  # but another one, opened since
            continue
        try:
            os.dup2(nothing, number, inheritable=False)
        except OSError:  # it is above the number of files that are allowed by now
            os.close(number)
    os.close(nothing)
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, parent.signals)


def end_with(parent: Parent) -> None:
    """Wait, in a fork, for the end of its parent, and end this process.

    Not by the pipe of `multiprocessing`, the other end of which forks that were made later have, too.
    """
    with contextlib.suppress(AttributeError, OSError):  # of a system without it, or that the parent is gone
        ended = os.pidfd_open(parent.pid)
        if os.getppid() == parent.pid:
            connection.wait([ended])
    while os.getppid() == parent.pid:
        time.sleep(1)
    os._exit(1)
