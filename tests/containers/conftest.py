"""One cluster in containers for the session, and processes of the host that are its clients."""

import contextlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from synapse_testing import require_service

from .client_script import ClientScript

if TYPE_CHECKING:
    import docker

    from .ray_containers import RayContainers

StartScript = Callable[..., ClientScript]

# What testcontainers reads when it is imported. Ryuk, its reaper, is an image that cannot be pulled everywhere:
# leftovers are removed by `remove_leftovers`.
_TESTCONTAINERS = {"TESTCONTAINERS_RYUK_DISABLED": "true"}
_TESTCONTAINERS_ON_THIS_MACHINE = {"TESTCONTAINERS_CONNECTION_MODE": "docker_host", "TC_HOST": "127.0.0.1"}


@pytest.fixture(scope="session")
def docker_client() -> "docker.DockerClient":
    """Give a client of the Docker that answers here."""
    for module in ("testcontainers", "ray"):
        if importlib.util.find_spec(module) is None:
            require_service(f"{module} is not installed; `uv sync` brings it")
    settings = dict(_TESTCONTAINERS)
    if os.environ.get("DOCKER_HOST", "unix://").startswith("unix://"):
        settings |= _TESTCONTAINERS_ON_THIS_MACHINE
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    from docker.errors import DockerException
    from testcontainers.core.docker_client import DockerClient

    try:
        client = DockerClient().client
        client.ping()
    except (DockerException, OSError) as error:
        require_service(f"Docker does not answer ({error}); start it, or as root `.ci/services COMMAND` starts one")
    return client


@pytest.fixture(scope="session")
def cluster(docker_client: "docker.DockerClient") -> "Iterator[RayContainers]":
    """Give a head in a container; workers are started by the tests."""
    from .images import cluster_image
    from .ray_containers import RayContainers, new_network, remove_leftovers

    remove_leftovers(docker_client)
    with (
        cluster_image(docker_client) as image,
        new_network() as network,
        RayContainers(image, network) as started,
    ):
        yield started


@pytest.fixture(scope="session")
def client_environment() -> dict[str, str]:
    """Give the environment of a client: what a developer has set for Ray is gone."""
    found = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {
        **found,
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        # Under `uv run pytest`, Ray would send the working folder and rebuild its environment for every worker.
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    }


@pytest.fixture(scope="module", autouse=True)
def ray_environment(client_environment: dict[str, str]) -> Iterator[None]:
    """Make this process a client too."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("RAY_")]:
            patch.delenv(name)
        for name, value in client_environment.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def start_script(client_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartScript]:
    """Give a function that starts code in a process of its own, which ends with the session at the latest."""
    with contextlib.ExitStack() as stack:

        def start(code: str, *args: str | Path) -> ClientScript:
            folder = tmp_path_factory.mktemp("script")
            return stack.enter_context(ClientScript(code, args, client_environment, folder))

        yield start
