"""What record engines share: the scope of a worker, and a bounded window of chunks that are being worked on."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import pickle
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from synapse_core.errors import ExecutionError, WorkerLostError
from synapse_core.safe_text import safe_str

__all__ = ["MOST_LOSSES", "closing", "in_window", "sendable", "usable_cpus", "worker_scope"]

MOST_LOSSES = 3
"""Workers that one chunk may lose before it counts as what ends them."""

ChunkT = TypeVar("ChunkT")
ResultT = TypeVar("ResultT")


def usable_cpus() -> int:
    """Return how many CPUs this process may use; where the system does not tell, how many there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def worker_scope(work: Any) -> AbstractContextManager[Any]:
    """Return what a worker enters before its first chunk, and leaves at the end; it gives what to call with chunks."""
    make = getattr(work, "in_worker", None)
    scope: AbstractContextManager[Any] = contextlib.nullcontext(work) if make is None else make()
    return scope


@contextlib.contextmanager
def closing(chunks: Iterable[ChunkT]) -> Iterator[Iterator[ChunkT]]:
    """Give the iterator of `chunks`, and close it afterwards where it is a generator."""
    source = iter(chunks)
    try:
        yield source
    finally:
        if isinstance(source, Generator):
            source.close()


def sendable(error: BaseException) -> BaseException:
    """Return `error`, or an `ExecutionError` that says the same where it cannot be sent to another process."""
    try:
        copy = pickle.loads(pickle.dumps(error))
    except Exception:
        copy = None
    if type(copy) is type(error):
        return error
    return ExecutionError(f"{type(error).__qualname__}: {safe_str(error)}")


@dataclass(slots=True, eq=False)
class _Task(Generic[ChunkT, ResultT]):
    chunk: ChunkT
    future: concurrent.futures.Future[ResultT]
    losses: int = 0


def in_window(
    submit: Callable[[ChunkT], concurrent.futures.Future[ResultT]],
    chunks: Iterable[ChunkT],
    *,
    limit: int,
    ordered: bool = True,
    lost: tuple[type[BaseException], ...] = (),
) -> Generator[ResultT]:
    """Yield the result of each chunk, with at most `limit` chunks taken from the source and not yet given back.

    A result that is ready is given back before the source is asked for more, so a source that
    pauses holds nothing back as long as it yields something, if only an empty chunk. At the end, on
    an error and on ``close()`` what has not started is cancelled, what has started is waited for, and
    the source is closed.

    Args:
        submit: Starts the work on a chunk.
        chunks: The source.
        limit: At least 1.
        ordered: Whether results come in input order.
        lost: Errors of a future that say that its worker died. The chunk is submitted again.

    Raises:
        WorkerLostError: Several workers died of the same chunk.
    """
    window: deque[_Task[ChunkT, ResultT]] = deque()
    with closing(chunks) as source:
        try:
            for chunk in source:
                window.append(_Task(chunk, submit(chunk)))
                del chunk  # what is done is kept by nobody
                while window and (len(window) >= limit or _is_ready(window, ordered)):
                    yield _take(window, submit, ordered, lost)
            while window:
                yield _take(window, submit, ordered, lost)
        finally:
            concurrent.futures.wait([task.future for task in window if not task.future.cancel()])


def _is_ready(window: deque[_Task[ChunkT, ResultT]], ordered: bool) -> bool:
    return window[0].future.done() if ordered else any(task.future.done() for task in window)


def _take(
    window: deque[_Task[ChunkT, ResultT]],
    submit: Callable[[ChunkT], concurrent.futures.Future[ResultT]],
    ordered: bool,
    lost: tuple[type[BaseException], ...],
) -> ResultT:
    while True:
        task = window[0] if ordered else _first_done(window)
        try:
            result = task.future.result()
        except lost as error:
            _submit_again(window, submit, lost, error)
            continue
        except BaseException:
            window.remove(task)
            raise
        window.remove(task)
        return result


def _first_done(window: deque[_Task[ChunkT, ResultT]]) -> _Task[ChunkT, ResultT]:
    done, _ = concurrent.futures.wait([task.future for task in window], return_when=concurrent.futures.FIRST_COMPLETED)
    return next(task for task in window if task.future in done)


def _submit_again(
    window: deque[_Task[ChunkT, ResultT]],
    submit: Callable[[ChunkT], concurrent.futures.Future[ResultT]],
    lost: tuple[type[BaseException], ...],
    error: BaseException,
) -> None:
    """Submit every chunk whose worker has died, in input order."""
    for task in window:
        if not task.future.done() or not isinstance(task.future.exception(), lost):
            continue
        task.losses += 1
        if task.losses >= MOST_LOSSES:
            raise WorkerLostError(
                f"{task.losses} workers died one after another while they worked on the same chunk; "
                f"the last one said: {error}"
            ) from error
        task.future = submit(task.chunk)
