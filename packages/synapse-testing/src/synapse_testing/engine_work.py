"""The work that the conformance suite of record engines hands over: importable by any worker."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from synapse_testing.waiting import wait_for_file

__all__ = [
    "DiesAt",
    "DiesOnce",
    "FailsAt",
    "OpensLate",
    "Scoped",
    "TakesLong",
    "doubles",
    "gives_a_lock",
    "raises_sealed",
]


def doubles(chunk: list[int]) -> list[int]:
    """Return every number twice as large."""
    return [2 * number for number in chunk]


def gives_a_lock(chunk: Any) -> Any:
    """Return what no other process can be sent."""
    return threading.Lock()


class SealedError(Exception):
    """An error that cannot be sent to another process."""

    def __init__(self, chunk: Any) -> None:
        super().__init__(f"sealed at {chunk}")
        self.lock = threading.Lock()


def raises_sealed(chunk: Any) -> Any:
    """Raise what no other process can be sent."""
    raise SealedError(chunk)


class FailsAt:
    """Gives back each chunk but one, at which it raises `LookupError`."""

    def __init__(self, chunk: Any) -> None:
        self.chunk = chunk

    def __call__(self, chunk: Any) -> Any:
        """Return `chunk`."""
        if chunk == self.chunk:
            raise LookupError(f"no chunk {chunk}")
        return chunk


class OpensLate:
    """Gives back each chunk; the first one only when a file has appeared."""

    def __init__(self, first: Any, file: Path) -> None:
        self.first = first
        self.file = file

    def __call__(self, chunk: Any) -> Any:
        """Return `chunk`."""
        if chunk == self.first:
            wait_for_file(self.file)
        return chunk


class DiesAt:
    """Gives back each chunk but one, which kills its process every time."""

    def __init__(self, chunk: Any) -> None:
        self.chunk = chunk

    def __call__(self, chunk: Any) -> Any:
        """Return `chunk`."""
        if chunk == self.chunk:
            os.kill(os.getpid(), signal.SIGKILL)
        return chunk


class DiesOnce:
    """Gives back each chunk; the first process that meets one of them is killed."""

    def __init__(self, chunk: Any, file: Path) -> None:
        self.chunk = chunk
        self.file = file

    def __call__(self, chunk: Any) -> Any:
        """Return `chunk`."""
        if chunk == self.chunk and not self.file.exists():
            self.file.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return chunk


class Scoped:
    """Gives back each chunk with the name of the worker; writes down in a folder what each worker enters and leaves."""

    def __init__(self, folder: Path, *, leaving: str = "") -> None:
        self.folder = folder
        self.leaving = leaving

    @contextmanager
    def in_worker(self) -> Iterator[Any]:
        """Enter a worker, and leave it; with `leaving`, that raises."""
        name = f"{os.getpid()}-{threading.get_ident()}-{id(threading.current_thread())}"
        (self.folder / f"entered-{name}").touch(exist_ok=False)
        try:
            yield lambda chunk: (chunk, name)
        finally:
            (self.folder / f"left-{name}").touch(exist_ok=False)
            if self.leaving:
                raise LookupError(self.leaving)


class TakesLong:
    """Gives back each chunk, all but the first when a file has appeared; writes down scopes that are left too early."""

    def __init__(self, first: Any, folder: Path) -> None:
        self.first = first
        self.folder = folder

    @contextmanager
    def in_worker(self) -> Iterator[Any]:
        """Enter a worker, and leave it; what it still works on then is written down."""
        at_work: dict[str, Any] = {}
        try:
            yield lambda chunk: self._work(chunk, at_work)
        finally:
            for name, chunk in list(at_work.items()):
                (self.folder / f"left-early-{name}").write_text(str(chunk))

    def _work(self, chunk: Any, at_work: dict[str, Any]) -> Any:
        name = uuid4().hex
        at_work[name] = chunk
        if chunk == self.first:
            threading.Event().wait(0.2)  # the others begin meanwhile
        else:
            (self.folder / f"begun-{name}").touch()
            wait_for_file(self.folder / "go")
        del at_work[name]
        return chunk
