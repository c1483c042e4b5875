"""The actors of one run of an engine: started as chunks come, fed, replaced where they die, and ended."""

from __future__ import annotations

import contextlib
import pickle
import time
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any

import ray

from synapse_core.engines import MOST_LOSSES
from synapse_core.errors import BackendError
from synapse_core.remote_work import Answer, missing_module
from synapse_ray.connection import Connection
from synapse_ray.ending import end_actor
from synapse_ray.engine_chunks import DEATHS, SentChunk, settle, unloadable_there, worker_lost
from synapse_ray.engine_loop import EngineLoop
from synapse_ray.engine_worker import EngineWorker
from synapse_ray.start_problem import start_problem

__all__ = ["EngineActors"]

_DEPTH = 2  # chunks of one actor: the one that it works on, and one that is there when that is done


class _Worker:
    """An actor.

    Attributes:
        tasks: Those that it has, the one that it works on first.
        is_ready: Whether it has loaded the work.
        is_used: Whether it was given a chunk, and so may have entered its scope.
        heard_at: How many actors had been lost when it last answered.
    """

    __slots__ = ("actor", "heard_at", "is_ready", "is_used", "tasks")

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.tasks: deque[SentChunk] = deque()
        self.is_ready = False
        self.is_used = False
        self.heard_at = 0


class EngineActors(EngineLoop):
    """Gives chunks to actors, which enter the scope of the work.

    Args:
        work: What is applied to chunks, pickled.
        connection: To the cluster.
        resources: What each actor asks for, as Ray takes it.
        most: Actors, at most.
    """

    def __init__(self, work: bytes, connection: Connection, resources: Mapping[str, Any], *, most: int) -> None:
        super().__init__(work, connection, resources, "actor")
        self._class: Any = ray.remote(EngineWorker).options(max_restarts=0, max_task_retries=0, **resources)
        self._most = most
        self._workers: list[_Worker] = []
        self._leaving: set[_Worker] = set()
        self._errors: list[BaseException] = []
        self._losses = 0
        self._failed_starts = 0
        self._thread.start()

    def raise_what_leaving_raised(self) -> None:
        """Raise the first error of an actor that left its scope."""
        if self._errors:
            raise self._errors[0]

    # -- in the thread --

    def _is_over(self) -> bool:
        return self._is_ending and not self._leaving

    def _at_work(self) -> Iterable[SentChunk]:
        return (task for worker in self._workers for task in worker.tasks)

    def _not_started(self) -> int:
        is_stuck = self._waiting and not any(worker.is_ready for worker in self._workers)
        return len(self._workers) if is_stuck else 0

    def _close(self) -> None:
        workers, self._workers = self._workers, []
        is_there = self._pulse.is_there()
        for worker in workers:
            if worker.is_used and is_there:
                self._leaving.add(worker)
                self._ask(partial(self._on_left, worker), worker.actor.leave)
            else:
                self._dismiss(worker)

    def _drop(self) -> None:
        gone = [*self._workers, *self._leaving]
        self._workers.clear()
        self._leaving.clear()
        for worker in gone:
            self._dismiss(worker)

    def _hand_out(self) -> None:
        if not self._waiting or not self._pulse.is_there():
            return
        for depth in range(1, _DEPTH + 1):
            for worker in self._workers:
                if worker.is_ready and len(worker.tasks) < depth and (task := self._next_for(worker)) is not None:
                    worker.is_used = True
                    worker.tasks.append(task)
                    self._ask(partial(self._on_answer, worker, task), worker.actor.apply, task.chunk)
        starting = sum(not worker.is_ready for worker in self._workers)
        while starting < len(self._waiting) and self._may_start():
            self._start()
            starting += 1

    def _next_for(self, worker: _Worker) -> SentChunk | None:
        """Return the first chunk for a worker: one that others died of only where this one has answered since.

        A lost node takes many actors with it, and each is noticed by itself: three of them would be three losses.
        """
        for task in list(self._waiting):
            if task.lost_at <= worker.heard_at:
                self._waiting.remove(task)
                if task.is_wanted():
                    return task
        return None

    def _may_start(self) -> bool:
        if len(self._workers) >= self._most:
            return False
        # Where others have failed to, those that have started do the work.
        return self._failed_starts < MOST_LOSSES or not self._workers

    def _start(self) -> None:
        with self._pulse.connected():
            worker = _Worker(self._class.remote(self._work))
        self._workers.append(worker)
        self._ask(partial(self._on_loaded, worker), worker.actor.load)

    def _on_loaded(self, worker: _Worker, answer: Future[Answer]) -> None:
        if worker not in self._workers:
            return
        error = answer.exception()
        if error is not None:
            self._workers.remove(worker)
            self._pulse.doubt()
            self._dismiss(worker)
            self._failed_starts += 1
            problem = start_problem(error)
            if (missing := missing_module(error)) is not None:
                problem = unloadable_there(missing, "")
            if missing is not None or (self._failed_starts >= MOST_LOSSES and not self._workers):
                self._give_up(problem, error)
            return
        kind, value = answer.result()
        if kind == "result":
            self._failed_starts = 0
            worker.is_ready = True
            self._hear(worker)
        else:
            self._give_up(unloadable_there(*value) if kind == "unloadable" else pickle.loads(value))

    def _on_answer(self, worker: _Worker, task: SentChunk | None, answer: Future[Answer]) -> None:
        if worker not in self._workers:  # whatever it had is worked on by others
            return
        error = answer.exception()
        if isinstance(error, DEATHS):
            self._lose(worker, error)
            return
        if error is not None:
            raise error
        self._hear(worker)
        if task is None:
            return
        worker.tasks.remove(task)
        settle(task, answer.result())

    def _on_left(self, worker: _Worker, answer: Future[Answer]) -> None:
        self._leaving.discard(worker)
        self._dismiss(worker)
        if answer.exception() is None:  # one that has died cannot leave, as one that dies earlier
            kind, value = answer.result()
            if kind != "result":
                self._errors.append(pickle.loads(value))

    def _hear(self, worker: _Worker) -> None:
        worker.heard_at = self._losses
        self._pulse.hear()

    def _lose(self, worker: _Worker, error: BaseException) -> None:
        """Let others work on what a dead actor had, of which the first chunk may be what it died of."""
        self._workers.remove(worker)
        self._pulse.doubt()
        self._dismiss(worker)  # one that is only out of reach would go on
        self._losses += 1
        self._idle_since = time.monotonic()
        self._waiting.extendleft(reversed(worker.tasks))
        if worker.tasks:
            first = worker.tasks[0]
            first.losses += 1
            first.lost_at = self._losses
            if first.losses >= MOST_LOSSES:
                self._waiting.remove(first)
                first.future.set_exception(worker_lost(first, error))
        is_there = self._pulse.is_there()
        for other in self._workers:
            if other.is_ready and not other.tasks and is_there:
                self._ask(partial(self._on_answer, other, None), other.actor.ping)

    def _dismiss(self, worker: _Worker) -> None:
        """End an actor; those of a lost cluster have ended with it."""
        if self._pulse.is_there():
            with contextlib.suppress(BackendError), self._pulse.connected():
                end_actor(worker.actor)
