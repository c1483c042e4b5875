"""A call of a hook that is no coroutine, in a thread of its own."""

from __future__ import annotations

import concurrent.futures
import inspect
from concurrent.futures import Future
from contextvars import copy_context
from threading import Thread
from time import monotonic
from typing import Any

from synapse_flow.hooks.base import HookStore
from synapse_flow.hooks.failures import HookTimeoutError
from synapse_flow.hooks.steps import Call

__all__ = ["CallInThread", "bounded"]


class CallInThread:
    """Calls a hook in a thread, which holds the store while it does, and is left alone when it takes too long.

    Args:
        call: What to call.
        store: The worker's.
        seconds: How long it may take, from when it has the store; None waits for ever.
    """

    def __init__(self, call: Call, store: HookStore, seconds: float | None) -> None:
        self._call = call
        self._store = store
        self._seconds = seconds
        self._end: float | None = None
        self._began: Future[None] = Future()
        self._ended: Future[None] = Future()
        self._answer: Any = None
        self._error: BaseException | None = None
        self._ended.set_running_or_notify_cancel()  # so nobody can cancel it
        # Not one of a pool, which would wait for it when Python ends.
        Thread(target=copy_context().run, args=(self._run,), name="synapse-hook", daemon=True).start()

    def result(self) -> Any:
        """Wait for what the hook returns.

        Raises:
            TimeoutError: It took longer.
        """
        self._began.result()
        concurrent.futures.wait([self._ended], self.time_left())
        return self._result()

    async def result_async(self) -> Any:
        """Wait for what the hook returns, and hold up nobody else.

        Where that is cancelled, the hook is not called any more; once it has been, it is waited for all the same.

        Raises:
            TimeoutError: It took longer.
        """
        import asyncio  # where there is a loop, it has been imported

        ended = asyncio.wrap_future(self._ended)
        try:
            await asyncio.wrap_future(self._began)
            await asyncio.wait([ended], timeout=self.time_left())
        except asyncio.CancelledError:
            if not self._began.cancel():
                await asyncio.wait([ended], timeout=self.time_left())
            raise
        finally:
            ended.cancel()  # or it would look for the loop when the thread ends
        return self._result()

    def time_left(self) -> float | None:
        """Return how many seconds the call may still take."""
        return None if self._end is None else max(0.0, self._end - monotonic())

    def _run(self) -> None:
        lock = self._store.lock()
        with lock if self._seconds is None else lock.for_at_most(self._seconds):
            if not self._began.set_running_or_notify_cancel():
                return
            self._end = None if self._seconds is None else monotonic() + self._seconds
            self._began.set_result(None)
            try:
                self._answer = self._call.hook.execute(self._call.entries, self._store)
            except BaseException as error:
                self._error = error
        self._ended.set_result(None)

    def _result(self) -> Any:
        if not self._ended.done():
            raise HookTimeoutError(_too_long(self._seconds))
        if self._error is not None:
            raise self._error
        return self._answer


async def bounded(answer: Any, left: float | None, seconds: float | None) -> Any:
    """Await an answer where it can be awaited, and cancel it when it takes too long.

    Args:
        answer: What a hook returned.
        left: Seconds that it may still take; None waits for ever.
        seconds: Those that the whole call may take, for the message.

    Raises:
        TimeoutError: It took longer.
    """
    if not inspect.isawaitable(answer):
        return answer
    import asyncio

    try:
        async with asyncio.timeout(left) as limit:
            return await answer
    except TimeoutError as error:
        if not limit.expired():
            raise  # the hook's own
        raise HookTimeoutError(_too_long(seconds)) from error


def _too_long(seconds: float | None) -> str:
    return f"took longer than its timeout of {seconds:g} s"
