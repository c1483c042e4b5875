"""Waiting for a job: for its end, with or without showing what it reports, and for its being stopped."""

from __future__ import annotations

import time

from synapse_core.errors import BackendError, ExecutionTimeoutError, JobNotFoundError
from synapse_core.model.status import JobStatus
from synapse_core.ports.events import EventSink
from synapse_ray.jobs_api.answers import JobDetails
from synapse_ray.jobs_api.dashboard import Dashboard
from synapse_ray.jobs_api.event_follower import EventFollower

__all__ = ["follow_to_end", "known_job", "wait_for_end", "wait_for_stop"]

_SHORTEST_PAUSE = 0.03
_PART_OF_ELAPSED = 0.05  # a job is asked for again after this part of the time that it has taken
_FOLLOW_PAUSE = 0.06
_STOP_SECONDS = 15.0


def known_job(dashboard: Dashboard, job_id: str) -> JobDetails:
    """Return what the cluster knows of a job.

    Raises:
        JobNotFoundError: Nothing.
    """
    info = dashboard.job(job_id)
    if info is None:
        raise JobNotFoundError(f"no job {job_id!r} on the cluster at {dashboard.url}", details={"job_id": job_id})
    return info


def wait_for_end(dashboard: Dashboard, job_id: str, timeout: float | None, longest_pause: float) -> JobDetails:
    """Return when the job has ended.

    Raises:
        ExecutionTimeoutError: `timeout` seconds have passed.
        JobNotFoundError: There is no such job.
    """
    begun = time.monotonic()
    while True:
        info = known_job(dashboard, job_id)
        if info.has_ended():
            return info
        elapsed = time.monotonic() - begun
        pause = min(max(_SHORTEST_PAUSE, elapsed * _PART_OF_ELAPSED), longest_pause)
        if timeout is not None and elapsed + pause > timeout:
            pause = timeout - elapsed
            if pause <= 0:
                raise _timed_out(job_id, timeout)
        time.sleep(pause)


def follow_to_end(dashboard: Dashboard, job_id: str, sink: EventSink, timeout: float | None) -> JobDetails:
    """Hand on what the job reports, and return when it has ended and all of that has arrived.

    Raises:
        ExecutionTimeoutError: `timeout` seconds have passed.
        JobNotFoundError: There is no such job.
    """
    begun = time.monotonic()
    events = EventFollower(dashboard, sink)
    while True:
        info = known_job(dashboard, job_id)
        if info.has_ended():
            events.finish(info)
            return info
        pause = _SHORTEST_PAUSE
        if info.status == JobStatus.RUNNING:
            pause = _FOLLOW_PAUSE
            try:
                events.look(info)
            except BackendError:
                pause = 1.0  # its node may just be lost, which the job's status will say
        if timeout is not None and time.monotonic() - begun > timeout:
            raise _timed_out(job_id, timeout)
        time.sleep(pause)


def wait_for_stop(dashboard: Dashboard, job_id: str) -> bool:
    """Return whether the job, which was told to stop, has been stopped, rather than ended by itself."""
    give_up = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < give_up:
        info = known_job(dashboard, job_id)
        if info.has_ended():
            return info.status == JobStatus.STOPPED
        if info.status == JobStatus.PENDING:  # Ray stops it as soon as it would begin
            return True
        time.sleep(_SHORTEST_PAUSE)
    return True


def _timed_out(job_id: str, timeout: float) -> ExecutionTimeoutError:
    return ExecutionTimeoutError(
        f"job {job_id!r} has not ended within {timeout:g} s; it goes on", details={"job_id": job_id}
    )
