"""Errors about a job's id that both kinds of jobs have."""

from __future__ import annotations

from synapse_core.errors import ExecutionError, JobExistsError

__all__ = ["has_not_ended", "id_is_taken"]


def id_is_taken(job_id: str) -> JobExistsError:
    """Return the error for a job whose id another one has."""
    return JobExistsError(
        f"job {job_id!r} exists; it was left alone. Choose another id, or delete that job once it has ended: "
        f"`synapse job delete {job_id}`",
        details={"job_id": job_id},
    )


def has_not_ended(job_id: str, status: str) -> ExecutionError:
    """Return the error for a job that is to be deleted, and is at work or waits for it."""
    return ExecutionError(
        f"job {job_id!r} is {status}; only a job that has ended can be deleted. Stop it with cancel() "
        f"(`synapse job cancel {job_id}`)",
        details={"job_id": job_id},
    )
