"""Threads of this process."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from synapse_core.whole_numbers import whole_number_or_none
from synapse_flow.executors.base import LARGE_BLOCK, BaseExecutor
from synapse_flow.executors.computing_engine import computing_engine

__all__ = ["ThreadExecutor"]


class ThreadExecutor(BaseExecutor):
    """Works on threads of this process: for hooks that wait for a network or a disk.

    Args:
        schema_model: What records are validated with: a pydantic model, or None for nothing.
        max_workers: Threads, at most. Default: five times the CPUs. Where no hook is called, the calling thread does
            it all: validators are taken to compute, and threads that compute only take turns.
        chunksize: Entries in one call of a hook, at most.
        max_inflight: Chunks that are read and not yet written, at most. Default: twice the threads.
        use_batch_validation: Of no effect: records are always validated many at a time, with the same outcome.
        ordered: Whether the output keeps the order of the input.
    """

    engine_name: ClassVar[str] = "threads"
    block: ClassVar[tuple[int, int]] = LARGE_BLOCK

    def __init__(
        self,
        schema_model: Any = None,
        max_workers: int | None = None,
        chunksize: int = 1,
        *,
        max_inflight: int | None = None,
        use_batch_validation: bool = False,
        ordered: bool = True,
    ) -> None:
        super().__init__(schema_model, chunksize=chunksize, use_batch_validation=use_batch_validation, ordered=ordered)
        self.max_workers = whole_number_or_none("max_workers", max_workers)
        self.max_inflight = whole_number_or_none("max_inflight", max_inflight)

    def engine_options(self) -> dict[str, Any]:
        """Return the arguments of the engine."""
        return {"max_workers": self.max_workers, "max_inflight": self.max_inflight}

    def engine_without_hooks(self) -> tuple[str, dict[str, Any]]:
        """Return name and arguments of the engine for work that only computes."""
        return computing_engine(self.max_workers)

    def in_flight(self) -> int:
        """Return how many chunks are taken from the input and not yet written, at most."""
        return self.max_inflight or 2 * (self.max_workers or 5 * (os.cpu_count() or 1))
