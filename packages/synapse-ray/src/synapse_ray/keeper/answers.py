"""What the keeper answers, as callers of an executor want it: results, lines of logs, events, errors."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from typing import Any

from synapse_core.errors import JobNotFoundError
from synapse_core.model.status import JobStatus
from synapse_ray.event_relay import Relay
from synapse_ray.job_errors import not_in_time
from synapse_ray.keeper.client import KeeperClient
from synapse_ray.keeper.log_lines import LogLines, reports_of
from synapse_ray.keeper.records import JobState
from synapse_ray.worker import Reply, open_reply

__all__ = ["ended_outcome", "fetched_outcome", "log_lines", "open_outcome", "relay_reports", "unknown_job"]


def ended_outcome(keeper: KeeperClient, job_id: str, timeout: float | None) -> JobState:
    """Wait for the end of a job.

    Raises:
        JobNotFoundError: There is no such job.
        ExecutionTimeoutError: It has not ended in time.
    """
    outcome = keeper.wait(job_id, _deadline(timeout))
    if outcome.status == JobStatus.UNKNOWN:
        raise unknown_job(job_id)
    if not JobStatus(outcome.status).is_terminal():
        raise not_in_time(job_id, timeout)
    return outcome


def fetched_outcome(keeper: KeeperClient, job_id: str, outcome: JobState) -> JobState:
    """Return the outcome of a job that has ended with all of its reply.

    Raises:
        JobNotFoundError: It was deleted meanwhile.
    """
    if outcome.reply is not None:
        return outcome
    packed = keeper.read_result(job_id, outcome.size)
    if packed is None:
        raise unknown_job(job_id)
    return outcome._replace(reply=packed)


def open_outcome(keeper: KeeperClient, job_id: str, outcome: JobState) -> Any:
    """Return the result of a job that has ended, or raise its error."""
    packed = fetched_outcome(keeper, job_id, outcome).reply
    assert packed is not None
    reply: Reply = pickle.loads(packed)
    return open_reply(reply)


def log_lines(keeper: KeeperClient, job_id: str, timeout: float | None, *, follow: bool) -> Iterator[str]:
    """Yield the lines of a job's log, each with its newline.

    Raises:
        JobNotFoundError: There is no such job.
        ExecutionTimeoutError: `follow` was asked for, and the job has not ended in time.
    """
    lines = LogLines()
    for piece in _pieces(keeper, job_id, timeout, follow=follow):
        if piece is None:
            raise not_in_time(job_id, timeout)
        for report in reports_of(piece, job_id):
            yield from lines.feed(report)
    yield from lines.finish()


def relay_reports(keeper: KeeperClient, job_id: str, relay: Relay, timeout: float | None) -> None:
    """Show what a job reports, here, until it has ended.

    Raises:
        JobNotFoundError: There is no such job.
        ExecutionTimeoutError: It has not ended in time.
    """
    for piece in _pieces(keeper, job_id, timeout, follow=True):
        if piece is None:
            raise not_in_time(job_id, timeout)
        for report in reports_of(piece, job_id):
            relay(report)


def unknown_job(job_id: str) -> JobNotFoundError:
    """Return the error for an id that nobody has."""
    return JobNotFoundError(
        f"there is no job {job_id!r} on this cluster: it never was, was deleted, or its time is over. "
        "`synapse job list` shows those there are",
        details={"job_id": job_id},
    )


def _pieces(keeper: KeeperClient, job_id: str, timeout: float | None, *, follow: bool) -> Iterator[bytes | None]:
    try:
        yield from keeper.read_log(job_id, _deadline(timeout), follow=follow)
    except LookupError as error:
        if isinstance(error, JobNotFoundError):
            raise
        raise unknown_job(job_id) from None


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout
