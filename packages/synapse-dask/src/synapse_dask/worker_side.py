"""What runs on the workers of Dask: the work of each run, in threads that enter its scope once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Literal, TypeAlias

import cloudpickle
from distributed import Worker, WorkerPlugin, get_worker

from synapse_core.out_of_band import Pickled, unpickled
from synapse_core.remote_work import Answer, answer, entered, loaded

__all__ = ["AnswerOfWorker", "LeavingError", "WorkOfRun", "apply"]

AnswerOfWorker: TypeAlias = "tuple[Literal['result', 'error', 'unloadable', 'unknown'], Any]"
"""An `Answer`; or that the work is unknown here, with the address of this worker."""


async def apply(run_id: str, chunk: Pickled) -> AnswerOfWorker:
    """Return what the work of a run makes of a chunk; a task of Dask's.

    A coroutine, since the work has threads of its own: one of Dask's would only wait, and Dask would look a hundred
    times in a second what it does, which takes a tenth of the time of the work.
    """
    worker = get_worker()
    found = worker.plugins.get(run_id)
    given = await found.apply(chunk) if isinstance(found, WorkOfRun) else None
    return given or ("unknown", worker.address)


class LeavingError(Exception):
    """What leaving a scope raised.

    Attributes:
        error: Pickled.
    """

    def __init__(self, error: bytes) -> None:
        super().__init__(error)
        self.error = error


class WorkOfRun(WorkerPlugin):
    """The work of one run, which Dask gives to each worker once, also to those that come later.

    Chunks are worked on by threads of its own: those of Dask belong to all, and no scope can be left in them. There are
    as many as chunks were ever worked on here at once, which Dask limits.

    Args:
        work: What is applied to chunks, pickled.
    """

    def __init__(self, work: bytes) -> None:
        self._sent = work

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as the work alone."""
        return type(self), (self._sent,)

    def setup(self, worker: Worker) -> None:
        """Be ready for chunks."""
        self._lock = Lock()
        self._loading = Lock()
        self._loaded: Any = None
        self._is_loaded = False
        self._is_over = False
        self._idle = 0
        self._threads: list[Thread] = []
        self._tasks: SimpleQueue[tuple[Future[Answer], Pickled] | None] = SimpleQueue()
        self._errors: list[bytes] = []

    async def apply(self, chunk: Pickled) -> Answer | None:
        """Return the answer, or None where the run is over."""
        future: Future[Answer] = Future()
        with self._lock:
            if self._is_over:
                return None
            if self._idle:
                self._idle -= 1
            else:
                thread = Thread(target=self._serve, name="synapse-dask-engine", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._tasks.put((future, chunk))
        return await asyncio.wrap_future(future)

    async def teardown(self, worker: Worker) -> None:
        """Leave the scopes: when the run has ended, or its client is gone, or the worker is retired.

        Raises:
            LeavingError: One of them could not be left.
        """
        await asyncio.to_thread(self._end)  # other runs go on meanwhile
        if self._errors:
            raise LeavingError(self._errors[0])

    def _end(self) -> None:
        with self._lock:
            self._is_over = True
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        stack = ExitStack()
        scope: list[Callable[[Any], Any]] = []
        while (task := self._tasks.get()) is not None:
            future, chunk = task
            is_wanted = future.set_running_or_notify_cancel()  # Dask cancels what a worker has that is told to close
            given = answer(partial(self._applied, scope, stack, chunk), cloudpickle.dumps) if is_wanted else None
            with self._lock:
                self._idle += 1
            if given is not None:
                future.set_result(given)
            del task, future, chunk, given  # or they would be kept until the next one
        kind, value = answer(stack.close, cloudpickle.dumps)
        if kind == "error":
            self._errors.append(value)

    def _applied(self, scope: list[Callable[[Any], Any]], stack: ExitStack, chunk: Pickled) -> Any:
        if not scope:
            scope.append(entered(stack, self._load()))
        return scope[0](unpickled(chunk))

    def _load(self) -> Any:
        with self._loading:
            if not self._is_loaded:
                self._loaded = loaded(self._sent)
                self._is_loaded = True
        return self._loaded
