"""Outputs in this process: a list, a generator, a queue, nothing."""

from __future__ import annotations

import inspect
import queue
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from threading import Event
from typing import Any, ClassVar

from synapse_flow.collecting import Collector, DropCollector
from synapse_flow.entries import EntryTypedDict
from synapse_flow.hooks.base import BaseHook
from synapse_flow.outputs.base import BaseOutputAdapter

__all__ = ["DummyOutputAdapter", "GeneratorOutputAdapter", "MemoryOutputAdapter", "QueueOutputAdapter"]

_LOOKS = 0.05  # seconds between looks whether the run was aborted


class MemoryOutputAdapter(BaseOutputAdapter):
    """Keeps entries in a list.

    Attributes:
        results: The entries of the last run.
    """

    def __init__(
        self, *, pre_hooks: Iterable[BaseHook] | None = None, post_hooks: Iterable[BaseHook] | None = None
    ) -> None:
        super().__init__(pre_hooks=pre_hooks, post_hooks=post_hooks)
        self.results: list[EntryTypedDict] = []

    def open(self) -> None:
        """Begin with an empty list."""
        self.results = []

    def write(self, entry: EntryTypedDict) -> None:
        """Keep an entry."""
        self.results.append(entry)

    def discard(self) -> None:
        """Keep what there is: somebody may want to look at it."""


class DummyOutputAdapter(BaseOutputAdapter):
    """Writes nothing; records are validated and counted all the same."""

    resumable: ClassVar[bool] = True

    def collector(self) -> Collector:
        """Return what collects nothing."""
        return DropCollector()

    def write(self, entry: EntryTypedDict) -> None:
        """Do nothing."""

    def resume(self, state: Any) -> None:
        """Do nothing."""


class QueueOutputAdapter(BaseOutputAdapter):
    """Puts entries into a queue, which makes the flow wait where it is full.

    When the run is aborted it waits no longer: what does not fit any more is dropped, and the end, where the queue is
    full, takes the place of an entry.

    Args:
        queue: A `queue.Queue`, or anything with its `put`; without a `timeout`, it has to come back by itself.
        end: Put behind the last entry, unless it is left out.
        pre_hooks: Hooks of this output, before the validation.
        post_hooks: Hooks of this output, after the validation.
    """

    _NO_END = object()

    def __init__(
        self,
        queue: Any,
        *,
        end: Any = _NO_END,
        pre_hooks: Iterable[BaseHook] | None = None,
        post_hooks: Iterable[BaseHook] | None = None,
    ) -> None:
        super().__init__(pre_hooks=pre_hooks, post_hooks=post_hooks)
        self._queue = queue
        self._end = end
        self._waits = _has_timeout(queue.put)
        self._abandoned = Event()
        self._ended = False

    def open(self) -> None:
        """Wait for places in the queue, whatever an earlier run has come to."""
        self._abandoned.clear()
        self._ended = False

    def write(self, entry: EntryTypedDict) -> None:
        """Put an entry."""
        self._put(entry)

    def finish(self) -> None:
        """Put the end."""
        if not self._ended:
            self._ended = self._end is self._NO_END or self._put(self._end)

    def close(self) -> None:
        """Put the end, where that has not been done."""
        self.finish()

    def discard(self) -> None:
        """Put the end, also where the queue is full and nobody waits for its reader any more."""
        self.finish()
        if self._ended:
            return
        with suppress(queue.Empty, AttributeError):
            while not self._put_now(self._end):
                self._queue.get_nowait()
        self._ended = True

    def abandon(self) -> None:
        """Wait for no place any more."""
        self._abandoned.set()

    def _put(self, item: Any) -> bool:
        if not self._waits:
            self._queue.put(item)
            return True
        while not self._abandoned.is_set():
            try:
                self._queue.put(item, timeout=_LOOKS)
                return True
            except queue.Full:
                continue
        return False

    def _put_now(self, item: Any) -> bool:
        try:
            self._queue.put(item, timeout=0)
            return True
        except queue.Full:
            return False


class GeneratorOutputAdapter(BaseOutputAdapter):
    """Yields entries to whoever iterates over it, while the pipe runs in the background.

    Args:
        max_queue_size: Entries that may wait to be taken; then the flow waits.
        pre_hooks: Hooks of this output, before the validation.
        post_hooks: Hooks of this output, after the validation.
    """

    def __init__(
        self,
        max_queue_size: int = 1000,
        *,
        pre_hooks: Iterable[BaseHook] | None = None,
        post_hooks: Iterable[BaseHook] | None = None,
    ) -> None:
        super().__init__(pre_hooks=pre_hooks, post_hooks=post_hooks)
        self._most = max_queue_size
        self._queue: queue.Queue[EntryTypedDict] = queue.Queue(max_queue_size)
        self._ended = Event()
        self._abandoned = Event()

    def open(self) -> None:
        """Begin with an empty queue."""
        self._queue = queue.Queue(self._most)
        self._ended.clear()
        self._abandoned.clear()

    def write(self, entry: EntryTypedDict) -> None:
        """Put an entry, and wait for a place where there is none; entries that nobody wants any more are dropped."""
        while not self._abandoned.is_set():
            try:
                self._queue.put(entry, timeout=_LOOKS)
                return
            except queue.Full:
                continue

    def close(self) -> None:
        """End the iteration, once all entries are taken."""
        self._ended.set()

    def abandon(self) -> None:
        """Wait for no reader any more."""
        self._abandoned.set()

    def __iter__(self) -> Iterator[EntryTypedDict]:
        """Yield entries until the flow has ended."""
        try:
            while True:
                ended = self._ended.is_set()
                try:
                    yield self._queue.get(timeout=0 if ended else _LOOKS)
                except queue.Empty:
                    if ended:
                        return
        finally:
            self._abandoned.set()


def _has_timeout(put: Callable[..., Any]) -> bool:
    """Return whether a queue's `put` can wait for a while only."""
    try:
        parameters = inspect.signature(put).parameters
    except (TypeError, ValueError):
        return False
    return "timeout" in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())
