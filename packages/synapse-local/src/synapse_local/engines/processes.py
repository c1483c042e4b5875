"""Chunks on processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import select
import sys
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, suppress
from functools import partial
from importlib import import_module
from multiprocessing import connection, util
from threading import Thread
from typing import Any, Generic, TypeVar

from synapse_core.engines import in_window, sendable, usable_cpus, worker_scope
from synapse_core.errors import ExecutionError, WorkerLostError
from synapse_core.whole_numbers import whole_number
from synapse_local.engines.forking import Parent, can_fork, end_with, forking, give_up

__all__ = ["ProcessEngine"]

ChunkT = TypeVar("ChunkT")
ResultT = TypeVar("ResultT")

_LAST_WORDS = getattr(select, "PIPE_BUF", 512) - 16  # bytes, which a pipe takes in one piece, with their length
_PIPE_BYTES = 1 << 20  # what Linux allows everybody, sixteen times what a pipe has


class ProcessEngine:
    """Works on several chunks at once, each in a process of its own: for work that computes.

    Processes are spawned, so a script that uses this engine needs ``if __name__ == "__main__":``. For work that says
    ``may_fork = True`` they are forks, which begin at once, on Linux in a process of one thread, unless another way is
    set by ``multiprocessing.set_start_method``. Where a process is killed, the chunks that it had are worked on again.

    Args:
        max_workers: Processes. Default: the CPUs that this process may use.
        max_inflight: Chunks taken from the source and not yet given back. Default: twice the processes.
    """

    def __init__(self, max_workers: int | None = None, *, max_inflight: int | None = None) -> None:
        self._workers = whole_number("max_workers", usable_cpus() if max_workers is None else max_workers)
        self._limit = whole_number("max_inflight", 2 * self._workers if max_inflight is None else max_inflight)

    def run(
        self, work: Callable[[ChunkT], ResultT], chunks: Iterable[ChunkT], *, ordered: bool = True
    ) -> Generator[ResultT]:
        """Yield ``work(chunk)`` for each chunk; in input order unless `ordered` is false.

        Raises:
            WorkerLostError: Several processes died of the same chunk.
        """
        processes = _Processes(work, self._workers)
        try:
            yield from in_window(
                processes.submit, chunks, limit=self._limit, ordered=ordered, lost=(BrokenProcessPool,)
            )
        finally:
            processes.end()
        processes.raise_what_leaving_raised()


class _Processes(Generic[ChunkT, ResultT]):
    """A pool that is made again when one of its processes has died."""

    def __init__(self, work: Callable[[ChunkT], ResultT], most: int) -> None:
        self._work = work
        self._most = most
        self._pool: _Pool | None = None

    def submit(self, chunk: ChunkT) -> Future[ResultT]:
        if self._pool is None:
            return self._submit_first(chunk)
        try:
            return self._pool.executor.submit(_apply, chunk)
        except BrokenProcessPool as error:
            if not self._pool.has_begun():
                raise WorkerLostError(
                    "no process of the engine could begin; what it wrote on stderr says why. A script that uses it "
                    'has to start it below `if __name__ == "__main__":`, since each process imports the script'
                ) from error
            self._pool.executor.shutdown()
            return self._submit_first(chunk)

    def end(self) -> None:
        if self._pool is not None:
            self._pool.executor.shutdown()

    def raise_what_leaving_raised(self) -> None:
        if self._pool is not None and (error := self._pool.last_words()):
            raise ExecutionError(error)

    def _submit_first(self, chunk: ChunkT) -> Future[ResultT]:
        """Submit what processes are made for; all forks are made now, other processes as there are chunks."""
        if getattr(self._work, "may_fork", False) and can_fork():
            with suppress(OSError):  # too many for what the system allows, where fewer spawned ones may do
                return self._submit_to_forks(chunk)
        self._pool = _Pool(self._work, self._most)
        return self._pool.executor.submit(_apply, chunk)

    def _submit_to_forks(self, chunk: ChunkT) -> Future[ResultT]:
        with forking() as parent:
            pool = _Pool(self._work, self._most, parent)
            future = pool.executor.submit(_apply, chunk)
            self._pool = pool
        return future


class _Pool:
    """Processes that live and die together.

    Args:
        work: What is applied to chunks.
        most: Processes, at most.
        parent: Where they are forks: of which process.

    Attributes:
        executor: What has them.
    """

    def __init__(self, work: Any, most: int, parent: Parent | None = None) -> None:
        context: Any = multiprocessing.get_context("spawn" if parent is None else "fork")
        self._words, self._told = context.Pipe(duplex=False)
        # Pickled for forks, too: what works must not depend on whether it was sent.
        given = work if parent is None else pickle.dumps(work)
        self.executor = ProcessPoolExecutor(
            most, mp_context=context, initializer=_begin, initargs=(given, self._told, parent)
        )
        _widen(self.executor)

    def has_begun(self) -> bool:
        """Return whether a process has begun."""
        return bool(self._words.poll())

    def last_words(self) -> str:
        """Return what leaving a scope raised in the first process in which it raised anything; all have ended."""
        while self._words.poll():
            if words := self._words.recv_bytes():
                return str(words, "utf-8", "replace")
        return ""


def _widen(executor: ProcessPoolExecutor) -> None:
    """Let the pipes of a pool take a block of a flow in one piece, where the system can."""
    for name in ("_call_queue", "_result_queue"):
        with suppress(AttributeError, ImportError, OSError):
            fcntl: Any = import_module("fcntl")
            fcntl.fcntl(getattr(executor, name)._writer.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


# -- in a worker ---------------------------------------------------------------------------------


class _Worker:
    """The one worker of a process.

    Attributes:
        work: What it was given.
        apply: What it calls, once it has entered the scope of the work.
    """

    def __init__(self, work: Any) -> None:
        self.work = work
        self.apply: Any = None
        self.stack = ExitStack()


_worker: _Worker


def _begin(work: Any, told: Any, parent: Parent | None) -> None:
    """Make a process a worker.

    Args:
        work: Pickled in a fork.
        told: Gets nothing, that is ``b""``, as soon as a process has begun, and what leaving the scope raises.
        parent: Where this is a fork: of which process.
    """
    global _worker
    if parent is not None:
        give_up(parent)
    if sys.platform != "win32":
        os.set_blocking(told.fileno(), False)
    with suppress(BlockingIOError):
        told.send_bytes(b"")
    _worker = _Worker(work if parent is None else pickle.loads(work))
    watch = _end_with_the_parent if parent is None else partial(end_with, parent)
    Thread(target=watch, name="synapse-parent-watch", daemon=True).start()
    # At once when the pool is done with this process; those of `atexit` are called when all its threads have ended.
    util.Finalize(None, _end, args=(told,), exitpriority=100)


def _apply(chunk: Any) -> Any:
    try:
        if _worker.apply is None:
            _worker.apply = _worker.stack.enter_context(worker_scope(_worker.work))
        return _worker.apply(chunk)
    except BaseException as error:
        if (copy := sendable(error)) is error:
            raise
        raise copy from None


def _end_with_the_parent() -> None:
    """Leave at once when the parent was killed: nobody would ever give this process work again, or end it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _end(told: Any) -> None:
    try:
        _worker.stack.close()
    except BaseException as error:
        words = f"{type(error).__qualname__}: {error}".encode("utf-8", "backslashreplace")
        with suppress(BlockingIOError):  # those of many others are there, and nobody reads before all have ended
            told.send_bytes(words[:_LAST_WORDS])
