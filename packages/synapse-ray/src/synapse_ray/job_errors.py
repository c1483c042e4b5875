"""Errors about a job that more than one mode has."""

from __future__ import annotations

from synapse_core.errors import (
    BackendError,
    ExecutionCancelledError,
    ExecutionError,
    ExecutionTimeoutError,
    JobExistsError,
)
from synapse_core.safe_text import format_traceback, safe_str

__all__ = [
    "has_no_result_yet",
    "has_not_ended",
    "id_is_taken",
    "interrupted",
    "not_in_time",
    "outside_action",
    "tell_id",
]


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


def has_no_result_yet(job_id: str, status: str) -> ExecutionError:
    """Return the error for a job that was asked about its result, and is at work or waits for it."""
    return ExecutionError(
        f"job {job_id!r} is {status}, and has no result yet. wait() returns when it has ended "
        f"(`synapse job result {job_id}`)",
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


def outside_action(what: str, job_id: str, error: Exception) -> ExecutionError:
    """Return the error for work that failed on a worker, not in its action: its params do not open there, say.

    Args:
        what: The action or the job, as the beginning of a sentence.
        job_id: Identity of the execution.
        error: What came of it.
    """
    problem = ExecutionError(
        f"{what} failed outside of its action: {type(error).__name__}: {safe_str(error)}",
        original_type=type(error).__name__,
        original_message=safe_str(error),
        remote_traceback=format_traceback(error),
        details={"job_id": job_id},
    )
    problem.__cause__ = error
    return problem


def tell_id(error: Exception, job_id: str) -> None:
    """Put the id of a job that was submitted, or may have been, into its error: nobody else has been told it."""
    if isinstance(error, ExecutionError):  # it has ended
        error.details.setdefault("job_id", job_id)
    elif isinstance(error, BackendError) and error.args:
        if repr(job_id) not in str(error):
            more = f"job {job_id!r} may be at work (`synapse job status {job_id}` says)"
            error.args = (f"{more}: {error.args[0]}", *error.args[1:])
    else:
        error.add_note(f"job {job_id!r} may be at work: `synapse job status {job_id}` says")
