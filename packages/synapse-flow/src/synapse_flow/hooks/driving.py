"""Calls hooks: as functions, as coroutines, with a time limit.

A worker begins by importing this, and asyncio only where there is something to await.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from synapse_core.errors import ExecutionError
from synapse_flow.hooks.base import BaseHook, HookStore
from synapse_flow.hooks.calls import CallInThread, bounded
from synapse_flow.hooks.failures import told
from synapse_flow.hooks.steps import Call, hook_name

if TYPE_CHECKING:
    import asyncio

__all__ = ["HookDriver", "drive", "drive_async", "has_coroutines"]

T = TypeVar("T")


def has_coroutines(hooks: Iterable[BaseHook]) -> bool:
    """Return whether a method of one of the hooks is a coroutine function."""
    return any(
        inspect.iscoroutinefunction(getattr(hook, name, None))
        for hook in hooks
        for name in ("setup", "execute", "teardown")
    )


class HookDriver:
    """Calls hooks on one worker, with the worker's store.

    Coroutines run on a loop of the worker's own, the same one from `set_up` to `tear_down`.
    """

    def __init__(self, hooks: Iterable[BaseHook]) -> None:
        self.hooks = list(hooks)
        self.store = HookStore()
        self._ready: list[BaseHook] = []
        self._loop: _Loop | None = None
        self._turn: asyncio.Lock | None = None

    def set_up(self) -> None:
        """Call every hook's `setup`.

        Raises:
            ExecutionError: One raised; those before it are torn down.
        """
        for hook in self.hooks:
            try:
                self._finish(hook.setup(self.store))
            except (Exception, SystemExit) as error:
                with contextlib.suppress(ExecutionError):
                    self.tear_down()
                raise _problem(hook, "setup", error) from error
            self._ready.append(hook)

    def execute(self, call: Call) -> Any:
        """Call a hook, and return what it returns.

        Raises:
            TimeoutError: It took longer than its `timeout`, and was cancelled, or left alone where it is no coroutine.
        """
        timeout = left = getattr(call.hook, "timeout", None)
        if inspect.iscoroutinefunction(call.hook.execute):
            answer = call.hook.execute(call.entries, self.store)
        elif timeout is None:
            with self.store.lock():
                answer = call.hook.execute(call.entries, self.store)
        else:
            in_thread = CallInThread(call, self.store, timeout)
            answer = in_thread.result()
            left = in_thread.time_left()
        return self._finish(bounded(answer, left, timeout) if inspect.isawaitable(answer) else answer)

    def tear_down(self) -> None:
        """Call `teardown` of every hook that was set up, the last one first.

        Raises:
            ExecutionError: One raised; the others are torn down all the same.
        """
        problem: ExecutionError | None = None
        while self._ready:
            hook = self._ready.pop()
            try:
                self._finish(hook.teardown(self.store))
            except (Exception, SystemExit) as error:
                problem = problem or _problem(hook, "teardown", error)
                problem.__cause__ = problem.__cause__ or error
        if self._loop is not None:
            self._loop.close()
            self._loop = None
        if problem is not None:
            raise problem

    def _finish(self, answer: Any) -> Any:
        if not inspect.isawaitable(answer):
            return answer
        if self._loop is None:
            self._loop = _Loop()
        return self._loop.run(answer)

    # -- on an event loop of somebody else's --

    async def set_up_async(self) -> None:
        """Call every hook's `setup`, as `set_up` does."""
        for hook in self.hooks:
            try:
                await _awaited(hook.setup(self.store))
            except (Exception, SystemExit) as error:
                with contextlib.suppress(ExecutionError):
                    await self.tear_down_async()
                raise _problem(hook, "setup", error) from error
            self._ready.append(hook)

    async def execute_async(self, call: Call) -> Any:
        """Call a hook, as `execute` does; one that is no coroutine runs in a thread, and holds up nobody else."""
        timeout = left = getattr(call.hook, "timeout", None)
        if inspect.iscoroutinefunction(call.hook.execute):
            answer = call.hook.execute(call.entries, self.store)
        else:
            if self._turn is None:
                import asyncio

                self._turn = asyncio.Lock()
            async with self._turn:
                in_thread = CallInThread(call, self.store, timeout)
                answer = await in_thread.result_async()
                left = in_thread.time_left()
        return await bounded(answer, left, timeout)

    async def tear_down_async(self) -> None:
        """Call `teardown` of every hook that was set up, as `tear_down` does."""
        problem: ExecutionError | None = None
        while self._ready:
            hook = self._ready.pop()
            try:
                await _awaited(hook.teardown(self.store))
            except (Exception, SystemExit) as error:
                problem = problem or _problem(hook, "teardown", error)
                problem.__cause__ = problem.__cause__ or error
        if problem is not None:
            raise problem


def drive(steps: Generator[Call, Any, T], driver: HookDriver) -> T:
    """Make the calls that `steps` asks for, and return what it returns."""
    try:
        call = next(steps)
        while True:
            try:
                answer = driver.execute(call)
            except Exception as error:
                call = steps.throw(error)
            except SystemExit as error:
                raise _ended_by(call, error) from error
            else:
                call = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


async def drive_async(steps: Generator[Call, Any, T], driver: HookDriver) -> T:
    """Make the calls that `steps` asks for on the running loop, and return what it returns."""
    try:
        call = next(steps)
        while True:
            try:
                answer = await driver.execute_async(call)
            except Exception as error:
                call = steps.throw(error)
            except SystemExit as error:
                raise _ended_by(call, error) from error
            else:
                call = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


class _Loop:
    """An event loop for coroutines of a worker, which may itself stand in a running loop's thread."""

    def __init__(self) -> None:
        import asyncio

        self._runner = asyncio.Runner()
        self._thread = ThreadPoolExecutor(1, "synapse-hooks") if _in_a_loop() else None

    def run(self, awaitable: Any) -> Any:
        coroutine = _awaited(awaitable)
        return (
            self._thread.submit(self._runner.run, coroutine).result() if self._thread else self._runner.run(coroutine)
        )

    def close(self) -> None:
        if self._thread is None:
            self._runner.close()
            return
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()


def _in_a_loop() -> bool:
    import asyncio

    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop() is not None
    return False


async def _awaited(answer: Any) -> Any:
    return await answer if inspect.isawaitable(answer) else answer


def _ended_by(call: Call, error: SystemExit) -> ExecutionError:
    return ExecutionError(f"{hook_name(call.hook)} ended the run: {told(error, call.hook)}")


def _problem(hook: BaseHook, method: str, error: BaseException) -> ExecutionError:
    return ExecutionError(f"{hook_name(hook)}.{method} raised {told(error, hook)}")
