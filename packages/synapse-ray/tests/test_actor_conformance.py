"""The executor of warm actors keeps every promise of the executor contract."""

from collections.abc import Iterator
from types import ModuleType

import pytest

from synapse_ray.actor_executor import RayActorExecutor
from synapse_ray.capabilities import ACTOR_CAPABILITIES
from synapse_testing import ExecutorConformance

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def pools() -> Iterator[list[RayActorExecutor]]:
    made: list[RayActorExecutor] = []
    yield made
    for executor in made:
        executor.shutdown()


class TestRayActorExecutor(ExecutorConformance):
    capabilities = ACTOR_CAPABILITIES

    @pytest.fixture
    def executor(self, connected_ray: ModuleType, pools: list[RayActorExecutor]) -> RayActorExecutor:
        executor = RayActorExecutor(num_actors=2)  # all of them share the pool that the first one starts
        pools.append(executor)
        return executor
