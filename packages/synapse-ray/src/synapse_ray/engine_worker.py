"""The actor that works on chunks."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from ray import cloudpickle

from synapse_core.remote_work import Answer, answer, entered, loaded

__all__ = ["EngineWorker"]


class EngineWorker:
    """Works on one chunk after another, within the scope that it enters before the first one.

    What it gets and gives are bytes: Ray has a quick form for those, and whatever goes wrong with a value is an answer
    and never a failed task.

    Args:
        work: What is applied to chunks, pickled.
    """

    def __init__(self, work: bytes) -> None:
        self._sent = work
        self._work: Any = None
        self._apply: Any = None
        self._stack = ExitStack()

    def load(self) -> Answer:
        """Load the work; the answer is an empty result, or says why that cannot be."""
        return _answer(self._load)

    def apply(self, chunk: bytes) -> Answer:
        """Return what the work makes of a chunk."""
        return _answer(lambda: self._entered()(pickle.loads(chunk)))

    def ping(self) -> Answer:
        """Show that this worker lives."""
        return _answer(lambda: None)

    def leave(self) -> Answer:
        """Leave the scope, where it was entered."""
        return _answer(self._stack.close)

    def _load(self) -> None:
        self._work = loaded(self._sent)

    def _entered(self) -> Callable[[Any], Any]:
        if self._apply is None:
            self._apply = entered(self._stack, self._work)
        apply: Callable[[Any], Any] = self._apply
        return apply


def _answer(do: Callable[[], Any]) -> Answer:
    return answer(do, cloudpickle.dumps)
