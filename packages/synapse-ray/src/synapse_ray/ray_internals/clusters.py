"""Clusters, this process's or another: what they are, where they are, and what they know of actors."""

from __future__ import annotations

import json
import os
from typing import Any

from synapse_ray.ray_internals.connections import is_client_connection

__all__ = [
    "actor_is_accepted",
    "cluster_id_at",
    "cluster_id_of_connection",
    "cluster_may_grow",
    "control_store",
    "dashboard_of_cluster",
    "dashboard_of_connection",
    "death_of_actor",
    "ray_version_at",
    "running_cluster",
]


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
