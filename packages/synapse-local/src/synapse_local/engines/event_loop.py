"""Chunks as tasks of an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from synapse_core.engines import in_window
from synapse_core.errors import BackendError
from synapse_core.whole_numbers import whole_number
from synapse_local.engines.threads import WorkerThreads

__all__ = ["AsyncEngine"]

ChunkT = TypeVar("ChunkT")


class AsyncEngine:
    """Works on several chunks at once, as tasks of one event loop: for work that awaits.

    The loop runs in a thread of its own. Work that is a coroutine function runs there; other work is called in
    threads beside it, and what it returns is awaited on the loop where that can be awaited. A scope that is entered
    by ``async with`` is one for the loop; every thread enters one of its own of the other kind.

    Args:
        concurrency: Coroutines at once.
        max_workers: Threads for work that is no coroutine. Default: `concurrency`.
        max_inflight: Chunks taken from the source and not yet given back. Default: twice as many as are worked on.
        loop: A loop to use instead; one that runs in another thread, or one that does not run, which is
            run for as long as the work takes.
    """

    def __init__(
        self,
        concurrency: int = 10,
        *,
        max_workers: int | None = None,
        max_inflight: int | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._concurrency = whole_number("concurrency", 10 if concurrency is None else concurrency)
        self._threads = whole_number("max_workers", self._concurrency if max_workers is None else max_workers)
        self._limit = whole_number(
            "max_inflight", 2 * max(self._concurrency, self._threads) if max_inflight is None else max_inflight
        )
        self._loop = loop

    def run(self, work: Callable[[ChunkT], Any], chunks: Iterable[ChunkT], *, ordered: bool = True) -> Generator[Any]:
        """Yield what ``work(chunk)`` returns, awaited, for each chunk; in input order unless `ordered` is false.

        Raises:
            BackendError: The loop runs in the calling thread, which would wait for itself.
        """
        with _running(self._loop) as loop:
            tasks = _Tasks(work, loop, self._threads, self._concurrency)
            try:
                answers = in_window(tasks.submit, chunks, limit=self._limit, ordered=ordered)
                with contextlib.closing(answers):
                    for answer in answers:
                        yield _unless_exit(answer)
            finally:
                tasks.end()
            tasks.raise_what_leaving_raised()


class _Tasks:
    """Tasks of a loop that runs in another thread, and threads for work that is no coroutine."""

    def __init__(self, work: Any, loop: asyncio.AbstractEventLoop, threads: int, most: int) -> None:
        self._work = work
        self._loop = loop
        self._most_threads = threads
        self._turns = asyncio.Semaphore(most)
        self._entering = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._apply: Any = None
        self._threads: WorkerThreads[Any, Any] | None = None
        self._running: set[asyncio.Task[Any]] = set()

    def submit(self, chunk: Any) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(_caught(self._do(chunk)), self._loop)

    def end(self) -> None:
        """Wait for what has started, and only then leave what was entered."""
        asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result()
        if self._threads is not None:
            self._threads.end()  # here and not on the loop, for which the work may wait
        _unless_exit(asyncio.run_coroutine_threadsafe(_caught(self._stack.aclose()), self._loop).result())

    def raise_what_leaving_raised(self) -> None:
        if self._threads is not None:
            self._threads.raise_what_leaving_raised()

    async def _finish(self) -> None:
        await asyncio.gather(*self._running, return_exceptions=True)  # those that were cancelled

    async def _do(self, chunk: Any) -> Any:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            await self._begin()
            if self._threads is None:
                async with self._turns:
                    return await self._apply(chunk)
            answer = await asyncio.wrap_future(self._threads.submit(chunk))
            if not inspect.isawaitable(answer):
                return answer
            async with self._turns:
                return await answer
        finally:
            self._running.discard(task)

    async def _begin(self) -> None:
        """Enter the scope of the loop, where the work has one; or get threads, which enter one each."""
        async with self._entering:
            if self._apply is not None or self._threads is not None:
                return
            apply: Any = self._work
            if (make := getattr(self._work, "in_worker", None)) is not None:
                scope = make()
                has_loop = hasattr(scope, "__aenter__")
                apply = await self._stack.enter_async_context(scope) if has_loop else _Scopes(scope, make)
            if _is_coroutine_function(apply):
                self._apply = apply
            else:
                self._threads = WorkerThreads(apply, self._most_threads)


@dataclass(frozen=True, slots=True)
class _Exit:
    """What ends programs, on its way around the loop: a task that raised it would end the loop, and with it all others.

    Attributes:
        error: A KeyboardInterrupt or a SystemExit.
    """

    error: BaseException


async def _caught(coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await coroutine
    except (KeyboardInterrupt, SystemExit) as error:
        return _Exit(error)


def _unless_exit(answer: Any) -> Any:
    if isinstance(answer, _Exit):
        raise answer.error
    return answer


class _Scopes:
    """Work for threads that each enter a scope, of which one has been made already."""

    def __init__(self, scope: Any, make: Callable[[], Any]) -> None:
        self._made = [scope]
        self._make = make

    def in_worker(self) -> Any:
        with contextlib.suppress(IndexError):
            return self._made.pop()
        return self._make()


@contextlib.contextmanager
def _running(loop: asyncio.AbstractEventLoop | None) -> Iterator[asyncio.AbstractEventLoop]:
    """Give a loop that runs in another thread: `loop`, where it does; or it, or a new one, run for this long."""
    if loop is not None and loop.is_running():
        if _loop_of_this_thread() is loop:
            raise BackendError(
                "the loop runs in this thread, which would wait for itself; leave `loop` out, or run the flow in a "
                "thread: await asyncio.to_thread(...)"
            )
        yield loop
        return
    own = asyncio.new_event_loop() if loop is None else loop
    ended = threading.Event()
    thread = threading.Thread(target=_serve, args=(own, ended), name="synapse-engine-loop", daemon=True)
    thread.start()
    try:
        yield own
    finally:
        ended.set()
        own.call_soon_threadsafe(own.stop)
        thread.join()
        if loop is None:
            own.run_until_complete(own.shutdown_asyncgens())
            own.close()


def _serve(loop: asyncio.AbstractEventLoop, ended: threading.Event) -> None:
    """Run a loop until it is stopped, and by nothing else: a task of the work's own may end with a SystemExit."""
    while True:
        try:
            loop.run_forever()
            return
        except (KeyboardInterrupt, SystemExit):
            if ended.is_set():  # that it was stopped may have got lost in the same turn
                loop.call_soon(loop.stop)


def _loop_of_this_thread() -> asyncio.AbstractEventLoop | None:
    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop()
    return None


def _is_coroutine_function(apply: Any) -> bool:
    return inspect.iscoroutinefunction(apply) or inspect.iscoroutinefunction(type(apply).__call__)
