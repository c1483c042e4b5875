"""What works on chunks: an actor, or tasks of Ray's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from ray import cloudpickle

from synapse_core.out_of_band import Pickled, unpickled
from synapse_core.remote_work import Answer, answer, entered, loaded

__all__ = ["EngineWorker", "apply_chunk"]

_MOST_KEPT = 4
_kept: dict[str, Any] = {}


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

    def apply(self, chunk: Pickled) -> Answer:
        """Return what the work makes of a chunk."""
        return _answer(lambda: self._entered()(unpickled(chunk)))

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


def apply_chunk(run: str, work: bytes, chunk: Pickled) -> Answer:
    """Return what work without a scope makes of a chunk; a task of Ray's.

    Args:
        run: Of the engine; the process keeps the work of the latest ones.
        work: What is applied to chunks, pickled.
        chunk: As `pickled` makes it.
    """
    return _answer(lambda: _kept_work(run, work)(unpickled(chunk)))


def _kept_work(run: str, work: bytes) -> Callable[[Any], Any]:
    if run not in _kept:
        made = loaded(work)
        while len(_kept) >= _MOST_KEPT:
            del _kept[next(iter(_kept))]
        _kept[run] = made
    apply: Callable[[Any], Any] = _kept[run]
    return apply


def _answer(do: Callable[[], Any]) -> Answer:
    return answer(do, cloudpickle.dumps)
