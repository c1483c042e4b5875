"""Chunks as tasks of an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from synapse_core.engines import in_window, worker_scope
from synapse_core.errors import BackendError
from synapse_local.engines.sizes import positive

__all__ = ["AsyncEngine"]

ChunkT = TypeVar("ChunkT")


class AsyncEngine:
    """Works on several chunks at once, as tasks of one event loop: for work that awaits.

    The loop runs in a thread of its own. Work that returns an awaitable is awaited there; other work runs in
    threads beside it.

    Args:
        concurrency: Tasks at once.
        max_workers: Threads for work that is no coroutine. Default: `concurrency`.
        max_inflight: Chunks taken from the source and not yet given back. Default: twice `concurrency`.
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
        self._concurrency = positive("concurrency", concurrency, 10)
        self._threads = positive("max_workers", max_workers, self._concurrency)
        self._limit = positive("max_inflight", max_inflight, 2 * self._concurrency)
        self._loop = loop

    def run(self, work: Callable[[ChunkT], Any], chunks: Iterable[ChunkT], *, ordered: bool = True) -> Generator[Any]:
        """Yield what ``work(chunk)`` returns, awaited, for each chunk; in input order unless `ordered` is false.

        Raises:
            BackendError: The loop runs in the calling thread, which would wait for itself.
        """
        with _running(self._loop) as loop, ThreadPoolExecutor(self._threads) as pool:
            tasks = _Tasks(work, loop, pool, self._concurrency)
            try:
                yield from in_window(tasks.submit, chunks, limit=self._limit, ordered=ordered)
            finally:
                tasks.end()


class _Tasks:
    """Tasks of a loop that runs in another thread."""

    def __init__(self, work: Any, loop: asyncio.AbstractEventLoop, pool: ThreadPoolExecutor, most: int) -> None:
        self._work = work
        self._loop = loop
        self._pool = pool
        self._turns = asyncio.Semaphore(most)
        self._entering = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._apply: Any = None
        self._running: set[asyncio.Task[Any]] = set()

    def submit(self, chunk: Any) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(self._do(chunk), self._loop)

    def end(self) -> None:
        asyncio.run_coroutine_threadsafe(self._leave(), self._loop).result()

    async def _do(self, chunk: Any) -> Any:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            async with self._turns:
                apply = await self._entered()
                if _is_coroutine_function(apply):
                    return await apply(chunk)
                return await self._loop.run_in_executor(self._pool, apply, chunk)
        finally:
            self._running.discard(task)

    async def _entered(self) -> Any:
        async with self._entering:
            if self._apply is None:
                scope: Any = worker_scope(self._work)
                enter = self._stack.enter_async_context if hasattr(scope, "__aenter__") else None
                self._apply = await enter(scope) if enter else self._stack.enter_context(scope)
        return self._apply

    async def _leave(self) -> None:
        await asyncio.gather(*self._running, return_exceptions=True)  # those that were cancelled
        await self._stack.aclose()


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
    thread = threading.Thread(target=own.run_forever, name="synapse-engine-loop", daemon=True)
    thread.start()
    try:
        yield own
    finally:
        own.call_soon_threadsafe(own.stop)
        thread.join()
        if loop is None:
            own.run_until_complete(own.shutdown_asyncgens())
            own.close()


def _loop_of_this_thread() -> asyncio.AbstractEventLoop | None:
    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop()
    return None


def _is_coroutine_function(apply: Any) -> bool:
    return inspect.iscoroutinefunction(apply) or inspect.iscoroutinefunction(type(apply).__call__)
