"""Whatever is killed, at whatever instant: nobody hangs, nothing is left behind, no finished result is lost.

In CI the trials go on for a fixed time; the variable SYNAPSE_KILLS asks for a number of them instead.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from synapse_core.errors import BackendError, JobNotFoundError, WorkerLostError
from synapse_core.model.status import JobStatus
from synapse_testing.ray_cluster import RayCluster
from synapse_testing.ray_node import RayNode
from synapse_testing.waiting import until

pytestmark = [pytest.mark.ray, pytest.mark.kills, pytest.mark.slow]

HERE = str(Path(__file__).parent)
SECONDS = 8.0
PATIENCE = 90.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    """A head without CPUs, so that work is on nodes that can be lost."""
    with RayCluster(num_cpus=0, num_gpus=0) as head, pytest.MonkeyPatch.context() as patch:
        for name, value in head.environment.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", HERE)
        patch.syspath_prepend(HERE)
        import ray

        if ray.is_initialized():
            ray.shutdown()
        head.add_node(num_cpus=4, memory=2**30)
        ray.init(
            address=head.address,
            namespace="synapse",
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env={"env_vars": {"PYTHONPATH": HERE}},
        )
        yield head
        ray.shutdown()


class Trials:
    """Runs trials until the time is over, each kind once at least, or the number is reached; says what came of them."""

    def __init__(self) -> None:
        self.seed = int(os.environ.get("SYNAPSE_KILL_SEED") or random.SystemRandom().randrange(10**9))
        self.random = random.Random(self.seed)
        self.outcomes: Counter[str] = Counter()
        self.kills = 0

    def kill(self, pid: int) -> bool:
        """Kill a process; ``False`` where it had ended, which does not count."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self.kills += 1
            return True
        return False

    def kill_worker(self, params: dict[str, Any], pause: float, call: Future[int] | None = None) -> bool:
        """Kill the process that does the work, a while after it has begun; ``False`` where `call` failed before."""
        file = Path(params["pid_file"])

        def has_begun() -> bool:
            return file.exists() and file.read_text() != ""

        until(lambda: has_begun() or (call is not None and call.done()), lambda: "the work never began")
        if not has_begun():
            return False
        time.sleep(pause)
        return self.kill(int(file.read_text()))

    def run(self, kinds: list[Callable[[], str]], share: float) -> None:
        wanted = int(os.environ.get("SYNAPSE_KILLS", "0")) * share
        over = time.monotonic() + SECONDS * share
        number = 0
        while self.kills < wanted if wanted else (number < len(kinds) or time.monotonic() < over):
            kind = kinds[number % len(kinds)]
            try:
                outcome = kind()
            except BaseException as error:
                error.add_note(f"trial {number} ({kind.__name__}) of seed {self.seed}")
                raise
            self.outcomes[f"{kind.__name__}: {outcome}"] += 1
            number += 1
        rows = "".join(f"\n  {count:4d} {outcome}" for outcome, count in sorted(self.outcomes.items()))
        print(f"\n{self.kills} kills in {number} trials, seed {self.seed}:{rows}")


def work(tmp_path: Path, seconds: float) -> dict[str, Any]:
    return {"pid_file": str(tmp_path / uuid.uuid4().hex), "seconds": seconds, "number": random.randrange(1000)}


def living_actors() -> list[str]:
    """Return the names of the classes of all actors that live, but for the cluster's keeper."""
    from ray.util.state import list_actors

    rows: list[Any] = list_actors(filters=[("state", "!=", "DEAD")], limit=1000)
    return [row.class_name for row in rows if "Keeper" not in row.class_name]


def nothing_is_left() -> None:
    import ray

    until(lambda: living_actors() == [], lambda: f"actors are left: {living_actors()}")
    until(
        lambda: ray.available_resources().get("CPU") == ray.cluster_resources().get("CPU"),
        lambda: f"of {ray.cluster_resources()} only {ray.available_resources()} is free",
    )


def test_kills_of_warm_actors(cluster: RayCluster, tmp_path: Path) -> None:
    import kill_work

    from synapse_ray import RayActorExecutor

    trials = Trials()
    with RayActorExecutor(num_actors=2) as executor, ThreadPoolExecutor(4) as threads:

        def actor_of_an_idempotent_action() -> str:
            given = work(tmp_path, trials.random.uniform(0.05, 0.4))
            call = threads.submit(executor.execute, kill_work.finish_again, given)
            killed = trials.kill_worker(given, trials.random.uniform(0, given["seconds"]), call)
            assert call.result(PATIENCE) == given["number"]
            return "killed and run again" if killed else "done before"

        def actor_of_any_other_action() -> str:
            given = work(tmp_path, trials.random.uniform(0.05, 0.4))
            call = threads.submit(executor.execute, kill_work.finish, given)
            trials.kill_worker(given, trials.random.uniform(0, given["seconds"]), call)
            try:
                assert call.result(PATIENCE) == given["number"]
            except WorkerLostError:
                assert executor.execute(kill_work.finish, work(tmp_path, 0)) >= 0  # the next one has an actor
                return "lost, and said so"
            return "done before"

        trials.run([actor_of_an_idempotent_action, actor_of_any_other_action], 0.25)
    nothing_is_left()


SUBMIT = """
import sys, json
import kill_work
from synapse_ray import RayJobExecutor, RayJobsApiExecutor
mode, address, here, job_id, params = sys.argv[1:]
executor = RayJobExecutor() if mode == "ray-job" else RayJobsApiExecutor(
    dashboard_address=address, runtime_env={"env_vars": {"PYTHONPATH": here}})
print("ready", flush=True)
executor.submit("kill_work:finish", json.loads(params), job_id=job_id)
print("submitted", flush=True)
sys.stdin.read()
"""


def test_kills_of_jobs(cluster: RayCluster, tmp_path: Path) -> None:
    import json

    import kill_work
    import ray

    from synapse_ray import RayJobExecutor, RayJobsApiExecutor

    trials = Trials()
    executor = RayJobExecutor()
    on_nodes: dict[str, Any] = {
        "dashboard_address": cluster.dashboard_url,
        "runtime_env": {"env_vars": {"PYTHONPATH": HERE}},
    }
    over_http = RayJobsApiExecutor(**on_nodes)
    finished: dict[str, int] = {}
    # What asks for 2 GiB of memory is on the node that can be lost.
    on_the_node = RayJobExecutor(num_cpus=1, memory=2 * 2**30)
    there: dict[str, Any] = {**on_nodes, "num_cpus": 1, "memory": 2 * 2**30}
    there_over_http = RayJobsApiExecutor(**there)
    outside = RayJobsApiExecutor(**there, storage=(tmp_path / "storage").as_uri())
    nodes: list[RayNode] = [cluster.add_node(num_cpus=2, memory=8 * 2**30)]

    def outcome_of(asked: Any, job_id: str, number: int) -> str:
        answers = []
        for _ in range(2):  # and the second answer is the first
            try:
                answers.append(asked.get_result(job_id, PATIENCE))
            except WorkerLostError as error:
                assert asked.get_status(job_id) == JobStatus.FAILED
                answers.append(type(error).__name__)
        assert answers[0] == answers[1]
        if answers[0] == number:
            finished[job_id] = number
            return "finished"
        return "lost, and said so"

    def worker() -> str:
        given = work(tmp_path, trials.random.uniform(0.05, 0.4))
        job_id = executor.submit(kill_work.finish, given)
        trials.kill_worker(given, trials.random.uniform(0, given["seconds"] + 0.3))
        return outcome_of(executor, job_id, given["number"])

    def worker_of_an_idempotent_action() -> str:
        given = work(tmp_path, trials.random.uniform(0.05, 0.4))
        job_id = executor.submit(kill_work.finish_again, given)
        trials.kill_worker(given, trials.random.uniform(0, given["seconds"] + 0.3))
        found = outcome_of(executor, job_id, given["number"])
        assert found == "finished"
        return found

    def keeper() -> str:
        given = [work(tmp_path, trials.random.uniform(0.05, 0.4)) for _ in range(2)]
        jobs = [executor.submit(kill_work.finish, each) for each in given]
        time.sleep(trials.random.uniform(0, 1.5))
        keepers = pids_of("Keeper")
        assert keepers, "there is no keeper to be killed"
        for pid in keepers:
            trials.kill(pid)
        for job_id, each in zip(jobs, given, strict=True):
            assert outcome_of(executor, job_id, each["number"]) == "finished"
        return "all finished"

    def submitter(mode: str) -> str:
        given, job_id = work(tmp_path, 0.2), f"kill-{uuid.uuid4().hex[:10]}"
        asked: Any = executor if mode == "ray-job" else over_http
        process = subprocess.Popen(
            [sys.executable, "-c", SUBMIT, mode, cluster.dashboard_url, HERE, job_id, json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(trials.random.uniform(0, 1.5))
        trials.kill(process.pid)
        submitted = "submitted" in process.communicate()[0]
        if not submitted and asked.get_status(job_id) == JobStatus.UNKNOWN:
            return "killed before it had submitted"
        try:
            assert asked.get_result(job_id, PATIENCE) == given["number"]
        except (WorkerLostError, BackendError, JobNotFoundError):
            assert not submitted
            return "killed while it submitted, and the job says so"
        finished[job_id] = given["number"]
        return "the job has finished"

    def submitter_of_a_detached_actor() -> str:
        return submitter("ray-job")

    def submitter_over_http() -> str:
        return submitter("job")

    def driver_over_http() -> str:
        given = work(tmp_path, trials.random.uniform(0.05, 0.4))
        job_id = over_http.submit(kill_work.finish, given)
        trials.kill_worker(given, trials.random.uniform(0, given["seconds"] + 0.3))
        return outcome_of(over_http, job_id, given["number"])

    def lose_the_node() -> None:
        nodes.pop().kill()
        trials.kills += 1
        nodes.append(cluster.add_node(num_cpus=2, memory=8 * 2**30))

    def node() -> str:
        given = work(tmp_path, 1.0)
        job_id = on_the_node.submit(kill_work.finish_again, given)
        time.sleep(trials.random.uniform(0, 2.5))
        lose_the_node()
        return outcome_of(executor, job_id, given["number"])

    def node_over_http() -> str:
        """What had finished is there, in the cluster and outside of it; what had not may say that it was lost."""
        given = work(tmp_path, trials.random.uniform(0.05, 0.4))
        small = there_over_http.submit(kill_work.finish, given)
        large = outside.submit(kill_work.finish_with_much, given)
        time.sleep(trials.random.uniform(1.0, 6.0))
        ended = [asked.get_status(job_id) for asked, job_id in ((there_over_http, small), (outside, large))]
        lose_the_node()
        found = []
        for asked, job_id, status in ((there_over_http, small, ended[0]), (outside, large, ended[1])):
            try:
                result = asked.get_result(job_id, PATIENCE)
            except WorkerLostError:
                assert status != JobStatus.SUCCEEDED
                found.append("lost, and said so")
                continue
            assert (result if job_id == small else result["number"]) == given["number"]
            found.append("finished")
        return " and ".join(found)

    kinds = [
        worker,
        worker_of_an_idempotent_action,
        keeper,
        submitter_of_a_detached_actor,
        driver_over_http,
        submitter_over_http,
        node,
        node_over_http,
    ]
    trials.run(kinds, 0.75)
    for job_id, number in finished.items():
        asked: Any = executor if executor.get_status(job_id) != JobStatus.UNKNOWN else over_http
        assert asked.get_result(job_id, PATIENCE) == number
    nothing_is_left()
    assert ray.is_initialized()


def pids_of(kind: str) -> list[int]:
    """Return the processes of the actors of a class."""
    from ray.util.state import list_actors

    rows: list[Any] = list_actors(filters=[("state", "=", "ALIVE")], limit=1000, detail=True)
    return [row.pid for row in rows if kind in row.class_name]
