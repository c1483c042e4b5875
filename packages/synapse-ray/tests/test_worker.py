"""An action on a worker: found, run with the executor's settings, its output told apart and its secrets hidden."""

import json
import os
import sys
from typing import Any

import pytest

from synapse_core.actions import BaseAction
from synapse_core.errors import ActionLoadError, ExecutionError, ValidationError
from synapse_core.ports.events import RecordingSink
from synapse_core.resolution import resolve_action
from synapse_ray.action_spec import ActionSpec, spec_of
from synapse_ray.event_relay import log_text, relay
from synapse_ray.wire import pack
from synapse_ray.worker import ActionRunner, Reply, WorkerSettings, open_reply
from synapse_ray.worker_output import flush_output
from synapse_testing import actions

SECRET = "tok-81c5b2f9d6a7"


@pytest.fixture(autouse=True)
def environment_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())


def spec(target: Any) -> ActionSpec:
    return spec_of(resolve_action(target), None)[0]


def run(target: Any, params: Any = None, settings: WorkerSettings | None = None) -> tuple[Reply, list[dict[str, Any]]]:
    reports: list[dict[str, Any]] = []
    runner = ActionRunner(settings or WorkerSettings())
    reply = runner.run(spec(target), pack(params or {}), "job-7", reports.append)
    assert json.loads(json.dumps(reports)) == reports
    return reply, reports


def test_the_result_comes_back_as_it_was() -> None:
    assert open_reply(run(actions.AddAction, {"left": 1})[0]) == 2
    assert open_reply(run(lambda params: (1, {2}, b"3"))[0]) == (1, {2}, b"3")


def test_errors_come_back_as_errors() -> None:
    with pytest.raises(ValidationError, match="left"):
        open_reply(run(actions.AddAction, {})[0])
    with pytest.raises(ExecutionError) as caught:
        open_reply(run(actions.raises)[0])
    assert caught.value.original_type == "OvenError"


def test_code_that_cannot_be_opened_here_is_an_error_of_ours_without_secrets() -> None:
    module = f"missing_{SECRET.replace('-', '_')}"
    pickled = f"c{module}\nAction\n.".encode()  # as a pickle names what it does not hold
    runner = ActionRunner(WorkerSettings({"MY_TOKEN": SECRET.replace("-", "_")}))
    reply = runner.run(ActionSpec("mine", pickled=pickled), pack({}), "job-7", lambda report: None)
    with pytest.raises(ActionLoadError, match=r"'mine' cannot be opened on the worker: ModuleNotFoundError") as caught:
        open_reply(reply)
    assert "requirements.txt" in str(caught.value)
    assert "81c5b2f9d6a7" not in str(caught.value) + caught.value.traceback


def test_params_that_cannot_be_opened_here_are_an_error_of_ours_without_secrets() -> None:
    module = f"missing_{SECRET.replace('-', '_')}"
    runner = ActionRunner(WorkerSettings({"MY_TOKEN": SECRET.replace("-", "_")}))
    params = ("pickle", f"c{module}\nParams\n.".encode())
    reply = runner.run(spec(actions.adds), params, "job-7", lambda report: None)
    with pytest.raises(
        ExecutionError, match="action 'adds' failed outside of its action: ModuleNotFoundError"
    ) as caught:
        open_reply(reply)
    assert caught.value.original_type == "ModuleNotFoundError"
    assert "81c5b2f9d6a7" not in str(caught.value) + caught.value.remote_traceback


def test_what_a_fork_reports_is_dropped() -> None:
    own = os.getpid()

    def emit(report: dict[str, Any]) -> None:
        if os.getpid() != own:
            os._exit(9)  # it would wait for ever for a thread that a fork has not

    def forks(params: Any, ctx: Any) -> int:
        print("held", end="")
        if (pid := os.fork()) == 0:
            print("x" * 100_000)
            ctx.log_message("from the fork")
            os._exit(3)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert open_reply(ActionRunner(WorkerSettings()).run(spec(forks), pack({}), "job-7", emit)) == 3


def test_values_keep_their_type_in_ctx_and_are_text_in_the_process() -> None:
    def look(params: Any, ctx: Any) -> Any:
        return ctx.env["RATE"], os.environ["RATE"], os.environ["FLAG"], os.environ["KEY_OF_RUNTIME_ENV"], ctx.job_id

    settings = WorkerSettings({"RATE": 0.5, "FLAG": True}, {"KEY_OF_RUNTIME_ENV": "x"})
    assert open_reply(run(look, settings=settings)[0]) == (0.5, "0.5", "true", "x", "job-7")


def test_what_an_action_prints_is_reported_in_whole_lines_and_in_order() -> None:
    def speak(params: Any, ctx: Any) -> None:
        print("one", end="")
        print(" line")
        ctx.log_message("between")
        print("two\nthree", file=sys.stderr)
        sys.stdout.write("without an end")

    _, reports = run(speak)
    shown = [(r.get("stream"), r.get("text") or r.get("message")) for r in reports]
    assert shown == [
        ("stdout", "one line\n"),
        (None, "between"),
        ("stderr", "two\n"),
        ("stderr", "three\n"),
        ("stdout", "without an end\n"),
    ]


def test_the_streams_are_put_back(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    run(lambda params: print("seen"))
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr().out == "seen\n"


def test_half_a_character_is_shown_as_an_escape(capsys: pytest.CaptureFixture[str]) -> None:
    reports: list[dict[str, Any]] = []
    runner = ActionRunner(WorkerSettings())
    for target in (lambda params: print("caf\udce9", end=""), lambda params: print("é")):
        open_reply(runner.run(spec(target), pack({}), "job-7", reports.append))
    assert [report["text"] for report in reports] == ["caf\\udce9\n", "é\n"]
    assert capsys.readouterr().out == "caf\\udce9\né\n"


def leaves_a_closed_stream(params: Any) -> None:
    with open(os.devnull, "w") as sys.stdout:
        pass


def test_a_stream_that_an_action_left_closed_harms_no_later_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    reports: list[dict[str, Any]] = []
    runner = ActionRunner(WorkerSettings())
    for target in (leaves_a_closed_stream, lambda params: print("still here")):
        open_reply(runner.run(spec(target), pack({}), "job-7", reports.append))
    assert [report["text"] for report in reports] == ["still here\n"]
    sys.stdout = None  # type: ignore[assignment]
    flush_output()


def test_secrets_are_hidden_in_everything_that_leaves_the_worker() -> None:
    def leak(params: Any, ctx: Any) -> None:
        print(f"the token is {os.environ['MY_TOKEN']}")
        ctx.log("token", {"deep": [ctx.env["MY_TOKEN"]]})
        ctx.log_message(ctx.env["MY_TOKEN"])
        raise ValueError(ctx.env["MY_TOKEN"])

    reply, reports = run(leak, settings=WorkerSettings({"MY_TOKEN": SECRET}))
    assert len(reports) == 3
    assert SECRET not in json.dumps(reports)
    assert SECRET not in json.dumps(reply)


def test_a_report_is_shown_again_where_the_caller_is(capsys: pytest.CaptureFixture[str]) -> None:
    def speak(params: Any, ctx: Any) -> None:
        print("out")
        print("err", file=sys.stderr)
        ctx.set_progress(1, 2, "half")

    sink = RecordingSink()
    reports = run(speak)[1]
    capsys.readouterr()  # what the worker itself wrote
    for report in reports:
        relay(report, sink)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("out\n", "err\n")
    assert [(event.kind, event.job_id) for event in sink.events] == [("progress", "job-7")]


def test_a_log_holds_what_was_printed_and_what_was_reported() -> None:
    def speak(params: Any, ctx: Any) -> None:
        print("out")
        ctx.log("epoch", {"loss": 0.5})
        for step in range(11):
            ctx.set_progress(step, 10, "train")

    text = "".join(map(log_text, run(speak)[1]))
    assert text.splitlines() == ["out", "epoch loss=0.5", "progress train 0/10 (0%)", "progress train 10/10 (100%)"]


class Mine(BaseAction):
    action_name = "by-another-name"

    def execute(self) -> str:
        return "done"


def test_an_action_keeps_the_name_that_it_was_sent_under() -> None:
    assert spec(Mine).name == "by-another-name"
