"""Every test sees the same variables of Ray; the session's cluster comes from `synapse_testing.ray_fixtures`."""

import pytest


@pytest.fixture(autouse=True)
def _ray_environment_of_every_test(ray_environment: None) -> None:
    """Use it without being asked to, in tests without a cluster too."""
