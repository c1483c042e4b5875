"""Tasks of an event loop."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from synapse_core.whole_numbers import whole_number, whole_number_or_none
from synapse_flow.executors.base import LARGE_BLOCK, BaseExecutor
from synapse_flow.executors.computing_engine import computing_engine
from synapse_flow.hooks.driving import has_coroutines
from synapse_flow.work import AsyncChunkWork, ChunkWork

__all__ = ["AsyncIOExecutor"]


class AsyncIOExecutor(BaseExecutor):
    """Works in tasks of one event loop: for hooks that await; those that are no coroutines run in threads beside it.

    Args:
        schema_model: What records are validated with: a pydantic model, or None for nothing.
        concurrency: Coroutines at once. Where a hook waits, a task has one entry.
        max_workers: Threads for flows without coroutines. Default: `concurrency`. Where no hook is called, the
            calling thread does it all, without a loop.
        use_batch_validation: Of no effect: records are always validated many at a time, with the same outcome.
        loop: A loop to use, which runs in another thread, or does not run. Default: one of the run's own.
        chunksize: Entries in a task, at most. Default: as many as take between 5 and 100 ms.
        max_inflight: Chunks that are read and not yet written, at most. Default: twice as many as are worked on.
        ordered: Whether the output keeps the order of the input.
    """

    engine_name: ClassVar[str] = "asyncio"
    block: ClassVar[tuple[int, int]] = LARGE_BLOCK

    def __init__(
        self,
        schema_model: Any = None,
        concurrency: int = 10,
        max_workers: int | None = None,
        use_batch_validation: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        chunksize: int | None = None,
        max_inflight: int | None = None,
        ordered: bool = True,
    ) -> None:
        super().__init__(schema_model, chunksize=chunksize, use_batch_validation=use_batch_validation, ordered=ordered)
        self.concurrency = whole_number("concurrency", concurrency)
        self.max_workers = whole_number_or_none("max_workers", max_workers)
        self.loop = loop
        self.max_inflight = whole_number_or_none("max_inflight", max_inflight)

    def engine_options(self) -> dict[str, Any]:
        """Return the arguments of the engine."""
        return {
            "concurrency": self.concurrency,
            "max_workers": self.max_workers,
            "max_inflight": self.max_inflight,
            "loop": self.loop,
        }

    def engine_without_hooks(self) -> tuple[str, dict[str, Any]]:
        """Return name and arguments of the engine for work that only computes."""
        return computing_engine(self.max_workers)

    def in_flight(self) -> int:
        """Return how many chunks are taken from the input and not yet written, at most."""
        return self.max_inflight or 2 * max(self.concurrency, self.max_workers or 0)

    def work(self, **parts: Any) -> ChunkWork:
        """Return the work on chunks: a coroutine where a hook is one."""
        is_async = has_coroutines((*parts["pre_hooks"], *parts["post_hooks"]))
        return AsyncChunkWork(**parts) if is_async else super().work(**parts)
