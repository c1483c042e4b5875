"""The detached jobs keep every promise of an executor, those of jobs included.

Every promise takes a process of its own, so the whole suite is for the long campaign; those of jobs always run.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from synapse_core.ports.events import RecordingSink
from synapse_ray import RayJobExecutor
from synapse_testing import ExecutorConformance
from synapse_testing.conformance.jobs import JobPromises

pytestmark = [pytest.mark.ray, pytest.mark.slow]


class _OnRay:
    capabilities = RayJobExecutor.capabilities
    patience = 60.0

    @pytest.fixture
    def executor(self, make_executor: Callable[..., RayJobExecutor]) -> RayJobExecutor:
        return make_executor()

    @pytest.fixture
    def make_executor(self, connected_ray: ModuleType) -> Callable[..., RayJobExecutor]:
        def make(**options: Any) -> RayJobExecutor:
            return RayJobExecutor(**{"sink": RecordingSink(), **options})

        return make


class TestPromisesOfJobs(_OnRay, JobPromises):
    """Those that other executors do not give."""


@pytest.mark.campaign
class TestRayJobExecutor(_OnRay, ExecutorConformance):
    """All of them."""

    @pytest.fixture
    def executor(self, make_executor: Callable[..., RayJobExecutor]) -> RayJobExecutor:
        return make_executor()
