"""Executors that spoil jobs."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

from broken_executors.base import breaks
from synapse_core.errors import JobExistsError, JobNotFoundError, ValidationError
from synapse_core.model.outcome import Outcome
from synapse_core.resolution import resolve_action
from synapse_testing import InMemoryJobExecutor


@breaks("test_submit_returns_before_the_work_is_done")
class SubmitsAndWaits(InMemoryJobExecutor):
    def submit(self, *args, **kwargs):
        job_id = super().submit(*args, **kwargs)
        self._known(job_id).ended.wait()
        return job_id


@breaks("test_the_result_of_a_job_can_be_had_as_often_as_asked")
class GivesTheResultOnce(InMemoryJobExecutor):
    def get_result(self, job_id, timeout=None):
        result = super().get_result(job_id, timeout)
        self._known(job_id).answer = json.dumps(Outcome(value=None).to_dict())
        return result


@breaks("test_a_taken_job_id_is_refused")
class OverwritesATakenJob(InMemoryJobExecutor):
    def submit(self, action=None, params=None, *, job_id=None, **kwargs):
        try:
            return super().submit(action, params, job_id=job_id, **kwargs)
        except JobExistsError:
            del self._book._jobs[job_id]
            return super().submit(action, params, job_id=job_id, **kwargs)


@breaks("test_the_status_of_an_unknown_job_is_unknown")
class RaisesForAnUnknownStatus(InMemoryJobExecutor):
    def get_status(self, job_id):
        # After a refused submit the id is unknown too, and that is another promise.
        known = self._book.find(job_id)
        if known is None and not getattr(self, "refused", False):
            raise KeyError(job_id)
        return super().get_status(job_id)

    def submit(self, *args, **kwargs):
        try:
            return super().submit(*args, **kwargs)
        except ValidationError:
            self.refused = True
            raise


@breaks("test_a_wait_that_times_out_leaves_the_job_alone")
class StopsTheJobOnTimeout(InMemoryJobExecutor):
    def get_result(self, job_id, timeout=None):
        try:
            return super().get_result(job_id, timeout)
        except TimeoutError:
            self.cancel(job_id)
            raise


@breaks("test_submit_refuses_params_that_do_not_fit")
class ValidatesInTheJob(InMemoryJobExecutor):
    def submit(self, action=None, params=None, *, job_id=None, **kwargs):
        try:
            return super().submit(action, params, job_id=job_id, **kwargs)
        except ValidationError:
            return super().submit(lambda params, ctx: resolve_action(action).validate(params), params, job_id=job_id)


@breaks("test_a_job_outlives_the_process_that_submitted_it")
class ClaimsToOutliveItsProcess(InMemoryJobExecutor):
    capabilities = replace(InMemoryJobExecutor.capabilities, detached=True)


@breaks("test_another_executor_can_ask_for_a_job")
class KeepsJobsToItself(InMemoryJobExecutor):
    def get_result(self, job_id, timeout=None):
        if job_id not in self.__dict__.setdefault("own", set()):
            raise JobNotFoundError(job_id)
        return super().get_result(job_id, timeout)

    def _submit(self, *args):
        job_id = super()._submit(*args)
        self.__dict__.setdefault("own", set()).add(job_id)
        return job_id


@breaks("test_a_finished_job_has_succeeded")
class SaysSuccessInItsOwnWords(InMemoryJobExecutor):
    def wait(self, job_id, timeout_seconds=300):
        return f"{super().wait(job_id, timeout_seconds)}".capitalize()


@breaks("test_the_logs_hold_what_the_job_reported")
class LosesLogs(InMemoryJobExecutor):
    def get_logs(self, job_id):
        return ""


@breaks("test_streamed_logs_are_whole_lines_to_the_end")
class StreamsHalfLines(InMemoryJobExecutor):
    def stream_logs(self, job_id, timeout=None):
        for line in super().stream_logs(job_id, timeout):
            yield from (line[:9], line[9:])


@breaks("test_a_stream_that_times_out_leaves_the_job_alone")
class EndsTheStreamEarly(InMemoryJobExecutor):
    def stream_logs(self, job_id, timeout=None):
        with contextlib.suppress(TimeoutError):
            yield from super().stream_logs(job_id, timeout)


@breaks("test_a_cancelled_job_has_no_result")
class SwallowsCancel(InMemoryJobExecutor):
    def cancel(self, job_id):
        return not self._known(job_id).ended.is_set()


@breaks("test_a_finished_job_cannot_be_cancelled")
class CancelsWhatHasEnded(InMemoryJobExecutor):
    def cancel(self, job_id):
        super().cancel(job_id)
        return True
