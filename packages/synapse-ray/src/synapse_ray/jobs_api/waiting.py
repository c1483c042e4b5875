"""Waiting for a job: for its end, with or without showing what it reports, and for its being stopped.

A dashboard that is away for some seconds costs nothing but these, as while a log is followed.
"""

from __future__ import annotations

import time

from synapse_core.errors import BackendError, JobNotFoundError
from synapse_core.model.status import JobStatus
from synapse_core.ports.events import EventSink
from synapse_ray.job_errors import not_in_time
from synapse_ray.jobs_api.answers import JobDetails
from synapse_ray.jobs_api.dashboard import Dashboard
from synapse_ray.jobs_api.event_follower import EventFollower
from synapse_ray.jobs_api.patience import Pace, patiently

__all__ = ["follow_to_end", "known_job", "wait_for_end", "wait_for_stop"]

_SHORTEST_PAUSE = 0.03
_PART_OF_ELAPSED = 0.05  # a job is asked for again after this part of the time that it has taken
_LONGEST_PAUSE = 1.0
_FOLLOW_PAUSE = 0.06
_LONGEST_FOLLOW_PAUSE = 0.25
_STOP_SECONDS = 15.0


def known_job(dashboard: Dashboard, job_id: str) -> JobDetails:
    """Return what the cluster knows of a job.

    Raises:
        JobNotFoundError: Nothing.
    """
    return _known(dashboard.job(job_id), dashboard, job_id)


def wait_for_end(dashboard: Dashboard, job_id: str, timeout: float | None, longest_pause: float) -> JobDetails:
    """Return when the job has ended.

    Raises:
        ExecutionTimeoutError: `timeout` seconds have passed.
        JobNotFoundError: There is no such job.
        BackendUnreachableError: Nobody has answered for half a minute.
    """
    clock = _Clock(job_id, timeout)
    while True:
        info = _asked(dashboard, job_id, clock)
        if info.has_ended():
            return info
        clock.wait(min(max(_SHORTEST_PAUSE, clock.elapsed() * _PART_OF_ELAPSED), longest_pause))


def follow_to_end(dashboard: Dashboard, job_id: str, sink: EventSink, timeout: float | None) -> JobDetails:
    """Hand on what the job reports, and return when it has ended and all of that has arrived.

    Raises:
        ExecutionTimeoutError: `timeout` seconds have passed.
        JobNotFoundError: There is no such job.
        BackendUnreachableError: Nobody has answered for half a minute.
    """
    clock, pace = _Clock(job_id, timeout), Pace()
    events = EventFollower(dashboard, sink)
    status = ""
    while True:
        info = _asked(dashboard, job_id, clock)
        if info.has_ended():
            events.finish(info)
            return info
        if info.status != status:
            status = info.status
            pace.news()
        if info.status != JobStatus.RUNNING:
            clock.wait(pace.pause(_SHORTEST_PAUSE, _LONGEST_PAUSE))
            continue
        try:
            if events.look(info):
                pace.news()
        except BackendError:  # its node may just be lost, which the job's status will say
            clock.wait(_LONGEST_PAUSE)
        else:
            clock.wait(pace.pause(_FOLLOW_PAUSE, _LONGEST_FOLLOW_PAUSE))


def wait_for_stop(dashboard: Dashboard, job_id: str) -> bool:
    """Return whether the job, which was told to stop, has been stopped, rather than ended by itself.

    Raises:
        BackendError: It has not ended all the same.
    """
    clock = _Clock(job_id, None)
    while True:
        info = _asked(dashboard, job_id, clock)
        if info.has_ended():
            return info.status == JobStatus.STOPPED
        if info.status == JobStatus.PENDING:  # Ray stops it as soon as it would begin
            return True
        if clock.elapsed() > _STOP_SECONDS:
            raise BackendError(
                f"job {job_id!r} was told to stop, and is still {info.status} on the cluster at {dashboard.url} after "
                f"{_STOP_SECONDS:g} s; its node may not answer. `synapse job status {job_id}` says whether it has "
                f"ended since, `synapse job cancel {job_id}` tells it again"
            )
        clock.wait(_SHORTEST_PAUSE)


class _Clock:
    """Waits, until the time is over."""

    def __init__(self, job_id: str, timeout: float | None) -> None:
        self._job_id = job_id
        self._timeout = timeout
        self._begun = time.monotonic()

    def elapsed(self) -> float:
        return time.monotonic() - self._begun

    def wait(self, seconds: float) -> None:
        if self._timeout is not None:
            seconds = min(seconds, self._timeout - self.elapsed())
            if seconds <= 0:
                raise not_in_time(self._job_id, self._timeout)
        time.sleep(seconds)


def _asked(dashboard: Dashboard, job_id: str, clock: _Clock) -> JobDetails:
    return _known(patiently(lambda: dashboard.job(job_id, repeat=False), clock.wait), dashboard, job_id)


def _known(info: JobDetails | None, dashboard: Dashboard, job_id: str) -> JobDetails:
    if info is None:
        raise JobNotFoundError(
            f"no job {job_id!r} on the cluster at {dashboard.url}. `synapse job list --mode job` shows the jobs that "
            "there are; --ray-address (dashboard_address=) names another cluster",
            details={"job_id": job_id},
        )
    return info
