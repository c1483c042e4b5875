"""The one way in which an action runs: validate, run, and say what came of it.

Every executor calls this, on whichever machine it runs the action; an executor decides only where.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, NoReturn

from synapse_core.context import RuntimeContext
from synapse_core.errors import ExecutionCancelledError, ExecutionError, PluginError
from synapse_core.ports.action import RunnableAction
from synapse_core.private_names import with_plain_names
from synapse_core.redaction import redact, secret_values
from synapse_core.safe_text import format_traceback, safe_str, shorten

if TYPE_CHECKING:
    from synapse_core.model.outcome import Outcome

__all__ = ["run_action", "run_action_async", "run_to_outcome"]

_LOOK_AGAIN_SECONDS = 0.1


def run_action(action: RunnableAction, params: Any, ctx: RuntimeContext) -> Any:
    """Validate `params`, run `action` in this thread, return its result.

    A coroutine runs on an event loop of its own: in this thread, or, where this thread's loop is
    already running, in another one with a copy of the context variables.

    A fork of this process that comes out of the action ends there: only one process has called it.

    Raises:
        ValidationError: The params do not fit; nothing has run.
        ExecutionError: The action raised anything, ``SystemExit`` included; the original is its cause.
        KeyboardInterrupt: Somebody pressed Ctrl-C; the action's ``finally`` blocks have run.
        asyncio.CancelledError: The task that called this was cancelled, which is how a loop says Ctrl-C.
    """
    validated = action.validate(params)
    try:
        with _ForksEndHere(ctx):
            result = action.call(validated, ctx)
            if hasattr(type(result), "__await__"):
                result = _run_awaitable(result, ctx)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if _is_cancellation(error) and _calling_task_is_cancelled():
            raise
        raise execution_error(error, action, ctx) from error
    return result


async def run_action_async(action: RunnableAction, params: Any, ctx: RuntimeContext) -> Any:
    """Do what `run_action` does on the running event loop; an action that is no coroutine gets a thread.

    Raises:
        ValidationError: As `run_action`.
        ExecutionError: As `run_action`.
        asyncio.CancelledError: The calling task was cancelled; so was the action. A thread cannot be
            stopped: there the action is told so by ``ctx.is_cancelled``, and goes on until it looks.
    """
    import asyncio

    validated = action.validate(params)
    try:
        with _ForksEndHere(ctx):
            if action.is_async:
                result = action.call(validated, ctx)
            else:
                result = await asyncio.to_thread(_call_in_thread, action, validated, ctx)
            if hasattr(type(result), "__await__"):
                result = await result
    except KeyboardInterrupt:
        raise
    except asyncio.CancelledError as error:
        if _calling_task_is_cancelled():
            ctx._cancelled = _cancelled
            raise
        raise execution_error(error, action, ctx) from error
    except _RaisedInThread as carrier:
        original = carrier.original
        if isinstance(original, KeyboardInterrupt):
            raise original from None
        raise execution_error(original, action, ctx) from original
    except GeneratorExit:  # somebody closes this coroutine, which has to end it
        raise
    except BaseException as error:
        raise execution_error(error, action, ctx) from error
    return result


def run_to_outcome(action: RunnableAction, params: Any, ctx: RuntimeContext, *, allow_pickle: bool) -> Outcome:
    """Do what `run_action` does and return value or error as data.

    Args:
        action: What to run.
        params: Its params.
        ctx: Its context.
        allow_pickle: Whether a result without a form as data may travel as a pickle: only within
            one machine or one cluster.
    """
    from synapse_core.model.outcome import Outcome  # executors in this process never need it

    try:
        return Outcome.of_value(run_action(action, params, ctx), allow_pickle=allow_pickle)
    except PluginError as error:
        return Outcome.of_error(error)


def _cancelled() -> bool:
    return True


class _RaisedInThread(Exception):
    """Carries what may not cross a future by itself: StopIteration and bare BaseExceptions."""

    def __init__(self, original: BaseException) -> None:
        super().__init__(original)
        self.original = original


def _call_in_thread(action: RunnableAction, params: Any, ctx: RuntimeContext) -> Any:
    try:
        with _ForksEndHere(ctx):
            return action.call(params, ctx)
    except BaseException as error:
        raise _RaisedInThread(error) from error


class _ForksEndHere:
    """Ends a fork of this process that was made inside, when it comes out, as its interpreter would have ended it.

    Args:
        ctx: Of the action that made it; its secrets are kept out of what the fork says.
    """

    def __init__(self, ctx: RuntimeContext) -> None:
        self._ctx = ctx

    def __enter__(self) -> None:
        self._process = os.getpid()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if os.getpid() != self._process:
            self._end(error)

    def _end(self, error: BaseException | None) -> NoReturn:
        status = 0 if error is None else 1
        try:
            if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
                status = error.code or 0
            elif error is not None:
                text = f"{error.code}\n" if isinstance(error, SystemExit) else with_plain_names(format_traceback(error))
                sys.stderr.write(redact(text, _secrets_of(self._ctx)))
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status & 0xFF)


def execution_error(error: BaseException, action: RunnableAction, ctx: RuntimeContext) -> ExecutionError:
    """Return the error to raise for what an action raised; the caller raises it ``from`` the original."""
    kind = type(error).__name__
    hidden = _secrets_of(ctx)
    text = redact(safe_str(error), hidden)
    what = f"{kind}: {text}" if text else kind
    cls = ExecutionError
    if isinstance(error, SystemExit):
        what = redact(f"it called sys.exit({'' if error.code is None else shorten(error.code)})", hidden)
    elif _is_cancellation(error):
        cls, what = ExecutionCancelledError, "it was cancelled"
    elif _is_from(error, "bdb", "BdbQuit"):
        cls, what = ExecutionCancelledError, "the debugger was left"
    return cls(
        f"action {action.name!r} failed: {what}",
        original_type=kind,
        original_message=text,
        remote_traceback=redact(with_plain_names(format_traceback(error)), hidden),
        details={"action": action.name, "job_id": ctx.job_id},
    )


def _secrets_of(ctx: RuntimeContext) -> list[str]:
    try:
        return secret_values(ctx.env)
    except Exception:  # the settings could not be made, which may be the very error to report
        return []


def _is_cancellation(error: BaseException) -> bool:
    return _is_from(error, "asyncio", "CancelledError")


def _is_from(error: BaseException, module: str, name: str) -> bool:
    """Say whether `error` is of that class; a module that nobody has imported cannot have raised it."""
    found = sys.modules.get(module)
    return found is not None and isinstance(error, getattr(found, name))


def _run_awaitable(awaitable: Awaitable[Any], ctx: RuntimeContext) -> Any:
    import asyncio

    async def main() -> Any:
        with _ForksEndHere(ctx):
            return await awaitable

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(main())
    return _run_on_another_thread(main)


def _run_on_another_thread(main: Any) -> Any:
    import asyncio
    import contextvars

    started = threading.Event()
    state: dict[str, Any] = {}

    async def tracked() -> Any:
        state["loop"], state["task"] = asyncio.get_running_loop(), asyncio.current_task()
        started.set()
        return await main()

    def work() -> None:
        try:
            state["result"] = asyncio.run(tracked())
        except BaseException as error:  # handed to the calling thread, whatever it is
            state["error"] = error
        finally:
            started.set()

    def stop() -> None:
        started.wait()
        if (task := state.get("task")) is not None:
            with contextlib.suppress(RuntimeError):  # it has just ended, and its loop is closed
                state["loop"].call_soon_threadsafe(task.cancel)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), name="synapse-action-loop")
    thread.start()
    try:
        # A loop turns the first Ctrl-C into a cancelled task, which nobody tells a thread that waits.
        while thread.is_alive():
            thread.join(_LOOK_AGAIN_SECONDS)
            if _calling_task_is_cancelled():
                stop()
                thread.join()
    except BaseException:  # Ctrl-C arrives in the waiting thread: stop the action, let its finally blocks run
        stop()
        thread.join()
        raise
    if "error" in state:
        raise state["error"]
    return state["result"]


def _calling_task_is_cancelled() -> bool:
    import asyncio

    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs in this thread
        return False
    return task is not None and task.cancelling() > 0
