"""Chunks on processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from multiprocessing import connection, util
from threading import Thread
from typing import Any, Generic, TypeVar

from synapse_core.engines import in_window, positive, sendable, usable_cpus, worker_scope
from synapse_core.errors import ExecutionError, WorkerLostError

__all__ = ["ProcessEngine"]

ChunkT = TypeVar("ChunkT")
ResultT = TypeVar("ResultT")

_LAST_WORDS = 2048  # bytes; a pipe that nobody reads yet holds those of thirty workers


class ProcessEngine:
    """Works on several chunks at once, each in a process of its own: for work that computes.

    Processes are spawned, so a script that uses this engine needs ``if __name__ == "__main__":``. Where a
    process is killed, the chunks that it had are worked on again.

    Args:
        max_workers: Processes. Default: the CPUs that this process may use.
        max_inflight: Chunks taken from the source and not yet given back. Default: twice the processes.
    """

    def __init__(self, max_workers: int | None = None, *, max_inflight: int | None = None) -> None:
        self._workers = positive("max_workers", usable_cpus() if max_workers is None else max_workers)
        self._limit = positive("max_inflight", 2 * self._workers if max_inflight is None else max_inflight)

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
        self._context = multiprocessing.get_context("spawn")
        self._errors = self._context.SimpleQueue()
        self._begun = self._context.Event()
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, chunk: ChunkT) -> Future[ResultT]:
        if self._pool is None:
            self._pool = self._start()
        try:
            return self._pool.submit(_apply, chunk)
        except BrokenProcessPool as error:
            if not self._begun.is_set():
                raise WorkerLostError(
                    "no process of the engine could begin; what it wrote on stderr says why. A script that uses it "
                    'has to start it below `if __name__ == "__main__":`, since each process imports the script'
                ) from error
            self._pool.shutdown()
            self._pool = self._start()
            return self._pool.submit(_apply, chunk)

    def end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def raise_what_leaving_raised(self) -> None:
        if not self._errors.empty():
            raise ExecutionError(self._errors.get())

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._most, mp_context=self._context, initializer=_begin, initargs=(self._work, self._errors, self._begun)
        )


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


def _begin(work: Any, errors: Any, begun: Any) -> None:
    global _worker
    begun.set()
    _worker = _Worker(work)
    Thread(target=_end_with_the_parent, name="synapse-parent-watch", daemon=True).start()
    # At once when the pool is done with this process; those of `atexit` are called when all its threads have ended.
    util.Finalize(None, _end, args=(errors,), exitpriority=100)


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


def _end(errors: Any) -> None:
    try:
        _worker.stack.close()
    except BaseException as error:
        errors.put(f"{type(error).__qualname__}: {error}"[:_LAST_WORDS])
