"""The parts of the pool without a cluster: lending, mail, reports, keys, connections, and what is said of them."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import pytest

from synapse_core.errors import BackendError, BackendUnreachableError
from synapse_core.plugins.registry import registry
from synapse_core.ports.events import MessageEvent, RecordingSink
from synapse_core.resolution import resolve_action
from synapse_ray import connection, dispatcher, event_pump, hub, mailbox, pending_notice
from synapse_ray.action_spec import ActionSpec, spec_of
from synapse_ray.actor_executor import RayActorExecutor
from synapse_ray.addresses import ClusterAddress
from synapse_ray.dispatcher import GONE, REPORTS, Dispatcher, Refusal
from synapse_ray.event_pump import CallReports, EventPump
from synapse_ray.mailbox import Mailbox
from synapse_ray.start_notice import StartNotice, notice_text
from synapse_ray.warm_actor import FORGOTTEN, WarmActor
from synapse_ray.warm_call import _key_of
from synapse_ray.worker import MOST_KNOWN, WorkerSettings
from synapse_testing import actions
from synapse_testing.waiting import until


def report(number: int) -> dict[str, Any]:
    return MessageEvent(job_id="job", message=str(number)).to_dict()


def reports(first: int, end: int) -> list[dict[str, Any]]:
    return [report(number) for number in range(first, end)]


def messages(sink: RecordingSink) -> list[str]:
    return [event.message for event in sink.events if isinstance(event, MessageEvent)]


# -- lent to processes that die ----------------------------------------------------------------


class FakeActor:
    """Answers when its call is done."""

    def __init__(self) -> None:
        self.is_idle = asyncio.Event()
        self.ready = SimpleNamespace(remote=self.is_idle.wait)


def test_an_actor_that_a_waiter_got_and_died_with_goes_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "_PROBE_AFTER", 0.02)
    monkeypatch.setattr(dispatcher, "_GRACES", (0.02, 0.0))

    async def scenario() -> None:
        lender, actor = Dispatcher(), FakeActor()
        await lender.share("pool", "box")
        actor.is_idle.set()
        await lender.add("pool", 1, actor, [actor.is_idle.wait()])
        actor.is_idle.clear()  # it works on a call of the first
        number, lease, _ = await lender.borrow("pool")  # type: ignore[misc]
        second = asyncio.create_task(lender.borrow("pool"))
        third = asyncio.create_task(lender.borrow("pool"))
        while not lender._probes:  # both wait, and have looked
            await asyncio.sleep(0.01)
        await lender.give_back("pool", number, lease, dead=False)
        await asyncio.wait_for(second, 5)  # and this one dies: it never gives the actor back
        actor.is_idle.set()
        given: Any = await asyncio.wait_for(third, 5)
        assert given[0] == number
        assert given[1] != lease

    asyncio.run(scenario())


def test_an_actor_is_not_lent_before_its_owner_knows_that_it_started() -> None:
    async def scenario() -> None:
        lender, actor, heard = Dispatcher(), FakeActor(), asyncio.Event()
        actor.is_idle.set()  # it would answer anybody at once
        await lender.share("pool", "box")
        adding = asyncio.create_task(lender.add("pool", 1, actor, [heard.wait()]))
        borrowed = asyncio.create_task(lender.borrow("pool"))
        assert not (await asyncio.wait([adding, borrowed], timeout=0.1))[0]
        heard.set()
        assert (await asyncio.wait_for(borrowed, 5))[0] == 1  # type: ignore[index]
        await adding

    asyncio.run(scenario())


def test_a_refusal_says_whether_the_pool_is_gone() -> None:
    async def scenario() -> list[Any]:
        lender = Dispatcher()
        await lender.share("pool", "box")
        await lender.fail("pool", "the folder is too large")
        first = await lender.borrow("pool")
        await lender.close("pool", "its owner has shut it down")
        return [first, await lender.borrow("pool"), (await lender.borrow("another")).is_final]  # type: ignore[union-attr]

    assert asyncio.run(scenario()) == [
        Refusal("the folder is too large", is_final=False),
        Refusal("its owner has shut it down", is_final=True),
        True,
    ]


# -- mail --------------------------------------------------------------------------------------


def test_what_an_owner_has_to_replace_is_never_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "_MOST_HELD", 3)
    monkeypatch.setattr(mailbox, "_PATIENCE", 0.0)

    async def scenario() -> list[Any]:
        box = Mailbox()
        box.put("mine", (GONE, "one"))
        for number in range(10):
            await box.put_when_there_is_room("mine", (REPORTS, number))
        return await box.take("mine", 1)

    assert asyncio.run(scenario()) == [(GONE, "one"), (REPORTS, 7), (REPORTS, 8), (REPORTS, 9)]


def test_the_boxes_of_processes_that_are_gone_are_thrown_away() -> None:
    now = [0.0]

    async def scenario() -> tuple[set[str], list[Any]]:
        box = Mailbox(clock=lambda: now[0])
        box.put("owner", (GONE, "one"))
        await box.put_when_there_is_room("dead", (REPORTS, 1))
        await box.put_when_there_is_room("living", (REPORTS, 1))
        now[0] = 1000.0
        await box.take("living", 0)
        await box.put_when_there_is_room("new", (REPORTS, 1))
        return set(box._boxes), await box.take("owner", 0)

    assert asyncio.run(scenario()) == ({"owner", "living", "new"}, [(GONE, "one")])


# -- reports -----------------------------------------------------------------------------------


def lost(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "lost on their way" in record.getMessage()]


def test_lost_reports_are_counted_and_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(event_pump, "_PATIENCE", 0.01)
    sink = RecordingSink()
    calls = CallReports(lambda: sink, shows_output=True)
    with caplog.at_level(logging.WARNING, "synapse"):
        calls.take(0, reports(0, 2))
        calls.take(5, reports(5, 6))  # three were dropped
        calls.finish(10, reports(10, 12))  # and four have not come in time
        calls.take(6, reports(6, 10))  # too late for their order
    assert messages(sink) == ["0", "1", "5", "10", "11"]
    assert lost(caplog) == ["7 reports of an action were lost on their way here; its result is not touched by that"]


def test_reports_that_come_slowly_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(event_pump, "_PATIENCE", 0.5)
    sink = RecordingSink()
    calls = CallReports(lambda: sink, shows_output=True)
    calls.begin_to_wait()
    pause = threading.Event()

    def bring() -> None:  # each in time, all together not
        for number in range(8):
            pause.wait(0.15)
            calls.take(number, reports(number, number + 1))

    bringer = threading.Thread(target=bring)
    bringer.start()
    calls.finish(8, reports(8, 9))
    bringer.join()
    assert messages(sink) == [str(number) for number in range(9)]
    assert not lost(caplog)


def test_nobody_waits_for_reports_that_no_pump_brings(caplog: pytest.LogCaptureFixture) -> None:
    sink = RecordingSink()
    calls = CallReports(lambda: sink, shows_output=True)
    pump = EventPump(SimpleNamespace(take=None))
    pump.watch(1, calls)
    pump.lose()
    assert pump.is_lost
    with pump.fetching(calls):
        calls.finish(4, reports(4, 5))  # at once: the test's time would be up
    assert lost(caplog)


@pytest.fixture
def fake_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the pump take mail from a dispatcher that is an object here."""
    monkeypatch.setattr(event_pump, "ray", SimpleNamespace(is_initialized=lambda: True))


def pump_of(mail: list[Any], on_gone: Callable[[str, int], None] | None = None) -> EventPump:
    answer: Future[list[Any]] = Future()
    answer.set_result(mail)
    asked = SimpleNamespace(future=lambda: answer)
    return EventPump(SimpleNamespace(take=SimpleNamespace(remote=lambda box, seconds: asked)), on_gone)


@pytest.mark.usefixtures("fake_ray")
def test_a_pump_that_ends_unexpectedly_is_known_to_be_lost(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError("on a turn")

    pump = pump_of([])
    pump.pin(fail)
    until(lambda: pump.is_lost)
    assert "not fetched any more" in caplog.text


@pytest.mark.usefixtures("fake_ray")
def test_a_pool_that_fails_on_its_turn_stops_neither_the_mail_nor_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    turns: list[str] = []
    gone: list[int] = []

    def fail(*_: object) -> None:
        turns.append("failing")
        raise RuntimeError("requirements.txt is half written")

    def make(self: hub.Hub, package: str | None) -> None:
        self._owners, self._turns, self._complained = {}, {}, set()
        self.pump = pump_of([(GONE, ("failing", 1)), (GONE, ("other", 2))], self._on_gone)

    monkeypatch.setattr(hub.Hub, "__init__", make)
    served = hub.Hub(None)
    served.serve("failing", fail, fail)
    served.serve("other", gone.append, lambda: turns.append("other"))
    until(lambda: turns.count("other") > 2 and len(gone) > 2)
    assert not served.pump.is_lost
    served.pump.close()
    assert caplog.text.count("looking after a pool of actors fails") == 1


# -- what an actor knows an action by ----------------------------------------------------------


def test_actions_that_differ_in_anything_have_keys_of_their_own() -> None:
    spec = ActionSpec("train", "plugin.train:Train", "code")
    others = {"name": "x", "entrypoint": "x:y", "plugin": "x", "pickled": b"x", "idempotent": True, "package": "x"}
    assert {field.name for field in fields(ActionSpec)} <= set(others)
    specs = [spec, *(replace(spec, **{field.name: others[field.name]}) for field in fields(ActionSpec))]
    assert len({_key_of(one) for one in specs}) == len(specs)
    assert _key_of(spec) == _key_of(replace(spec))


def test_an_actor_knows_so_many_actions_and_asks_for_those_that_it_has_forgotten() -> None:
    actor = WarmActor(WorkerSettings(), SimpleNamespace(push=None))

    def call(number: int, spec: ActionSpec | None) -> Any:
        return actor.run([str(number), spec, "plain", {"left": number}, "job-1", "box", number])

    spec = spec_of(resolve_action(actions.adds), None)[0]
    for number in range(MOST_KNOWN + 1):
        assert call(number, spec)[:2] == ["plain", number + 1]
    assert call(1, None)[:2] == ["plain", 2]
    assert call(0, None)[0] == FORGOTTEN
    assert call(0, spec)[:2] == ["plain", 1]
    assert call(1, None)[0] == FORGOTTEN


# -- what is waited for ------------------------------------------------------------------------


def test_who_waits_for_actors_reads_how_many_what_they_ask_for_and_what_is_free() -> None:
    text = notice_text(
        2, {"num_gpus": 1.0, "memory": 3 * 2**30}, {"CPU": 3.0}, {"CPU": 8.0, "GPU": 2.0, "memory": 2**33}
    )
    assert text == (
        "still waiting: 2 actors have not started, and each asks for 1 CPU, 1 GPU, 3 GiB of memory. Free in the "
        "cluster: 3 of 8 CPU, 0 of 2 GPU, 0 of 8 GiB of memory. They start when other work on the cluster ends; "
        "`ray status` shows it\n"
    )
    assert "environment are being made" in notice_text(1, {}, {"CPU": 1.0}, {"CPU": 8.0})
    assert "1 actor has not started, and it asks for nothing" in notice_text(1, {"num_cpus": 0}, {}, {})


def test_nothing_is_said_of_a_short_wait() -> None:
    notice = StartNotice({})
    assert not notice.due(time.monotonic())
    assert notice.due(time.monotonic() - 11)


@pytest.mark.parametrize(("status", "is_told"), [("PENDING", True), ("RUNNING", False)])
def test_who_follows_a_job_that_does_not_start_is_told(
    status: str, is_told: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending_notice, "PATIENCE_SECONDS", 0.0)
    asked = threading.Event()

    def get_status(job_id: str) -> str:
        asked.set()
        return status

    with pending_notice.told_while_pending("j", get_status, ", and more"):
        assert asked.wait(10)
        timer = next((thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)), None)
        if timer is not None:
            timer.join(10)
    told = "still waiting: job 'j' has not started. Its environment is being made, or what it asks for is not free"
    assert capsys.readouterr().err == (f"{told}; `ray status` shows it, and more\n" if is_told else "")


def test_nothing_is_asked_of_a_job_that_is_followed_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_notice, "PATIENCE_SECONDS", 0.05)
    asked: list[str] = []

    def get_status(job_id: str) -> str:
        asked.append(job_id)
        return "PENDING"

    with pending_notice.told_while_pending("j", get_status):
        pass
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(10)
    assert not asked


# -- the connection ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "is_started"),
    [
        (ConnectionError("Could not find any running Ray instance. Please specify the one to connect to"), True),
        (ConnectionError("Failed to connect to Ray cluster at 10.0.0.1:6379"), False),
        (RuntimeError("the cluster refuses connections"), False),
    ],
)
def test_a_private_cluster_is_started_only_where_none_was_found(
    error: Exception, is_started: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def init(address: str, **_: object) -> None:
        asked.append(address)
        if address == "auto":
            raise error

    monkeypatch.setattr(connection, "ray", SimpleNamespace(init=init, shutdown=lambda: None))
    monkeypatch.setattr(connection, "running_cluster", lambda: None)
    monkeypatch.setattr(connection, "hide_command_line", lambda: None)
    monkeypatch.setattr(connection, "_describe", lambda **kept: kept)
    auto = ClusterAddress("auto", "auto")
    if is_started:
        made: Any = connection._connect(auto, True)
        assert made == {"is_ours": True, "is_private": True}
        assert asked == ["auto", "local"]
        with pytest.raises(BackendUnreachableError, match="none was named") as caught:
            connection._connect(auto, False)
        assert connection.found_no_cluster(caught.value)
    else:
        with pytest.raises(BackendError, match="connecting: ") as refused:
            connection._connect(auto, True)
        assert asked == ["auto"]
        assert not connection.found_no_cluster(refused.value)
    assert ("starting a private one" in capsys.readouterr().err) is is_started


def test_a_head_of_this_machine_that_is_gone_counts_as_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    util = SimpleNamespace(get_node_ip_address=lambda: "192.0.2.7")
    fake = SimpleNamespace(init=lambda address, **_: asked.append(address), shutdown=lambda: None, util=util)
    monkeypatch.setattr(connection, "ray", fake)
    monkeypatch.setattr(connection, "running_cluster", lambda: "127.0.0.1:1")
    monkeypatch.setattr(connection, "hide_command_line", lambda: None)
    monkeypatch.setattr(connection, "_describe", lambda **kept: kept)
    connection._connect(ClusterAddress("auto", "auto"), True)
    assert asked == ["local"]
    assert "starting a private one" in capsys.readouterr().err


def test_a_remote_head_that_does_not_answer_is_named_and_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "running_cluster", lambda: "no-such-host.invalid:6379")
    with pytest.raises(BackendUnreachableError, match=r"(?s)no-such-host.*`ray stop` forgets it") as caught:
        connection._connect(ClusterAddress("auto", "auto"), True)
    assert not connection.found_no_cluster(caught.value)


# -- the terminal ------------------------------------------------------------------------------


def test_shutdown_closes_the_terminal_that_the_executor_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[RecordingSink] = []

    def open_sink(name: str, *, debug: bool = True) -> RecordingSink:
        opened.append(RecordingSink())
        return opened[-1]

    monkeypatch.setattr(registry, "open_sink", open_sink)
    mine = RecordingSink()
    with RayActorExecutor(sink=mine) as executor:
        assert executor._open_sink() is mine
    assert not mine.closed
    with RayActorExecutor() as executor:
        assert executor._open_sink() is executor._open_sink() is opened[0]
    assert [sink.closed for sink in opened] == [True]
    executor._open_sink()
    assert len(opened) == 2
