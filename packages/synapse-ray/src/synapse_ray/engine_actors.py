"""The actors of one run of an engine: started as chunks come, fed, replaced where they die, and ended."""

from __future__ import annotations

import pickle
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import ray
from ray import cloudpickle, exceptions as ray_errors

from synapse_core.engines import MOST_LOSSES
from synapse_core.errors import BackendError, PluginError, WorkerLostError
from synapse_core.remote_work import Answer, missing_module, unloadable
from synapse_core.safe_text import safe_str
from synapse_ray.connection import Connection
from synapse_ray.ending import end_actor
from synapse_ray.engine_pulse import Pulse
from synapse_ray.engine_worker import EngineWorker
from synapse_ray.placement import refuse_impossible
from synapse_ray.ray_texts import last_lines
from synapse_ray.start_notice import StartNotice
from synapse_ray.start_problem import start_problem
from synapse_ray.translation import translated

__all__ = ["EngineActors"]

_DEPTH = 2  # chunks of one actor: the one that it works on, and one that is there when that is done
_LOOK_SECONDS = 1.0
_DEATHS = (
    ray_errors.RayActorError,
    ray_errors.OutOfMemoryError,
    ray_errors.WorkerCrashedError,
    ray_errors.NodeDiedError,
    ray_errors.ObjectLostError,
)


class _Task:
    """A chunk that was taken from the source.

    Attributes:
        chunk: Pickled.
        losses: Actors that died while they worked on it.
        lost_at: Number of the last of those losses in the run; 0 for none.
    """

    __slots__ = ("chunk", "future", "losses", "lost_at")

    def __init__(self, chunk: bytes, future: Future[Any]) -> None:
        self.chunk = chunk
        self.future = future
        self.losses = 0
        self.lost_at = 0


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
        self.tasks: deque[_Task] = deque()
        self.is_ready = False
        self.is_used = False
        self.heard_at = 0


class EngineActors:
    """Gives chunks to actors, from a thread of its own: answers of Ray come in a thread that may not wait for Ray.

    Args:
        work: What is applied to chunks, pickled.
        connection: To the cluster.
        resources: What each actor asks for, as Ray takes it.
        most: Actors, at most.
    """

    def __init__(self, work: bytes, connection: Connection, resources: Mapping[str, Any], *, most: int) -> None:
        self._connection = connection
        if connection.is_client:  # chunks are data, and nothing else than data is to be sent
            warnings.filterwarnings("ignore", message="More than 10MB of messages have been created")
        self._work = ray.put(work)
        self._class: Any = ray.remote(EngineWorker).options(max_restarts=0, max_task_retries=0, **resources)
        self._most = most
        self._resources = resources
        self._notice = StartNotice(resources)
        self._events: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._waiting: deque[_Task] = deque()
        self._workers: list[_Worker] = []
        self._leaving: set[_Worker] = set()
        self._errors: list[BaseException] = []
        self._problem: PluginError | None = None
        self._losses = 0
        self._failed_starts = 0
        self._pulse = Pulse(connection)
        self._idle_since = time.monotonic()
        self._is_ending = False
        self._thread = threading.Thread(target=self._serve, name="synapse-ray-engine", daemon=True)
        self._thread.start()

    # -- called by whoever runs the engine --

    def submit(self, chunk: Any) -> Future[Any]:
        """Return what will have the result of the work on a chunk."""
        future: Future[Any] = Future()
        try:
            task = _Task(cloudpickle.dumps(chunk), future)  # type: ignore[no-untyped-call]
        except Exception as error:
            future.set_exception(error)
        else:
            self._events.put(partial(self._on_chunk, task))
        return future

    def end(self) -> None:
        """Have each actor leave its scope, and end all of them."""
        self._events.put(self._on_end)
        try:
            self._thread.join()
        finally:
            for worker in [*self._workers, *self._leaving]:  # somebody does not want to wait for them
                self._dismiss(worker)

    def raise_what_leaving_raised(self) -> None:
        """Raise the first error of an actor that left its scope."""
        if self._errors:
            raise self._errors[0]

    # -- in the thread --

    def _serve(self) -> None:
        while not self._is_ending or self._leaving:
            try:
                try:
                    event = self._events.get(timeout=_LOOK_SECONDS)
                except Empty:
                    event = self._look
                event()
                # First all that is known, deaths above all; then work for those who live.
                if self._events.empty() and not self._is_ending and self._problem is None:
                    self._hand_out()
            except Exception as error:
                self._fail_all(error)

    def _fail_all(self, error: Exception) -> None:
        try:
            self._pulse.check()  # where that is it, whatever Ray says of it is of no interest
        except PluginError as problem:
            self._give_up(problem, error)
        else:
            self._give_up(translated(error, "working on chunks", address=self._connection.address), error)

    def _on_chunk(self, task: _Task) -> None:
        if self._problem is not None:
            _fail(task, self._problem)
            return
        if not self._waiting and not any(worker.tasks for worker in self._workers):
            self._idle_since = time.monotonic()
        self._waiting.append(task)

    def _on_end(self) -> None:
        self._is_ending = True
        self._waiting.clear()
        workers, self._workers = self._workers, []
        is_there = self._pulse.is_there()
        for worker in workers:
            if worker.is_used and is_there:
                self._leaving.add(worker)
                self._ask(partial(self._on_left, worker), worker.actor.leave)
            else:
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

    def _next_for(self, worker: _Worker) -> _Task | None:
        """Return the first chunk for a worker: one that others died of only where this one has answered since.

        A lost node takes many actors with it, and each is noticed by itself: three of them would be three losses.
        """
        for task in list(self._waiting):
            if task.lost_at <= worker.heard_at:
                self._waiting.remove(task)
                if task.future.running() or task.future.set_running_or_notify_cancel():
                    return task
        return None

    def _may_start(self) -> bool:
        if len(self._workers) >= self._most:
            return False
        # Where others have failed to, those that have started do the work.
        return self._failed_starts < MOST_LOSSES or not self._workers

    def _start(self) -> None:
        worker = _Worker(self._class.remote(self._work))
        self._workers.append(worker)
        self._ask(partial(self._on_loaded, worker), worker.actor.load)

    def _ask(self, then: Callable[[Future[Answer]], None], method: Any, *args: Any) -> None:
        if not self._pulse.is_connected:
            self._pulse.check()
        answer: Future[Answer] = method.remote(*args).future()
        answer.add_done_callback(lambda done: self._events.put(partial(then, done)))

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
                problem = _unloadable(missing, "")
            if missing is not None or (self._failed_starts >= MOST_LOSSES and not self._workers):
                self._give_up(problem, error)
            return
        kind, value = answer.result()
        if kind == "result":
            self._failed_starts = 0
            worker.is_ready = True
            self._hear(worker)
        else:
            self._give_up(_unloadable(*value) if kind == "unloadable" else pickle.loads(value))

    def _on_answer(self, worker: _Worker, task: _Task | None, answer: Future[Answer]) -> None:
        if worker not in self._workers:  # whatever it had is worked on by others
            return
        error = answer.exception()
        if isinstance(error, _DEATHS):
            self._lose(worker, error)
            return
        if error is not None:
            raise error
        self._hear(worker)
        if task is None:
            return
        worker.tasks.remove(task)
        kind, value = answer.result()
        if kind == "result":
            _settle(task.future, value)
        elif kind == "error":
            task.future.set_exception(pickle.loads(value))
        else:
            task.future.set_exception(_unloadable(*value))

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
                first.future.set_exception(_worker_lost(first, error))
        is_there = self._pulse.is_there()
        for other in self._workers:
            if other.is_ready and not other.tasks and is_there:
                self._ask(partial(self._on_answer, other, None), other.actor.ping)

    def _look(self) -> None:
        """Look, where nothing has happened for a while, whether there is anything to be said about it."""
        self._pulse.check()
        is_stuck = self._waiting and not any(worker.is_ready for worker in self._workers)
        if is_stuck and time.monotonic() - self._idle_since >= self._notice.patience and self._pulse.is_there():
            refuse_impossible(self._resources)  # a cluster that has just started cannot tell at once
            if self._notice.due(self._idle_since):
                self._notice.say(len(self._workers))

    def _dismiss(self, worker: _Worker) -> None:
        """End an actor; those of a lost cluster have ended with it."""
        if self._pulse.is_there():
            end_actor(worker.actor)

    def _give_up(self, problem: PluginError, cause: BaseException | None = None) -> None:
        if cause is not None and cause is not problem:
            problem.__cause__ = cause
        self._problem = self._problem or problem
        tasks = [*(task for worker in self._workers for task in worker.tasks), *self._waiting]
        gone = [*self._workers, *self._leaving]
        self._workers.clear()
        self._waiting.clear()
        self._leaving.clear()
        for task in tasks:
            _fail(task, self._problem)
        for worker in gone:
            self._dismiss(worker)


def _settle(future: Future[Any], result: bytes) -> None:
    try:
        future.set_result(pickle.loads(result))
    except Exception as error:  # a class that is known there and not here
        future.set_exception(error)


def _fail(task: _Task, problem: PluginError) -> None:
    if task.future.running() or task.future.set_running_or_notify_cancel():
        task.future.set_exception(problem)


def _unloadable(module: str, text: str) -> BackendError:
    return unloadable(module, text, whose="the Python of a worker", where="on every node of the cluster")


def _worker_lost(task: _Task, error: BaseException) -> WorkerLostError:
    lost = WorkerLostError(
        f"{task.losses} workers died one after another while they worked on the same chunk; the last one:\n"
        f"{last_lines(safe_str(error))}"
    )
    lost.__cause__ = error
    return lost
