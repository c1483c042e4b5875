"""What a list of jobs says about each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from synapse_core.model.status import JobStatus

__all__ = ["JobInfo"]


@dataclass(frozen=True, slots=True)
class JobInfo:
    """One job.

    Attributes:
        job_id: Its id.
        mode: The mode that it was submitted in: ``job`` or ``ray-job``.
        action: Name of its action; empty where the job says none.
        status: Its status.
        started_at: When it was taken over, in seconds since the epoch.
        ended_at: When it ended; ``None`` while it has not.
        message: What the backend says about its status.
    """

    job_id: str
    mode: str
    action: str
    status: JobStatus
    started_at: float | None = None
    ended_at: float | None = None
    message: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types."""
        return {
            "job_id": self.job_id,
            "mode": self.mode,
            "action": self.action,
            "status": str(self.status),
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "message": self.message,
        }
