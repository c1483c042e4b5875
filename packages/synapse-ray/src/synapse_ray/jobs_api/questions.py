"""What may be asked of a job by its id, over HTTP: status, result, logs, end."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from typing import Any

from synapse_core.errors import BackendUnreachableError, ExecutionError, JobNotFoundError
from synapse_core.model.status import JobStatus
from synapse_core.model.type_names import loaded_type
from synapse_ray.job_errors import has_no_result_yet, has_not_ended
from synapse_ray.job_info import JobInfo
from synapse_ray.jobs_api import rest_paths
from synapse_ray.jobs_api.answers import JobDetails, failed, jobs_of
from synapse_ray.jobs_api.dashboard import AsyncDashboard, Dashboard
from synapse_ray.jobs_api.entrypoint import nonce_of
from synapse_ray.jobs_api.following import follow_log, read_log
from synapse_ray.jobs_api.log_stream import drive, drive_async
from synapse_ray.jobs_api.results import error_of, read_durability, read_result, stored_name, stored_result
from synapse_ray.jobs_api.submission import discard_secret
from synapse_ray.jobs_api.waiting import known_job, wait_for_end, wait_for_stop

__all__ = ["HttpJobQuestions"]

_LONGEST_PAUSE = 1.0
_SETTLED = 2.5  # seconds after its end


class HttpJobQuestions(ABC):
    """The half of `RayJobsApiExecutor` that needs nothing but a job's id and the cluster's dashboard."""

    _storage: str | None

    @property
    @abstractmethod
    def _dashboard(self) -> Dashboard:
        """The client of the cluster's dashboard, connected at its first use."""

    # -- asking for it ----------------------------------------------------------------------

    def get_status(self, job_id: str) -> JobStatus:
        """Return the job's status; ``UNKNOWN`` for an unknown id."""
        info = self._dashboard.job(job_id)
        return JobStatus.UNKNOWN if info is None else JobStatus(info.status)

    def get_result(self, job_id: str, timeout: float | None = None) -> Any:
        """Wait for the job and return its result, as often as asked.

        With ``storage=`` the result is found there also where the cluster does not answer, or knows the job no more. It
        is then the latest one that the storage has under this id: for an id that was used twice, that of the earlier
        job as long as the later one has none.

        Raises:
            ExecutionTimeoutError: `timeout` seconds have passed; the job goes on.
            ExecutionCancelledError: It was stopped.
            JobNotFoundError: There is no such job.
            ExecutionError: It failed, or its result was lost with its node.
            BackendError: Its environment could not be made.
        """
        try:
            info = wait_for_end(self._dashboard, job_id, timeout, _LONGEST_PAUSE)
        except (BackendUnreachableError, JobNotFoundError) as error:
            if self._storage is None:
                raise
            if (found := stored_result(self._storage, job_id)) is None:
                error.args = (f"{error}. The folder of storage= has no result under this id either",)
                raise
            return found.unwrap(loaded_type)
        return read_result(self._dashboard, job_id, info, self._storage)

    def wait(self, job_id: str, timeout_seconds: float = 300, poll_interval: float = 1.0) -> str:
        """Wait for the job and return its final status; raises as `get_result` does, but asks no storage.

        Args:
            job_id: The job.
            timeout_seconds: How long.
            poll_interval: The longest time between two looks; at first they are more frequent.
        """
        info = wait_for_end(self._dashboard, job_id, timeout_seconds, poll_interval)
        if info.status != JobStatus.SUCCEEDED:
            read_result(self._dashboard, job_id, info, self._storage)
            raise error_of(job_id, info)
        return JobStatus(info.status)

    def jobs(self, limit: int = 1000) -> list[JobInfo]:
        """Return the jobs that Synapse has submitted to the cluster, the latest first."""
        found = jobs_of(self._dashboard.ask(rest_paths.jobs()))
        return sorted(found, key=lambda info: info.started_at or 0, reverse=True)[:limit]

    def durability(self, job_id: str) -> str:
        """Return how long the result of a finished job lasts.

        ``node``: it goes with the node that made it. ``cluster``: it survives the loss of any node but the head.
        ``external``: it is where ``storage=`` says, and survives the cluster.

        Raises:
            JobNotFoundError: There is no such job.
            ExecutionError: It has not ended, or has no result.
        """
        info = self._known(job_id)
        if not info.has_ended():
            raise has_no_result_yet(job_id, info.status)
        if self._is_stored(job_id, info):
            return "external"
        found = read_durability(self._dashboard, info)
        if found is None:
            lost = " What it had left is not on any living node" if info.status == JobStatus.SUCCEEDED else ""
            raise ExecutionError(
                f"job {job_id!r} is {info.status} on the cluster at {self._dashboard.url}, and has no result to be "
                f"kept.{lost or ' It ended without one'}; get_result() says why (`synapse job result {job_id}`)",
                details={"job_id": job_id},
            )
        return found

    # -- logs -------------------------------------------------------------------------------

    def get_logs(self, job_id: str) -> str:
        """Return everything that the job has logged so far, the making of its environment included.

        Raises:
            JobNotFoundError: There is no such job.
        """
        info = self._known(job_id)
        return "".join(drive(read_log(job_id, info), self._dashboard, job_id, None))

    def stream_logs(self, job_id: str, *, timeout: float | None = 3600.0) -> Iterator[str]:
        """Yield whole lines with their newline, from the first one on, until the job has ended.

        Lines of the making of its environment come first. A dropped connection costs nothing. Abandon it at any time.

        Raises:
            ExecutionTimeoutError: `timeout` seconds have passed; the job goes on.
            JobNotFoundError: There is no such job; raised at once.
        """
        return drive(follow_log(job_id, self._known(job_id)), self._dashboard, job_id, timeout)

    async def stream_logs_async(self, job_id: str, *, timeout: float | None = 3600.0) -> AsyncIterator[str]:
        """Do what `stream_logs` does on the running event loop.

        Raises:
            ExecutionTimeoutError: `timeout` seconds have passed; the job goes on.
            JobNotFoundError: There is no such job.
        """
        # In threads: the first use connects, and may start a cluster; and a dashboard that is away is waited for.
        info = await asyncio.to_thread(self._known, job_id)
        dashboard = await asyncio.to_thread(AsyncDashboard, self._dashboard.address)
        try:
            lines = drive_async(follow_log(job_id, info), dashboard, job_id, timeout)
            try:
                async for line in lines:
                    yield line
            finally:
                await lines.aclose()  # type: ignore[attr-defined]
        finally:
            await dashboard.close()

    # -- ending it --------------------------------------------------------------------------

    def stop(self, job_id: str) -> bool:
        """Stop the job and every process that it has started; ``False`` if it had already ended.

        Its action gets two seconds for its ``finally`` blocks.

        Raises:
            JobNotFoundError: There is no such job.
            BackendError: The cluster cannot stop it, or it has not ended within a quarter of a minute.
        """
        info = self._known(job_id)
        if info.has_ended():
            return False
        answer = self._dashboard.ask(rest_paths.stop_job(job_id), repeat=True)
        if answer.status != 200:
            raise failed(answer, f"stopping job {job_id!r}")
        if (nonce := nonce_of(info.metadata)) is not None:
            discard_secret(self._dashboard, nonce)  # Ray stops only what has begun: it is not to begin
        return wait_for_stop(self._dashboard, job_id)

    def cancel(self, job_id: str) -> bool:
        """Do what `stop` does."""
        return self.stop(job_id)

    def delete(self, job_id: str) -> bool:
        """Make the cluster forget a job that has ended; its id is free again.

        Its result in the storage is deleted too, where this executor has ``storage=``. What its nodes have of it, the
        files of its log and its result, stays there until the cluster ends: nothing deletes these over HTTP.

        Raises:
            JobNotFoundError: There is no such job.
            ExecutionError: It has not ended.
            BackendError: The cluster cannot delete it, or the storage does not let the result go.
        """
        info = self._known(job_id)
        if not info.has_ended():
            raise has_not_ended(job_id, info.status)
        nonce = nonce_of(info.metadata)
        if nonce is not None and info.status != JobStatus.SUCCEEDED:
            discard_secret(self._dashboard, nonce)
        if nonce is not None and self._storage is not None:
            from synapse_ray.jobs_api.storage import delete_result

            delete_result(self._storage, job_id, stored_name(nonce))
        if info.end_time is not None:
            # Ray looks after a job once a second, and takes one whose record is gone for one that has just failed.
            time.sleep(min(_SETTLED, max(0.0, _SETTLED - (time.time() - info.end_time))))
        answer = self._dashboard.ask(rest_paths.delete_job(job_id), repeat=True)
        if answer.status == 404:  # a repeated request finds nothing left
            return True
        if answer.status != 200:
            raise failed(answer, f"deleting job {job_id!r}")
        return bool(answer.data().get("deleted"))

    # -- within -----------------------------------------------------------------------------

    def _known(self, job_id: str) -> JobDetails:
        return known_job(self._dashboard, job_id)

    def _is_stored(self, job_id: str, info: JobDetails) -> bool:
        nonce = nonce_of(info.metadata)
        if nonce is None or self._storage is None:
            return False
        from synapse_ray.jobs_api.storage import has_result

        return has_result(self._storage, job_id, stored_name(nonce))
