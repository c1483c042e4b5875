"""Errors about a job's id that both kinds of jobs have."""

from __future__ import annotations

from synapse_core.errors import (
    BackendError,
    ExecutionCancelledError,
    ExecutionError,
    ExecutionTimeoutError,
    JobExistsError,
)

__all__ = ["has_not_ended", "id_is_taken", "interrupted", "not_in_time", "tell_id"]


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


def interrupted(job_id: str) -> ExecutionCancelledError:
    """Return the error for a job whose action raised `KeyboardInterrupt`, without anybody having stopped it."""
    return ExecutionCancelledError(
        f"job {job_id!r} has ended itself: its action raised KeyboardInterrupt", details={"job_id": job_id}
    )


def not_in_time(job_id: str, seconds: float | None) -> ExecutionTimeoutError:
    """Return the error for a job that was waited for, or followed, in vain."""
    return ExecutionTimeoutError(
        f"job {job_id!r} has not ended within {seconds:g} s; it goes on", details={"job_id": job_id}
    )


def tell_id(error: Exception, job_id: str) -> None:
    """Put the id of a job that was submitted, or may have been, into its error: nobody else has been told it."""
    if isinstance(error, ExecutionError):  # it has ended
        error.details.setdefault("job_id", job_id)
    elif isinstance(error, BackendError) and error.args:
        if repr(job_id) not in str(error):
            more = f"job {job_id!r} was submitted, and may go on (`synapse job status {job_id}` says)"
            error.args = (f"{more}: {error.args[0]}", *error.args[1:])
    else:
        error.add_note(f"job {job_id!r} was submitted, and may go on: `synapse job status {job_id}` says")
