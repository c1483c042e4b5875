"""Chunks on threads of this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from contextlib import ExitStack
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

from synapse_core.engines import in_window, worker_scope
from synapse_core.whole_numbers import whole_number

__all__ = ["ThreadEngine", "WorkerThreads"]

ChunkT = TypeVar("ChunkT")
ResultT = TypeVar("ResultT")


class ThreadEngine:
    """Works on several chunks at once, on threads: for work that waits for a network or a disk.

    Args:
        max_workers: Threads. Default: five times the CPUs.
        max_inflight: Chunks taken from the source and not yet given back. Default: twice the threads.
    """

    def __init__(self, max_workers: int | None = None, *, max_inflight: int | None = None) -> None:
        self._workers = whole_number("max_workers", 5 * (os.cpu_count() or 1) if max_workers is None else max_workers)
        self._limit = whole_number("max_inflight", 2 * self._workers if max_inflight is None else max_inflight)

    def run(
        self, work: Callable[[ChunkT], ResultT], chunks: Iterable[ChunkT], *, ordered: bool = True
    ) -> Generator[ResultT]:
        """Yield ``work(chunk)`` for each chunk; in input order unless `ordered` is false."""
        threads = WorkerThreads(work, self._workers)
        try:
            yield from in_window(threads.submit, chunks, limit=self._limit, ordered=ordered)
        finally:
            threads.end()
        threads.raise_what_leaving_raised()


class WorkerThreads(Generic[ChunkT, ResultT]):
    """Threads that each enter the scope of the work once, and leave it where they entered it."""

    def __init__(self, work: Callable[[ChunkT], ResultT], most: int) -> None:
        self._work = work
        self._most = most
        self._threads: list[Thread] = []
        self._tasks: SimpleQueue[tuple[Future[ResultT], ChunkT] | None] = SimpleQueue()
        self._errors: list[BaseException] = []

    def submit(self, chunk: ChunkT) -> Future[ResultT]:
        """Start the work on a chunk; called by one thread at a time."""
        if len(self._threads) < self._most:
            thread = Thread(target=self._serve, name=f"synapse-engine-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        future: Future[ResultT] = Future()
        self._tasks.put((future, chunk))
        return future

    def end(self) -> None:
        """Wait for what has started, and for every thread to leave its scope."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def raise_what_leaving_raised(self) -> None:
        """Raise what the first scope that could not be left raised."""
        if self._errors:
            raise self._errors[0]

    def _serve(self) -> None:
        try:
            with ExitStack() as stack:
                self._work_on_tasks(stack)
        except BaseException as error:
            self._errors.append(error)

    def _work_on_tasks(self, stack: ExitStack) -> None:
        apply: Any = None
        while (task := self._tasks.get()) is not None:
            future, chunk = task
            del task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                if apply is None:
                    apply = stack.enter_context(worker_scope(self._work))
                future.set_result(apply(chunk))
            except BaseException as error:
                future.set_exception(error)
            del future, chunk  # or they would be kept until the next task
