"""One node of a `RayCluster`."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import urllib.error
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from synapse_testing.ray_processes import kill_session, processes_of, watchdog_command
from synapse_testing.waiting import poll

if TYPE_CHECKING:
    from synapse_testing.ray_cluster import RayCluster

__all__ = ["PATIENCE", "RayNode"]

PATIENCE = 120.0
"""Seconds that a node has to answer."""


class RayNode:
    """The processes of one ``ray start``, in a session of their own."""

    def __init__(
        self,
        cluster: RayCluster,
        ip: str,
        ports: Mapping[str, int],
        command: list[str],
        env: Mapping[str, str],
        claim: socket.socket,
        folder: Path,
    ) -> None:
        self.ip = ip
        self.ports = dict(ports)
        self._cluster = cluster
        self._claim = claim
        self._node_id: str | None = None
        self._over = False
        self._log = folder / f"{ip}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, env=dict(env), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        # Its input ends when this process does.
        self._watchdog = subprocess.Popen(
            watchdog_command(self._process.pid, folder), stdin=subprocess.PIPE, start_new_session=True
        )

    @property
    def pid(self) -> int:
        """The process of ``ray start``, whose number is that of the session too."""
        return self._process.pid

    @property
    def node_id(self) -> str | None:
        """Ray's name of the node, None until the cluster counts it."""
        if self._node_id is None:
            ids = [state["node_id"] for state in self._cluster.node_states() if state["node_ip"] == self.ip]
            self._node_id = ids[0] if ids else None
        return self._node_id

    def wait_until_alive(self) -> None:
        """Return when the cluster counts the node.

        Raises:
            RuntimeError: It does not in time, with the end of what the node wrote. The node is killed.
        """
        try:
            self.wait_until(lambda: self.node_id in self._cluster.nodes_alive())
        except BaseException:
            self.kill()
            raise

    def wait_until(self, answered: Callable[[], object]) -> None:
        """Return when `answered` says something true; what it raises while nobody answers yet is no answer.

        Raises:
            RuntimeError: It does not in time, or the node has ended; with the end of what that wrote.
        """

        def settled() -> bool:
            if self.exit_code() is not None:
                return True
            with contextlib.suppress(urllib.error.URLError, OSError, ValueError, KeyError):
                return bool(answered())
            return False

        in_time = poll(settled, PATIENCE)
        code = self.exit_code()
        if not in_time or code is not None:
            what = f"did not answer within {PATIENCE:g} s" if code is None else f"ended with exit status {code}"
            raise RuntimeError(f"the Ray node {self.ip} {what}; the end of its log:\n{self.log_tail()}")

    def exit_code(self) -> int | None:
        """Return how ``ray start`` ended, None while it runs."""
        return self._process.poll()

    def processes(self) -> set[int]:
        """Return the ids of the node's living processes."""
        return processes_of(self._process.pid)

    def log_tail(self, lines: int = 30) -> str:
        """Return the end of what ``ray start`` wrote."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def kill(self) -> None:
        """Lose the node as if its machine were switched off: every process is killed at once."""
        if self._over:  # its number may be another process's by now
            return
        kill_session(self._process.pid)
        self._process.wait()
        self._watchdog.kill()
        self._watchdog.wait()
        if self._watchdog.stdin is not None:
            self._watchdog.stdin.close()
        self._claim.close()
        self._over = True

    def stop(self, patience: float = 40.0) -> None:
        """End the node as an operator does: it takes leave first, and its tasks have 30 s to end."""
        if self._over:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        self.kill()
