"""Following a job's log: the drivers of the state machine in `following`, one plain and one for an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from synapse_core.errors import BackendError
from synapse_ray.job_errors import not_in_time
from synapse_ray.jobs_api import rest_paths
from synapse_ray.jobs_api.answers import head_of, job_of, nodes_of
from synapse_ray.jobs_api.dashboard import AsyncDashboard, Dashboard
from synapse_ray.jobs_api.following import AskHead, AskJob, Deliver, NextPiece, Pause, ReadFile, Steps

__all__ = ["drive", "drive_async"]


class _Deadline:
    """When to give up."""

    def __init__(self, job_id: str, seconds: float | None) -> None:
        self._job_id = job_id
        self._seconds = seconds
        self._at = None if seconds is None else time.monotonic() + seconds

    def check(self) -> None:
        """Raise `ExecutionTimeoutError` where it is over."""
        if self._at is not None and time.monotonic() > self._at:
            raise not_in_time(self._job_id, self._seconds)

    def shorten(self, pause: float) -> float:
        """Return the pause, or what is left."""
        return pause if self._at is None else max(0.0, min(pause, self._at - time.monotonic() + 0.001))


def drive(steps: Steps, dashboard: Dashboard, job_id: str, timeout: float | None) -> Iterator[str]:
    """Yield the lines that `steps` deliver."""
    deadline = _Deadline(job_id, timeout)
    with contextlib.ExitStack() as opened, contextlib.closing(steps):
        pieces: Iterator[bytes] | None = None
        answer: Any = None
        problem: BackendError | None = None
        while True:
            try:
                step = steps.send(answer) if problem is None else steps.throw(problem)
            except StopIteration:
                return
            answer = problem = None
            if isinstance(step, Deliver):
                yield from step.lines
            elif isinstance(step, NextPiece):
                try:
                    answer = next(pieces, None) if pieces is not None else None
                    if answer is None:
                        opened.close()
                except Exception as error:  # the connection's own error, which closing the answer translates
                    problem = _closed_after(opened, error)
            else:
                deadline.check()
                try:
                    if isinstance(step, Pause):
                        time.sleep(deadline.shorten(step.seconds))
                    elif isinstance(step, AskJob):
                        answer = job_of(dashboard.ask(rest_paths.job_info(job_id, is_asked_often=True), repeat=False))
                    elif isinstance(step, AskHead):
                        answer = dashboard.head_id(repeat=False)
                    else:
                        opened.close()
                        request = rest_paths.log_file(step.node_id, step.name, is_short=isinstance(step, ReadFile))
                        pieces = opened.enter_context(dashboard.open(request))
                        answer = pieces is not None
                        if isinstance(step, ReadFile):
                            answer = None if pieces is None else b"".join(pieces)
                            opened.close()
                except BackendError as error:
                    problem = error
                except Exception as error:  # while a short file arrived
                    problem = _closed_after(opened, error)


async def drive_async(
    steps: Steps, dashboard: AsyncDashboard, job_id: str, timeout: float | None
) -> AsyncIterator[str]:
    """Yield the lines that `steps` deliver, on a running event loop."""
    deadline = _Deadline(job_id, timeout)
    async with contextlib.AsyncExitStack() as opened:
        opened_file = await opened.enter_async_context(contextlib.AsyncExitStack())
        opened.callback(steps.close)
        pieces: AsyncIterator[bytes] | None = None
        answer: Any = None
        problem: BackendError | None = None
        while True:
            try:
                step = steps.send(answer) if problem is None else steps.throw(problem)
            except StopIteration:
                return
            answer = problem = None
            if isinstance(step, Deliver):
                for line in step.lines:
                    yield line
            elif isinstance(step, NextPiece):
                try:
                    answer = await anext(pieces, None) if pieces is not None else None
                    if answer is None:
                        await opened_file.aclose()
                except Exception as error:
                    problem = await _closed_after_async(opened_file, error)
            else:
                deadline.check()
                try:
                    if isinstance(step, Pause):
                        await asyncio.sleep(deadline.shorten(step.seconds))
                    elif isinstance(step, AskJob):
                        answer = job_of(await dashboard.ask(rest_paths.job_info(job_id, is_asked_often=True)))
                    elif isinstance(step, AskHead):
                        answer = head_of(nodes_of(await dashboard.ask(rest_paths.nodes())), dashboard.url).node_id
                    else:
                        await opened_file.aclose()
                        request = rest_paths.log_file(step.node_id, step.name, is_short=isinstance(step, ReadFile))
                        pieces = await opened_file.enter_async_context(dashboard.open(request))
                        answer = pieces is not None
                        if isinstance(step, ReadFile):
                            answer = None if pieces is None else b"".join([piece async for piece in pieces])
                            await opened_file.aclose()
                except BackendError as error:
                    problem = error
                except Exception as error:
                    problem = await _closed_after_async(opened_file, error)


def _closed_after(opened: contextlib.ExitStack, error: Exception) -> BackendError:
    """End the answer that broke, and return its error as one of ours."""
    try:
        swallowed = opened.__exit__(type(error), error, error.__traceback__)
    except BackendError as translated:
        return translated
    if isinstance(error, BackendError) and not swallowed:
        return error
    raise error


async def _closed_after_async(opened: contextlib.AsyncExitStack, error: Exception) -> BackendError:
    try:
        swallowed = await opened.__aexit__(type(error), error, error.__traceback__)
    except BackendError as translated:
        return translated
    if isinstance(error, BackendError) and not swallowed:
        return error
    raise error
