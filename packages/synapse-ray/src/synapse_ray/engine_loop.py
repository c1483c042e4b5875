"""What the ways of an engine to work on chunks share: a thread that hears of everything and hands chunks out."""

from __future__ import annotations

import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import ray
from ray import cloudpickle

from synapse_core.errors import PluginError
from synapse_core.out_of_band import pickled
from synapse_core.remote_work import Answer
from synapse_ray.connection import Connection
from synapse_ray.engine_chunks import SentChunk, fail
from synapse_ray.engine_pulse import Pulse
from synapse_ray.placement import refuse_impossible
from synapse_ray.start_notice import StartNotice
from synapse_ray.translation import translated

__all__ = ["EngineLoop"]

_LOOK_SECONDS = 1.0


class EngineLoop(ABC):
    """Gives chunks to workers, from a thread of its own: answers of Ray come in a thread that may not wait for Ray.

    Args:
        work: What is applied to chunks, pickled.
        connection: To the cluster.
        resources: What each worker asks for, as Ray takes it.
        worker: What a worker is called in messages.
    """

    def __init__(self, work: bytes, connection: Connection, resources: Mapping[str, Any], worker: str) -> None:
        self._connection = connection
        if connection.is_client:  # chunks are data, and nothing else than data is to be sent
            warnings.filterwarnings("ignore", message="More than 10MB of messages have been created")
        self._work = ray.put(work)
        self._resources = resources
        self._notice = StartNotice(resources, worker)
        self._events: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._waiting: deque[SentChunk] = deque()
        self._problem: PluginError | None = None
        self._pulse = Pulse(connection)
        self._idle_since = time.monotonic()
        self._is_ending = False
        self._thread = threading.Thread(target=self._serve, name="synapse-ray-engine", daemon=True)

    # -- called by whoever runs the engine --

    def submit(self, chunk: Any) -> Future[Any]:
        """Return what will have the result of the work on a chunk."""
        future: Future[Any] = Future()
        try:
            task = SentChunk(pickled(chunk, cloudpickle.dumps), future)
        except Exception as error:
            future.set_exception(error)
        else:
            self._events.put(partial(self._on_chunk, task))
        return future

    def end(self) -> None:
        """End all workers, in good order where there is a scope to leave."""
        self._events.put(self._on_end)
        try:
            self._thread.join()
        finally:
            self._drop()  # somebody does not want to wait for them

    def raise_what_leaving_raised(self) -> None:
        """Raise the first error of a worker that left its scope."""

    # -- in the thread --

    @abstractmethod
    def _hand_out(self) -> None:
        """Give chunks that wait to workers."""

    @abstractmethod
    def _at_work(self) -> Iterable[SentChunk]:
        """Return the chunks that workers have."""

    @abstractmethod
    def _not_started(self) -> int:
        """Return how many workers were asked for, where none of them has started."""

    @abstractmethod
    def _drop(self) -> None:
        """End all workers at once, and forget them."""

    def _close(self) -> None:
        """Begin to end the workers in good order."""

    def _is_over(self) -> bool:
        return self._is_ending

    def _serve(self) -> None:
        while not self._is_over():
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

    def _ask(self, then: Callable[[Future[Answer]], None], method: Any, *args: Any) -> Any:
        """Call a function or a method of Ray's, have `then` called with its answer, and return what stands for it."""
        with self._pulse.connected():
            asked = method.remote(*args)
            answer: Future[Answer] = asked.future()
        answer.add_done_callback(lambda done: self._events.put(partial(then, done)))
        return asked

    def _on_chunk(self, task: SentChunk) -> None:
        if self._problem is not None:
            fail(task, self._problem)
            return
        if not self._waiting and not any(True for _ in self._at_work()):
            self._idle_since = time.monotonic()
        self._waiting.append(task)

    def _on_end(self) -> None:
        self._is_ending = True
        self._waiting.clear()
        self._close()

    def _look(self) -> None:
        """Look, where nothing has happened for a while, whether there is anything to be said about it."""
        self._pulse.check()
        waits_for = self._not_started()
        if waits_for and time.monotonic() - self._idle_since >= self._notice.patience and self._pulse.is_there():
            refuse_impossible(self._resources)  # a cluster that has just started cannot tell at once
            if self._notice.due(self._idle_since):
                self._notice.say(waits_for)

    def _fail_all(self, error: Exception) -> None:
        try:
            self._pulse.check()  # where that is it, whatever Ray says of it is of no interest
        except PluginError as problem:
            self._give_up(problem, error)
        else:
            self._give_up(translated(error, "working on chunks", address=self._connection.address), error)

    def _give_up(self, problem: PluginError, cause: BaseException | None = None) -> None:
        if cause is not None and cause is not problem:
            problem.__cause__ = cause
        self._problem = self._problem or problem
        tasks = [*self._at_work(), *self._waiting]
        self._waiting.clear()
        self._drop()
        for task in tasks:
            fail(task, self._problem)
