"""The one owner of this process's connection to Ray.

``ray.init`` is global to a process: asking for cluster B while connected to A gives A. So every connection
of a user's process is opened here, where that is found out, and named.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import ray

from synapse_core.errors import AuthenticationError, BackendError, BackendUnreachableError
from synapse_core.safe_text import safe_str
from synapse_ray.addresses import ClusterAddress, parse_address
from synapse_ray.command_line import hide_command_line
from synapse_ray.names import NAMESPACE
from synapse_ray.ray_internals import (
    client_address,
    cluster_id_at,
    cluster_id_of_connection,
    connection_mark,
    is_client_connection,
    is_connected_cluster,
    ray_version_at,
    running_cluster,
    without_uv_run_environment,
)
from synapse_ray.translation import refuse_missing_token, translated

__all__ = [
    "Connection",
    "NAMESPACE",
    "close_connection",
    "found_no_cluster",
    "open_connection",
    "when_forked",
    "worker_connection",
]

_CLIENT_ATTEMPTS = 3
_KNOCK_SECONDS = 5.0
_ANSWER_SECONDS = 1.0  # a control store answers at once, and not in HTTP/1
_FOUND_NONE = "Could not find any running Ray instance"
_lock = threading.RLock()
_current: Connection | None = None
_uses = 0
_inherited: object = None  # mark of the connection of the process that this one was forked from
_forgetting: list[Callable[[], None]] = []


@dataclass(frozen=True)
class Connection:
    """A connection of this process to a cluster.

    Attributes:
        cluster_id: The cluster's own id.
        address: What the cluster is called in messages.
        is_ours: Whether this package made it, and ends it with its last user.
        is_client: Whether it goes through Ray's client protocol.
        is_private: Whether the cluster was started by it, and ends with it.
        mark: What tells it from one that was made later.
    """

    cluster_id: str
    address: str
    is_ours: bool
    is_client: bool
    is_private: bool = False
    mark: object = field(default=None, repr=False, compare=False)

    @property
    def is_current(self) -> bool:
        """Whether it is still the one of this process: not ended, not replaced, and not inherited by a fork."""
        return (
            self.mark is connection_mark()
            and (self.mark is not _inherited or _inherited is None)
            and (not self.is_client or ray.is_initialized())
        )

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
        BackendError: This process is connected to another cluster already, or was forked from one that is connected,
            or the versions differ.
    """
    global _current, _uses
    wanted = parse_address(address)
    if wanted.kind == "http":
        raise BackendError(
            f"{wanted} is the address of a dashboard, which serves mode 'job'. "
            "This mode needs 'auto', 'HOST:PORT' or 'ray://HOST:10001'"
        )
    with _lock:
        _refuse_fork()
        if not ray.is_initialized():
            _current, _uses = _connect(wanted, start), 0
        elif _current is None or _current.mark is not connection_mark():
            _current, _uses = _describe(is_ours=False), 0
        _refuse_another(_current, wanted)
        _uses += 1
        return _current


def worker_connection() -> Connection:
    """Return the connection that Ray has given to this process, one of its workers; nobody has to end it.

    Raises:
        BackendError: This process was forked from a worker.
    """
    _refuse_fork()
    return _describe(is_ours=False)


def close_connection(connection: Connection) -> None:
    """Let go of a connection; the last user of one that this package made ends it. One that was found stays.

    So does one that the user has made in place of ours.
    """
    global _current, _uses
    with _lock:
        if connection is not _current:
            return
        _uses -= 1
        if _uses <= 0:
            _current = None
            if connection.is_ours and connection.mark is connection_mark():
                with contextlib.suppress(Exception):  # the cluster may be gone
                    ray.shutdown()


def found_no_cluster(error: BaseException | None) -> bool:
    """Say whether `open_connection` has failed because ``auto`` found no cluster: not one that does not answer."""
    while error is not None:
        if isinstance(error, ConnectionError) and _FOUND_NONE in safe_str(error):
            return True
        error = error.__cause__ or (error.__context__ if error.__suppress_context__ else None)
    return False


def when_forked(forget: Callable[[], None]) -> None:
    """Have `forget` called in each process that is forked from this one, where no connection of this one works."""
    _forgetting.append(forget)


def _forget_all() -> None:
    global _lock, _current, _uses, _inherited
    _lock = threading.RLock()
    _current, _uses, _inherited = None, 0, connection_mark()
    for forget in _forgetting:
        forget()


os.register_at_fork(after_in_child=_forget_all)


def _refuse_fork() -> None:
    """Raise where Ray believes to be connected, and only the process is that this one was forked from."""
    if _inherited is not None and _inherited is connection_mark():
        raise BackendError(
            f"this process (pid {os.getpid()}) was forked from one that is connected to Ray, and a connection does "
            "not work in a fork. Make the executor's first call after the fork, or start processes with "
            'multiprocessing.get_context("spawn")'
        )


def _connect(wanted: ClusterAddress, start: bool) -> Connection:
    if wanted.kind != "auto":
        return _init(wanted)
    try:
        found = _init(wanted)
        sys.stderr.write(f"using the Ray cluster at {found.address}\n")  # which nobody has named
        return found
    except BackendUnreachableError as error:
        if not found_no_cluster(error):
            raise
        if not start:
            raise BackendUnreachableError(
                "no Ray cluster is running here, and none was named. Start one with `ray start --head`, "
                "name one with ray_address='HOST:PORT' (--ray-address), or let this call start one with "
                "start_ray=True (--start-ray)"
            ) from None
    sys.stderr.write("no Ray cluster is running: starting a private one, which ends with this process\n")
    return _init(ClusterAddress("local", "local"))


def _init(wanted: ClusterAddress) -> Connection:
    refuse_missing_token(wanted.text if wanted.kind in ("direct", "client") else None)
    address = _address_for_ray(wanted)
    hide_command_line()
    options: dict[str, Any] = {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": "ERROR"}
    if wanted.kind == "local":
        options |= {"include_dashboard": False}
    attempts = _CLIENT_ATTEMPTS if wanted.kind == "client" else 1
    for attempt in range(1, attempts + 1):
        try:
            with without_uv_run_environment(), warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Tip: In future versions of Ray")  # of other calls
                ray.init(address=address, **options)
            return _describe(is_ours=True, is_private=wanted.kind == "local")
        except Exception as error:
            with contextlib.suppress(Exception):
                ray.shutdown()  # a half-made connection would be found by the next one
            problem = translated(error, "connecting", address=None if wanted.kind == "auto" else str(wanted))
            if isinstance(problem, BackendUnreachableError) and wanted.kind != "client":
                _name_another_ray(address)
            if attempt == attempts or not isinstance(problem, BackendUnreachableError):
                raise problem from error
            time.sleep(attempt)  # a client's proxy on a busy head may not be there the first time
    raise AssertionError("unreachable")


def _name_another_ray(address: str) -> None:
    """Raise where the cluster answers, but has another Ray, which an older one takes for no answer."""
    try:
        there = ray_version_at(address)
    except Exception:  # it does not answer
        return
    if there != ray.__version__:
        raise BackendError(
            f"connecting: the cluster at {address} has Ray {there}, and this process Ray {ray.__version__}. "
            "Install the same Ray and Python minor version on both sides"
        )


def _address_for_ray(wanted: ClusterAddress) -> str:
    """Return what Ray is to be given, once somebody has answered there.

    Given ``auto`` itself, Ray turns token authentication on where a token lies in the home folder. If the cluster has
    it off, that costs each actor its life at once, without a word why [tried, 2.60]. So ``auto`` is for a cluster that
    wants a token only.

    Raises:
        BackendUnreachableError: Nobody listens there.
        AuthenticationError: The cluster that was named wants a token.
    """
    address = running_cluster() if wanted.kind == "auto" else wanted.text
    if address is None or wanted.kind == "local":
        return wanted.text
    _knock(wanted, address)
    if wanted.kind != "client":
        try:
            cluster_id_at(address)
        except AuthenticationError:  # what is wrong about a token is said here at once, and by `ray.init` never
            if wanted.kind == "direct":
                raise
            return wanted.text
        except Exception:  # whatever else it is, Ray names it when it connects
            return address
    return address


def _knock(wanted: ClusterAddress, address: str) -> None:
    """Raise where nobody listens, which Ray itself finds out after a minute, with its own talk on stderr."""
    parts = urlsplit(address if wanted.kind == "client" else f"ray://{address}")
    hosts = [parts.hostname or ""]
    own: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    if hosts[0] in ("localhost", "127.0.0.1", "::1"):
        hosts.append(own)  # which Ray takes in its place
    for host in hosts:
        try:
            with socket.create_connection((host, parts.port or 0), timeout=_KNOCK_SECONDS) as door:
                if wanted.kind == "direct":  # a gateway may serve clients and the web at one port
                    _refuse_http(door, wanted, f"{host}:{parts.port}")
            break
        except OSError as error:
            problem = error
    else:
        reason = safe_str(problem)
        if wanted.kind == "auto":
            # A head that died leaves its address behind; of a remote one, nobody here knows whether it still runs.
            is_here = hosts[0] in (own, "localhost", "::1") or hosts[0].startswith("127.")
            is_gone = is_here and not isinstance(problem, TimeoutError)
            forgotten = f"{reason}. It is the last one that was used here; `ray stop` forgets it"
            reason = f"{_FOUND_NONE}: the last one that was started here is gone" if is_gone else forgotten
        cause = ConnectionError(reason)
        raise translated(cause, "connecting", address=address if wanted.kind == "auto" else str(wanted)) from cause


def _refuse_http(door: socket.socket, wanted: ClusterAddress, address: str) -> None:
    """Raise where a web server answers, a dashboard most likely: Ray asks it for minutes to be something else."""
    door.settimeout(_ANSWER_SECONDS)
    try:
        door.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = door.recv(5)
    except OSError:  # whatever it is, it is no web server
        return
    if answer == b"HTTP/":
        raise BackendError(
            f"{wanted}: a web server answers there, and no Ray cluster. If it is a dashboard, it serves mode 'job' "
            f"under http://{address}; this mode needs the port of `ray start`, 6379 unless --port said otherwise, or "
            "ray://HOST:10001"
        )


def _describe(*, is_ours: bool, is_private: bool = False) -> Connection:
    is_client = is_client_connection()
    address = (client_address() if is_client else None) or str(ray.get_runtime_context().gcs_address)
    return Connection(cluster_id_of_connection(), address, is_ours, is_client, is_private, connection_mark())


def _refuse_another(current: Connection, wanted: ClusterAddress) -> None:
    """Raise where `wanted` is another cluster than the connected one."""
    if wanted.kind == "auto" or wanted.text == current.address:
        return
    if wanted.kind == "local":
        if current.is_private:
            return
        raise _another(current, "a private cluster")
    with contextlib.suppress(Exception):
        _knock(wanted, wanted.text)
        if wanted.kind == "client":
            is_same = is_connected_cluster(wanted.text)
        else:
            is_same = cluster_id_at(wanted.text) == current.cluster_id
        if is_same:
            return
    raise _another(current, str(wanted))


def _another(current: Connection, wanted: str) -> BackendError:
    return BackendError(
        f"this process (pid {os.getpid()}) is connected to the Ray cluster {current.address} "
        f"(id {current.cluster_id[:12]}), and {wanted} was asked for. A process has one connection: use mode 'job' "
        "(RayJobsApiExecutor), which goes over HTTP to any number of clusters, or another process, "
        "or end the connection with ray.shutdown()"
    )
