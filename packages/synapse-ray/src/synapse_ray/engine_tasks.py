"""The tasks of one run of an engine: for work without a scope, in whatever processes Ray has."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any
from uuid import uuid4

import ray

from synapse_core.engines import MOST_LOSSES
from synapse_core.remote_work import Answer, missing_module
from synapse_ray.connection import Connection
from synapse_ray.engine_chunks import DEATHS, SentChunk, settle, unloadable_there, worker_lost
from synapse_ray.engine_loop import EngineLoop
from synapse_ray.engine_worker import apply_chunk

__all__ = ["EngineTasks"]


class EngineTasks(EngineLoop):
    """Gives each chunk to a task of Ray's, which needs no process of its own: those that wait for work are used.

    Args:
        work: What is applied to chunks, pickled.
        connection: To the cluster.
        resources: What each task asks for, as Ray takes it.
        most: Tasks at once, running or next in line, at most.
    """

    def __init__(self, work: bytes, connection: Connection, resources: Mapping[str, Any], *, most: int) -> None:
        super().__init__(work, connection, resources, "task")
        self._run = uuid4().hex
        self._apply: Any = ray.remote(apply_chunk).options(max_retries=0, **resources)
        self._most = most
        self._running: dict[SentChunk, Any] = {}
        self._has_answered = False
        self._thread.start()

    def _hand_out(self) -> None:
        while self._waiting and len(self._running) < self._most and self._pulse.is_there():
            task = self._waiting.popleft()
            if task.is_wanted():
                self._running[task] = None
                then = partial(self._on_answer, task)
                self._running[task] = self._ask(then, self._apply, self._run, self._work, task.chunk)

    def _at_work(self) -> Iterable[SentChunk]:
        return self._running

    def _not_started(self) -> int:
        return 0 if self._has_answered else len(self._running)

    def _on_answer(self, task: SentChunk, answer: Future[Answer]) -> None:
        if task not in self._running:  # it was given up
            return
        error = answer.exception()
        if error is not None and not isinstance(error, DEATHS):
            if (missing := missing_module(error)) is None:
                raise error
            self._give_up(unloadable_there(missing, ""), error)
            return
        del self._running[task]
        if error is not None:
            self._lose(task, error)
            return
        self._has_answered = True
        self._pulse.hear()
        settle(task, answer.result())

    def _lose(self, task: SentChunk, error: BaseException) -> None:
        """Have the chunk of a dead worker worked on again, unless it may be what they die of."""
        self._pulse.doubt()
        self._idle_since = time.monotonic()
        task.losses += 1
        if task.losses >= MOST_LOSSES:
            task.future.set_exception(worker_lost(task, error))
        else:
            self._waiting.appendleft(task)

    def _drop(self) -> None:
        running, self._running = self._running, {}
        if running and self._pulse.is_there():
            for asked in running.values():
                with contextlib.suppress(Exception), self._pulse.connected():
                    ray.cancel(asked, force=True)
