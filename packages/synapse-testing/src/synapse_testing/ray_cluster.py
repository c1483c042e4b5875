"""A real Ray cluster for tests, started through Ray's own command line.

Ray is not imported here: the nodes are processes of `ray start`, each in a session of its own, and they are asked over
the dashboard's HTTP. Addresses of the loopback network stand for machines: the head is 127.0.0.2, the next nodes
127.0.0.3 and on (Ray replaces 127.0.0.1 by the address of the network card).
"""

from __future__ import annotations

import atexit
import json
import os
import secrets
import shutil
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from synapse_testing.ray_node import PATIENCE, RayNode
from synapse_testing.ray_processes import (
    bytecode_environment,
    claim_ports,
    inherited_environment,
    node_ports,
    require_free,
)
from synapse_testing.waiting import poll

__all__ = ["RayCluster"]

_GIB = 2**30

# A lost node is noticed after about three seconds rather than fifteen; and the first driver does not start one worker
# per logical CPU, of which a test's cluster has more than the machine has real ones.
_SYSTEM_CONFIG = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "prestart_worker_first_driver": False,
}

# Numbers for a Prometheus that no test has; they cost a tenth of the start.
_NODE_ENVIRONMENT = {"RAY_DISABLE_DOCKER_CPU_WARNING": "1", "RAY_enable_metrics_collection": "0"}

T = TypeVar("T")

_TOO_SLOW = ("timed out during startup", "did not answer within")


class RayCluster:
    """A Ray cluster of this machine's processes, for the length of a ``with`` block.

    It ends with the block, with the interpreter, and also when the process that started it is killed.

    Args:
        num_cpus: Logical CPUs of the head. They may be more than the machine has.
        num_gpus: Logical GPUs of the head. No card is needed.
        memory: Logical memory of the head, in bytes.
        auth: ``token`` makes a token for the cluster, and requests without it are refused.
        python: The interpreter whose Ray is started.
        env: Variables for every process of the cluster, over this process's own.
        resources: Custom resources of the head.
        system_config: Ray's internal settings, over those that make the cluster quick to notice a lost node.
        port: The port of the control store; a free one unless given.

    Example:
        ::

            with RayCluster(num_cpus=4) as cluster:
                node = cluster.add_node(num_cpus=2)
                subprocess.run([sys.executable, "train.py"], env={**os.environ, **cluster.environment})
                node.kill()
    """

    def __init__(
        self,
        *,
        num_cpus: int = 8,
        num_gpus: int = 2,
        memory: int = 32 * _GIB,
        auth: Literal["disabled", "token"] = "disabled",
        python: str | os.PathLike[str] = sys.executable,
        env: Mapping[str, str] | None = None,
        resources: Mapping[str, float] | None = None,
        system_config: Mapping[str, Any] | None = None,
        port: int | None = None,
    ) -> None:
        self.auth = auth
        self.token = secrets.token_hex(16) if auth == "token" else None
        self.head: RayNode | None = None
        self.nodes: list[RayNode] = []
        self._python = os.fspath(python)
        self._env = dict(env or {})
        self._options = _resource_options(num_cpus, num_gpus, memory, resources)
        self._options["system-config"] = json.dumps({**_SYSTEM_CONFIG, **(system_config or {})})
        self._port = port
        self._folder: Path | None = None
        self._owner = os.getpid()
        self._hosts = 1
        self._lock = threading.Lock()

    def __enter__(self) -> RayCluster:
        """Start it."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    @property
    def address(self) -> str:
        """Where drivers connect: ``127.0.0.2:PORT``."""
        return f"{self._head.ip}:{self._head.ports['port']}"

    @property
    def client_address(self) -> str:
        """Where Ray Client connects: ``ray://127.0.0.2:PORT``."""
        return f"ray://{self._head.ip}:{self._head.ports['ray-client-server-port']}"

    @property
    def dashboard_url(self) -> str:
        """Where jobs are submitted and states are asked: ``http://127.0.0.2:PORT``."""
        return f"http://{self._head.ip}:{self._head.ports['dashboard-port']}"

    @property
    def session_dir(self) -> Path:
        """The folder with the cluster's sockets and logs."""
        return (self._temp_dir / "session_latest").resolve()

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which another process finds the cluster and is let in."""
        return {"RAY_ADDRESS": self.address, **self._client_environment()}

    def start(self) -> RayCluster:
        """Start the head and return when its dashboard answers.

        Raises:
            RuntimeError: It does not answer, with the end of what it wrote.
        """
        if self.head is not None:
            return self
        return _with_a_second_chance(self._start)

    def _start(self) -> RayCluster:
        self._folder = Path(
            tempfile.mkdtemp(prefix="ray-", dir="/tmp")
        )  # short: paths of sockets end at 107 characters
        if self.token:
            token_file = self._folder / "token"
            token_file.touch(0o600)
            token_file.write_text(self.token)
        atexit.register(self.stop)
        try:
            self.head = self._start_node(
                {**self._options, "head": ""}, fixed={"port": self._port} if self._port else {}
            )
            self.head.wait_until(lambda: self._get("/api/version") and self.nodes_alive())
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End every process of the cluster and remove its folder. Doing it again does nothing."""
        if os.getpid() != self._owner:  # a fork of the process, which runs its atexit functions too
            return
        with self._lock:
            nodes, self.nodes = self.nodes, []
            for node in reversed(nodes):
                node.kill()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
            self.head = self._folder = None
        atexit.unregister(self.stop)

    def add_node(
        self,
        *,
        num_cpus: int = 1,
        num_gpus: int = 0,
        memory: int = 4 * _GIB,
        resources: Mapping[str, float] | None = None,
    ) -> RayNode:
        """Start one more node and return when the cluster counts it.

        Raises:
            RuntimeError: The cluster does not count it in time, with the end of what it wrote.
        """
        options = _resource_options(num_cpus, num_gpus, memory, resources)

        def start() -> RayNode:
            node = self._start_node({**options, "address": self.address})
            node.wait_until_alive()
            return node

        # By this file older Ray finds the node of a driver of this machine: the head, although each node writes it.
        file = self.session_dir / "node_ip_address.json"
        head = file.read_bytes() if file.exists() else None
        node = _with_a_second_chance(start)
        if head is not None:
            file.write_bytes(head)
        return node

    def nodes_alive(self) -> list[str]:
        """Return the ids of the nodes that the cluster believes alive."""
        return [node["node_id"] for node in self.node_states() if node["state"] == "ALIVE"]

    def node_states(self) -> list[dict[str, Any]]:
        """Return what the cluster knows of each of its nodes, the lost ones too.

        Raises:
            urllib.error.URLError: The dashboard does not answer, or refuses.
        """
        answer = self._get("/api/v0/nodes?limit=1000&detail=0")
        states: list[dict[str, Any]] = answer["data"]["result"]["result"]
        return states

    def wait_until_dead(self, node: RayNode, patience: float = PATIENCE) -> None:
        """Return when the cluster has noticed that it lost `node`.

        Raises:
            TimeoutError: It has not, after `patience` seconds.
        """
        if not poll(lambda: node.node_id not in self.nodes_alive(), patience):
            raise TimeoutError(f"waited {patience:g} s, and the cluster still counts {node.ip} as alive")

    @property
    def _head(self) -> RayNode:
        if self.head is None:
            raise RuntimeError("the cluster does not run: call start(), or use it in a with block")
        return self.head

    @property
    def _temp_dir(self) -> Path:
        if self._folder is None:
            raise RuntimeError("the cluster does not run: call start(), or use it in a with block")
        return self._folder

    def _client_environment(self) -> dict[str, str]:
        found = {
            **bytecode_environment(),
            "RAY_AUTH_MODE": self.auth,
            "RAY_USAGE_STATS_ENABLED": "0",
            # Under `uv run pytest`, Ray would send the working folder and rebuild its environment for every worker.
            "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        }
        return {**found, "RAY_AUTH_TOKEN_PATH": str(self._temp_dir / "token")} if self.token else found

    def _start_node(self, options: Mapping[str, str], fixed: Mapping[str, int] | None = None) -> RayNode:
        with self._lock:
            self._hosts += 1
            ip = f"127.0.0.{self._hosts}"
        fixed = fixed or {}
        require_free(ip, 0, *fixed.values())
        claim = claim_ports()
        first = claim.getsockname()[1]
        is_head = "head" in options
        ports = {**node_ports(first, is_head), **fixed}
        every_option = {
            **options,
            **{name: str(port) for name, port in ports.items()},
            "node-ip-address": ip,
            "min-worker-port": str(first + 10),
            "max-worker-port": str(first + 99),
            "object-store-memory": str(256 * 2**20),
            "disable-usage-stats": "",
            "block": "",
        }
        # Each has logs of its own, as on machines of their own. Older Ray, like 2.51, takes the head's instead.
        every_option["temp-dir"] = str(self._temp_dir if is_head else self._temp_dir / f"node-{ip.rpartition('.')[2]}")
        if is_head:
            every_option["dashboard-host"] = ip
        command = [self._python, "-m", "ray.scripts.scripts", "start"]
        command += [f"--{name}={value}" if value else f"--{name}" for name, value in every_option.items()]
        env = {**inherited_environment(), **_NODE_ENVIRONMENT, **self._client_environment(), **self._env}
        node = RayNode(self, ip, ports, command, env, claim, self._temp_dir)
        self.nodes.append(node)
        return node

    def _get(self, path: str) -> Any:
        request = urllib.request.Request(self.dashboard_url + path)
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        # A proxy of the developer's network is not asked for an address of this machine.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            return json.load(answer)


def _with_a_second_chance(start: Callable[[], T]) -> T:
    """Start again where Ray gave up: its parts have half a minute to start, and a busy machine may need more."""
    try:
        return start()
    except RuntimeError as error:
        if not any(words in str(error) for words in _TOO_SLOW):
            raise
    return start()


def _resource_options(
    num_cpus: int, num_gpus: int, memory: int, resources: Mapping[str, float] | None
) -> dict[str, str]:
    return {
        "num-cpus": str(num_cpus),
        "num-gpus": str(num_gpus),
        "memory": str(memory),
        "resources": json.dumps(dict(resources or {})),
    }
