"""This process's connection: which it is, where it leads, and how it begins."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

__all__ = [
    "client_address",
    "connection_mark",
    "is_client_connection",
    "is_connected_cluster",
    "let_shutdown_wait_for",
    "without_uv_run_environment",
]

_ANSWER_SECONDS = 10.0
_SHUTDOWN_WAITS_SECONDS = 10.0


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


def is_client_connection() -> bool:
    """Say whether this process is connected through Ray's client protocol."""
    from ray.util.client import ray as client

    return bool(client.is_connected())  # type: ignore[no-untyped-call]


def client_address() -> str | None:
    """Return where this process's client connection goes, as ``ray://HOST:PORT``; ``None`` without one."""
    from ray.util.client import ray as client

    worker: Any = client.get_context().client_worker  # type: ignore[no-untyped-call]
    return None if worker is None else f"ray://{worker._conn_str}"


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


def let_shutdown_wait_for(lock_of_now: Callable[[], threading.RLock]) -> None:
    """Have ``ray.shutdown()`` hold a lock while it takes this process's connection apart; for all of its connections.

    Ray ends the process, without a word, where one thread calls it while another one shuts it down. Nobody who holds
    the lock is overtaken, unless for ten seconds: in a call that waits for a lost cluster. A client's connection, whose
    calls fail by themselves, ends without it.

    Args:
        lock_of_now: Returns the lock, which is another one in a fork.
    """
    from ray._private import worker

    disconnect: Any = worker.disconnect

    def disconnect_later(*args: Any, **named: Any) -> None:
        lock = lock_of_now()
        has_it = lock.acquire(timeout=_SHUTDOWN_WAITS_SECONDS)
        try:
            disconnect(*args, **named)
        finally:
            if has_it:
                lock.release()

    worker.disconnect = disconnect_later
