"""What an output is."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from synapse_flow.collecting import Collector, EntryCollector
from synapse_flow.entries import EntryTypedDict
from synapse_flow.hooks.base import BaseHook
from synapse_flow.used_files import UsedFile
from synapse_flow.validation.unvalidated import NoValidator

__all__ = ["BaseAsyncOutputAdapter", "BaseOutputAdapter", "collected_entry"]


class BaseOutputAdapter(ABC):
    """Where entries go. One's own need `write` only, and may have `open`, `finish`, `close` and `discard`.

    Args:
        pre_hooks: Hooks of this output, before the validation.
        post_hooks: Hooks of this output, after the validation.

    Attributes:
        resumable: Whether a run that was killed can go on where it stopped.
        takes_views: Whether `write_chunk` takes a `memoryview` in the place of bytes.
    """

    resumable: ClassVar[bool] = False
    takes_views: ClassVar[bool] = False

    def __init__(
        self, *, pre_hooks: Iterable[BaseHook] | None = None, post_hooks: Iterable[BaseHook] | None = None
    ) -> None:
        self.pre_hooks = list(pre_hooks or ())
        self.post_hooks = list(post_hooks or ())

    def open(self) -> None:
        """Get ready to write; called before anything is written."""

    @abstractmethod
    def write(self, entry: EntryTypedDict) -> Any:
        """Write one entry; entries come in the order of the input."""

    def finish(self) -> None:
        """Write what is left, so that `close` has little to do that may fail; called once, when everything is written.

        All outputs of a run are finished before any is closed: where one raises here, none is published.
        """

    def close(self) -> None:
        """Publish what was written; called once, behind `finish`."""

    def discard(self) -> None:
        """Take back what was written, as far as that is possible; called once, instead of `close`.

        Also called where the run failed before `open`, so that whoever waits for entries learns of its end.
        """
        self.close()

    def abandon(self) -> None:
        """Wait for nobody any more: the run is aborted. Called by another thread, at any time."""

    def check(self) -> None:
        """See whether it can be written where it is to be; called before anything is opened."""

    def used_files(self) -> Iterable[UsedFile]:
        """Return the files that it writes, which nothing else of the run may read or write."""
        return ()

    # -- for outputs that know more --

    def begin(self, model: Any, columns: list[str] | None) -> None:
        """Get to know what will come.

        Args:
            model: What records are validated with, or None.
            columns: Names that every record of the input has, where they are known and no hook changes them.
        """

    def collector(self) -> Collector:
        """Return what prepares chunks for `write_chunk`, on workers."""
        return EntryCollector()

    def write_chunk(self, collected: Any) -> None:
        """Write what the collector made of a chunk."""
        for entry in collected or ():
            self.write(entry)

    def resume(self, state: Any) -> None:
        """Go on from a state that `state` returned, instead of `open`."""
        raise NotImplementedError

    def state(self) -> Any:
        """Return JSON data by which a later run can go on from here."""
        return None

    def keep(self) -> None:
        """Stop, and leave what was written where a later run goes on with it."""
        self.discard()


class BaseAsyncOutputAdapter(BaseOutputAdapter):
    """Where entries go, on an event loop. One's own need `write_async` only."""

    def __init__(
        self, *, pre_hooks: Iterable[BaseHook] | None = None, post_hooks: Iterable[BaseHook] | None = None
    ) -> None:
        super().__init__(pre_hooks=pre_hooks, post_hooks=post_hooks)
        self._runner: asyncio.Runner | None = None

    async def open_async(self) -> None:
        """Get ready to write."""

    @abstractmethod
    async def write_async(self, entry: EntryTypedDict) -> None:
        """Write one entry."""

    async def close_async(self) -> None:
        """Finish what was written."""

    def open(self) -> None:
        """Start an event loop, and open on it."""
        self._runner = asyncio.Runner()
        self._runner.run(self.open_async())

    def write(self, entry: EntryTypedDict) -> None:
        """Write one entry on the event loop."""
        assert self._runner is not None, "open() comes first"
        self._runner.run(self.write_async(entry))

    def close(self) -> None:
        """Close on the event loop, and end it."""
        if self._runner is not None:
            self._runner.run(self.close_async())
            self._runner.close()
            self._runner = None


def collected_entry(collector: Collector, entry: EntryTypedDict) -> Any:
    """Return what an output takes of one entry, which failed where it has no validated data."""
    value = entry.get("validated_data")
    if value is None:
        return collector.of_failed([entry])
    return collector.joined([collector.of_values([value], [entry], NoValidator())])
