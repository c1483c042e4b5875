"""Promises of executors that take work over: they apply where ``jobs`` is claimed."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from synapse_core.errors import (
    ExecutionCancelledError,
    ExecutionError,
    ExecutionTimeoutError,
    JobExistsError,
    JobNotFoundError,
    ValidationError,
)
from synapse_core.model.status import JobStatus
from synapse_testing import actions
from synapse_testing.conformance.group import PromiseGroup, rests_on, where_claimed
from synapse_testing.submitting import submit_elsewhere
from synapse_testing.waiting import wait_for_file

__all__ = ["JobPromises"]

_SUBMITS = "test_submit_returns_before_the_work_is_done"
_RESULT = "test_the_result_of_a_job_can_be_had_as_often_as_asked"
_CANCELS = "test_a_cancelled_job_has_no_result"
_AT_ONCE = 0.05


class JobPromises(PromiseGroup):
    """A job has an id, by which its status, result, logs and end can be had."""

    @where_claimed("jobs")
    def test_submit_returns_before_the_work_is_done(self, executor: Any, tmp_path: Path) -> None:
        """``submit`` returns a job id while the work is still going on."""
        job_id, release = self._submit_waiting(executor, tmp_path)
        assert isinstance(job_id, str)
        assert not release.exists()
        release.touch()
        executor.get_result(job_id, self.patience)

    @where_claimed("jobs")
    @rests_on(_SUBMITS)
    def test_the_result_of_a_job_can_be_had_as_often_as_asked(self, executor: Any) -> None:
        """``get_result`` waits for the job and returns its result, a second time too."""
        job_id = executor.submit(actions.AddAction, {"left": 1})
        assert [executor.get_result(job_id, self.patience) for _ in range(2)] == [2, 2]

    @where_claimed("jobs")
    @rests_on(_RESULT)
    def test_submit_accepts_whatever_execute_does(self, executor: Any) -> None:
        """``submit`` takes a class, a function or an entrypoint string."""
        for action in (actions.AddAction, actions.adds, f"{actions.__name__}.AddAction"):
            assert executor.get_result(executor.submit(action, {"left": 1}), self.patience) == 2

    @where_claimed("jobs")
    @rests_on(_RESULT)
    def test_a_job_keeps_the_id_it_was_given(self, executor: Any) -> None:
        """``submit(job_id=…)`` gives the job that id, and it is ``ctx.job_id`` inside the action."""
        job_id = _new_id()
        assert executor.submit(actions.describes_context, {}, job_id=job_id) == job_id
        assert executor.get_result(job_id, self.patience)["job_id"] == job_id

    @where_claimed("jobs")
    @rests_on(_RESULT, "test_a_job_keeps_the_id_it_was_given")
    def test_a_taken_job_id_is_refused(self, executor: Any) -> None:
        """Submitting under a taken id raises `JobExistsError` and leaves the job that has it alone."""
        job_id = executor.submit(actions.adds, {"left": 1}, job_id=_new_id())
        with pytest.raises(JobExistsError):
            executor.submit(actions.adds, {"left": 100}, job_id=job_id)
        assert executor.get_result(job_id, self.patience) == 2

    @where_claimed("jobs")
    @rests_on(_SUBMITS, "test_params_that_do_not_fit_are_refused")
    def test_submit_refuses_params_that_do_not_fit(self, executor: Any, tmp_path: Path) -> None:
        """``submit`` raises `ValidationError` itself, before anything was handed over."""
        job_id = _new_id()
        with pytest.raises(ValidationError):
            executor.submit(actions.marks, {"mark": str(tmp_path / "mark"), "count": 0}, job_id=job_id)
        assert executor.get_status(job_id) == JobStatus.UNKNOWN
        assert not (tmp_path / "mark").exists()

    @where_claimed("jobs", "detached")
    @rests_on(_RESULT)
    def test_a_job_outlives_the_process_that_submitted_it(self, executor: Any, tmp_path: Path) -> None:
        """Where ``detached`` is claimed, a job that another process submitted goes on when that process has ended."""
        job_id, release = _new_id(), tmp_path / "release"
        submit_elsewhere(
            type(executor),
            self.options_elsewhere,
            f"{actions.__name__}:waits_for_file",
            self._waiting_params(tmp_path, release),
            job_id,
        )
        release.touch()
        assert executor.get_result(job_id, self.patience) == "released"

    @where_claimed("jobs")
    @rests_on(_RESULT)
    def test_another_executor_can_ask_for_a_job(self, executor: Any, make_executor: Callable[..., Any]) -> None:
        """Another executor of the same kind, told nothing but the job id, can ask for status and result."""
        job_id = executor.submit(actions.adds, {"left": 1})
        other = make_executor()
        assert other.get_result(job_id, self.patience) == 2
        assert other.get_status(job_id) == JobStatus.SUCCEEDED

    # -- status ---------------------------------------------------------------------------

    @where_claimed("jobs")
    @rests_on(_SUBMITS)
    def test_a_job_in_progress_says_so(self, executor: Any, tmp_path: Path) -> None:
        """The status of a job that has not ended is ``PENDING`` or ``RUNNING``."""
        job_id, release = self._submit_waiting(executor, tmp_path)
        status = executor.get_status(job_id)
        release.touch()
        executor.get_result(job_id, self.patience)
        assert status in (JobStatus.PENDING, JobStatus.RUNNING)
        assert not status.is_terminal()

    @where_claimed("jobs")
    @rests_on(_RESULT)
    def test_a_finished_job_has_succeeded(self, executor: Any) -> None:
        """``wait`` returns ``SUCCEEDED`` for a job whose action returned, and its status is the same word."""
        job_id = executor.submit(actions.adds, {"left": 1})
        assert executor.wait(job_id, self.patience) == "SUCCEEDED"
        assert f"{executor.get_status(job_id)}" == "SUCCEEDED"
        assert executor.get_status(job_id).is_terminal()

    @where_claimed("jobs")
    @rests_on(_SUBMITS, "test_an_exception_is_an_execution_error")
    def test_a_failed_job_raises_its_error_every_time(self, executor: Any) -> None:
        """``wait`` and ``get_result`` raise the `ExecutionError` of a job that failed, as often as asked."""
        job_id = executor.submit(actions.raises, {})
        for ask in (executor.wait, executor.get_result, executor.get_result):
            with pytest.raises(ExecutionError) as caught:
                ask(job_id, self.patience)
            assert caught.value.original_type == "OvenError"

    @where_claimed("jobs")
    @rests_on("test_a_failed_job_raises_its_error_every_time")
    def test_a_failed_job_has_failed(self, executor: Any) -> None:
        """The status of a job whose action raised is ``FAILED``."""
        job_id = executor.submit(actions.raises, {})
        with pytest.raises(ExecutionError):
            executor.wait(job_id, self.patience)
        assert executor.get_status(job_id) == "FAILED"

    @where_claimed("jobs")
    def test_the_status_of_an_unknown_job_is_unknown(self, executor: Any) -> None:
        """``get_status`` of an id that nobody has is ``UNKNOWN``, and no exception."""
        assert executor.get_status(_new_id()) == "UNKNOWN"

    @where_claimed("jobs")
    def test_an_unknown_job_has_no_result(self, executor: Any) -> None:
        """``wait`` and ``get_result`` of an id that nobody has raise `JobNotFoundError`."""
        for ask in (executor.wait, executor.get_result):
            with pytest.raises(JobNotFoundError):
                ask(_new_id(), _AT_ONCE)

    @where_claimed("jobs")
    @pytest.mark.parametrize("ask", ["wait", "get_result"])
    @rests_on(_SUBMITS)
    def test_a_wait_that_times_out_leaves_the_job_alone(self, executor: Any, tmp_path: Path, ask: str) -> None:
        """A wait that is over before the job is raises `ExecutionTimeoutError`, and the job goes on."""
        job_id, release = self._submit_waiting(executor, tmp_path)
        with pytest.raises(ExecutionTimeoutError):
            getattr(executor, ask)(job_id, _AT_ONCE)
        release.touch()
        assert executor.get_result(job_id, self.patience) == "released"

    # -- logs and cancelling ------------------------------------------------------------------

    @where_claimed("jobs", "logs")
    @rests_on(_RESULT)
    def test_the_logs_hold_what_the_job_reported(self, executor: Any) -> None:
        """Where logs are claimed, ``get_logs`` holds what the job has logged."""
        job_id = executor.submit(actions.reports, {})
        executor.get_result(job_id, self.patience)
        logs = executor.get_logs(job_id)
        assert "epoch_complete" in logs
        assert "half way" in logs

    @where_claimed("jobs", "logs")
    @rests_on("test_the_logs_hold_what_the_job_reported")
    def test_streamed_logs_are_whole_lines_to_the_end(self, executor: Any) -> None:
        """``stream_logs`` yields whole lines with their newline, the first one first, and ends with the job."""
        job_id = executor.submit(actions.reports, {})
        lines = list(executor.stream_logs(job_id, timeout=self.patience))
        assert all(line.endswith("\n") and line.count("\n") == 1 for line in lines)
        text = "".join(lines)
        assert 0 <= text.find("epoch_complete") < text.find("half way")

    @where_claimed("jobs", "logs")
    @rests_on("test_streamed_logs_are_whole_lines_to_the_end", "test_a_wait_that_times_out_leaves_the_job_alone")
    def test_a_stream_that_times_out_leaves_the_job_alone(self, executor: Any, tmp_path: Path) -> None:
        """A stream that is over before the job is raises `ExecutionTimeoutError`, and the job goes on."""
        job_id, release = self._submit_waiting(executor, tmp_path)
        with pytest.raises(ExecutionTimeoutError):
            list(executor.stream_logs(job_id, timeout=_AT_ONCE))
        release.touch()
        assert executor.get_result(job_id, self.patience) == "released"

    @where_claimed("jobs", "cancel")
    @rests_on(_SUBMITS)
    def test_a_cancelled_job_has_no_result(self, executor: Any, tmp_path: Path) -> None:
        """Where cancelling is claimed, ``cancel`` stops a running job: it has ended, with `ExecutionCancelledError`."""
        job_id = self._cancelled(executor, tmp_path)
        for ask in (executor.wait, executor.get_result):
            with pytest.raises(ExecutionCancelledError):
                ask(job_id, self.patience)

    @where_claimed("jobs", "cancel")
    @rests_on(_CANCELS)
    def test_a_cancelled_job_has_not_succeeded(self, executor: Any, tmp_path: Path) -> None:
        """The status of a cancelled job is terminal, and not ``SUCCEEDED``."""
        job_id = self._cancelled(executor, tmp_path)
        with pytest.raises(ExecutionCancelledError):
            executor.wait(job_id, self.patience)
        status = executor.get_status(job_id)
        assert status.is_terminal()
        assert status != JobStatus.SUCCEEDED

    @where_claimed("jobs", "cancel")
    @rests_on(_RESULT, _CANCELS)
    def test_a_finished_job_cannot_be_cancelled(self, executor: Any) -> None:
        """``cancel`` of a job that has ended returns false and changes nothing."""
        job_id = executor.submit(actions.adds, {"left": 1})
        executor.wait(job_id, self.patience)
        assert executor.cancel(job_id) is False
        assert executor.get_status(job_id) == JobStatus.SUCCEEDED
        assert executor.get_result(job_id, self.patience) == 2

    def _submit_waiting(self, executor: Any, tmp_path: Path) -> tuple[str, Path]:
        """Submit a job that ends when a file appears; returns its id and that file."""
        release = tmp_path / "release"
        return executor.submit(actions.waits_for_file, self._waiting_params(tmp_path, release)), release

    def _waiting_params(self, tmp_path: Path, release: Path) -> dict[str, Any]:
        return {
            "started": str(tmp_path / "started"),
            "release": str(release),
            "answer": "released",
            "patience": self.patience,
        }

    def _cancelled(self, executor: Any, tmp_path: Path) -> str:
        """Submit a job, cancel it once its action has begun, and return its id."""
        job_id, _ = self._submit_waiting(executor, tmp_path)
        wait_for_file(tmp_path / "started", self.patience)
        assert executor.cancel(job_id) is True
        return job_id


def _new_id() -> str:
    # Jobs outlive a test run on a real backend, so no id is used twice.
    return f"conformance-{uuid.uuid4().hex[:12]}"
