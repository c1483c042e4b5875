"""What a Ray dashboard answers, and what the answers mean; no I/O."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from synapse_core.errors import BackendError, BackendUnreachableError
from synapse_core.model.status import JobStatus
from synapse_ray.job_info import JobInfo
from synapse_ray.placement import are_fixed

__all__ = [
    "Answer",
    "JobDetails",
    "LostAnswerError",
    "Node",
    "failed",
    "head_of",
    "job_of",
    "jobs_of",
    "may_grow",
    "nodes_of",
    "not_a_dashboard",
]

_LONGEST_TEXT = 2000


class LostAnswerError(BackendUnreachableError):
    """The connection broke: whether the request arrived is not known."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the dashboard answered."""

    status: int
    text: str
    url: str

    def data(self) -> Any:
        """Return its JSON.

        Raises:
            BackendUnreachableError: It is none: this is no dashboard of Ray.
        """
        try:
            return json.loads(self.text)
        except ValueError:
            raise not_a_dashboard(self.url) from None


@dataclass(frozen=True, slots=True)
class JobDetails:
    """What the cluster knows of a job; `end_time` is in seconds since 1970, by the cluster's clock."""

    status: str
    node_id: str | None
    metadata: dict[str, Any]
    message: str
    error_type: str | None
    end_time: float | None = None

    def has_ended(self) -> bool:
        """Say whether it has."""
        return JobStatus(self.status).is_terminal()


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the cluster."""

    node_id: str
    is_head: bool
    is_alive: bool
    resources: Mapping[str, float] = field(default_factory=dict)


def job_of(answer: Answer, check: Callable[[], object] | None = None) -> JobDetails | None:
    """Read what `rest_paths.job_info` asked for."""
    if answer.status == 404:
        if "does not exist" not in answer.text and check is not None:
            check()  # is that a dashboard at all?
        return None
    if answer.status != 200:
        raise failed(answer, "asking for the job")
    found = answer.data()
    if not isinstance(found, dict) or "status" not in found:
        raise not_a_dashboard(answer.url)
    return JobDetails(
        status=str(found["status"]),
        node_id=found.get("driver_node_id"),
        metadata=found.get("metadata") or {},
        message=found.get("message") or "",
        error_type=found.get("error_type"),
        end_time=found["end_time"] / 1000 if found.get("end_time") else None,
    )


def jobs_of(answer: Answer) -> list[JobInfo]:
    """Read what `rest_paths.jobs` asked for; the jobs that Synapse has submitted."""
    if answer.status != 200:
        raise failed(answer, "asking for the jobs")
    found = answer.data()
    if not isinstance(found, list):
        raise not_a_dashboard(answer.url)
    return [
        JobInfo(
            job_id=str(row.get("submission_id")),
            mode="job",
            action=str((row.get("metadata") or {}).get("synapse_action", "")),
            status=JobStatus(row["status"]),
            started_at=row["start_time"] / 1000 if row.get("start_time") else None,
            ended_at=row["end_time"] / 1000 if row.get("end_time") else None,
            message=row.get("message") or "",
        )
        for row in found
        if "synapse_nonce" in (row.get("metadata") or {})
    ]


def may_grow(answer: Answer) -> bool:
    """Say whether an autoscaler could add nodes of other kinds, by what `rest_paths.cluster_status` asked for.

    True where that is unknown.
    """
    try:
        kinds = answer.data()["data"]["clusterStatus"]["autoscalerReport"]["nodeTypeMapping"]
        return answer.status != 200 or not kinds or not are_fixed(kinds.values())
    except (BackendError, KeyError, TypeError, AttributeError):
        return True


def nodes_of(answer: Answer) -> list[Node]:
    """Read what `rest_paths.nodes` asked for."""
    if answer.status != 200:
        raise failed(answer, "asking for the nodes")
    try:
        rows = answer.data()["data"]["result"]["result"]
        return [
            Node(row["node_id"], bool(row["is_head_node"]), row["state"] == "ALIVE", row.get("resources_total") or {})
            for row in rows
        ]
    except (KeyError, TypeError):
        raise BackendError(f"{answer.url} gave no list of nodes: {answer.text[:_LONGEST_TEXT]}") from None


def head_of(nodes: list[Node], url: str) -> Node:
    """Return the living head of the cluster whose dashboard is at `url`."""
    for node in nodes:
        if node.is_head and node.is_alive:
            return node
    raise BackendError(
        f"the cluster at {url} has no living head node; its dashboard knows of {len(nodes)} nodes, "
        f"{sum(node.is_alive for node in nodes)} of them alive. `ray status` on the head's host says more; "
        "`ray start --head` starts a new one"
    )


def failed(answer: Answer, doing: str) -> BackendError:
    """Return the error for an answer that is none."""
    lines = [line for line in answer.text.strip().splitlines() if line.strip()]
    reason = lines[-1].strip() if lines else "it gave no reason"
    return BackendError(f"{doing}: the dashboard at {answer.url} answers {answer.status}: {reason[:_LONGEST_TEXT]}")


def not_a_dashboard(url: str) -> BackendUnreachableError:
    """Return the error for an address where somebody else answers."""
    return BackendUnreachableError(
        f"something answers at {url}, and it is no Ray dashboard. The dashboard's address is printed by "
        "`ray start --head`; name it with dashboard_address='http://HOST:8265' (--ray-address)"
    )
