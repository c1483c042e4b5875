"""What outputs to files share: finished bytes from workers, one file that appears when it is whole."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from synapse_flow.collecting import Collector
from synapse_flow.compression import compressed, compression_of
from synapse_flow.entries import EntryTypedDict
from synapse_flow.hooks.base import BaseHook
from synapse_flow.outputs.base import BaseOutputAdapter, collected_entry
from synapse_flow.outputs.compressing import CompressingCollector
from synapse_flow.publication import Publication
from synapse_flow.used_files import UsedFile

__all__ = ["FileOutputAdapter"]


class FileOutputAdapter(BaseOutputAdapter):
    """Base of outputs to one file, which is there when it is whole, and not before.

    Args:
        target: Path, or a URL that fsspec knows.
        compression: ``"infer"`` (by the suffix), ``"gzip"``, ``"zstd"`` or None.
        storage_options: For the file system, such as credentials.
        pre_hooks: Hooks of this output, before the validation.
        post_hooks: Hooks of this output, after the validation.
    """

    takes_views: ClassVar[bool] = True

    def __init__(
        self,
        target: str | os.PathLike[str],
        *,
        compression: str | None = "infer",
        storage_options: Mapping[str, Any] | None = None,
        pre_hooks: Iterable[BaseHook] | None = None,
        post_hooks: Iterable[BaseHook] | None = None,
    ) -> None:
        super().__init__(pre_hooks=pre_hooks, post_hooks=post_hooks)
        self._file = Publication(target, storage_options)
        self._compression = compression_of(self._file.name, compression)
        self._empty = True
        self._finished = False

    @property
    def path(self) -> str:
        """The file's path, or URL."""
        return self._file.name

    def check(self) -> None:
        """See what is in the way of the file.

        Raises:
            ExecutionError: A folder is in its place, or a file in that of its folder.
        """
        self._file.check()

    def used_files(self) -> Iterable[UsedFile]:
        """Return the file, and its part."""
        return self._file.used()

    @property
    def resumable(self) -> bool:  # type: ignore[override]
        """Whether a run that was killed can go on: where the output is a file, or the null device."""
        return self._file.resumable

    # -- for those who inherit --

    def lines(self) -> Collector:
        """Return what makes bytes of records, on workers."""
        raise NotImplementedError

    def head(self) -> bytes:
        """Return what stands before the first record."""
        return b""

    def between(self) -> bytes:
        """Return what stands between the bytes of two chunks."""
        return b""

    def tail(self) -> bytes:
        """Return what stands behind the last record."""
        return b""

    # -- an output --

    def open(self) -> None:
        """Begin the file."""
        self._empty, self._finished = True, False
        self._file.open()
        self._put(self.head())

    def collector(self) -> Collector:
        """Return what makes bytes of records, on workers."""
        return CompressingCollector(self.lines(), self._compression) if self._compression else self.lines()

    def write_chunk(self, collected: bytes | memoryview | None) -> None:
        """Write finished bytes."""
        if not collected:
            return
        if not self._empty:
            self._put(self.between())
        self._empty = False
        self._file.write(collected)

    def write(self, entry: EntryTypedDict) -> None:
        """Write one entry."""
        self.write_chunk(collected_entry(self.collector(), entry))

    def finish(self) -> None:
        """Write the end of the file, and wait until it lies where it cannot get lost."""
        self._put(self.tail())
        self._file.flush()
        self._finished = True

    def close(self) -> None:
        """Put the file in its place."""
        if not self._finished:
            self.finish()
        self._file.publish()

    def discard(self) -> None:
        """Remove what was written."""
        self._file.discard()

    def abandon(self) -> None:
        """Wait no longer for anybody who reads what is written."""
        self._file.give_up()

    def resume(self, state: Any) -> None:
        """Go on behind what was committed; a file that was finished may be in its place already."""
        if type(state["offset"]) is not int or state["offset"] < 0:
            raise ValueError(f"'offset' is {state['offset']!r}")
        self._finished = state.get("finished", False)
        self._file.open(state["offset"], whole=self._finished)
        self._empty = state["empty"]

    def state(self) -> Any:
        """Return how much was written."""
        return {"offset": self._file.offset, "empty": self._empty, "finished": self._finished}

    def keep(self) -> None:
        """Leave the part of the file where it is."""
        self._file.keep()

    def _put(self, data: bytes) -> None:
        if data:
            self._file.write(compressed(data, self._compression))
