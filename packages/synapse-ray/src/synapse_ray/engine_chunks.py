"""The chunks of an engine's run, and what becomes of them."""

from __future__ import annotations

import pickle
from concurrent.futures import Future
from typing import Any

from ray import exceptions as ray_errors

from synapse_core.errors import BackendError, PluginError, WorkerLostError
from synapse_core.out_of_band import Pickled, unpickled
from synapse_core.remote_work import Answer, unloadable
from synapse_core.safe_text import safe_str
from synapse_ray.ray_texts import last_lines

__all__ = ["DEATHS", "SentChunk", "fail", "settle", "unloadable_there", "worker_lost"]

DEATHS = (
    ray_errors.RayActorError,
    ray_errors.OutOfMemoryError,
    ray_errors.WorkerCrashedError,
    ray_errors.NodeDiedError,
    ray_errors.ObjectLostError,
)
"""What Ray raises where a worker has died, and with it the answer that it gave or would have given."""


class SentChunk:
    """A chunk that was taken from the source.

    Attributes:
        chunk: Pickled.
        losses: Workers that died while they worked on it.
        lost_at: Number of the last of those losses in the run; 0 for none.
    """

    __slots__ = ("chunk", "future", "losses", "lost_at")

    def __init__(self, chunk: Pickled, future: Future[Any]) -> None:
        self.chunk = chunk
        self.future = future
        self.losses = 0
        self.lost_at = 0

    def is_wanted(self) -> bool:
        """Say whether it is still to be worked on; nobody can cancel it any more then."""
        return self.future.running() or self.future.set_running_or_notify_cancel()


def settle(task: SentChunk, answer: Answer) -> None:
    """Give back what a worker has answered."""
    kind, value = answer
    try:
        if kind == "result":
            task.future.set_result(unpickled(value))
        elif kind == "error":
            task.future.set_exception(pickle.loads(value))
        else:
            task.future.set_exception(unloadable_there(*value))
    except Exception as error:  # a class that is known there and not here
        task.future.set_exception(error)


def fail(task: SentChunk, problem: PluginError) -> None:
    """Give back a problem that has nothing to do with the chunk."""
    if task.is_wanted():
        task.future.set_exception(problem)


def unloadable_there(module: str, text: str) -> BackendError:
    """Return the error to raise where workers cannot load the work."""
    return unloadable(module, text, whose="the Python of a worker", where="on every node of the cluster")


def worker_lost(task: SentChunk, error: BaseException) -> WorkerLostError:
    """Return the error to raise where a chunk has lost as many workers as it may."""
    lost = WorkerLostError(
        f"{task.losses} workers died one after another while they worked on the same chunk; the last one:\n"
        f"{last_lines(safe_str(error))}"
    )
    lost.__cause__ = error
    return lost
