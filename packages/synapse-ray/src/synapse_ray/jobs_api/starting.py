"""Starting a cluster on this machine where none answers and the caller asked for one."""

from __future__ import annotations

from synapse_core.errors import BackendError, BackendUnreachableError
from synapse_ray.jobs_api.addressing import find_dashboard
from synapse_ray.jobs_api.dashboard import Dashboard
from synapse_ray.starting import start_head

__all__ = ["running_or_started"]


def running_or_started(dashboard_address: str | None, ray_address: str) -> Dashboard:
    """Return the dashboard of the cluster that was named, or that runs here; else start one, and say so.

    Raises:
        BackendError: It could not be started; or it was named, and does not answer.
    """
    try:
        return _checked(Dashboard(find_dashboard(dashboard_address, ray_address)))
    except BackendUnreachableError:
        if dashboard_address not in (None, "auto") or ray_address not in ("auto", "local"):
            raise
    except BackendError:
        if ray_address != "local":
            raise
    return _checked(Dashboard(find_dashboard(None, start_head())))


def _checked(dashboard: Dashboard) -> Dashboard:
    try:
        dashboard.ray_version()
    except BaseException:
        dashboard.close()
        raise
    return dashboard
