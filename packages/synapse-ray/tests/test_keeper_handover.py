"""What passes between who submits, the keeper and a worker, where one of them fails; without a cluster."""

import pickle
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import exceptions as ray_errors

from synapse_core.errors import (
    BackendError,
    BackendUnreachableError,
    ExecutionTimeoutError,
    JobExistsError,
    JobNotFoundError,
    WorkerLostError,
)
from synapse_ray import RayJobExecutor, ending, job_executor, job_launch, starting
from synapse_ray.action_spec import ActionSpec
from synapse_ray.connection import Connection
from synapse_ray.job_questions import JobQuestions
from synapse_ray.keeper import client, making
from synapse_ray.keeper.client import KeeperClient
from synapse_ray.keeper.delivery import hand_over
from synapse_ray.keeper.records import JobState
from synapse_ray.keeper.watch import failure
from synapse_ray.shipping import Shipped
from synapse_ray.worker import WorkerSettings, open_reply
from synapse_testing.waiting import until

CONNECTION = Connection("c1", "127.0.0.1:6379", is_ours=True, is_client=False)


class Launching:
    """A keeper and a cluster that write down what they are asked, and fail where they are told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **answers: Any) -> None:
        self.asked: list[str] = []
        self._answers = {"expect": True, "take": True, "make": "worker", "is_wanted": True, **answers}
        for name, step in (
            ("put_parcel", "put"), ("drop_parcel", "drop"), ("_make_worker", "make"), ("_await_acceptance", "accept"),
        ):  # fmt: skip
            monkeypatch.setattr(job_launch, name, self._step(step))
        monkeypatch.setattr(ending.ray, "is_initialized", lambda: True)
        monkeypatch.setattr(ending.ray, "kill", self._step("kill"))

    def __getattr__(self, name: str) -> Any:
        return self._step(name)

    def _step(self, name: str) -> Any:
        def step(*args: Any, **options: Any) -> Any:
            self.asked.append(name)
            answer = self._answers.get(name)
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return step

    def launch(self, size: int = 100_000) -> None:
        work = SimpleNamespace(spec=ActionSpec("train"), params=("pickle", b"x" * size))
        job_launch.launch(self, work, Shipped("v", {}, WorkerSettings(), ()), "a", {}, 60.0)  # type: ignore[arg-type]


class TestLaunching:
    def test_the_work_is_there_before_the_keeper_begins_to_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cluster = Launching(monkeypatch)
        cluster.launch()
        assert cluster.asked == ["expect", "put", "take", "make", "watch", "accept", "is_wanted"]

    def test_small_work_travels_with_its_worker(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cluster = Launching(monkeypatch)
        cluster.launch(10)
        assert cluster.asked == ["take", "make", "watch", "accept", "is_wanted"]

    @pytest.mark.parametrize("taken", ["expect", "take"])
    def test_nothing_is_left_of_work_whose_id_is_taken(self, monkeypatch: pytest.MonkeyPatch, taken: str) -> None:
        cluster = Launching(monkeypatch, **{taken: False})
        with pytest.raises(JobExistsError):
            cluster.launch()
        assert cluster.asked[-1] == "drop"
        assert ("put" in cluster.asked) == (taken == "take")

    def test_a_job_that_was_given_up_meanwhile_is_no_success(self, monkeypatch: pytest.MonkeyPatch) -> None:
        given_up = JobState("FAILED", failure(WorkerLostError("job 'a' has no worker")))
        cluster = Launching(monkeypatch, is_wanted=False, wait=given_up)
        with pytest.raises(WorkerLostError, match="no worker"):
            cluster.launch()
        assert cluster.asked[-3:] == ["withdraw", "kill", "drop"]

    @pytest.mark.parametrize("broken", ["withdraw", "kill", "drop"])
    def test_every_step_back_is_taken_though_another_fails(self, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
        cluster = Launching(monkeypatch, accept=RuntimeError("lost"), **{broken: RuntimeError("lost too")})
        with pytest.raises(BackendError, match="submitting job 'a'"):
            cluster.launch()
        assert cluster.asked[-3:] == ["withdraw", "kill", "drop"]


class TestDelivering:
    FULL = OSError(28, "No space left on device")

    def hand_over(self, broken: dict[str, int], size: int) -> list[tuple[Any, ...]]:
        """Deliver a result to a keeper whose methods fail a number of times; return the calls that succeeded."""
        done: list[tuple[Any, ...]] = []

        def call(method: str, *args: Any) -> bool:
            if broken.get(method, 0):
                broken[method] -= 1
                raise ray_errors.RayTaskError(method, "a traceback", self.FULL)
            done.append((method, *args))
            return True

        hand_over(call, "a", (("plain", "x" * size), None), (7, b"last\n"), pause=lambda seconds: None)
        return done

    def test_a_result_goes_with_the_end_of_the_log(self) -> None:
        ((method, succeeded, reply, size, *rest),) = self.hand_over({}, 10)
        assert (method, succeeded, size, rest) == ("finish", True, 0, [7, b"last\n"])
        assert open_reply(pickle.loads(reply)) == "x" * 10

    @pytest.mark.parametrize(("broken", "size"), [("put_result", 10**6), ("finish", 10)])
    def test_one_that_cannot_be_written_is_a_failure_that_says_why(self, broken: str, size: int) -> None:
        done = self.hand_over({broken: 3 if broken == "finish" else 1}, size)
        method, succeeded, reply, size, *rest = done[-1]
        assert (method, succeeded, size, rest) == ("finish", False, 0, [7, b"last\n"])
        with pytest.raises(BackendError, match=r"job 'a' has succeeded, and .* No space left on device"):
            open_reply(pickle.loads(reply))


class TestAsking:
    @pytest.fixture
    def questions(self, monkeypatch: pytest.MonkeyPatch) -> JobQuestions:
        def make(*args: Any, **options: Any) -> Any:
            raise AssertionError("a keeper was made just to be asked")

        monkeypatch.setattr(client, "find_keeper", lambda: None)
        monkeypatch.setattr(client, "_make", make)

        class Questions(JobQuestions):
            def _keeper(self) -> KeeperClient:
                return KeeperClient(CONNECTION)

        return Questions()

    def test_a_cluster_without_a_keeper_has_no_jobs(self, questions: JobQuestions) -> None:
        assert questions.jobs() == []
        assert questions.get_status("a") == "UNKNOWN"

    @pytest.mark.parametrize("ask", ["get_logs", "stream_logs", "cancel", "delete", "get_result", "wait"])
    def test_nor_any_of_that_id(self, questions: JobQuestions, ask: str) -> None:
        with pytest.raises(JobNotFoundError):
            getattr(questions, ask)("a")

    def test_another_version_on_the_other_side_is_refused_with_both_named(self) -> None:
        from importlib.metadata import version

        client._refuse_skew({"synapse-ray": version("synapse-ray")})
        client._refuse_skew({})  # shipped, and so of no version
        with pytest.raises(BackendError, match=r"synapse-ray .* here and 99\.1\.0 there"):
            client._refuse_skew({"synapse-ray": "99.1.0"})

    def test_a_keeper_that_does_not_start_says_where_to_look(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def run(command: list[str], **options: Any) -> Any:
            raise subprocess.TimeoutExpired(command, 180)

        monkeypatch.setattr(making.subprocess, "run", run)
        with pytest.raises(BackendUnreachableError, match="ray list actors"):
            making._make_elsewhere("127.0.0.1:6379", None)


class TestPrivateClusters:
    def test_a_cluster_inside_this_process_is_refused_by_its_address(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(job_executor, "open_connection", lambda address: pytest.fail("it was started"))
        with pytest.raises(BackendError, match=r"ray_address='local'.*ray start --head"):
            RayJobExecutor(ray_address="local").jobs()

    def test_and_where_it_was_started_for_something_else(self, monkeypatch: pytest.MonkeyPatch) -> None:
        private = Connection("c1", "127.0.0.1:6379", is_ours=True, is_client=False, is_private=True)
        closed: list[Connection] = []
        monkeypatch.setattr(job_executor, "open_connection", lambda address: private)
        monkeypatch.setattr(job_executor, "close_connection", closed.append)
        with pytest.raises(BackendError, match="ends with it"):
            RayJobExecutor().jobs()
        assert closed == [private]


class TestExecuting:
    @pytest.mark.parametrize("kind", [BackendUnreachableError, ExecutionTimeoutError, OSError])
    def test_who_loses_sight_of_a_job_is_told_its_id(
        self, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
    ) -> None:
        def follow(*args: Any, **options: Any) -> None:
            raise kind("the head is lost")

        monkeypatch.setattr(RayJobExecutor, "submit", lambda *args, **options: "job-1")
        monkeypatch.setattr(RayJobExecutor, "_follow", follow)
        monkeypatch.setattr(RayJobExecutor, "_keeper", lambda self: SimpleNamespace())
        with pytest.raises(Exception, match="the head is lost") as caught:
            RayJobExecutor().execute("m:f", {})
        assert "job-1" in str(caught.value) + str(getattr(caught.value, "details", ""))

    def test_the_error_of_an_action_stays_as_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        failed = JobState("FAILED", failure(WorkerLostError("it died", details={"action": "f"})))
        keeper = SimpleNamespace(wait=lambda job_id, deadline: failed)
        monkeypatch.setattr(RayJobExecutor, "submit", lambda *args, **options: "job-1")
        monkeypatch.setattr(RayJobExecutor, "_follow", lambda *args, **options: None)
        monkeypatch.setattr(RayJobExecutor, "_keeper", lambda self: keeper)
        with pytest.raises(WorkerLostError, match=r"^it died$"):
            RayJobExecutor().execute("m:f", {})


def test_a_cluster_that_is_started_gets_no_secrets_of_this_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, str] = {}

    def start(command: list[str], *, env: dict[str, str], stdout: Any, **options: Any) -> Any:
        seen.update(env)
        stdout.write(b"ray start --address='10.0.0.1:6379'")
        return SimpleNamespace(wait=lambda seconds: 0)

    hidden = {"SYNAPSE_ACCESS_TOKEN": "t", "SYNAPSE_HOST": "h", "SYNAPSE_TENANT": "x", "WANDB_API_KEY": "k",
              "BROKER": "amqp://u:pw@host/"}  # fmt: skip
    kept = {"RAY_AUTH_TOKEN": "needed", "RAY_TMPDIR": "/x", "PATH": "/bin", "HOME": "/root", "SYNAPSE_DEBUG": "1"}
    for name, value in (hidden | kept).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(starting.subprocess, "Popen", start)
    assert starting.start_head() == "10.0.0.1:6379"
    assert {name: seen[name] for name in kept} == kept
    assert not set(hidden) & set(seen)


def test_nothing_is_left_of_a_cluster_that_does_not_start_in_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(starting, "_PATIENCE_SECONDS", 1.0)
    fake = tmp_path / "python"  # starts a daemon, as `ray start` does, and hangs
    fake.write_text(f"#!/bin/sh\nsleep 1000 &\necho $! > {tmp_path}/daemon\necho it hangs\nwait\n")
    fake.chmod(0o755)
    monkeypatch.setattr(starting.sys, "executable", str(fake))
    with pytest.raises(BackendError, match=r"(?s)could not be started.*it hangs"):
        starting.start_head()
    daemon = int((tmp_path / "daemon").read_text())
    until(lambda: not is_alive(daemon), "its daemon to end", 10)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
