"""What Ray has no public interface for. Nothing else in this package touches a private name of Ray.

Each function says what it stands in for, and works on every Ray version that the package allows; a test of the
oldest and the newest runs all of them.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

__all__ = [
    "actor_is_accepted",
    "client_address",
    "cluster_id_at",
    "cluster_id_of_connection",
    "cluster_may_grow",
    "connection_mark",
    "control_store",
    "dashboard_of_cluster",
    "dashboard_of_connection",
    "death_of_actor",
    "drop_parcel",
    "forget_job_environment",
    "get_parcel",
    "has_package",
    "is_client_connection",
    "is_connected_cluster",
    "is_inside_worker",
    "log_folder_writer",
    "pin_package",
    "put_package",
    "put_parcel",
    "ray_version_at",
    "running_cluster",
    "session_folder",
    "set_command_line",
    "shows_worker_output",
    "take_secret",
    "without_uv_run_environment",
]

_PIN_SECONDS = 600
_PARCEL_NAMESPACE = b"synapse"
_PARCEL_PIECE = 16 * 2**20
_ANSWER_SECONDS = 10.0


@contextlib.contextmanager
def without_uv_run_environment() -> Iterator[None]:
    """Keep ``ray.init`` from shipping the folder and the environment of a process that ``uv run`` has started.

    What workers get is said by the executors' arguments. Whoever has set the variable wants what it says; Ray itself
    reads it when it is imported, which may be long past.
    """
    from ray._private import ray_constants

    name = "RAY_ENABLE_UV_RUN_RUNTIME_ENV"
    before = getattr(ray_constants, name, False)
    setattr(ray_constants, name, ray_constants.env_bool(name, False))  # type: ignore[attr-defined,no-untyped-call]
    try:
        yield
    finally:
        setattr(ray_constants, name, before)


def cluster_id_of_connection() -> str:
    """Return the id of the cluster that this process is connected to; the same over every kind of connection."""
    from ray.experimental.internal_kv import _internal_kv_get

    found = _internal_kv_get(b"ray_cluster_id", namespace=b"cluster")
    return found.hex() if found else ""


def cluster_id_at(address: str) -> str:
    """Return the id of the cluster at an address, without a connection of this process.

    Args:
        address: ``HOST:PORT`` of its control store.

    Raises:
        AuthenticationError: The cluster wants a token.
    """
    found: str = control_store(address).cluster_id.hex()
    return found


def ray_version_at(address: str) -> str:
    """Return the version of Ray that the cluster at an address has, asked for as `cluster_id_at` does."""
    found = control_store(address).internal_kv_get(b"CLUSTER_METADATA", b"cluster")
    return str(json.loads(found)["ray_version"])


def is_connected_cluster(address: str) -> bool:
    """Say whether a client's address leads to the cluster that this process is connected to, without a new connection.

    Whoever answers there reads the cluster's memory for those who are no clients yet, but not what the cluster's id
    is under: so a word is left there by the connection, and asked for at the address.

    Args:
        address: ``ray://HOST:PORT``.
    """
    import uuid

    import grpc  # type: ignore[import-untyped]
    from ray.core.generated.ray_client_pb2 import KVGetRequest  # type: ignore[attr-defined]
    from ray.core.generated.ray_client_pb2_grpc import RayletDriverStub
    from ray.experimental.internal_kv import _internal_kv_del, _internal_kv_put

    from synapse_ray.auth_token import auth_headers

    word = f"synapse-asks-{uuid.uuid4().hex}".encode()
    _internal_kv_put(word, word)
    try:
        with grpc.insecure_channel(address.removeprefix("ray://")) as channel:
            metadata = [("client_id", uuid.uuid4().hex)]
            metadata += [(name.lower(), value) for name, value in auth_headers().items()]
            stub: Any = RayletDriverStub(channel)  # type: ignore[no-untyped-call]
            answer = stub.KVGet(KVGetRequest(key=word), timeout=_ANSWER_SECONDS, metadata=metadata)
            return bool(answer.value == word)
    finally:
        _internal_kv_del(word)


def cluster_may_grow() -> bool:
    """Say whether an autoscaler could add nodes of other kinds to the connected cluster; true where that is unknown."""
    from ray.experimental.internal_kv import _internal_kv_get

    from synapse_ray.placement import are_fixed

    if _internal_kv_get(b"__autoscaler_cluster_config", namespace=b"__autoscaler"):
        return True
    found = _internal_kv_get(b"__autoscaling_status")
    report = json.loads(found).get("autoscaler_report") if found else None
    if not report:
        return True
    kinds = {*(report.get("active_nodes") or ()), *(report.get("idle_nodes") or ())}
    return bool(report.get("pending_launches")) or not are_fixed(kinds)


def actor_is_accepted(actor: Any) -> bool:
    """Say whether the cluster has all that it needs to make an actor, so that it goes on without its creator.

    Over a client connection the answer is yes: there the creator is a process of the cluster, and outlives the client.
    """
    if is_client_connection():
        return True
    from ray._private.state import state

    found = state.actor_table(actor._actor_id.hex(), None, None)
    return bool(found) and found.get("State") != "DEPENDENCIES_UNREADY"


def put_parcel(name: str, content: bytes) -> None:
    """Store bytes in the cluster's memory, where no interface shows them, until `drop_parcel`."""
    from ray.experimental.internal_kv import _internal_kv_put

    for number, at in enumerate(range(0, max(len(content), 1), _PARCEL_PIECE)):
        key = f"parcel/{name}/{number}".encode()
        _internal_kv_put(key, content[at : at + _PARCEL_PIECE], namespace=_PARCEL_NAMESPACE)


def get_parcel(name: str, size: int) -> bytes | None:
    """Return what `put_parcel` stored; ``None`` where some of it is gone."""
    from ray.experimental.internal_kv import _internal_kv_get

    pieces = []
    for number in range(max(1, -(-size // _PARCEL_PIECE))):
        pieces.append(_internal_kv_get(f"parcel/{name}/{number}".encode(), namespace=_PARCEL_NAMESPACE) or b"")
    found = b"".join(pieces)
    return found if len(found) == size else None


def drop_parcel(name: str) -> None:
    """Forget what `put_parcel` stored."""
    from ray.experimental.internal_kv import _internal_kv_del

    _internal_kv_del(f"parcel/{name}/".encode(), del_by_prefix=True, namespace=_PARCEL_NAMESPACE)


def is_client_connection() -> bool:
    """Say whether this process is connected through Ray's client protocol."""
    from ray.util.client import ray as client

    return bool(client.is_connected())  # type: ignore[no-untyped-call]


def client_address() -> str | None:
    """Return where this process's client connection goes, as ``ray://HOST:PORT``; ``None`` without one."""
    from ray.util.client import ray as client

    worker: Any = client.get_context().client_worker  # type: ignore[no-untyped-call]
    return None if worker is None else f"ray://{worker._conn_str}"


def dashboard_of_connection() -> str | None:
    """Return the URL of the connected cluster's dashboard, where it has one."""
    from ray._private import worker

    try:
        found = worker.get_dashboard_url()  # type: ignore[no-untyped-call]
    except Exception:  # over a client connection, or without a dashboard
        return None
    if not found:
        return None
    return _with_scheme(found)


def control_store(address: str) -> Any:
    """Return a client of a cluster's control store that needs no connection of this process.

    Args:
        address: ``HOST:PORT``.

    Raises:
        AuthenticationError: The cluster wants a token.
    """
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    from synapse_ray.translation import is_about_token, refuse_missing_token, translated

    refuse_missing_token(address)
    while True:
        try:
            return GcsClient(address=address)
        except Exception as error:
            if not is_about_token(error):
                raise
            if not _takes_up_token():  # which it does once at most
                raise translated(error, "connecting", address=address) from error


def _takes_up_token() -> bool:
    """Turn token authentication on in this process, where a token is found that nobody has said whether to use.

    Ray does the same for its own ``auto``, and makes such a token itself when it starts a private cluster.
    """
    import ray

    from synapse_ray.auth_token import auth_headers

    if ray.is_initialized() or os.environ.get("RAY_AUTH_MODE") is not None or not auth_headers():
        return False
    try:
        from ray._private.authentication.authentication_token_setup import _enable_token_auth
    except ImportError:  # an older Ray takes up none by itself either
        return False
    _enable_token_auth()
    return True


def dashboard_of_cluster(address: str) -> str | None:
    """Return the URL of a cluster's dashboard, without a connection of this process; ``None`` where it has none.

    Args:
        address: ``HOST:PORT`` of its control store.

    Raises:
        OSError: Nobody listens there.
        AuthenticationError: The cluster wants a token.
    """
    import socket

    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=3).close()  # Ray's own client waits for a minute
    found = control_store(address).internal_kv_get(b"dashboard", b"dashboard")
    return None if not found else _with_scheme(found.decode())


def running_cluster() -> str | None:
    """Return the address that Ray's ``auto`` leads to: of the cluster that runs here, or was started here last."""
    from ray._private.services import find_gcs_addresses
    from ray._private.utils import read_ray_address

    running = find_gcs_addresses()  # type: ignore[no-untyped-call]
    last = read_ray_address() or None
    return next(iter(running)) if running and (last is None or len(running) == 1) else last


def _with_scheme(address: str) -> str:
    return address if "://" in address else f"http://{address}"


def has_package(uri: str) -> bool:
    """Say whether the connected cluster holds a package under this ``gcs://`` address."""
    from ray.experimental.internal_kv import _internal_kv_exists

    return bool(_internal_kv_exists(uri.encode()))


def put_package(uri: str, content: bytes) -> None:
    """Store a package where Ray's runtime environments look for it."""
    from ray.experimental.internal_kv import _internal_kv_put

    _internal_kv_put(uri.encode(), content)


def pin_package(uri: str) -> None:
    """Keep a package from being collected until somebody refers to it; for as long as Ray keeps those of its own."""
    from ray._private.ray_constants import RAY_RUNTIME_ENV_URI_PIN_EXPIRATION_S_ENV_VAR
    from ray.experimental.internal_kv import _pin_runtime_env_uri

    seconds = int(os.environ.get(RAY_RUNTIME_ENV_URI_PIN_EXPIRATION_S_ENV_VAR, _PIN_SECONDS))
    _pin_runtime_env_uri(uri, expiration_s=seconds)


def take_secret(address: str, uri: str) -> bytes | None:
    """Return what was stored under a ``gcs://`` address and delete it there, without a connection of this process."""
    store = control_store(address)
    found: bytes | None = store.internal_kv_get(uri.encode(), None)
    if found is not None:
        store.internal_kv_del(uri.encode(), False, None)
    return found


def death_of_actor(name: str) -> str | None:
    """Return what the connected cluster has noted of an actor's death; ``None`` where it knows of none."""
    from ray._private.state import state

    actors: dict[str, dict[str, Any]] = state.actor_table(None)
    for actor in actors.values():
        if actor["Name"] == name and actor["State"] == "DEAD":
            cause: Any = actor["DeathCause"]
            kind = cause.WhichOneof("context")
            return str(getattr(getattr(cause, kind), "error_message", kind)) if kind else ""
    return None


def session_folder() -> str:
    """Return the session folder of the node that this process runs on."""
    from ray._private import worker

    node: Any = worker.global_worker.node
    return str(node.get_session_dir_path())


def log_folder_writer() -> Callable[[str, dict[str, bytes]], None]:
    """Return a function that writes files into a folder of the log folder of the node that it runs on.

    It travels by value and needs nothing but Ray there: a node need not have what a job's own environment has.
    """

    def write(folder: str, contents: dict[str, bytes]) -> None:
        import pathlib

        from ray._private import worker

        node: Any = worker.global_worker.node
        target = pathlib.Path(node.get_logs_dir_path(), folder)  # each node may have a temporary folder of its own
        target.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            unfinished = target / f".{name}.unfinished"
            unfinished.write_bytes(content)
            unfinished.replace(target / name)

    return write


def forget_job_environment() -> None:
    """Let a connection that this process, a job's driver, makes from now on be without the job's ``runtime_env``."""
    from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR

    os.environ.pop(RAY_JOB_CONFIG_JSON_ENV_VAR, None)


def set_command_line(text: str) -> None:
    """Change what this process's command line is for others, as Ray does for its workers."""
    from ray._raylet import setproctitle  # type: ignore[attr-defined]

    setproctitle(text)


def is_inside_worker() -> bool:
    """Say whether this process is one of Ray's workers: it runs tasks or an actor."""
    from ray._private import worker

    return bool(worker.global_worker.mode == worker.WORKER_MODE)


def shows_worker_output() -> bool:
    """Say whether Ray itself brings what workers print to whoever started this work.

    A driver may have been connected with ``log_to_driver``; and what a worker prints goes the way of all workers.
    """
    import threading

    names = {thread.name for thread in threading.enumerate()}
    return "ray_print_logs" in names or is_inside_worker()


def connection_mark() -> object:
    """Return an object that is another one after each ``ray.init()``, and ``None`` without a connection.

    The public way to tell connections apart, the job id, costs twenty times as much, in every call of an action.
    """
    from ray._private import worker

    if worker._global_node is not None:
        return worker._global_node
    from ray.util.client import ray as client

    found: object = client.get_context().client_worker  # type: ignore[no-untyped-call]
    return found
