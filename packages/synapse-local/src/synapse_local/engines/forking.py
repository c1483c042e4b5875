"""Processes that are forks of this one: they have at once what new ones would have to import."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import TypeAlias

__all__ = ["OwnFiles", "can_fork", "give_up", "own_files"]

OwnFiles: TypeAlias = dict[int, tuple[int, int]]
"""Descriptor → device and inode."""

_FILES = Path("/proc/self/fd")
_THREADS = Path("/proc/self/task")


def can_fork() -> bool:
    """Return whether a fork of this process can do what a new process could.

    On Linux it can where no other thread is there that may hold a lock in that moment, be it one of a library in C. Who
    has chosen another way of starting processes for `multiprocessing` gets no forks here either.
    """
    chosen = multiprocessing.get_start_method(allow_none=True)
    return sys.platform == "linux" and chosen in (None, "fork") and sum(1 for _ in _THREADS.iterdir()) == 1


def own_files() -> OwnFiles:
    """Return what is open in this process, and would not be in a new program that it starts."""
    numbers = [int(each.name) for each in _FILES.iterdir()]
    return {number: found for number in numbers if (found := _own_file(number)) is not None}


def _own_file(number: int) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):  # of the descriptor by which they were listed
        if not os.get_inheritable(number):
            found = os.fstat(number)
            return found.st_dev, found.st_ino
    return None


def give_up(files: OwnFiles) -> None:
    """Keep nothing, in a fork, of what belongs to the process that it was forked from.

    Its files, with their locks, stay its own: in place of each one there is nothing to read here, and writing does
    nothing. Signals do what they do in a new process. No object of its is ever collected here, whose end might do
    something.
    """
    gc.freeze()
    nothing = os.open(os.devnull, os.O_RDWR)
    for number, file in files.items():
        if _own_file(number) == file:  # and not another one, opened since
            os.dup2(nothing, number, inheritable=False)
    os.close(nothing)
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
