"""What may be asked of a job by its id: status, result, logs, end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from synapse_core.model.status import JobStatus
from synapse_ray.job_errors import has_no_result_yet, has_not_ended
from synapse_ray.job_info import JobInfo
from synapse_ray.keeper.answers import ended_outcome, log_lines, open_outcome, unknown_job
from synapse_ray.keeper.client import KeeperClient

__all__ = ["JobQuestions"]


class JobQuestions(ABC):
    """The half of `RayJobExecutor` that needs nothing but a job's id and the cluster's keeper."""

    @abstractmethod
    def _keeper(self) -> KeeperClient:
        """Return the keeper of the cluster."""

    def get_status(self, job_id: str) -> JobStatus:
        """Return the job's status: ``PENDING``, ``RUNNING``, ``SUCCEEDED``, ``FAILED``; ``UNKNOWN`` for an unknown id.

        A cancelled job is ``FAILED`` here, and `wait` and `get_result` raise `ExecutionCancelledError`.
        """
        status = JobStatus(self._keeper().status(job_id))
        return JobStatus.FAILED if status is JobStatus.STOPPED else status

    def wait(self, job_id: str, timeout_seconds: float = 300) -> JobStatus:
        """Wait for the job and return its final status, ``SUCCEEDED``.

        Raises:
            ExecutionTimeoutError: It has not ended in time; it goes on.
            ExecutionError: It failed, or there is no such job.
        """
        keeper = self._keeper()
        outcome = ended_outcome(keeper, job_id, timeout_seconds)
        if outcome.status != JobStatus.SUCCEEDED:
            open_outcome(keeper, job_id, outcome)
        return JobStatus.SUCCEEDED

    def get_result(self, job_id: str, timeout: float | None = None) -> Any:
        """Wait for the job and return its result, as often as asked.

        Raises:
            ExecutionTimeoutError: `timeout` seconds have passed; the job goes on.
            ExecutionCancelledError: It was stopped.
            JobNotFoundError: There is no such job.
            ExecutionError: It failed.
        """
        keeper = self._keeper()
        return open_outcome(keeper, job_id, ended_outcome(keeper, job_id, timeout))

    def durability(self, job_id: str) -> str:
        """Return how long the result of a finished job lasts: ``cluster``, on the disk of its head.

        It survives the loss of everything else.

        Raises:
            JobNotFoundError: There is no such job.
            ExecutionError: It has not ended.
        """
        status = JobStatus(self._keeper().status(job_id))
        if status is JobStatus.UNKNOWN:
            raise unknown_job(job_id)
        if not status.is_terminal():
            raise has_no_result_yet(job_id, status)
        return "cluster"

    def get_logs(self, job_id: str) -> str:
        """Return everything that the job has logged and printed so far.

        Raises:
            JobNotFoundError: There is no such job.
        """
        return "".join(log_lines(self._keeper(), job_id, None, follow=False))

    def stream_logs(self, job_id: str, timeout: float | None = None) -> Iterator[str]:
        """Yield whole lines with their newline, from the first one on, until the job has ended.

        Raises:
            ExecutionTimeoutError: `timeout` seconds have passed; the job goes on.
            JobNotFoundError: There is no such job.
        """
        keeper = self._keeper()
        if keeper.status(job_id) == JobStatus.UNKNOWN:  # raised here, not at the first line
            raise unknown_job(job_id)
        return log_lines(keeper, job_id, timeout, follow=True)

    def cancel(self, job_id: str) -> bool:
        """Stop the job, whether it runs or waits; ``False`` if it had already ended.

        Raises:
            JobNotFoundError: There is no such job.
        """
        found = self._keeper().cancel(job_id)
        if found is None:
            raise unknown_job(job_id)
        return found

    def stop(self, job_id: str) -> bool:
        """Do what `cancel` does."""
        return self.cancel(job_id)

    def delete(self, job_id: str) -> bool:
        """Forget a job that has ended, its logs and its result, and so free its id.

        Raises:
            JobNotFoundError: There is no such job.
            ExecutionError: It has not ended.
        """
        found = self._keeper().delete(job_id)
        if found is None:
            raise unknown_job(job_id)
        if found and not JobStatus(found).is_terminal():
            raise has_not_ended(job_id, found)
        return True

    def jobs(self, limit: int = 1000) -> list[JobInfo]:
        """Return the jobs that the cluster's keeper knows, the latest first; ``STOPPED`` where one was cancelled."""
        return [
            JobInfo(
                job_id=row["job_id"],
                mode="ray-job",
                action=row["action"],
                status=JobStatus(row["status"]),
                started_at=row["submitted_at"],
                ended_at=row["ended_at"],
                message=f"attempt {row['attempts']}" if row["attempts"] > 1 else "",
            )
            for row in self._keeper().jobs(limit)
        ]
