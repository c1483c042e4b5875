"""A job's result outlives its node as far as it was promised to: two nodes, of which one is lost."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from synapse_core.errors import WorkerLostError
from synapse_ray.jobs_api.executor import RayJobsApiExecutor
from synapse_testing.ray_cluster import RayCluster

PATIENCE = 180.0
SHORT, LONG = 1_000_000, 20_000_000


@pytest.fixture
def two_nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[RayCluster]:
    with RayCluster(num_cpus=0, num_gpus=0) as cluster:
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        yield cluster


@pytest.mark.campaign
def test_short_results_survive_the_loss_of_their_node_and_long_ones_say_that_they_do_not(
    two_nodes: RayCluster, tmp_path: Path
) -> None:
    node = two_nodes.add_node(num_cpus=1)
    executor = RayJobsApiExecutor(dashboard_address=two_nodes.dashboard_url, num_cpus=1)

    def makes(params: dict[str, Any], ctx: Any) -> dict[str, Any]:  # by value: a node has no such module as this
        print("made", flush=True)
        return {"blob": b"b" * params["n"], "pid": os.getpid()}

    short, long = [executor.submit(makes, {"n": n}) for n in (SHORT, LONG)]
    storing = RayJobsApiExecutor(
        dashboard_address=two_nodes.dashboard_url, num_cpus=1, storage=f"file://{tmp_path}/results"
    )
    kept = storing.submit(makes, {"n": LONG})
    lines = list(executor.stream_logs(short, timeout=PATIENCE))
    assert lines[-1] == "made\n"
    for job_id in (short, long, kept):
        assert executor.wait(job_id, PATIENCE) == "SUCCEEDED"
    assert executor.durability(short) == "cluster"
    assert executor.durability(long) == "node"
    assert len(executor.get_result(long)["blob"]) == LONG
    node.kill()
    two_nodes.wait_until_dead(node)
    assert len(executor.get_result(short)["blob"]) == SHORT
    assert executor.durability(short) == "cluster"
    with pytest.raises(WorkerLostError, match="went with node"):
        executor.get_result(long)
    assert len(storing.get_result(kept)["blob"]) == LONG


@pytest.mark.campaign
def test_a_node_that_is_lost_during_the_work_is_named(two_nodes: RayCluster) -> None:
    node = two_nodes.add_node(num_cpus=1)
    executor = RayJobsApiExecutor(dashboard_address=two_nodes.dashboard_url, num_cpus=1)

    def sleeps(params: dict[str, Any], ctx: Any) -> None:
        import time

        print("begun", flush=True)
        time.sleep(600)

    job_id = executor.submit(sleeps, {})
    for line in executor.stream_logs(job_id, timeout=PATIENCE):
        if line == "begun\n":
            break
    node.kill()
    with pytest.raises(WorkerLostError):
        executor.get_result(job_id, PATIENCE)
