"""A node that runs out of memory: its worker is ended, the call says so, and the next one works."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from synapse_core.errors import WorkerLostError
from synapse_ray import RayActorExecutor, RayJobExecutor, RayJobsApiExecutor
from synapse_testing.ray_cluster import RayCluster

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.campaign]

MEBI = 2**20
FREE = 2048 * MEBI  # what the cluster may take, beyond what this machine uses already


@pytest.fixture(scope="module")
def small_cluster() -> Iterator[RayCluster]:
    """Give a connected cluster that ends workers once the machine uses 2 GiB more than now."""
    rows = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    found = {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows}
    threshold = 1 - (found["MemAvailable"] - FREE) / found["MemTotal"]
    settings = {"RAY_memory_usage_threshold": f"{threshold:.4f}", "RAY_memory_monitor_refresh_ms": "100"}
    with RayCluster(num_cpus=4, num_gpus=0, env=settings) as cluster, pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        ray.shutdown()
        ray.init(address=cluster.address, namespace="synapse", log_to_driver=False)
        yield cluster
        ray.shutdown()


@pytest.mark.parametrize("kind", [RayActorExecutor, RayJobExecutor, RayJobsApiExecutor])
def test_a_worker_that_takes_too_much_is_named_and_replaced(small_cluster: RayCluster, kind: Any) -> None:
    def take(params: dict[str, Any], ctx: Any) -> int:  # by value: no node has such a module as this
        import time

        taken = []
        while params["endless"]:
            taken.append(bytearray(b"x") * (100 * 2**20))
            time.sleep(0.02)
        return os.getpid()

    executor = kind()
    first = executor.execute(take, {"endless": False})
    with pytest.raises(WorkerLostError, match=r"ran out of memory.*memory="):
        executor.execute(take, {"endless": True})
    assert executor.execute(take, {"endless": False}) != first
    executor.shutdown()
