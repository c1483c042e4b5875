"""One way for an action to run: the same results and the same errors for functions, classes and coroutines."""

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import textwrap
import threading
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from synapse_core.actions import BaseAction
from synapse_core.context import RuntimeContext
from synapse_core.errors import ExecutionCancelledError, ExecutionError, ValidationError
from synapse_core.execution import run_action, run_action_async, run_to_outcome
from synapse_core.resolution import resolve_action

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def run_plainly(action: Any, params: Any = None) -> Any:
    return run_action(resolve_action(action), params, RuntimeContext(job_id="j"))


def run_under_a_running_loop(action: Any, params: Any = None) -> Any:
    async def main() -> Any:
        return run_plainly(action, params)

    return asyncio.run(main())


def run_on_the_loop(action: Any, params: Any = None) -> Any:
    return asyncio.run(run_action_async(resolve_action(action), params, RuntimeContext(job_id="j")))


EVERY_WAY = pytest.mark.parametrize("run", [run_plainly, run_under_a_running_loop, run_on_the_loop])


def both_kinds(body: Any) -> list[Any]:
    """Return a function and a coroutine function that do what `body` does."""

    def plain(params: Any, ctx: RuntimeContext) -> Any:
        return body()

    async def coroutine(params: Any, ctx: RuntimeContext) -> Any:
        await asyncio.sleep(0)
        return body()

    return [plain, coroutine]


def raiser(error: BaseException) -> Any:
    def body() -> None:
        raise error

    return body


class Params(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def _exit_on_zero(cls, value: int) -> int:
        if value == 0:
            sys.exit(3)
        if value < 0:
            raise ZeroDivisionError("below")
        return value


class Doubled(BaseAction[Params]):
    def execute(self) -> int:
        return self.params.n * 2


class DoubledLater(BaseAction[Params]):
    async def execute(self) -> int:
        await asyncio.sleep(0)
        return self.params.n * 2


@EVERY_WAY
@pytest.mark.parametrize("action", [Doubled, DoubledLater])
def test_a_class_gives_its_result(run: Any, action: Any) -> None:
    assert run(action, {"n": 2}) == 4


@EVERY_WAY
def test_the_result_is_the_very_object(run: Any) -> None:
    thing = object()
    for action in both_kinds(lambda: thing):
        assert run(action) is thing


@EVERY_WAY
def test_a_plain_function_may_return_an_awaitable(run: Any) -> None:
    class Later:
        def __await__(self) -> Any:
            yield from asyncio.sleep(0).__await__()
            return "later"

    assert run(lambda params, ctx: Later()) == "later"


@EVERY_WAY
def test_a_callable_object_with_an_async_call_is_awaited(run: Any) -> None:
    class Callable:
        async def __call__(self, params: Any, ctx: Any) -> str:
            return "called"

    assert run(Callable()) == "called"


class BareError(BaseException):
    pass


@EVERY_WAY
@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        SystemExit(3),
        SystemExit(),
        BareError("bare"),
        ExceptionGroup("some", [ValueError("a"), KeyError("b")]),
        BaseExceptionGroup("some", [BareError()]),
        ValueError(threading.Lock()),
        TimeoutError(),
        ExecutionError("of another action"),
        ValidationError("of another action"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_an_action_raises_is_an_execution_error_with_the_original_as_its_cause(run: Any, error: Any) -> None:
    for action in both_kinds(raiser(error)):
        with pytest.raises(ExecutionError) as caught:
            run(action)
        assert caught.value.__cause__ is error
        assert caught.value.original_type == type(error).__name__
        assert caught.value.original_message == str(error)
        assert "in body" in caught.value.remote_traceback
        assert caught.value.details["job_id"] == "j"
        assert caught.value.details["action"] in str(caught.value)


@pytest.mark.parametrize(
    "error", [StopIteration(1), GeneratorExit(), StopAsyncIteration()], ids=lambda e: type(e).__name__
)
@EVERY_WAY
def test_what_python_itself_uses_to_end_iteration_is_an_error_too(run: Any, error: BaseException) -> None:
    plain, _ = both_kinds(raiser(error))
    with pytest.raises(ExecutionError) as caught:
        run(plain)
    assert caught.value.__cause__ is error


@EVERY_WAY
def test_stop_iteration_in_a_coroutine_is_an_error(run: Any) -> None:
    _, coroutine = both_kinds(raiser(StopIteration(1)))
    with pytest.raises(ExecutionError) as caught:
        run(coroutine)
    assert caught.value.original_type == "RuntimeError"  # Python's own doing


@EVERY_WAY
def test_ctrl_c_passes_and_is_no_error_of_the_action(run: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(both_kinds(raiser(KeyboardInterrupt()))[0])


@EVERY_WAY
def test_an_action_that_cancels_itself_is_cancelled(run: Any) -> None:
    for action in both_kinds(raiser(asyncio.CancelledError())):
        with pytest.raises(ExecutionCancelledError):
            run(action)


@EVERY_WAY
def test_an_error_whose_texts_raise_is_reported(run: Any) -> None:
    class Awful(Exception):
        def __str__(self) -> str:
            raise RuntimeError

        __repr__ = __str__

    for error in (Awful(), SystemExit(Awful())):
        with pytest.raises(ExecutionError) as caught:
            run(both_kinds(raiser(error))[0])
        assert caught.value.original_type == type(error).__name__
        assert "in body" in caught.value.remote_traceback


@EVERY_WAY
def test_bad_params_are_a_validation_error_and_nothing_runs(run: Any) -> None:
    ran = []

    def action(params: Params) -> None:
        ran.append(1)

    for params in ({}, {"n": "x"}, [], 5, {"n": -1}, {"n": 0}):
        with pytest.raises(ValidationError) as caught:
            run(action, params)
        assert not isinstance(caught.value, ExecutionError)
        assert len(caught.value.problems) == 1
    assert not ran


@EVERY_WAY
def test_a_coroutine_sees_the_callers_context_variables_and_cannot_change_them(run: Any) -> None:
    async def action(params: Any, ctx: RuntimeContext) -> str:
        seen = variable.get()
        variable.set("changed by the action")
        return seen

    def within() -> Any:
        variable.set("of the caller")
        return run(action), variable.get()

    seen, after = contextvars.copy_context().run(within)
    assert (seen, after) == ("of the caller", "of the caller")


def test_a_plain_function_on_the_loop_does_not_block_it_and_sees_context_variables() -> None:
    async def main() -> tuple[str, bool]:
        variable.set("of the task")
        on_loop = threading.Event()
        asyncio.get_running_loop().call_soon(on_loop.set)

        def action(params: Any, ctx: RuntimeContext) -> tuple[str, bool]:
            return variable.get(), on_loop.wait(10)

        return await run_action_async(resolve_action(action), {}, RuntimeContext())

    assert asyncio.run(main()) == ("of the task", True)


def test_the_callers_loop_goes_on_after_an_action_ran_beside_it() -> None:
    async def action(params: Any, ctx: RuntimeContext) -> str:
        return threading.current_thread().name

    async def main() -> tuple[str, str]:
        name = run_plainly(action)
        return name, await asyncio.to_thread(lambda: "goes on")

    name, after = asyncio.run(main())
    assert name == "synapse-action-loop"
    assert after == "goes on"
    assert name not in [thread.name for thread in threading.enumerate()]


def test_cancelling_the_calling_task_cancels_the_action_and_runs_its_finally() -> None:
    ended = []

    async def main() -> None:
        started = asyncio.Event()

        async def action(params: Any, ctx: RuntimeContext) -> None:
            try:
                started.set()
                await asyncio.Event().wait()
            finally:
                ended.append("finally")

        task = asyncio.create_task(run_action_async(resolve_action(action), {}, RuntimeContext()))
        await started.wait()
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert ended == ["finally"]


def test_a_coroutine_that_is_closed_ends_the_action_quietly() -> None:
    ended = []

    async def action(params: Any, ctx: RuntimeContext) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("finally")

    async def main() -> None:
        coroutine = run_action_async(resolve_action(action), {}, RuntimeContext())
        coroutine.send(None)
        coroutine.close()

    asyncio.run(main())
    assert ended == ["finally"]


@pytest.mark.parametrize("under_a_loop", [False, True])
def test_ctrl_c_stops_a_waiting_coroutine_and_its_finally_runs(under_a_loop: bool) -> None:
    script = f"""
    import asyncio
    from synapse_core.context import RuntimeContext
    from synapse_core.execution import run_action
    from synapse_core.resolution import resolve_action

    async def action(params, ctx):
        try:
            print("started", flush=True)
            await asyncio.sleep(3600)
        finally:
            print("finally", flush=True)

    async def main():
        run_action(resolve_action(action), {{}}, RuntimeContext())

    asyncio.run(main()) if {under_a_loop} else run_action(resolve_action(action), {{}}, RuntimeContext())
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert out == "finally\n"
    assert err.rstrip().endswith("KeyboardInterrupt")


def test_an_outcome_holds_the_value_or_the_error_and_never_raises_itself() -> None:
    ctx = RuntimeContext()
    assert run_to_outcome(resolve_action(Doubled), {"n": 4}, ctx, allow_pickle=False).unwrap() == 8
    assert not run_to_outcome(resolve_action(Doubled), {"n": "x"}, ctx, allow_pickle=False).ok
    assert not run_to_outcome(resolve_action(raiser(SystemExit(1))), {}, ctx, allow_pickle=False).ok


# -- what is said of a failure ----------------------------------------------------------------


def test_a_traceback_begins_in_the_users_code() -> None:
    def fails(params: Any, ctx: RuntimeContext) -> None:
        raise ExceptionGroup("several", [ValueError("one")])

    with pytest.raises(ExecutionError) as caught:
        run_action(resolve_action(fails), {}, RuntimeContext())
    assert "raise ExceptionGroup" in caught.value.remote_traceback
    assert "synapse_core" not in caught.value.remote_traceback.replace(__file__, "")


def test_no_secret_of_the_environment_is_in_the_error() -> None:
    def fails(params: Any, ctx: RuntimeContext) -> None:
        raise ValueError(f"the server refused {ctx.env['API_TOKEN']}")

    ctx = RuntimeContext(env={"API_TOKEN": "hunter2hunter2", "REGION": "server"})
    with pytest.raises(ExecutionError) as caught:
        run_action(resolve_action(fails), {}, ctx)
    error = caught.value
    shown = [str(error), error.original_message, error.remote_traceback]
    assert not [text for text in shown if "hunter2" in (text or "")]
    assert error.original_message == "the server refused ***"


def test_settings_that_cannot_be_made_do_not_hide_the_actions_error() -> None:
    def no_settings() -> Any:
        raise RuntimeError("no settings")

    def fails(params: Any, ctx: RuntimeContext) -> None:
        raise ValueError("mine")

    with pytest.raises(ExecutionError, match="mine"):
        run_action(resolve_action(fails), {}, RuntimeContext(env=no_settings))


def test_only_a_cancellation_of_asyncio_is_one() -> None:
    class CancelledError(Exception):
        pass

    def fails(params: Any, ctx: RuntimeContext) -> None:
        raise CancelledError("order cancelled")

    with pytest.raises(ExecutionError) as caught:
        run_action(resolve_action(fails), {}, RuntimeContext())
    assert type(caught.value) is ExecutionError


# -- forks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_coroutine", [False, True])
@pytest.mark.parametrize("run", [run_plainly, run_under_a_running_loop, run_on_the_loop])
def test_a_fork_ends_where_it_comes_out_of_its_action(run: Any, is_coroutine: bool) -> None:
    ends: list[BaseException | None] = [None, SystemExit(), SystemExit(3), SystemExit("no"), ValueError("in the fork")]

    def forks(params: Any, ctx: RuntimeContext) -> list[int]:
        statuses = []
        for end in ends:
            pid = os.fork()
            if pid == 0 and end is not None:
                raise end
            if pid == 0:
                return []
            statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        return statuses

    async def forks_later(params: Any, ctx: RuntimeContext) -> list[int]:
        return forks(params, ctx)

    assert run(forks_later if is_coroutine else forks) == [0, 0, 3, 1, 1]
