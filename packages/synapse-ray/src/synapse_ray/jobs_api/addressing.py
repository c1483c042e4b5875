"""Which dashboard is meant, in the forms that people write."""

from __future__ import annotations

import os
import sys
from typing import Any

from synapse_core.errors import BackendError, BackendUnreachableError, PluginError
from synapse_core.safe_text import safe_str
from synapse_ray.addresses import ClusterAddress, dashboard_url, parse_address, private_cluster, shown_url
from synapse_ray.jobs_api.dashboard import Dashboard
from synapse_ray.ray_internals import (
    dashboard_of_cluster,
    dashboard_of_connection,
    is_inside_worker,
    running_cluster,
)

__all__ = ["DEFAULT_DASHBOARD", "find_dashboard", "is_named"]

DEFAULT_DASHBOARD = "http://localhost:8265"


def is_named(dashboard_address: str | None, ray_address: str) -> bool:
    """Say whether the arguments of `find_dashboard`, or the environment, name a cluster that runs by itself."""
    if (dashboard_address or "auto").strip() not in ("", "auto"):
        return True
    kind = parse_address(ray_address).kind
    if kind == "auto":
        return bool(os.environ.get("RAY_API_SERVER_ADDRESS"))
    return kind != "local"


def find_dashboard(dashboard_address: str | None, ray_address: str) -> str:
    """Return the dashboard's URL.

    Args:
        dashboard_address: As the caller wrote it; a URL is taken as it is.
        ray_address: Where that is not given; ``auto`` is the cluster that this process is connected to, else the one
            that ``RAY_ADDRESS`` names, else one that runs on this machine, else the default address.

    Raises:
        BackendError: It is no address; or this process is connected to another cluster than ``RAY_ADDRESS`` names.
        BackendUnreachableError: The cluster that it names does not answer, or has no dashboard.
    """
    text = (dashboard_address or "").strip()
    if text and text != "auto":
        if "://" not in text:
            return f"http://{text}"  # HOST:PORT is the dashboard's own here
        return dashboard_url(parse_address(text)) or text
    address = parse_address(ray_address)
    if ray_address.strip() == "auto" and (ray := _connected_ray()) is not None:
        own = _own_dashboard(ray)
        if address.kind not in ("auto", "local"):
            return _same_cluster(ray, own, address)
        if own is not None:
            return own
    if address.kind == "auto":
        if found := os.environ.get("RAY_API_SERVER_ADDRESS"):
            return found
        cluster = running_cluster()
        return DEFAULT_DASHBOARD if cluster is None else _ask(cluster, where_gone=DEFAULT_DASHBOARD)
    return _named(address)


def _named(address: ClusterAddress) -> str:
    if address.kind == "local":
        raise private_cluster()
    return dashboard_url(address) or _ask(address.text, shown=str(address))


def _connected_ray() -> Any:
    """Return Ray where this process is connected to a cluster, or works for one; else ``None``."""
    if "ray" not in sys.modules:
        return None
    import ray

    return ray if is_inside_worker() or ray.is_initialized() else None


def _own_dashboard(ray: Any) -> str | None:
    if is_inside_worker():
        return _ask(str(ray.get_runtime_context().gcs_address))
    return dashboard_of_connection()


def _same_cluster(ray: Any, own: str | None, wanted: ClusterAddress) -> str:
    """Return the dashboard of the cluster that ``RAY_ADDRESS`` names; raise where that is not the connected one."""
    connected = _address_of(ray)
    if wanted.text == connected:
        return _named(wanted)
    problem: BackendError | None = None
    try:
        named = _named(wanted)
        if named == own or _has_node_of(ray, named):
            return named
    except BackendError as error:
        problem = error
    kind = BackendUnreachableError if isinstance(problem, BackendUnreachableError) else BackendError
    unknown = "" if problem is None else f" (whether that is the same one could not be asked: {problem})"
    raise kind(
        f"this process (pid {os.getpid()}) is connected to the Ray cluster {connected}, and RAY_ADDRESS names "
        f"{shown_url(wanted.text)}{unknown}. Say which is meant: dashboard_address='http://HOST:8265' (--ray-address) "
        "takes any cluster, and without RAY_ADDRESS it is the connected one"
    ) from problem


def _has_node_of(ray: Any, url: str) -> bool:
    """Say whether the cluster of a dashboard is the connected one: a node has an id of its own."""
    dashboard = Dashboard(url)
    try:
        head = dashboard.head_id()
        try:
            return head in {node["NodeID"] for node in ray.nodes()}
        except Exception:  # a connection that is just breaking
            return False
    finally:
        dashboard.close()


def _address_of(ray: Any) -> str:
    try:
        return str(ray.get_runtime_context().gcs_address)
    except Exception:  # a connection that is just breaking, or over Ray's client protocol
        return "of its ray.init()"


def _ask(cluster: str, *, shown: str | None = None, where_gone: str | None = None) -> str:
    """Ask a cluster's control store for its dashboard.

    Args:
        cluster: ``HOST:PORT``.
        shown: The same for people.
        where_gone: What to return where nobody listens there any more; its address still lies about.
    """
    try:
        found = dashboard_of_cluster(cluster)
    except PluginError:
        raise
    except Exception as error:  # whatever Ray raises where nobody answers
        if where_gone is not None and isinstance(error, OSError):
            return where_gone
        raise BackendUnreachableError(
            f"no Ray cluster answers at {shown or cluster}: {safe_str(error)}. Start one with `ray start --head`, or "
            "name its dashboard with dashboard_address='http://HOST:8265' (--ray-address)"
        ) from error
    if found is None:
        raise BackendUnreachableError(
            f"the Ray cluster at {shown or cluster} has no dashboard, which the Jobs API needs. Start it with "
            "`ray start --head --include-dashboard=true` and ray[default] installed, or use mode 'ray-job'"
        )
    return found
