"""LocalExecutor beyond what every executor promises."""

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import BaseModel

from synapse_core import (
    BaseAction,
    CapabilityError,
    ExecutionError,
    PluginEnvironment,
    RecordingSink,
    RuntimeContext,
    ValidationError,
)
from synapse_local import LocalExecutor


class Params(BaseModel):
    epochs: int


class TrainAction(BaseAction[Params]):
    def execute(self) -> Any:
        return {"epochs": self.params.epochs, "job": self.ctx.job_id}


def test_the_result_is_the_very_object_that_the_action_returned() -> None:
    result = object()
    assert LocalExecutor().execute(lambda params, ctx: result, {}) is result


def test_a_given_job_id_is_that_of_every_execution() -> None:
    executor = LocalExecutor(job_id="train-001")
    assert [executor.execute(TrainAction, {"epochs": 1})["job"] for _ in range(2)] == ["train-001", "train-001"]


def test_without_a_job_id_every_execution_has_its_own() -> None:
    executor = LocalExecutor()
    first, second = (executor.execute(TrainAction, {"epochs": 1})["job"] for _ in range(2))
    assert first
    assert second
    assert first != second


@pytest.mark.parametrize("env", [{"API_KEY": "xxx"}, PluginEnvironment({"API_KEY": "xxx"})])
def test_env_lies_above_the_process_environment_which_is_not_changed(env: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "outside")
    monkeypatch.setenv("OTHER", "outside")
    before = dict(os.environ)
    seen = LocalExecutor(env=env).execute(lambda params, ctx: (ctx.env["API_KEY"], ctx.env["OTHER"]), {})
    assert seen == ("xxx", "outside")
    assert dict(os.environ) == before


def test_env_keeps_its_types() -> None:
    seen = LocalExecutor(env={"DEBUG": True, "SIZES": [1, 2]}).execute(
        lambda p, ctx: (ctx.env["DEBUG"], ctx.env["SIZES"]), {}
    )
    assert seen == (True, [1, 2])


def test_a_later_change_of_the_process_environment_is_seen_by_the_next_execution(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    executor = LocalExecutor()
    monkeypatch.setenv("LATE", "1")
    assert executor.execute(lambda params, ctx: ctx.env.get("LATE"), {}) == "1"
    monkeypatch.setenv("LATE", "2")
    assert executor.execute(lambda params, ctx: ctx.env.get("LATE"), {}) == "2"


def test_bad_params_are_a_validation_error_and_nothing_has_run() -> None:
    ran: list[int] = []

    def action(params: Params, ctx: RuntimeContext) -> None:
        ran.append(1)

    with pytest.raises(ValidationError) as caught:
        LocalExecutor().execute(action, {"epochs": "many"})
    assert caught.value.problems[0].path == "epochs"
    assert ran == []


def test_a_mistyped_argument_names_the_nearest() -> None:
    with pytest.raises(TypeError, match="Did you mean 'env'"):
        LocalExecutor(envv={})  # type: ignore[call-arg]


def test_what_it_does_not_claim_is_refused_and_hasattr_says_no() -> None:
    executor: Any = LocalExecutor()
    assert not hasattr(executor, "submit")
    with pytest.raises(CapabilityError, match="'jobs'"):
        executor.submit(TrainAction, {"epochs": 1})


def test_threads_run_at_once() -> None:
    together = threading.Barrier(4, timeout=20)
    executor = LocalExecutor()
    with ThreadPoolExecutor(4) as pool:
        done = list(
            pool.map(lambda n: executor.execute(lambda p, ctx: (together.wait(), p["n"])[1], {"n": n}), range(4))
        )
    assert done == [0, 1, 2, 3]


def test_execute_async_leaves_the_loop_free() -> None:
    executor = LocalExecutor()
    release = threading.Event()

    def waits(params: dict[str, Any], ctx: RuntimeContext) -> str:
        assert release.wait(20)
        return "done"

    async def main() -> Any:
        waiting = asyncio.create_task(executor.execute_async(waits, {}))
        await asyncio.sleep(0)
        release.set()  # only a loop that goes on gets here
        return await waiting

    assert asyncio.run(main()) == "done"


def test_a_coroutine_runs_where_a_loop_is_already_running() -> None:
    async def action(params: dict[str, Any], ctx: RuntimeContext) -> int:
        await asyncio.sleep(0)
        return 5

    async def main() -> Any:
        return LocalExecutor().execute(action, {})

    assert asyncio.run(main()) == 5


def test_reports_go_to_the_given_sink_in_order() -> None:
    sink = RecordingSink()

    def action(params: dict[str, Any], ctx: RuntimeContext) -> None:
        ctx.log("begin")
        ctx.set_progress(1, 2)
        ctx.set_metrics({"loss": 0.5}, "train")

    LocalExecutor(sink=sink).execute(action, {})
    assert [event.kind for event in sink.events] == ["log", "progress", "metrics"]


def test_the_original_error_is_the_cause() -> None:
    def action(params: dict[str, Any], ctx: RuntimeContext) -> None:
        raise KeyError("lost")

    with pytest.raises(ExecutionError) as caught:
        LocalExecutor().execute(action, {})
    assert isinstance(caught.value.__cause__, KeyError)
    assert "raise KeyError" in caught.value.remote_traceback


def test_ctrl_c_comes_through_as_itself() -> None:
    cleaned: list[bool] = []

    def action(params: dict[str, Any], ctx: RuntimeContext) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            cleaned.append(True)

    with pytest.raises(KeyboardInterrupt):
        LocalExecutor().execute(action, {})
    assert cleaned == [True]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [thread for thread in set(threading.enumerate()) - before if not thread.name.startswith("asyncio_")]
    assert left == []
