"""The Jobs API executor keeps every promise of an executor that takes work over.

Every promise takes two processes of its own, so the whole suite is for the long campaign; those of jobs always run.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest

from synapse_core.ports.executor import Capabilities
from synapse_ray.capabilities import JOBS_API_CAPABILITIES
from synapse_ray.jobs_api.executor import RayJobsApiExecutor
from synapse_testing import ExecutorConformance
from synapse_testing.conformance.jobs import JobPromises
from synapse_testing.ray_cluster import RayCluster

pytestmark = [pytest.mark.ray, pytest.mark.slow]


class _OverHttp:
    patience: ClassVar[float] = 90.0
    capabilities: ClassVar[Capabilities] = JOBS_API_CAPABILITIES

    @pytest.fixture
    def executor(self, ray_cluster: RayCluster) -> Iterator[RayJobsApiExecutor]:
        executor = RayJobsApiExecutor(dashboard_address=ray_cluster.dashboard_url)
        yield executor
        executor.shutdown()

    @pytest.fixture(autouse=True)
    def elsewhere(self, ray_cluster: RayCluster, monkeypatch: pytest.MonkeyPatch) -> None:
        options: Mapping[str, Any] = {"dashboard_address": ray_cluster.dashboard_url}
        monkeypatch.setattr(type(self), "options_elsewhere", options)


class TestPromisesOfJobs(_OverHttp, JobPromises):
    """Those that other executors do not give."""


@pytest.mark.campaign
class TestJobsApiExecutor(_OverHttp, ExecutorConformance):
    """All of them, on a real cluster and over real HTTP."""

    @pytest.fixture
    def executor(self, ray_cluster: RayCluster) -> Iterator[RayJobsApiExecutor]:
        executor = RayJobsApiExecutor(dashboard_address=ray_cluster.dashboard_url)
        yield executor
        executor.shutdown()
