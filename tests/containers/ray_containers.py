"""A Ray head and its workers, each in a container of its own, on one network."""

from __future__ import annotations

import contextlib
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import docker
import docker.errors
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

__all__ = ["RayContainers", "new_network", "remove_leftovers"]

PATIENCE = 120.0
_OWNER = "synapse.testing.owner"
_DASHBOARD, _CLIENT, _CONTROL = 8265, 10001, 6379
_ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_DOCKER_CPU_WARNING": "1",
    "RAY_enable_metrics_collection": "0",
    # The proxy of Ray Client forks to start a client's server, and gRPC's handlers of a fork may end the child.
    "GRPC_ENABLE_FORK_SUPPORT": "0",
}
# Named, because a node waits for the agents whose ports it does not know, and on a busy machine gives up.
_AGENT_PORTS = {
    "dashboard-agent-listen-port": 52365,
    "dashboard-agent-grpc-port": 52366,
    "runtime-env-agent-port": 52367,
    "metrics-export-port": 52368,
}
# A node is twenty processes; by default all of them together weigh as much as one of the host's.
_CPU_SHARES = 10 * 1024
# A lost node is noticed after about three seconds rather than fifteen.
_SYSTEM_CONFIG = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 2000,
    "prestart_worker_first_driver": False,
}


class RayContainers:
    """The cluster. The head has CPUs only, so that what asks for a GPU, a logical one, is placed on a worker."""

    def __init__(self, image: str, network: Network) -> None:
        self._image = image
        self._network = network
        self._stack = contextlib.ExitStack()
        options = ["--head", f"--port={_CONTROL}", f"--ray-client-server-port={_CLIENT}", "--dashboard-host=0.0.0.0"]
        options += ["--num-cpus=4", f"--system-config={json.dumps(_SYSTEM_CONFIG)}"]
        self._head = self._container("head", options).with_exposed_ports(_DASHBOARD, _CLIENT)

    def __enter__(self) -> RayContainers:
        """Start the head, and return when its dashboard answers."""
        with self._stack:
            self._start("head", self._head)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Remove all containers."""
        self._stack.close()

    @property
    def dashboard_url(self) -> str:
        """The Jobs API, as the host reaches it."""
        return f"http://{self._head.get_container_host_ip()}:{self._head.get_exposed_port(_DASHBOARD)}"

    @property
    def client_address(self) -> str:
        """Ray Client's address, as the host reaches it."""
        return f"ray://{self._head.get_container_host_ip()}:{self._head.get_exposed_port(_CLIENT)}"

    def start_worker(self, host: str) -> DockerContainer:
        """Start a node with 8 CPUs and a GPU, logical ones, and return when the cluster counts it."""
        worker = self._container(host, [f"--address=head:{_CONTROL}", "--num-cpus=8", "--num-gpus=1"])
        self._start(host, worker)
        return worker

    def kill(self, worker: DockerContainer) -> None:
        """Lose a node as if its machine were switched off."""
        worker.get_wrapped_container().kill()

    def hosts_alive(self) -> list[str]:
        """Return the hosts' names of the nodes that the cluster believes alive."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.dashboard_url}/api/v0/nodes?limit=1000", timeout=10) as answer:
            nodes: list[dict[str, Any]] = json.load(answer)["data"]["result"]["result"]
        return [node["node_name"] for node in nodes if node["state"] == "ALIVE"]

    def _start(self, host: str, container: DockerContainer) -> None:
        self._stack.enter_context(container)
        self._until(lambda: host in self.hosts_alive(), [self._head, container])

    def _container(self, host: str, options: list[str]) -> DockerContainer:
        command = ["python", "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
        command += [f"--{name}={port}" for name, port in _AGENT_PORTS.items()]
        command += [f"--node-name={host}", "--object-store-memory=200000000", *options]
        return (
            DockerContainer(self._image)
            .with_network(self._network)
            .with_network_aliases(host)
            .with_envs(**_ENVIRONMENT)
            .with_command(command)
            .with_kwargs(hostname=host, shm_size="1g", init=True, cpu_shares=_CPU_SHARES, labels=_labels())
        )

    def _until(self, done: Callable[[], bool], containers: list[DockerContainer]) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(urllib.error.URLError, OSError, ValueError, KeyError):
                if done():
                    return
            ended = any(_has_ended(container) for container in containers)
            if ended or time.monotonic() > deadline:
                logs = "\n".join(container.get_wrapped_container().logs().decode() for container in containers)
                raise RuntimeError(f"a node {'ended' if ended else f'did not answer within {PATIENCE:g} s'}:\n{logs}")
            time.sleep(0.2)


def _has_ended(container: DockerContainer) -> bool:
    wrapped = container.get_wrapped_container()
    wrapped.reload()
    return wrapped.status in ("exited", "dead")


def new_network() -> Network:
    """Return a network for one cluster, to be used as a context manager."""
    return Network(docker_network_kw={"labels": _labels()})


def _labels() -> dict[str, str]:
    return {_OWNER: str(os.getpid())}


def remove_leftovers(client: docker.DockerClient) -> None:
    """Remove containers and networks of earlier runs that were killed."""
    of_ours = {"label": _OWNER}
    for container in client.containers.list(all=True, filters=of_ours):
        if not _is_alive(int(container.labels[_OWNER])):
            with contextlib.suppress(docker.errors.APIError):  # somebody else has removed it meanwhile
                container.remove(force=True, v=True)
    for network in client.networks.list(filters=of_ours):
        if not _is_alive(int(network.attrs["Labels"][_OWNER])):
            with contextlib.suppress(docker.errors.APIError):
                network.remove()


def _is_alive(pid: int) -> bool:
    with contextlib.suppress(PermissionError):  # somebody else's process
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True
