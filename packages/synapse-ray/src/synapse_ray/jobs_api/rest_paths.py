"""The requests that a Ray dashboard answers. Nothing else in this package knows its paths.

Ray documents those of jobs. The others are what its own command line and web page use; a test runs each of them
against the oldest and the newest Ray that are allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

__all__ = [
    "Request",
    "cluster_metadata",
    "cluster_status",
    "delete_job",
    "job_info",
    "job_log_name",
    "jobs",
    "log_file",
    "nodes",
    "pin_package",
    "put_package",
    "stop_job",
    "submit_job",
    "version",
]

_LONG = 600
_SHORT = 10


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: Of HTTP.
        path: Below the dashboard's address.
        params: Its query.
        json: Its body as JSON types.
        content: Its body as bytes.
        seconds: How long an answer may take; ``None`` for the client's default.
    """

    method: str
    path: str
    params: Mapping[str, Any] | None = None
    json: Any = None
    content: bytes | None = None
    seconds: float | None = None


def version() -> Request:
    """Ask for the cluster's version of Ray."""
    return Request("GET", "/api/version")


def cluster_metadata() -> Request:
    """Ask for the cluster's version of Python."""
    return Request("GET", "/api/v0/cluster_metadata")


def jobs() -> Request:
    """Ask for all jobs."""
    return Request("GET", "/api/jobs/")


def cluster_status() -> Request:
    """Ask whether the cluster has an autoscaler."""
    return Request("GET", "/api/cluster_status")


def nodes() -> Request:
    """Ask for the nodes, the lost ones too."""
    return Request("GET", "/api/v0/nodes", {"limit": 10000, "detail": 0})


def submit_job(body: Mapping[str, Any]) -> Request:
    """Submit a job."""
    return Request("POST", "/api/jobs/", json=body, seconds=60)


def job_info(job_id: str, *, is_asked_often: bool = False) -> Request:
    """Ask for a job; who asks often does not wait long for one answer."""
    return Request("GET", f"/api/jobs/{quote(job_id, safe='')}", seconds=_SHORT if is_asked_often else None)


def stop_job(job_id: str) -> Request:
    """Stop a job."""
    return Request("POST", f"/api/jobs/{quote(job_id, safe='')}/stop")


def delete_job(job_id: str) -> Request:
    """Forget a job."""
    return Request("DELETE", f"/api/jobs/{quote(job_id, safe='')}")


def put_package(name: str, content: bytes) -> Request:
    """Store a package in the cluster's control store."""
    return Request("PUT", f"/api/packages/gcs/{quote(name, safe='')}", content=content, seconds=_LONG)


def pin_package(name: str) -> Request:
    """Ask whether a package is there, and keep it for some minutes; after which an unused one is deleted."""
    return Request("GET", f"/api/packages/gcs/{quote(name, safe='')}")


def log_file(node_id: str, name: str, *, is_short: bool = False) -> Request:
    """Ask for a file of a node's log folder, whole; `is_short` says that it should not take long."""
    # As a "file": what is asked for as a "stream" goes on in the dashboard for ever after its reader has left, and
    # the hundredth one closes the state API for everybody [tried, 2.60].
    query = {"node_id": node_id, "filename": name, "lines": -1, "timeout": _LONG}
    return Request("GET", "/api/v0/logs/file", query, seconds=None if is_short else _LONG)


def job_log_name(job_id: str) -> str:
    """Return the name of a job's log file."""
    return f"job-driver-{job_id}.log"
