"""Fixtures of a real Ray cluster: one for the whole session, whichever package's tests ask for it.

A ``conftest.py`` at the root of a repository loads them: ``pytest_plugins = ["synapse_testing.ray_fixtures"]``.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from synapse_testing.ray_cluster import RayCluster
from synapse_testing.services import require_service

__all__ = ["RunScript", "connected_ray", "ray_cluster", "ray_environment", "run_script", "unused_job_id"]

RunScript = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_configure() -> None:
    """Keep Ray from making workers by `uv run` where pytest was started by it; Ray looks only when it is imported."""
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[RayCluster]:
    """Give the session's cluster: 8 logical CPUs, 2 logical GPUs, 32 GiB of logical memory."""
    if importlib.util.find_spec("ray") is None:
        require_service("Ray is not installed; install synapse-ray, which brings it")
    with RayCluster(num_cpus=8, num_gpus=2, memory=32 * 2**30) as cluster:
        yield cluster
        # A driver whose cluster is gone ends its process when it notices, so it takes leave first.
        if "ray" in sys.modules:
            sys.modules["ray"].shutdown()


@pytest.fixture
def ray_environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what Ray reads from the environment, for a test without a cluster too; what a developer has set is gone."""
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    found = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
    if "ray_cluster" in request.fixturenames:
        found = request.getfixturevalue("ray_cluster").environment
    for name, value in found.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def connected_ray(ray_cluster: RayCluster, ray_environment: None) -> ModuleType:
    """Give Ray, connected to the session's cluster in the namespace ``synapse``: one connection for all tests."""
    import ray

    if ray.is_initialized() and ray.get_runtime_context().gcs_address != ray_cluster.address:
        ray.shutdown()
    if not ray.is_initialized():
        ray.init(address=ray_cluster.address, namespace="synapse", log_to_driver=False)
    return ray


@pytest.fixture
def run_script(ray_cluster: RayCluster, ray_environment: None, tmp_path: Path) -> RunScript:
    """Give a function that runs code in a process of its own, which finds the cluster in its environment."""

    def run(
        code: str, *args: str, timeout: float = 60, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        script = tmp_path / f"script-{uuid.uuid4().hex[:8]}.py"
        script.write_text(textwrap.dedent(code))
        return subprocess.run(
            [sys.executable, str(script), *args],
            env={**os.environ, **ray_cluster.environment, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture
def unused_job_id() -> str:
    """Give a job id that no other test of the cluster has."""
    return f"job-{uuid.uuid4().hex[:12]}"
