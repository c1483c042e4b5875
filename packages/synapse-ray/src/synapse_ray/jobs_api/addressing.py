"""Which dashboard is meant, in the forms that people write."""

from __future__ import annotations

import os
import sys

from synapse_core.errors import BackendError, BackendUnreachableError, PluginError
from synapse_core.safe_text import safe_str
from synapse_ray.addresses import dashboard_url, parse_address
from synapse_ray.ray_internals import (
    dashboard_of_cluster,
    dashboard_of_connection,
    is_inside_worker,
    running_cluster,
)

__all__ = ["DEFAULT_DASHBOARD", "find_dashboard"]

DEFAULT_DASHBOARD = "http://localhost:8265"


def find_dashboard(dashboard_address: str | None, ray_address: str) -> str:
    """Return the dashboard's URL.

    Args:
        dashboard_address: As the caller wrote it; a URL is taken as it is.
        ray_address: Where that is not given; ``auto`` is the cluster that this process is connected to, else the one
            that ``RAY_ADDRESS`` names, else one that runs on this machine, else the default address.

    Raises:
        BackendError: It is no address.
        BackendUnreachableError: The cluster that it names does not answer, or has no dashboard.
    """
    text = (dashboard_address or "").strip()
    if text and text != "auto":
        if "://" not in text:
            return f"http://{text}"  # HOST:PORT is the dashboard's own here
        return dashboard_url(parse_address(text)) or text
    if ray_address == "auto" and (own := _own_dashboard()) is not None:
        return own
    if ray_address == "auto" and not os.environ.get("RAY_ADDRESS"):
        if found := os.environ.get("RAY_API_SERVER_ADDRESS"):
            return found
        cluster = running_cluster()
        try:
            return (dashboard_of_cluster(cluster) if cluster else None) or DEFAULT_DASHBOARD
        except OSError:  # it was there once, and its address still lies about
            return DEFAULT_DASHBOARD
    address = parse_address(ray_address)
    if address.kind == "local":
        raise BackendError(
            "ray_address='local' is a cluster inside one process, and jobs go to one that runs by itself. Start one "
            "with `ray start --head`, or let this call start one with start_ray=True (--start-ray)"
        )
    if (url := dashboard_url(address)) is not None:
        return url
    return _ask(address.text if address.kind == "direct" else running_cluster())


def _own_dashboard() -> str | None:
    """Return the dashboard of the cluster that this process is connected to, or works for, where it has one."""
    if "ray" not in sys.modules:
        return None
    import ray

    if is_inside_worker():
        return dashboard_of_cluster(str(ray.get_runtime_context().gcs_address))
    return dashboard_of_connection() if ray.is_initialized() else None


def _ask(cluster: str | None) -> str:
    if cluster is None:
        return DEFAULT_DASHBOARD
    try:
        found = dashboard_of_cluster(cluster)
    except PluginError:
        raise
    except Exception as error:  # whatever Ray raises where nobody answers
        raise BackendUnreachableError(
            f"no Ray cluster answers at {cluster}: {safe_str(error)}. Start one with `ray start --head`, or name its "
            "dashboard with dashboard_address='http://HOST:8265' (--ray-address)"
        ) from error
    if found is None:
        raise BackendUnreachableError(
            f"the Ray cluster at {cluster} has no dashboard, which the Jobs API needs. Start it with "
            "`ray start --head --include-dashboard=true` and ray[default] installed, or use mode 'ray-job'"
        )
    return found
