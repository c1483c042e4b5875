"""A context can be made from nothing, makes nothing before it is asked, and its logger is a standard one."""

import copy
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from synapse_core.actions import BaseAction
from synapse_core.context import PluginEnvironment, RuntimeContext
from synapse_core.ports.events import Event, MessageEvent, RecordingSink


def recorded() -> tuple[RuntimeContext, RecordingSink]:
    sink = RecordingSink()
    return RuntimeContext(sink, job_id="j"), sink


def messages(sink: RecordingSink) -> list[tuple[str, str]]:
    return [(event.level, event.message) for event in sink.events if isinstance(event, MessageEvent)]


def test_it_is_constructible_with_no_arguments() -> None:
    ctx = RuntimeContext()
    assert ctx.job_id
    assert ctx.env["PATH"] == os.environ["PATH"]
    assert (ctx.client, ctx.checkpoint, ctx.is_cancelled) == (None, None, False)
    ctx.log("event", {"a": 1})
    ctx.set_progress(1, 2)
    ctx.logger.info("works")


def test_an_action_can_be_tested_without_a_context() -> None:
    class Train(BaseAction[Any]):
        def execute(self) -> str:
            self.set_progress(1, 1)
            self.log("done", {"ok": True})
            return self.ctx.job_id

    assert Train({}).execute()


def test_ids_differ_and_stay() -> None:
    one, other = RuntimeContext(), RuntimeContext()
    assert one.job_id == one.job_id != other.job_id
    assert RuntimeContext(job_id="mine").job_id == "mine"


def test_threads_that_ask_first_at_the_same_time_get_one_id() -> None:
    for _ in range(50):
        ctx, barrier = RuntimeContext(), threading.Barrier(4)

        def ask(ctx: RuntimeContext = ctx, barrier: threading.Barrier = barrier) -> str:
            barrier.wait()
            return ctx.job_id

        with ThreadPoolExecutor(4) as pool:
            assert len({future.result() for future in [pool.submit(ask) for _ in range(4)]}) == 1


def test_the_environment_is_asked_for_once_and_only_when_it_is_used() -> None:
    asked = []

    def environment() -> PluginEnvironment:
        asked.append(1)
        return PluginEnvironment({"A": "1"})

    ctx = RuntimeContext(env=environment)
    assert not asked
    assert ctx.env is ctx.env
    assert asked == [1]


def test_a_mapping_is_the_whole_environment() -> None:
    ctx = RuntimeContext(env={"A": 1})
    assert isinstance(ctx.env, PluginEnvironment)
    assert ctx.env.to_dict() == {"A": 1}


def test_cancelling_is_asked_each_time() -> None:
    event = threading.Event()
    ctx = RuntimeContext(cancelled=event.is_set)
    before = ctx.is_cancelled
    event.set()
    assert (before, ctx.is_cancelled) == (False, True)


def test_client_and_checkpoint_are_handed_through() -> None:
    client, checkpoint = object(), {"epoch": 3}
    ctx = RuntimeContext(client=client, checkpoint=checkpoint)
    assert ctx.client is client
    assert ctx.checkpoint is checkpoint


def test_without_a_sink_reports_go_to_the_standard_logger(caplog: pytest.LogCaptureFixture) -> None:
    ctx = RuntimeContext(job_id="j")
    with caplog.at_level(logging.DEBUG, "synapse"):
        ctx.log_message("hello", "warning")
        ctx.log_dev_event("for the developer")
        ctx.set_progress(1, 2)
    assert [record.levelname for record in caplog.records] == ["WARNING", "DEBUG", "INFO"]
    assert "hello" in caplog.text


# -- the logger -------------------------------------------------------------------------------


def test_its_records_are_messages_of_this_execution() -> None:
    ctx, sink = recorded()
    assert isinstance(ctx.logger, logging.Logger)
    assert ctx.logger is ctx.logger
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(ctx.logger, level)("%s of %d", level, 5)
    assert messages(sink) == [(level, f"{level} of 5") for level in ("debug", "info", "warning", "error", "critical")]
    assert {event.job_id for event in sink.events} == {"j"}


def test_exception_adds_the_traceback() -> None:
    ctx, sink = recorded()
    try:
        raise ZeroDivisionError("by nothing")
    except ZeroDivisionError:
        ctx.logger.exception("while training")
    ((level, text),) = messages(sink)
    assert level == "error"
    assert text.startswith("while training\nTraceback")
    assert text.endswith("ZeroDivisionError: by nothing")


@pytest.mark.parametrize(
    ("number", "word"), [(15, "debug"), (25, "info"), (35, "warning"), (45, "error"), (60, "critical")]
)
def test_levels_between_the_standard_ones_count_as_the_one_below(number: int, word: str) -> None:
    ctx, sink = recorded()
    ctx.logger.log(number, "x")
    assert messages(sink) == [(word, "x")]


def test_children_report_to_the_same_execution() -> None:
    ctx, sink = recorded()
    child = ctx.logger.getChild("model").getChild("layer")
    child.warning("deep")
    assert child.name == "synapse.action.model.layer"
    assert messages(sink) == [("warning", "deep")]


def test_handlers_filters_and_levels_work_as_on_any_logger() -> None:
    ctx, sink = recorded()
    ctx.logger.addFilter(lambda record: "secret" not in record.getMessage())
    ctx.logger.setLevel(logging.WARNING)
    ctx.logger.info("below")
    ctx.logger.warning("a secret")
    ctx.logger.warning("seen")
    assert messages(sink) == [("warning", "seen")]


def test_two_executions_do_not_share_a_logger() -> None:
    (one, one_sink), (other, other_sink) = recorded(), recorded()
    one.logger.info("one")
    other.logger.info("other")
    assert (messages(one_sink), messages(other_sink)) == ([("info", "one")], [("info", "other")])


class Broken:
    def __str__(self) -> str:
        raise ZeroDivisionError

    __repr__ = __str__


@pytest.mark.parametrize(
    "arguments", [("%d", "x"), ("%s %s", 1), ("no place", 1), ("%s", Broken()), (Broken(),), ("%q", 1)]
)
def test_wrong_arguments_become_part_of_the_text(arguments: tuple[Any, ...]) -> None:
    ctx, sink = recorded()
    ctx.logger.info(*arguments)
    ctx.logger.info("goes on")
    assert len(messages(sink)) == 2
    assert "Error" in messages(sink)[0][1]


# -- broken sinks -----------------------------------------------------------------------------


class FailingSink:
    def __init__(self) -> None:
        self.asked = 0

    def emit(self, event: Event) -> None:
        self.asked += 1
        raise ConnectionError("gone")

    def close(self) -> None:
        pass


def test_a_failing_sink_is_said_once_and_never_stops_the_action(caplog: pytest.LogCaptureFixture) -> None:
    sink = FailingSink()
    ctx = RuntimeContext(sink)
    for n in range(3):
        ctx.log("event", {"n": n})
        ctx.logger.info("x")
        ctx.set_progress(0, 0)
    assert sink.asked >= 6
    assert [record.getMessage() for record in caplog.records] == ["reports are lost: the event sink fails"]
    assert "ConnectionError" in caplog.text


def test_something_that_is_no_sink_never_stops_the_action(caplog: pytest.LogCaptureFixture) -> None:
    RuntimeContext(object()).log_message("x")  # type: ignore[arg-type]
    assert "reports are lost: the event sink fails" in caplog.text


def test_a_sink_may_be_made_at_the_first_report_and_only_then() -> None:
    made: list[RecordingSink] = []

    def make() -> RecordingSink:
        made.append(RecordingSink())
        return made[0]

    ctx = RuntimeContext(make)
    assert not made
    ctx.log_message("one")
    ctx.log_message("two")
    assert [len(sink.events) for sink in made] == [2]


# -- made once, whoever asks ------------------------------------------------------------------


def ask_at_once(ask: Callable[[], Any], threads: int = 8) -> list[Any]:
    barrier = threading.Barrier(threads)

    def one() -> Any:
        barrier.wait()
        return ask()

    with ThreadPoolExecutor(threads) as pool:
        return [future.result() for future in [pool.submit(one) for _ in range(threads)]]


def test_threads_that_ask_at_the_same_time_make_one_environment() -> None:
    made: list[int] = []

    def make() -> PluginEnvironment:
        made.append(1)
        time.sleep(0.02)
        return PluginEnvironment({"A": 1})

    ctx = RuntimeContext(env=make)
    assert len({id(env) for env in ask_at_once(lambda: ctx.env)}) == 1
    assert made == [1]


def test_threads_that_report_at_the_same_time_make_one_sink() -> None:
    made: list[RecordingSink] = []

    def make() -> RecordingSink:
        time.sleep(0.02)
        made.append(RecordingSink())
        return made[-1]

    ctx = RuntimeContext(make)
    ask_at_once(lambda: ctx.log_message("x"))
    assert [len(sink.events) for sink in made] == [8]


def test_threads_that_log_at_the_same_time_make_one_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    from synapse_core import stdlib_logging

    class Slow(stdlib_logging.ActionLogger):
        def __init__(self, *arguments: Any) -> None:
            time.sleep(0.02)
            super().__init__(*arguments)

    monkeypatch.setattr(stdlib_logging, "ActionLogger", Slow)
    ctx, _ = recorded()
    assert len({id(logger) for logger in ask_at_once(lambda: ctx.logger)}) == 1


def test_a_factory_may_use_other_contexts_and_what_this_one_has() -> None:
    def make() -> PluginEnvironment:
        with ThreadPoolExecutor(1) as pool:  # in another thread, which a lock for all contexts would stop
            return pool.submit(lambda: RuntimeContext(env={"A": ctx.job_id}).env).result(timeout=20)

    ctx = RuntimeContext(env=make)
    assert ctx.env["A"] == ctx.job_id


def test_a_context_can_be_copied_before_and_after_it_made_things() -> None:
    ctx = RuntimeContext(env={"A": "1"}, job_id="j")
    for _ in range(2):
        for back in (copy.deepcopy(ctx), copy.copy(ctx)):
            assert (back.env["A"], back.job_id) == ("1", "j")
        assert ctx.env["A"] == "1"


# -- a logger as the sink ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrap", [lambda logger: logger, lambda logger: logging.LoggerAdapter(logger, {}), lambda logger: lambda: logger]
)
def test_a_standard_logger_gets_the_reports_as_its_records(wrap: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "my.app")
    ctx = RuntimeContext(logger=wrap(logging.getLogger("my.app")), job_id="j")
    ctx.log_message("careful", level="warning")
    ctx.logger.info("by hand")
    ctx.set_progress(1, 2)
    assert {record.name for record in caplog.records} == {"my.app"}
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.INFO, logging.INFO]
    assert "careful" in caplog.records[0].getMessage()
    assert "by hand" in caplog.records[1].getMessage()
