"""Detached jobs on a real cluster: what any process that knows the id can ask for, and what is refused."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from synapse_core.errors import (
    BackendError,
    ExecutionCancelledError,
    ExecutionError,
    ExecutionTimeoutError,
    JobExistsError,
    JobNotFoundError,
    ValidationError,
    WorkerLostError,
)
from synapse_core.model.status import JobStatus
from synapse_core.ports.events import RecordingSink
from synapse_ray import RayJobExecutor, pending_notice
from synapse_ray.ray_internals import drop_parcel
from synapse_testing import actions
from synapse_testing.ray_cluster import RayCluster
from synapse_testing.waiting import until

pytestmark = [pytest.mark.ray, pytest.mark.slow]

PATIENCE = 90.0
RunScript = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def executor(connected_ray: ModuleType) -> Iterator[RayJobExecutor]:
    executor = RayJobExecutor(sink=RecordingSink(), num_cpus=0.1)
    yield executor
    executor.shutdown()


def waiting_params(folder: Path) -> dict[str, Any]:
    return {"started": str(folder / "started"), "release": str(folder / "release"), "answer": 42, "patience": PATIENCE}


def parcels(job_id: str) -> list[bytes]:
    """Return the keys of the large work of a job."""
    from ray.experimental.internal_kv import _internal_kv_list

    found: list[bytes] = _internal_kv_list(f"parcel/{job_id}".encode(), namespace=b"synapse")
    return found


class TestFromAnotherProcess:
    @pytest.mark.parametrize("moment", ["right after submitting", "in the middle"])
    def test_a_job_survives_the_kill_of_who_submitted_it(
        self, executor: RayJobExecutor, run_script: RunScript, unused_job_id: str, tmp_path: Path, moment: str
    ) -> None:
        done = run_script(
            """
            import json, os, signal, sys, time
            from pathlib import Path
            from synapse_ray import RayJobExecutor
            params = json.loads(sys.argv[2])
            executor = RayJobExecutor(num_cpus=0.1)
            executor.submit("synapse_testing.actions:waits_for_file", params, job_id=sys.argv[1])
            while sys.argv[3] == "in the middle" and not Path(params["started"]).exists():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
            """,
            unused_job_id, json.dumps(waiting_params(tmp_path)), moment,
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert executor.get_status(unused_job_id) in (JobStatus.PENDING, JobStatus.RUNNING)
        until((tmp_path / "started").exists, "the action to begin")
        assert executor.get_status(unused_job_id) == JobStatus.RUNNING
        (tmp_path / "release").touch()
        assert executor.get_result(unused_job_id, PATIENCE) == 42
        assert executor.get_logs(unused_job_id) == ""

    def test_one_of_two_who_want_the_same_id_at_the_same_instant_gets_it(
        self, executor: RayJobExecutor, ray_cluster: RayCluster, unused_job_id: str, tmp_path: Path
    ) -> None:
        code = f"""
import os, sys, time
from pathlib import Path
from synapse_core.errors import JobExistsError
from synapse_ray import RayJobExecutor
executor = RayJobExecutor(num_cpus=0.1)
executor._keeper().require()
Path(sys.argv[1], f"ready-{{os.getpid()}}").touch()
while not Path(sys.argv[1], "go").exists():
    pass
try:
    executor.submit("synapse_testing.actions:adds", {{"left": int(sys.argv[2])}}, job_id={unused_job_id!r})
    print("won")
except JobExistsError:
    print("lost")
"""
        environment = {**os.environ, **ray_cluster.environment}
        both = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(tmp_path), str(left)],
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
            )
            for left in (10, 20)
        ]
        until(lambda: len(list(tmp_path.glob("ready-*"))) == 2, "both to be ready")
        (tmp_path / "go").touch()
        said = [process.communicate(timeout=PATIENCE)[0].strip() for process in both]
        assert sorted(said) == ["lost", "won"]
        assert executor.get_result(unused_job_id, PATIENCE) == (11 if said[0] == "won" else 21)

    def test_who_dies_between_taking_an_id_and_making_its_worker_leaves_a_job_that_says_so(
        self, executor: RayJobExecutor, run_script: RunScript, unused_job_id: str
    ) -> None:
        executor.execute(actions.adds, {"left": 1})  # with which the cluster has a keeper
        done = run_script(
            """
            import os, sys, ray
            ray.init(namespace="synapse", log_to_driver=False)
            keeper = ray.get_actor("keeper-v1", namespace="synapse")
            assert ray.get(keeper.take.remote(sys.argv[1], "0123456789", ("train", 60.0, "", "")))
            os._exit(7)
            """,
            unused_job_id,
        )
        assert done.returncode == 7, done.stderr
        assert executor.get_status(unused_job_id) == JobStatus.PENDING
        with pytest.raises(WorkerLostError, match=r"no worker: whoever submitted it .* ended before"):
            executor.wait(unused_job_id, PATIENCE)
        assert executor.delete(unused_job_id)

    def test_who_dies_during_an_upload_leaves_no_id_and_a_parcel_that_is_known(
        self, executor: RayJobExecutor, run_script: RunScript, unused_job_id: str, ray_cluster: RayCluster
    ) -> None:
        done = run_script(
            """
            import os, sys
            from synapse_ray import RayJobExecutor, job_launch
            put = job_launch.put_parcel
            def dies(name, content):
                put(name, content)
                os._exit(7)
            job_launch.put_parcel = dies
            RayJobExecutor().submit("synapse_testing.actions:adds", {"left": 1, "data": b"x" * 10**6}, job_id=sys.argv[1])
            """,
            unused_job_id,
        )
        assert done.returncode == 7, done.stderr
        assert executor.get_status(unused_job_id) == JobStatus.UNKNOWN
        with sqlite3.connect(ray_cluster.session_dir / "synapse-keeper" / "jobs.sqlite") as store:
            ((name,),) = store.execute("SELECT name FROM parcel WHERE job_id = ?", (unused_job_id,))
        assert parcels(name)
        drop_parcel(name)

    @pytest.mark.campaign  # takes a minute
    def test_a_client_connection_does_all_of_it(
        self, executor: RayJobExecutor, ray_cluster: RayCluster, run_script: RunScript, unused_job_id: str
    ) -> None:
        done = run_script(
            """
            import os, signal, sys
            from synapse_ray import RayJobExecutor
            executor = RayJobExecutor(ray_address=sys.argv[2], num_cpus=0.1)
            assert executor.execute("synapse_testing.actions:adds", {"left": 1}) == 2
            large = executor.submit(lambda params, ctx: params["data"][::-1], {"data": b"ab" * 10**6})
            assert executor.get_result(large, 90) == b"ba" * 10**6
            executor.submit("synapse_testing.actions:prints", {"text": "from a client"}, job_id=sys.argv[1])
            os.kill(os.getpid(), signal.SIGKILL)
            """,
            unused_job_id, ray_cluster.client_address, timeout=PATIENCE * 2,
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert executor.get_result(unused_job_id, PATIENCE) == "done"
        assert executor.get_logs(unused_job_id).count("from a client\n") == 2


class TestStartingACluster:
    def test_a_head_is_started_where_none_runs_and_that_was_asked_for(
        self, executor: RayJobExecutor, ray_cluster: RayCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from synapse_core.errors import BackendUnreachableError
        from synapse_ray import job_executor, starting

        asked: list[str] = []
        opened = job_executor.open_connection

        def open_connection(address: str) -> Any:
            asked.append(address)
            if address == "auto":
                none = ConnectionError("Could not find any running Ray instance.")  # as Ray says it
                raise BackendUnreachableError("no Ray cluster is running here") from none
            return opened(address)

        monkeypatch.delenv("RAY_ADDRESS")
        monkeypatch.setattr(job_executor, "open_connection", open_connection)
        monkeypatch.setattr(starting, "start_head", lambda: ray_cluster.address)
        assert RayJobExecutor(start_ray=True).get_status("nobody") == "UNKNOWN"
        assert asked == ["auto", ray_cluster.address]
        with pytest.raises(BackendUnreachableError):
            RayJobExecutor().get_status("nobody")

    def test_why_it_could_not_be_started_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from synapse_ray.starting import start_head

        monkeypatch.setattr(sys, "executable", "/bin/false")
        with pytest.raises(BackendError, match="could not be started"):
            start_head()


class TestStatus:
    def test_a_job_that_waits_for_resources_is_pending(
        self,
        executor: RayJobExecutor,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        first = RayJobExecutor(num_cpus=8)
        blocking = first.submit(actions.waits_for_file, waiting_params(tmp_path))
        until((tmp_path / "started").exists, "the first to begin")
        waiting = first.submit(actions.adds, {"left": 1})
        assert first.get_status(waiting) == "PENDING"
        with pytest.raises(ExecutionTimeoutError, match="it goes on"):
            first.wait(waiting, 0.2)
        monkeypatch.setattr(pending_notice, "PATIENCE_SECONDS", 0.2)
        with pytest.raises(ExecutionTimeoutError):
            first.follow(waiting, 3)
        assert f"still waiting: job {waiting!r} has not started" in capsys.readouterr().err
        (tmp_path / "release").touch()
        assert first.get_result(waiting, PATIENCE) == 2
        assert first.get_result(blocking, PATIENCE) == 42

    def test_jobs_are_listed_the_latest_first(self, executor: RayJobExecutor) -> None:
        first, second = (executor.submit(actions.adds, {"left": 1}) for _ in range(2))
        for job_id in (first, second):
            executor.wait(job_id, PATIENCE)
        newest, older = executor.jobs(2)
        assert (newest.job_id, older.job_id) == (second, first)
        assert (newest.status, newest.action, newest.mode) == ("SUCCEEDED", "adds", "ray-job")
        assert newest.started_at is not None
        assert newest.ended_at is not None
        assert newest.started_at < newest.ended_at

    def test_a_request_that_no_node_can_satisfy_is_named_before_submission(self, connected_ray: ModuleType) -> None:
        executor = RayJobExecutor(num_cpus=1000)
        with pytest.raises(BackendError, match=r"1000 CPU.*8 CPU"):
            executor.submit(actions.adds, {"left": 1}, job_id="too-large")
        assert executor.get_status("too-large") == "UNKNOWN"

    @pytest.mark.parametrize("ask", ["get_logs", "stream_logs", "cancel", "stop", "delete", "get_result", "wait"])
    def test_an_unknown_id_is_named(self, executor: RayJobExecutor, ask: str) -> None:
        with pytest.raises(JobNotFoundError, match="no job 'nobody'"):
            getattr(executor, ask)("nobody")


class TestResults:
    @pytest.mark.parametrize("size", [0, 1024, 60 * 2**20])
    def test_a_result_of_any_size_comes_back_as_often_as_asked(self, executor: RayJobExecutor, size: int) -> None:
        job_id = executor.submit(lambda params, ctx: b"\x07" * params["size"], {"size": size})
        for _ in range(2):
            result = executor.get_result(job_id, PATIENCE)
            assert type(result) is bytes
            assert len(result) == size
            assert result == b"\x07" * size

    @pytest.mark.parametrize("size", [1024, 30 * 2**20])
    def test_params_of_any_size_arrive(self, executor: RayJobExecutor, size: int) -> None:
        assert executor.execute(lambda params, ctx: len(params["data"]), {"data": os.urandom(size)}) == size

    @pytest.mark.campaign  # takes a minute
    @pytest.mark.parametrize("end", ["finished", "cancelled", "deleted", "its environment failed"])
    def test_large_params_are_in_the_cluster_until_the_job_has_ended(
        self, executor: RayJobExecutor, unused_job_id: str, tmp_path: Path, end: str
    ) -> None:
        def waits(params: dict[str, Any], ctx: Any) -> None:
            while not Path(params["release"]).exists():
                time.sleep(0.01)

        params = {"release": str(tmp_path / "release"), "data": os.urandom(2**20)}
        if end == "its environment failed":
            executor = RayJobExecutor(runtime_env={"uv": [f"no-such-package-{unused_job_id}"]}, num_cpus=0.1)
        executor.submit(waits, params, job_id=unused_job_id)
        if end != "its environment failed":
            assert parcels(unused_job_id)
        (tmp_path / "release").touch() if end == "finished" else None
        if end in ("cancelled", "deleted"):
            assert executor.cancel(unused_job_id)
        if end == "deleted":
            assert executor.delete(unused_job_id)
        until(lambda: not parcels(unused_job_id), "the params to be let go")
        if end != "deleted":
            assert executor.get_status(unused_job_id) == ("SUCCEEDED" if end == "finished" else "FAILED")

    def test_params_that_do_not_fit_leave_no_job(self, executor: RayJobExecutor, unused_job_id: str) -> None:
        with pytest.raises(ValidationError):
            executor.submit(actions.adds, {"left": "many"}, job_id=unused_job_id)
        assert executor.get_status(unused_job_id) == "UNKNOWN"

    def test_ten_jobs_at_once_all_finish(self, executor: RayJobExecutor) -> None:
        job_ids: list[str] = []
        threads = [
            threading.Thread(target=lambda n=n: job_ids.append(executor.submit(actions.adds, {"left": n})))
            for n in range(10)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(executor.get_result(job_id, PATIENCE) for job_id in job_ids) == list(range(1, 11))

    def test_an_action_that_interrupts_itself_says_so(self, executor: RayJobExecutor) -> None:
        def interrupts(params: dict[str, Any], ctx: Any) -> None:
            raise KeyboardInterrupt

        with pytest.raises(ExecutionCancelledError, match="its action raised KeyboardInterrupt"):
            executor.get_result(executor.submit(interrupts), PATIENCE)

    def test_an_action_that_leaves_a_closed_stream_keeps_no_resources(
        self, executor: RayJobExecutor, connected_ray: ModuleType
    ) -> None:
        def leaves_it(params: dict[str, Any], ctx: Any) -> int:
            with open(os.devnull, "w") as sys.stdout:
                return os.getpid()

        pid = executor.get_result(executor.submit(leaves_it), PATIENCE)
        until(lambda: not Path(f"/proc/{pid}").exists(), "its process to end")

    def test_resources_are_free_again_and_no_actor_is_left(
        self, executor: RayJobExecutor, connected_ray: ModuleType
    ) -> None:
        before = connected_ray.available_resources().get("CPU", 0)
        large = RayJobExecutor(num_cpus=3, num_gpus=1)
        job_id = large.submit(actions.adds, {"left": 1})
        large.wait(job_id, PATIENCE)
        until(lambda: connected_ray.available_resources().get("CPU", 0) >= before, "the CPUs to be free")
        assert connected_ray.available_resources().get("GPU") == 2
        names = [found["name"] for found in connected_ray.util.list_named_actors(all_namespaces=True)]
        assert not [name for name in names if job_id in name]


class TestTheEndOfAWorker:
    @pytest.mark.parametrize("idempotent", [False, True])
    def test_what_an_action_leaves_to_the_end_of_the_process_is_done_once(
        self, connected_ray: ModuleType, tmp_path: Path, idempotent: bool
    ) -> None:
        from synapse_core.actions import BaseAction

        class Closes(BaseAction[dict[str, Any]]):
            def execute(self) -> int:
                import atexit

                folder = Path(self.params["folder"])
                (folder / f"ran-{os.getpid()}").touch()
                atexit.register((folder / f"closed-{os.getpid()}").touch)
                return os.getpid()

        Closes.idempotent = idempotent
        executor = RayJobExecutor(num_cpus=1)
        before = connected_ray.available_resources().get("CPU", 0)
        job_id = executor.submit(Closes, {"folder": str(tmp_path)})
        pid = executor.get_result(job_id, PATIENCE)
        until((tmp_path / f"closed-{pid}").exists, "the handler", 30.0)
        until(lambda: not Path(f"/proc/{pid}").exists(), "the process to end")
        until(lambda: connected_ray.available_resources().get("CPU", 0) >= before, "its CPU to be free")
        actors = connected_ray.util.list_named_actors(all_namespaces=True)
        assert not [found for found in actors if job_id in found["name"]]
        assert sorted(path.name for path in tmp_path.iterdir()) == [f"closed-{pid}", f"ran-{pid}"]
        assert {info.job_id: info.message for info in executor.jobs()}[job_id] == ""

    @pytest.mark.campaign  # takes a minute
    def test_a_thread_that_never_ends_holds_no_resources(self, connected_ray: ModuleType) -> None:
        def leaves_a_thread(params: dict[str, Any], ctx: Any) -> int:
            threading.Thread(target=time.sleep, args=(300,)).start()
            return os.getpid()

        executor = RayJobExecutor(num_cpus=1)
        before = connected_ray.available_resources().get("CPU", 0)
        pid = executor.execute(leaves_a_thread, {})
        until(lambda: connected_ray.available_resources().get("CPU", 0) >= before, "its CPU to be free")
        until(lambda: not Path(f"/proc/{pid}").exists(), "the process to end", 1.5 * PATIENCE)


class TestIds:
    def test_a_deleted_id_is_free(self, executor: RayJobExecutor, unused_job_id: str) -> None:
        for left in (1, 10):
            executor.submit(actions.adds, {"left": left}, job_id=unused_job_id)
            assert executor.get_result(unused_job_id, PATIENCE) == left + 1
            assert executor.delete(unused_job_id) is True
            assert executor.get_status(unused_job_id) == "UNKNOWN"

    def test_a_job_that_goes_on_is_not_deleted(self, executor: RayJobExecutor, tmp_path: Path) -> None:
        job_id = executor.submit(actions.waits_for_file, waiting_params(tmp_path))
        with pytest.raises(ExecutionError, match=r"only a job that has ended can be deleted.*cancel"):
            executor.delete(job_id)
        (tmp_path / "release").touch()
        assert executor.get_result(job_id, PATIENCE) == 42

    @pytest.mark.campaign
    def test_an_id_and_its_files_are_let_go_after_their_time(
        self, connected_ray: ModuleType, ray_cluster: RayCluster, unused_job_id: str, tmp_path: Path
    ) -> None:
        def prints_and_waits(params: dict[str, Any], ctx: Any) -> bytes:
            print("here")
            while not Path(params["release"]).exists():
                time.sleep(0.01)
            return b"x" * 10**6

        executor = RayJobExecutor(keep_for=0.5, num_cpus=0.1)
        executor.submit(prints_and_waits, {"release": str(tmp_path / "release")}, job_id=unused_job_id)
        until(lambda: executor.get_logs(unused_job_id), "its line")
        with sqlite3.connect(ray_cluster.session_dir / "synapse-keeper" / "jobs.sqlite") as store:
            ((nonce,),) = store.execute("SELECT nonce FROM job WHERE job_id = ?", (unused_job_id,))
        folder = ray_cluster.session_dir / "synapse-keeper" / "jobs" / nonce
        assert folder.is_dir()
        (tmp_path / "release").touch()
        until(lambda: executor.get_status(unused_job_id) == "UNKNOWN", "the job to be forgotten")
        until(lambda: not folder.exists(), "its folder to be removed")
        executor.submit(actions.adds, {"left": 1}, job_id=unused_job_id)
        assert executor.get_result(unused_job_id, PATIENCE) == 2

    @pytest.mark.parametrize("job_id", ["", "a b", "../x", "x" * 129])
    def test_an_id_that_cannot_be_one_is_refused(self, executor: RayJobExecutor, job_id: str) -> None:
        with pytest.raises(ValueError, match="job id"):
            executor.submit(actions.adds, {"left": 1}, job_id=job_id)

    def test_the_default_id_is_that_of_the_constructor(self, connected_ray: ModuleType, unused_job_id: str) -> None:
        executor = RayJobExecutor(job_id=unused_job_id, num_cpus=0.1)
        assert executor.submit(actions.adds, {"left": 1}) == unused_job_id
        with pytest.raises(JobExistsError, match="left alone"):
            executor.submit(actions.adds, {"left": 1})
        executor.wait(unused_job_id, PATIENCE)

    @pytest.mark.parametrize("keep_for", [-1, float("nan"), "a week", True])
    def test_a_time_that_is_none_is_refused(self, keep_for: Any) -> None:
        with pytest.raises(ValueError, match="keep_for"):
            RayJobExecutor(keep_for=keep_for)


class TestCancelling:
    def test_a_job_that_waits_is_cancelled_and_never_runs(self, connected_ray: ModuleType, tmp_path: Path) -> None:
        full = RayJobExecutor(num_cpus=8)
        blocking = full.submit(actions.waits_for_file, waiting_params(tmp_path))
        until((tmp_path / "started").exists, "the first to begin")
        waiting = full.submit(actions.marks, {"mark": str(tmp_path / "mark")})
        assert full.cancel(waiting) is True
        with pytest.raises(ExecutionCancelledError):
            full.get_result(waiting, PATIENCE)
        assert full.get_status(waiting) == "FAILED"
        (tmp_path / "release").touch()
        full.wait(blocking, PATIENCE)
        until(lambda: connected_ray.available_resources().get("CPU") == 8, "the CPUs to be free")
        assert not (tmp_path / "mark").exists()

    def test_a_running_job_is_ended_with_its_process(
        self, executor: RayJobExecutor, connected_ray: ModuleType, tmp_path: Path
    ) -> None:
        def says_its_pid(params: dict[str, Any], ctx: Any) -> None:
            (Path(params["folder"]) / "pid.part").write_text(str(os.getpid()))
            (Path(params["folder"]) / "pid.part").rename(Path(params["folder"]) / "pid")
            time.sleep(300)

        job_id = executor.submit(says_its_pid, {"folder": str(tmp_path)})
        until((tmp_path / "pid").exists, "the action to begin")
        assert executor.stop(job_id) is True
        assert executor.cancel(job_id) is False
        with pytest.raises(ExecutionCancelledError, match="cancelled"):
            executor.wait(job_id, PATIENCE)
        pid = int((tmp_path / "pid").read_text())
        until(lambda: not Path(f"/proc/{pid}").exists(), "the process to end")
        assert {info.job_id: info.status for info in executor.jobs()}[job_id] == "STOPPED"

    def test_a_finished_job_is_left_alone(self, executor: RayJobExecutor) -> None:
        job_id = executor.submit(actions.adds, {"left": 1})
        executor.wait(job_id, PATIENCE)
        assert executor.cancel(job_id) is False
        assert executor.get_result(job_id) == 2


class TestLogs:
    @pytest.mark.campaign
    def test_a_hundred_thousand_lines_arrive_in_order(self, executor: RayJobExecutor) -> None:
        def counts(params: dict[str, Any], ctx: Any) -> None:
            for number in range(params["lines"]):
                print(f"line {number} ✓")

        job_id = executor.submit(counts, {"lines": 100_000})
        expected = 0
        for line in executor.stream_logs(job_id, timeout=PATIENCE):
            assert line == f"line {expected} ✓\n"
            expected += 1
        assert expected == 100_000

    def test_long_lines_and_any_characters_stay_as_they_are(self, executor: RayJobExecutor) -> None:
        def writes(params: dict[str, Any], ctx: Any) -> None:
            print("日本語 \u2028 \x0b é\rb")
            print("x" * 10**6)
            print("no newline at the end", end="")

        job_id = executor.submit(writes, {})
        executor.wait(job_id, PATIENCE)
        logs = executor.get_logs(job_id)
        assert logs == "日本語 \u2028 \x0b é\rb\n" + "x" * 10**6 + "\nno newline at the end\n"
        assert "".join(executor.stream_logs(job_id)) == logs

    def test_a_line_can_be_read_while_the_job_runs(self, executor: RayJobExecutor, tmp_path: Path) -> None:
        job_id = executor.submit(
            actions.reports_and_waits, {"release": str(tmp_path / "release"), "patience": PATIENCE}
        )
        lines = executor.stream_logs(job_id, timeout=PATIENCE)
        assert "waiting" in next(lines)
        assert executor.get_status(job_id) == "RUNNING"
        (tmp_path / "release").touch()
        assert list(lines) == []

    def test_execute_shows_reports_and_output_here(
        self, executor: RayJobExecutor, capsys: pytest.CaptureFixture[str]
    ) -> None:
        executor.execute(actions.prints, {"text": "hello from there"})
        out, err = capsys.readouterr()
        assert "hello from there\n" in out
        assert "hello from there\n" in err
        executor.execute(actions.reports, {})
        assert len(executor._open_sink().events) == 8  # type: ignore[attr-defined]


class TestWorkersThatDie:
    def test_the_job_has_failed_and_says_so(self, executor: RayJobExecutor, unused_job_id: str) -> None:
        executor.submit(actions.dies, {}, job_id=unused_job_id)
        with pytest.raises(WorkerLostError, match="died before it had answered") as caught:
            executor.wait(unused_job_id, PATIENCE)
        assert caught.value.details == {"action": "dies", "job_id": unused_job_id}
        assert executor.get_status(unused_job_id) == "FAILED"

    def test_what_was_logged_before_is_there(self, executor: RayJobExecutor, tmp_path: Path) -> None:
        def logs_and_dies(params: dict[str, Any], ctx: Any) -> None:
            print("last words")
            while not Path(params["go"]).exists():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)

        job_id = executor.submit(logs_and_dies, {"go": str(tmp_path / "go")})
        until(lambda: "last words" in executor.get_logs(job_id), "the line")
        (tmp_path / "go").touch()
        with pytest.raises(WorkerLostError):
            executor.wait(job_id, PATIENCE)
        assert executor.get_logs(job_id) == "last words\n"

    def test_an_idempotent_action_is_run_again(self, executor: RayJobExecutor, tmp_path: Path) -> None:
        from synapse_core.actions import BaseAction

        class DiesOnce(BaseAction[dict[str, Any]]):
            idempotent = True

            def execute(self) -> str:
                mark = Path(self.params["mark"])
                print("trying")
                if not mark.exists():
                    mark.touch()
                    time.sleep(0.5)
                    os._exit(1)
                return "second time"

        job_id = executor.submit(DiesOnce, {"mark": str(tmp_path / "mark")})
        assert executor.get_result(job_id, PATIENCE) == "second time"
        assert executor.get_logs(job_id) == "trying\ntrying\n"
        assert {info.job_id: info.message for info in executor.jobs()}[job_id] == "attempt 2"

    @pytest.mark.campaign  # takes a minute
    def test_an_environment_that_cannot_be_made_says_what_the_installer_said(self, connected_ray: ModuleType) -> None:
        missing = f"no-such-package-{uuid.uuid4().hex[:8]}"
        executor = RayJobExecutor(runtime_env={"uv": [missing]}, num_cpus=0.1)
        job_id = executor.submit(actions.adds, {"left": 1})
        with pytest.raises(BackendError, match=re.escape(missing)) as caught:
            executor.wait(job_id, 2 * PATIENCE)
        assert "not found in the package registry" in " ".join(str(caught.value).split())
        assert executor.get_status(job_id) == "FAILED"


class TestSecrets:
    def test_no_secret_is_in_the_keepers_files(self, ray_cluster: RayCluster, connected_ray: ModuleType) -> None:
        secrets = {name: uuid.uuid4().hex for name in ("TOKEN", "PASSWORD")}
        param = uuid.uuid4().hex

        def tells(params: dict[str, Any], ctx: Any) -> bool:
            print("the token is", ctx.env["TOKEN"], os.environ["PASSWORD"])
            return True

        executor = RayJobExecutor(env=secrets, num_cpus=0.1)
        job_id = executor.submit(tells, {"param": param})
        assert executor.get_result(job_id, PATIENCE) is True
        assert "the token is" in executor.get_logs(job_id)
        files = [path for path in (ray_cluster.session_dir / "synapse-keeper").rglob("*") if path.is_file()]
        assert files
        content = b"".join(path.read_bytes() for path in files)
        for hidden in (*secrets.values(), param):
            assert hidden.encode() not in content

    def test_a_fork_of_the_action_delivers_nothing(self, executor: RayJobExecutor) -> None:
        assert executor.get_result(executor.submit(actions.forks), PATIENCE) == [0, 1, 3]
