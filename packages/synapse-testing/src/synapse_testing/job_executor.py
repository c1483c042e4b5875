"""A job executor in memory: jobs are threads, and answer to any executor that shares their book."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from synapse_core.arguments import refuse_unknown_arguments
from synapse_core.context import RuntimeContext
from synapse_core.environment import PluginEnvironment
from synapse_core.errors import (
    ExecutionCancelledError,
    ExecutionTimeoutError,
    JobExistsError,
    JobNotFoundError,
    WorkerLostError,
)
from synapse_core.model.outcome import Outcome
from synapse_core.model.status import JobStatus
from synapse_core.ports.action import RunnableAction
from synapse_core.ports.events import Event, EventSink
from synapse_core.ports.executor import Capabilities
from synapse_core.resolution import resolve_given
from synapse_core.safe_text import format_traceback
from synapse_testing.executor import InMemoryExecutor

if TYPE_CHECKING:
    from synapse_core.ports.executor import ActionLike

__all__ = ["InMemoryJobExecutor", "JobBook"]


@dataclass
class _Job:
    """One job; `answer` is what its worker sent back."""

    status: JobStatus = JobStatus.PENDING
    answer: str = ""
    logs: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    news: threading.Condition = field(default_factory=threading.Condition)

    @property
    def is_cancelled(self) -> bool:
        return self.status is JobStatus.STOPPED

    def end(self) -> None:
        """Wake everybody who waits for the end, or for a line."""
        self.ended.set()
        with self.news:
            self.news.notify_all()

    def wait_for_news(self, seen: int, timeout: float | None) -> bool:
        """Wait for more lines than `seen`, or for the end; ``False`` where neither came in time."""
        with self.news:
            return self.news.wait_for(lambda: len(self.logs) > seen or self.ended.is_set(), timeout)

    def log(self, line: str) -> None:
        """Add a line."""
        with self.news:
            self.logs.append(line)
            self.news.notify_all()


class _JobSink:
    """Keeps each event as a line of the job's logs, and hands it on."""

    def __init__(self, job: _Job, sink: EventSink) -> None:
        self._job = job
        self._sink = sink

    def emit(self, event: Event) -> None:
        self._job.log(json.dumps(event.to_dict(), ensure_ascii=False) + "\n")
        self._sink.emit(event)

    def close(self) -> None:
        self._sink.close()


class JobBook:
    """Jobs by id, shared by the executors that are given it; safe to use from many threads."""

    def __init__(self) -> None:
        self._jobs: dict[str, _Job] = {}
        self._lock = threading.Lock()

    def add(self, job_id: str) -> _Job:
        """Take the id. Raises `JobExistsError`."""
        with self._lock:
            if job_id in self._jobs:
                raise JobExistsError(f"job {job_id!r} exists; it was left alone", details={"job_id": job_id})
            job = self._jobs[job_id] = _Job()
            return job

    def find(self, job_id: str) -> _Job | None:
        """Return the job, or ``None`` for an unknown id."""
        return self._jobs.get(job_id)

    def move(self, job: _Job, status: JobStatus, answer: str = "") -> bool:
        """Move the job on; ``False``, and nothing changed, where its status forbids that."""
        with self._lock:
            if not job.status.can_become(status):
                return False
            job.answer, job.status = answer, status
        if status.is_terminal():
            job.end()
        return True


class InMemoryJobExecutor(InMemoryExecutor):
    """Runs each job in a thread of its own. Cancelling ends the job; its thread ends when the action looks.

    Jobs are answered for by id, in this process only: it claims ``jobs`` and not ``detached``.

    Args:
        env: Settings above ``os.environ``.
        job_id: Identity of the first job, where `submit` is given none. Default: a new one for each.
        sink: Where logs, progress and metrics go. Default: a `RecordingSink`.
        book: Where the jobs are. Default: a new one.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        returns_result=True, jobs=True, logs=True, cancel=True, parallel=True, environment=True, events=True
    )

    @refuse_unknown_arguments
    def __init__(
        self,
        env: PluginEnvironment | Mapping[str, Any] | None = None,
        job_id: str | None = None,
        *,
        sink: EventSink | None = None,
        book: JobBook | None = None,
    ) -> None:
        super().__init__(env, job_id, sink=sink)
        self._book = JobBook() if book is None else book

    def execute(
        self,
        action: ActionLike | None = None,
        params: Any = None,
        *,
        action_cls: ActionLike | None = None,
        entrypoint: ActionLike | None = None,
        **kwargs: Any,
    ) -> Any:
        """Submit, wait, and return the result."""
        return self.get_result(self._submit(resolve_given(action, action_cls, entrypoint), params, self._job_id))

    def submit(
        self,
        action: ActionLike | None = None,
        params: Any = None,
        *,
        job_id: str | None = None,
        action_cls: ActionLike | None = None,
        entrypoint: ActionLike | None = None,
    ) -> str:
        """Start a job and return its id at once."""
        return self._submit(resolve_given(action, action_cls, entrypoint), params, job_id or self._job_id)

    def get_status(self, job_id: str) -> JobStatus:
        """Return the job's status; ``UNKNOWN`` for an unknown id."""
        job = self._book.find(job_id)
        return JobStatus.UNKNOWN if job is None else job.status

    def get_result(self, job_id: str, timeout: float | None = None) -> Any:
        """Wait for the job and return its result."""
        job = self._known(job_id)
        if not job.ended.wait(timeout):
            raise _timed_out(job_id, timeout)
        if job.is_cancelled:
            raise ExecutionCancelledError(f"job {job_id!r} was cancelled", details={"job_id": job_id})
        return self._receive(job.answer)

    def wait(self, job_id: str, timeout_seconds: float = 300) -> JobStatus:
        """Wait for the job and return its final status."""
        self.get_result(job_id, timeout_seconds)
        return self.get_status(job_id)

    def get_logs(self, job_id: str) -> str:
        """Return one line for each event so far."""
        return "".join(self._known(job_id).logs)

    def stream_logs(self, job_id: str, timeout: float | None = None) -> Iterator[str]:
        """Yield one line for each event, from the first one on, until the job has ended."""
        return self._follow(self._known(job_id), job_id, timeout)  # an unknown id raises here, not at the first line

    def cancel(self, job_id: str) -> bool:
        """Stop the job; ``False`` if it had already ended."""
        return self._book.move(self._known(job_id), JobStatus.STOPPED)

    def _follow(self, job: _Job, job_id: str, timeout: float | None) -> Iterator[str]:
        give_up = None if timeout is None else time.monotonic() + timeout
        seen = 0
        while True:
            ended = job.ended.is_set()  # looked at before the lines: what was logged before the end is there
            lines = job.logs[seen:]
            seen += len(lines)
            yield from lines
            if ended:
                return
            left = None if give_up is None else give_up - time.monotonic()
            if (left is not None and left <= 0) or not job.wait_for_news(seen, left):
                raise _timed_out(job_id, timeout)

    def _submit(self, action: RunnableAction, params: Any, job_id: str | None) -> str:
        action.validate(params)
        sent = self._send(params)
        job_id = job_id or f"job-{uuid.uuid4().hex[:12]}"
        job = self._book.add(job_id)
        ctx = self._context(job_id, _JobSink(job, self.sink), lambda: job.is_cancelled)
        threading.Thread(target=self._run, args=(job, action, sent, ctx), name=job_id, daemon=True).start()
        return job_id

    def _run(self, job: _Job, action: RunnableAction, sent: str, ctx: RuntimeContext) -> None:
        self._book.move(job, JobStatus.RUNNING)
        try:
            answer = self._work(action, sent, ctx)
            ok = Outcome.from_dict(json.loads(answer)).ok
        except BaseException as error:  # the worker's own: what an action raises is in its answer
            details = {"action": action.name, "job_id": ctx.job_id}
            what = f"its worker ended with {type(error).__name__} and no answer"
            lost = WorkerLostError(
                f"action {action.name!r} failed: {what}", remote_traceback=format_traceback(error), details=details
            )
            answer, ok = json.dumps(Outcome.of_error(lost).to_dict()), False
        self._book.move(job, JobStatus.SUCCEEDED if ok else JobStatus.FAILED, answer)

    def _known(self, job_id: str) -> _Job:
        job = self._book.find(job_id)
        if job is None:
            raise JobNotFoundError(f"no job {job_id!r}", details={"job_id": job_id})
        return job


def _timed_out(job_id: str, timeout: float | None) -> ExecutionTimeoutError:
    return ExecutionTimeoutError(
        f"job {job_id!r} has not ended within {timeout:g} s; it goes on", details={"job_id": job_id}
    )
