"""The one owner of this process's connection to Ray.

``ray.init`` is global to a process: asking for cluster B while connected to A gives A. So every connection
of this package is opened here, where that is found out, and named.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import ray

from synapse_core.errors import AuthenticationError, BackendError, BackendUnreachableError
from synapse_core.safe_text import safe_str
from synapse_ray.addresses import ClusterAddress, parse_address
from synapse_ray.command_line import hide_command_line
from synapse_ray.names import NAMESPACE
from synapse_ray.ray_internals import (
    cluster_id_of_connection,
    control_store,
    dashboard_of_connection,
    is_client_connection,
    without_uv_run_environment,
)
from synapse_ray.translation import refuse_missing_token, translated

__all__ = ["Connection", "NAMESPACE", "close_connection", "open_connection"]

_CLIENT_ATTEMPTS = 3
_KNOCK_SECONDS = 5.0
_lock = threading.RLock()
_current: Connection | None = None
_uses = 0


@dataclass(frozen=True)
class Connection:
    """A connection of this process to a cluster.

    Attributes:
        cluster_id: The cluster's own id.
        address: What the cluster is called in messages.
        dashboard_url: Where its dashboard answers, where it has one.
        is_ours: Whether this package made it, and ends it with its last user.
        is_client: Whether it goes through Ray's client protocol.
        is_private: Whether the cluster was started by it, and ends with it.
    """

    cluster_id: str
    address: str
    dashboard_url: str | None
    is_ours: bool
    is_client: bool
    is_private: bool = False

    def is_answered(self) -> bool:
        """Say whether somebody listens at the cluster's address; Ray itself waits a minute, and ends the process."""
        if self.is_client:
            return True  # its calls fail by themselves
        parts = urlsplit(f"//{self.address}")
        try:
            socket.create_connection((parts.hostname or "", parts.port or 0), timeout=_KNOCK_SECONDS).close()
        except OSError:
            return False
        return True


def open_connection(address: str | None, *, start: bool = False) -> Connection:
    """Return this process's connection to the cluster at `address`, made if need be; end it by `close_connection`.

    Args:
        address: As `parse_address` reads it.
        start: Whether to start a private cluster where ``auto`` finds none; it ends with the connection.

    Raises:
        BackendUnreachableError: Nobody answers there, or ``auto`` found none.
        AuthenticationError: The cluster wants a token.
        BackendError: This process is connected to another cluster already, or the versions differ.
    """
    global _current, _uses
    wanted = parse_address(address)
    if wanted.kind == "http":
        raise BackendError(
            f"{wanted.text} is the address of a dashboard, which serves mode 'job'. "
            "This mode needs 'auto', 'HOST:PORT' or 'ray://HOST:10001'"
        )
    with _lock:
        if not ray.is_initialized():
            _current, _uses = _connect(wanted, start), 0
        elif _current is None or not _is_current():
            _current, _uses = _describe(wanted, is_ours=False), 0
        _refuse_another(_current, wanted)
        _uses += 1
        return _current


def close_connection(connection: Connection) -> None:
    """Let go of a connection; the last user of one that this package made ends it. One that was found stays."""
    global _current, _uses
    with _lock:
        if connection is not _current:
            return
        _uses -= 1
        if _uses <= 0:
            _current = None
            if connection.is_ours:
                with contextlib.suppress(Exception):  # the cluster may be gone
                    ray.shutdown()


def _is_current() -> bool:
    """Say whether the connection is still the one that we know: the user may have made another one."""
    if _current is None:
        return False
    try:
        return cluster_id_of_connection() == _current.cluster_id
    except Exception:  # a connection that is just breaking
        return True


def _connect(wanted: ClusterAddress, start: bool) -> Connection:
    if wanted.kind == "auto":
        try:
            return _init(wanted)
        except BackendUnreachableError:
            if not start:
                raise BackendUnreachableError(
                    "no Ray cluster is running here, and none was named. Start one with `ray start --head`, "
                    "name one with ray_address='HOST:PORT' (--ray-address), or let this call start one with "
                    "start_ray=True (--start-ray)"
                ) from None
            sys.stderr.write("no Ray cluster is running: starting a private one, which ends with this process\n")
            return _init(ClusterAddress("local", "local"))
    return _init(wanted)


def _init(wanted: ClusterAddress) -> Connection:
    refuse_missing_token(wanted.text if wanted.kind in ("direct", "client") else None)
    _knock(wanted)
    hide_command_line()
    options: dict[str, Any] = {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": "ERROR"}
    if wanted.kind == "local":
        options |= {"include_dashboard": False}
    attempts = _CLIENT_ATTEMPTS if wanted.kind == "client" else 1
    for attempt in range(1, attempts + 1):
        try:
            with without_uv_run_environment():
                context = ray.init(address=wanted.text, **options)
            return _describe(wanted, is_ours=True, dashboard=getattr(context, "dashboard_url", None))
        except Exception as error:
            with contextlib.suppress(Exception):
                ray.shutdown()  # a half-made connection would be found by the next one
            problem = translated(error, "connecting", address=None if wanted.kind == "auto" else wanted.text)
            if attempt == attempts or not isinstance(problem, BackendUnreachableError):
                raise problem from error
            time.sleep(attempt)  # a client's proxy on a busy head may not be there the first time
    raise AssertionError("unreachable")


def _knock(wanted: ClusterAddress) -> None:
    """Raise where nobody listens, which Ray itself finds out after a minute, with its own talk on stderr."""
    if wanted.kind not in ("direct", "client"):
        return
    parts = urlsplit(wanted.text if wanted.kind == "client" else f"ray://{wanted.text}")
    hosts = [parts.hostname or ""]
    if hosts[0] in ("localhost", "127.0.0.1", "::1"):
        hosts.append(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]  # which Ray takes in its place
    for host in hosts:
        try:
            socket.create_connection((host, parts.port or 0), timeout=_KNOCK_SECONDS).close()
            break
        except OSError as error:
            problem = error
    else:
        raise translated(ConnectionError(safe_str(problem)), "connecting", address=wanted.text) from problem
    if wanted.kind == "direct":
        try:
            control_store(wanted.text)
        except AuthenticationError:  # what is wrong about a token is said here at once, and by `ray.init` never
            raise
        except Exception:
            return


def _describe(wanted: ClusterAddress, *, is_ours: bool, dashboard: str | None = None) -> Connection:
    is_client = is_client_connection()
    address = wanted.text if wanted.kind == "client" and is_client else str(ray.get_runtime_context().gcs_address)
    url = dashboard or dashboard_of_connection()
    if url is not None and "://" not in url:
        url = f"http://{url}"
    is_private = is_ours and wanted.kind == "local"
    return Connection(cluster_id_of_connection(), address, url, is_ours, is_client, is_private)


def _refuse_another(current: Connection, wanted: ClusterAddress) -> None:
    """Raise where `wanted` is another cluster than the connected one."""
    if wanted.kind == "auto" or wanted.text == current.address:
        return
    if wanted.kind == "local":
        if current.is_private:
            return
        raise _another(current, "a private cluster")
    if wanted.kind == "direct":
        with contextlib.suppress(Exception):
            _knock(wanted)
            if control_store(wanted.text).cluster_id.hex() == current.cluster_id:
                return
    raise _another(current, wanted.text)


def _another(current: Connection, wanted: str) -> BackendError:
    return BackendError(
        f"this process (pid {os.getpid()}) is connected to the Ray cluster {current.address} "
        f"(id {current.cluster_id[:12]}), and {wanted} was asked for. A process has one connection: use mode 'job' "
        "(RayJobsApiExecutor), which goes over HTTP to any number of clusters, or another process, "
        "or end the connection with ray.shutdown()"
    )
