"""The dashboard that is meant, once it has answered; or that of a cluster which is started for the caller."""

from __future__ import annotations

from synapse_core.errors import AuthenticationError, BackendError, BackendUnreachableError
from synapse_ray.addresses import parse_address
from synapse_ray.jobs_api.addressing import find_dashboard, is_named
from synapse_ray.jobs_api.dashboard import Dashboard

__all__ = ["connect"]


def connect(dashboard_address: str | None, ray_address: str, *, start: bool) -> Dashboard:
    """Return a dashboard that answers.

    Args:
        dashboard_address: As in `find_dashboard`.
        ray_address: As in `find_dashboard`.
        start: Whether to start a cluster on this machine where none was named and none runs here.

    Raises:
        BackendError: The cluster could not be started; or it was named, and does not answer.
    """
    try:
        return _answering(dashboard_address, ray_address)
    except BackendError as error:
        is_nobody = isinstance(error, BackendUnreachableError)
        if is_named(dashboard_address, ray_address) or isinstance(error, AuthenticationError):
            if is_nobody and (origin := _origin(dashboard_address, ray_address, str(error))):
                raise BackendUnreachableError(f"{error}. {origin}") from error
            raise
        if not start and is_nobody:
            hint = "or let this call start one: start_ray=True (--start-ray)"
            raise BackendUnreachableError(f"{error}; {hint}") from error
        if not start or not (is_nobody or parse_address(ray_address).kind == "local"):
            raise
    from synapse_ray.starting import start_head

    return _answering(None, start_head())


def _origin(dashboard_address: str | None, ray_address: str, said: str) -> str:
    """Return where a dashboard's address comes from that nobody has written so."""
    if (dashboard_address or "auto").strip() not in ("", "auto"):
        return ""
    wanted = parse_address(ray_address)
    if wanted.kind == "auto":
        return "RAY_API_SERVER_ADDRESS names that one"
    if str(wanted) in said or (wanted.kind == "http" and not wanted.is_from_environment):
        return ""
    return f"That dashboard is where {wanted} leads to"


def _answering(dashboard_address: str | None, ray_address: str) -> Dashboard:
    dashboard = Dashboard(find_dashboard(dashboard_address, ray_address))
    try:
        dashboard.ray_version()
    except BaseException:
        dashboard.close()
        raise
    return dashboard
