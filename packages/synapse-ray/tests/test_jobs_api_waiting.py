"""Waiting over HTTP without a cluster: what an outage costs, how often it is asked, and what an error says."""

import asyncio
import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from synapse_core.errors import (
    AuthenticationError,
    BackendError,
    BackendUnreachableError,
    ExecutionCancelledError,
    ExecutionError,
    WorkerLostError,
)
from synapse_core.ports.events import RecordingSink
from synapse_ray.jobs_api import executor as executor_module, node_files
from synapse_ray.jobs_api.answers import Answer, JobDetails, LostAnswerError, Node, head_of
from synapse_ray.jobs_api.entrypoint import secret_name, side_folder
from synapse_ray.jobs_api.event_follower import EventFollower
from synapse_ray.jobs_api.executor import RayJobsApiExecutor
from synapse_ray.jobs_api.following import Pause, ReadFile, follow_log
from synapse_ray.jobs_api.patience import Failures, Pace
from synapse_ray.jobs_api.rest_paths import Request
from synapse_ray.jobs_api.result_files import outcome_file
from synapse_ray.jobs_api.results import read_result
from synapse_ray.jobs_api.waiting import follow_to_end, wait_for_end, wait_for_stop

JOB = "job-1"
NONCE = "0" * 32
FOLDER = side_folder(NONCE)


def details(status: str, message: str = "") -> JobDetails:
    return JobDetails(status, "node", {"synapse_nonce": NONCE}, message, None)


class FakeDashboard:
    """A dashboard that answers what a test says, and is away for a number of requests.

    Args:
        statuses: Of the job, one for each time it is asked for; the last one stays.
        outage: How many requests get no answer.
        error: What they get instead.
        files: Of the job's node.
        message: What the cluster says about the job.
    """

    url = address = "http://fake"

    def __init__(
        self,
        *statuses: str,
        outage: float = 0,
        error: Callable[[], BackendError] = lambda: LostAnswerError("cut"),
        files: dict[str, bytes] | None = None,
        message: str = "",
    ) -> None:
        self.statuses = list(statuses)
        self.outage = outage
        self.requests: list[Request] = []
        self.asked = 0
        self._error = error
        self._files = files or {}
        self._message = message

    def job(self, job_id: str, *, repeat: bool | None = None) -> JobDetails | None:
        self.break_perhaps()
        self.asked += 1
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return details(status, self._message)

    def nodes(self, *, repeat: bool | None = None) -> list[Node]:
        self.break_perhaps()
        return [Node("node", True, True)]

    def ask(self, request: Request, *, repeat: bool | None = None) -> Answer:
        self.requests.append(request)
        return Answer(200, json.dumps({"deleted": True}), self.url)

    @contextlib.contextmanager
    def open(self, request: Request) -> Iterator[Iterator[bytes] | None]:
        self.break_perhaps()
        assert request.params is not None
        content = self._files.get(request.params["filename"])
        yield None if content is None else iter([content])

    def read_file(self, node_id: str, name: str) -> bytes | None:
        return self._files.get(name)

    def close(self) -> None:
        pass

    def break_perhaps(self) -> None:
        if self.outage > 0:
            self.outage -= 1
            raise self._error()


def dashboard_as(fake: FakeDashboard) -> Any:
    return fake


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """No time passes; this is what would have been waited."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


@pytest.fixture
def executor_on(monkeypatch: pytest.MonkeyPatch) -> Callable[..., RayJobsApiExecutor]:
    """A function that makes an executor of a fake dashboard, whose submissions all become `JOB`."""

    def make(fake: FakeDashboard, **options: Any) -> RayJobsApiExecutor:
        monkeypatch.setattr(executor_module, "connect", lambda *args, **more: fake)
        executor = RayJobsApiExecutor(**options)
        monkeypatch.setattr(executor, "submit", lambda *args, **more: JOB)
        return executor

    return make


# -- outages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [LostAnswerError, BackendUnreachableError])
def test_an_outage_of_some_seconds_costs_nothing_but_these(error: type[BackendError], slept: list[float]) -> None:
    for wait in (
        lambda fake: wait_for_end(fake, JOB, None, 1.0),
        lambda fake: follow_to_end(fake, JOB, RecordingSink(), None),
    ):
        fake = FakeDashboard("SUCCEEDED", outage=20, error=lambda: error("away"))
        slept.clear()
        assert wait(dashboard_as(fake)).status == "SUCCEEDED"
        assert 10 < sum(slept) < 30


def test_a_dashboard_that_stays_away_is_an_error(slept: list[float]) -> None:
    with pytest.raises(BackendUnreachableError):
        wait_for_end(dashboard_as(FakeDashboard("RUNNING", outage=float("inf"))), JOB, None, 1.0)
    assert 25 < sum(slept) < 60
    slept.clear()
    wrong = FakeDashboard("RUNNING", outage=1, error=lambda: AuthenticationError("no token"))
    with pytest.raises(AuthenticationError):
        wait_for_end(dashboard_as(wrong), JOB, None, 1.0)
    assert slept == []


@pytest.mark.parametrize("error", [LostAnswerError, BackendUnreachableError])
def test_an_outage_while_the_result_is_fetched_loses_no_result(error: type[BackendError], slept: list[float]) -> None:
    fake = FakeDashboard(
        "SUCCEEDED",
        outage=20,
        error=lambda: error("away"),
        files={f"{FOLDER}/result": b"".join(outcome_file(None, 42))},
    )
    assert read_result(dashboard_as(fake), JOB, details("SUCCEEDED"), None) == 42


# -- how often it is asked ----------------------------------------------------------------------


def test_a_pace_is_fast_after_news_and_slow_after_some_time() -> None:
    pace = Pace()
    fast = [pace.pause(0.06, 0.25) for _ in range(50)]
    assert set(fast) == {0.06}
    for _ in range(200):
        slowest = pace.pause(0.06, 0.25)
    assert slowest == 0.25
    pace.news()
    assert pace.pause(0.06, 0.25) == 0.06


def test_a_job_that_waits_for_minutes_is_asked_for_once_a_second(
    monkeypatch: pytest.MonkeyPatch, slept: list[float]
) -> None:
    fake = FakeDashboard("PENDING")

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if sum(slept) > 300:
            fake.statuses = ["SUCCEEDED"]

    monkeypatch.setattr(time, "sleep", sleep)
    follow_to_end(dashboard_as(fake), JOB, RecordingSink(), None)
    assert slept[0] < 0.05
    assert slept[-1] == 1.0
    assert fake.asked < 600


def pauses_of(status: str, seconds: float, *, lines_at: float = -1.0) -> list[float]:
    """Return how long the follower of a log pauses while nothing is new, but for a line some time after its begin."""
    info = JobDetails(status, "head" if status == "RUNNING" else None, {"synapse_nonce": NONCE}, "", None)
    steps = follow_log(JOB, info)
    pauses: list[float] = []
    content = b""
    step = next(steps)
    while sum(pauses) < seconds:
        answer: Any = None
        if isinstance(step, Pause):
            pauses.append(step.seconds)
        elif type(step).__name__ == "AskHead":
            answer = "head"
        elif type(step).__name__ == "AskJob":
            answer = info
        elif isinstance(step, ReadFile):
            if 0 <= lines_at < sum(pauses):
                content = b"00000002\nx\n"
            answer = content
        elif type(step).__name__ == "OpenFile":
            answer = False
        step = steps.send(answer)
    steps.close()
    return pauses


def test_a_quiet_log_is_looked_at_four_times_a_second_and_one_that_has_not_begun_once() -> None:
    assert pauses_of("RUNNING", 60)[0] < 0.1
    assert pauses_of("RUNNING", 60)[-1] == 0.25
    assert pauses_of("PENDING", 60)[-1] == 1.0
    after = pauses_of("RUNNING", 60, lines_at=57)
    assert max(after) == 0.25
    assert after[-1] < 0.1


# -- stopping -----------------------------------------------------------------------------------


def test_a_job_that_does_not_stop_is_an_error_that_says_its_status(
    monkeypatch: pytest.MonkeyPatch, slept: list[float]
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: sum(slept))
    with pytest.raises(BackendError, match=r"job 'job-1' .*still RUNNING .*http://fake.*synapse job status job-1"):
        wait_for_stop(dashboard_as(FakeDashboard("RUNNING")), JOB)
    assert wait_for_stop(dashboard_as(FakeDashboard("RUNNING", "STOPPED")), JOB) is True
    assert wait_for_stop(dashboard_as(FakeDashboard("RUNNING", "SUCCEEDED")), JOB) is False


def test_an_error_of_stopping_does_not_take_the_place_of_ctrl_c(
    executor_on: Callable[..., RayJobsApiExecutor], monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = executor_on(FakeDashboard("RUNNING"))

    def interrupted(*args: Any) -> Any:
        raise KeyboardInterrupt

    def fails(job_id: str) -> bool:
        raise BackendError("cannot be stopped")

    monkeypatch.setattr(executor, "_follow", interrupted)
    monkeypatch.setattr(executor, "stop", fails)
    with pytest.raises(KeyboardInterrupt):
        executor.execute(print)


def test_a_job_whose_caller_lost_contact_is_named(
    executor_on: Callable[..., RayJobsApiExecutor], slept: list[float]
) -> None:
    executor = executor_on(FakeDashboard("RUNNING", outage=float("inf")))
    with pytest.raises(LostAnswerError, match=r"job 'job-1' may be at work \(`synapse job status job-1`"):
        executor.execute(print)


def test_only_a_job_that_has_ended_is_deleted(executor_on: Callable[..., RayJobsApiExecutor]) -> None:
    with pytest.raises(ExecutionError, match=r"job 'job-1' is RUNNING; only .*`synapse job cancel job-1`"):
        executor_on(FakeDashboard("RUNNING")).delete(JOB)


@pytest.mark.parametrize(("lives", "error"), [(True, BackendError), (False, WorkerLostError)])
def test_a_result_is_lost_only_with_its_node(lives: bool, error: type[Exception], slept: list[float]) -> None:
    class Unreadable(FakeDashboard):
        looks = 0

        def nodes(self, *, repeat: bool | None = None) -> list[Node]:
            self.looks += 1
            return [Node("node", is_head=True, is_alive=lives or self.looks == 1)]

        @contextlib.contextmanager
        def open(self, request: Request) -> Iterator[Iterator[bytes] | None]:
            raise BackendError("the agent of the node does not answer")
            yield None

    with pytest.raises(error) as caught:
        read_result(dashboard_as(Unreadable("SUCCEEDED")), JOB, details("SUCCEEDED"), None)
    assert ("does not answer" in str(caught.value)) is lives


def test_a_job_whose_process_left_before_it_had_answered_says_so() -> None:
    with pytest.raises(WorkerLostError, match=r"ended with status 0 before .* `synapse job logs job-1`"):
        read_result(dashboard_as(FakeDashboard("SUCCEEDED")), JOB, details("SUCCEEDED"), None)


def test_outages_that_take_long_each_are_given_up_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 1000, 20))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(now)))
    failures = Failures()
    failures.pause(LostAnswerError("cut"))
    failures.pause(LostAnswerError("cut"))
    with pytest.raises(LostAnswerError):
        failures.pause(LostAnswerError("cut"))


def test_a_lost_result_has_no_durability(executor_on: Callable[..., RayJobsApiExecutor]) -> None:
    with pytest.raises(ExecutionError, match=r"'job-1' is SUCCEEDED .*http://fake.*not on any living node.*job result"):
        executor_on(FakeDashboard("SUCCEEDED")).durability(JOB)
    with pytest.raises(ExecutionError, match=r"'job-1' is FAILED .*http://fake.*ended without one"):
        executor_on(FakeDashboard("FAILED")).durability(JOB)
    with pytest.raises(ExecutionError, match=r"'job-1' is RUNNING, and has no result yet.*synapse job result job-1"):
        executor_on(FakeDashboard("RUNNING")).durability(JOB)
    about = {f"{FOLDER}/about": b'{"durability": "cluster"}'}
    assert executor_on(FakeDashboard("SUCCEEDED", files=about)).durability(JOB) == "cluster"


def test_a_damaged_result_says_where_it_is(executor_on: Callable[..., RayJobsApiExecutor], slept: list[float]) -> None:
    fake = FakeDashboard("SUCCEEDED", files={f"{FOLDER}/result": b"SYNAPSE"})
    with pytest.raises(
        BackendError, match=r"job 'job-1' at node node of .*http://fake cannot be read.*submit it again"
    ):
        executor_on(fake).get_result(JOB)


# -- secrets ------------------------------------------------------------------------------------


def discarded(fake: FakeDashboard) -> bool:
    return any(
        request.method == "PUT" and secret_name(NONCE) in request.path and request.content == b""
        for request in fake.requests
    )


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        ("FAILED", "runtime_env setup failed: no such package", BackendError),
        ("FAILED", "it died", WorkerLostError),
        ("STOPPED", "", ExecutionCancelledError),
    ],
)
def test_the_secrets_of_a_job_that_never_began_are_discarded(
    status: str, message: str, expected: type[Exception], executor_on: Callable[..., RayJobsApiExecutor]
) -> None:
    for ask in (RayJobsApiExecutor.get_result, RayJobsApiExecutor.wait):
        fake = FakeDashboard(status, message=message)
        with pytest.raises(expected):
            ask(executor_on(fake), JOB)
        assert discarded(fake)
    fake = FakeDashboard(status, message=message)
    assert executor_on(fake).delete(JOB) is True
    assert discarded(fake)


def test_a_job_that_is_stopped_before_its_driver_has_its_secrets_leaves_none(
    executor_on: Callable[..., RayJobsApiExecutor],
) -> None:
    fake = FakeDashboard("RUNNING", "STOPPED")
    assert executor_on(fake).stop(JOB) is True
    assert discarded(fake)


# -- the event loop -----------------------------------------------------------------------------


def test_following_on_a_loop_does_not_hold_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    beats = 0
    enough = threading.Event()
    on_loop: list[bool] = []

    def waits(what: Any) -> Any:
        """Return `what` when the loop has gone on meanwhile."""
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop()
            on_loop.append(True)
        seen = beats
        while beats < seen + 5 and not enough.wait(0.01):
            pass
        return what

    class Slow(FakeDashboard):
        def job(self, job_id: str, *, repeat: bool | None = None) -> JobDetails | None:
            return waits(super().job(job_id))  # type: ignore[no-any-return]

    class Loop:
        url = "http://fake"

        def __init__(self, url: str) -> None:
            pass

        async def ask(self, request: Request) -> Answer:
            raise AuthenticationError("far enough")

        async def close(self) -> None:
            pass

    monkeypatch.setattr(executor_module, "connect", lambda *args, **more: waits(Slow("RUNNING")))
    monkeypatch.setattr("synapse_ray.jobs_api.questions.AsyncDashboard", Loop)

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0.001)

    async def follow() -> None:
        heart = asyncio.create_task(beat())
        with pytest.raises(AuthenticationError, match="far enough"):
            async for _ in RayJobsApiExecutor().stream_logs_async(JOB):
                pass
        heart.cancel()

    timer = threading.Timer(10, enough.set)
    timer.start()
    asyncio.run(follow())
    timer.cancel()
    assert on_loop == []
    assert beats >= 10


# -- what is shown and kept ---------------------------------------------------------------------


def test_a_sink_that_fails_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(RecordingSink):
        def emit(self, event: Any) -> None:
            raise RuntimeError("full")

    report = {"kind": "message", "job_id": JOB, "time": 0.0, "message": "hello", "level": "info"}
    line = json.dumps(report).encode() + b"\n"
    fake = FakeDashboard(
        "RUNNING", files={f"{FOLDER}/events.0": b"".join(b"%08x\n%b" % (len(line), line) for _ in "ab")}
    )
    with caplog.at_level(logging.WARNING, "synapse"):
        assert EventFollower(dashboard_as(fake), Broken()).look(details("RUNNING")) is True
    assert [record.message for record in caplog.records] == ["reports are lost: the event sink fails"]


def test_a_damaged_report_costs_no_other() -> None:
    report = {"kind": "message", "job_id": JOB, "time": 0.0, "message": "hello", "level": "info"}
    lines = b'{"kind": "mess\n' + json.dumps(report).encode() + b"\n"
    fake = FakeDashboard("RUNNING", files={f"{FOLDER}/events.0": b"%08x\n%b" % (len(lines), lines)})
    sink = RecordingSink()
    assert EventFollower(dashboard_as(fake), sink).look(details("RUNNING")) is True
    assert [event.kind for event in sink.events] == ["message"]


def test_a_node_that_is_not_known_is_not_the_head(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(node_files, "_file_of_output", lambda: tmp_path / "job.log")
    for options, is_head in (({}, False), ({"log_dir": "/x"}, False), ({"head": "", "log_dir": "/x"}, True)):
        monkeypatch.setattr(node_files, "_raylet_options", lambda options=options: options)
        assert node_files.find_place().is_head is is_head


def test_a_cluster_without_a_head_is_named() -> None:
    with pytest.raises(BackendError, match=r"http://fake has no living head node.*2 nodes, 1 of them alive.*ray start"):
        head_of([Node("a", False, True), Node("b", True, False)], "http://fake")
