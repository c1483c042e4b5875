"""The keeper's death loses nothing, and the keeper is the same whoever made it."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from synapse_core.errors import JobExistsError
from synapse_core.ports.events import RecordingSink
from synapse_ray import RayJobExecutor
from synapse_testing import actions
from synapse_testing.ray_cluster import RayCluster

pytestmark = [pytest.mark.ray, pytest.mark.slow]

PATIENCE = 120.0
BUDGET_SECONDS = float(os.environ.get("SYNAPSE_KILL_SECONDS", "30"))
RunScript = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def executor(connected_ray: ModuleType) -> Iterator[RayJobExecutor]:
    executor = RayJobExecutor(sink=RecordingSink(), num_cpus=0.1)
    executor._keeper().require()
    yield executor
    executor.shutdown()


def keeper_pids(cluster: RayCluster) -> list[int]:
    assert cluster.head is not None
    found = []
    for pid in cluster.head.processes():
        try:
            title = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if title.startswith(b"ray::Keeper"):
            found.append(pid)
    return found


def kill_keeper(cluster: RayCluster) -> bool:
    pids = keeper_pids(cluster)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
    return bool(pids)


def prints_and_returns(params: dict[str, Any], ctx: Any) -> bytes:
    for number in range(200):
        print(f"line {number}")
        time.sleep(0.002)
    return bytes([params["n"] % 256]) * params["size"]


@pytest.mark.campaign  # `tests/kills` has some of these in every run
@pytest.mark.timeout(600)
def test_a_keeper_killed_at_random_instants_loses_nothing(
    executor: RayJobExecutor, ray_cluster: RayCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("SYNAPSE_KILL_SEED", "0")) or random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    give_up = time.monotonic() + BUDGET_SECONDS
    kills, jobs, failures = 0, 0, []
    over = threading.Event()

    def kill() -> None:
        nonlocal kills
        while time.monotonic() < give_up or kills == 0:
            while not keeper_pids(ray_cluster):  # it is just being restarted, which takes as long as the machine takes
                if over.wait(0.05):
                    return
            if over.wait(chance.uniform(0.0, 5.0)):
                return
            kills += kill_keeper(ray_cluster)

    killer = threading.Thread(target=kill)
    killer.start()
    expected_log = "".join(f"line {number}\n" for number in range(200))
    try:
        while time.monotonic() < give_up or kills == 0:
            sizes = [chance.choice((10, 100_000, 10_000_000)) for _ in range(3)]
            submitted = [
                executor.submit(prints_and_returns, {"n": jobs + n, "size": size}, job_id=f"kill-{seed}-{jobs + n}")
                for n, size in enumerate(sizes)
            ]
            with pytest.raises(JobExistsError):
                executor.submit(actions.adds, {"left": 1}, job_id=submitted[0])
            for n, (job_id, size) in enumerate(zip(submitted, sizes, strict=True)):
                for _ in range(2):
                    if executor.get_result(job_id, PATIENCE) != bytes([(jobs + n) % 256]) * size:
                        failures.append(f"result of {job_id}")
                if executor.get_logs(job_id) != expected_log:
                    failures.append(f"log of {job_id}")
            jobs += len(sizes)
    finally:
        over.set()
        killer.join()
        with capsys.disabled():
            print(f"\n  keeper: {kills} kills under {jobs} jobs, seed {seed}, {len(failures)} failures")
    assert not failures
    listed = {info.job_id: str(info.status) for info in executor.jobs(10_000)}
    assert [listed.get(f"kill-{seed}-{n}") for n in range(jobs)] == ["SUCCEEDED"] * jobs


def test_a_restarted_keeper_finds_the_workers_again(
    executor: RayJobExecutor, ray_cluster: RayCluster, tmp_path: Path
) -> None:
    from synapse_core.errors import WorkerLostError

    def waits_then_dies(params: dict[str, Any], ctx: Any) -> None:
        Path(params["started"]).touch()
        while not Path(params["go"]).exists():
            time.sleep(0.01)
        os._exit(1)

    job_id = executor.submit(waits_then_dies, {"started": str(tmp_path / "started"), "go": str(tmp_path / "go")})
    give_up = time.monotonic() + PATIENCE
    while not (tmp_path / "started").exists():
        assert time.monotonic() < give_up
        time.sleep(0.02)
    before = keeper_pids(ray_cluster)
    assert kill_keeper(ray_cluster)
    assert executor.get_status(job_id) == "RUNNING"
    assert keeper_pids(ray_cluster) != before
    (tmp_path / "go").touch()
    with pytest.raises(WorkerLostError):
        executor.wait(job_id, PATIENCE)


def test_a_job_cancelled_while_the_keeper_is_dead_is_cancelled(
    executor: RayJobExecutor, ray_cluster: RayCluster, tmp_path: Path
) -> None:
    params = {"started": str(tmp_path / "started"), "release": str(tmp_path / "release"), "patience": PATIENCE}
    job_id = executor.submit(actions.waits_for_file, params)
    assert kill_keeper(ray_cluster)
    assert executor.cancel(job_id) is True
    assert executor.get_status(job_id) == "FAILED"


def test_the_keeper_has_no_environment_of_who_made_it(
    executor: RayJobExecutor, ray_cluster: RayCluster, run_script: RunScript
) -> None:
    done = run_script(
        """
        import ray
        from synapse_ray.connection import open_connection
        from synapse_ray.keeper.client import KeeperClient, find_keeper
        ray.init(namespace="synapse", log_to_driver=False, runtime_env={"env_vars": {"FROM_A_DRIVER": "yes"}})
        ray.kill(find_keeper())
        while find_keeper() is not None:
            pass
        KeeperClient(open_connection("auto")).require()
        """
    )
    assert done.returncode == 0, done.stderr
    (pid,) = keeper_pids(ray_cluster)
    assert b"FROM_A_DRIVER" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert executor.execute(actions.adds, {"left": 1}) == 2  # the handle that it held is of the dead one


def test_the_keeper_holds_no_cpu_and_sits_on_the_head(
    executor: RayJobExecutor, connected_ray: ModuleType, ray_cluster: RayCluster
) -> None:
    import ray
    from ray.util.state import list_actors

    keeper = ray.get_actor("keeper-v1", namespace="synapse")
    assert set(ray.get(keeper.hello.remote())) == {"python", "ray", "synapse-core", "synapse-ray"}
    assert connected_ray.available_resources()["node:__internal_head__"] < 1
    (described,) = list_actors(address=ray_cluster.address, filters=[("name", "=", "keeper-v1"), ("state", "=", "ALIVE")],
                               detail=True)  # fmt: skip
    assert set(described.required_resources) == {"node:__internal_head__"}


@pytest.mark.campaign  # starts a cluster of its own
def test_asking_makes_no_keeper(ray_environment: None, tmp_path: Path) -> None:
    code = """
import ray
from synapse_ray import RayJobExecutor
from synapse_ray.keeper.client import find_keeper
executor = RayJobExecutor()
assert executor.jobs() == []
assert executor.get_status("a") == "UNKNOWN"
assert find_keeper() is None
executor.submit("synapse_testing.actions:adds", {"left": 1}, job_id="a")
assert executor.get_result("a", 90) == 2
"""
    with RayCluster(num_cpus=2) as cluster:
        done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **cluster.environment}, check=False,
                              capture_output=True, text=True, timeout=PATIENCE)  # fmt: skip
    assert done.returncode == 0, done.stderr
