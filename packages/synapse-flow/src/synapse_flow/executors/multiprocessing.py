"""Processes of this machine."""

from __future__ import annotations

from typing import Any, ClassVar

from synapse_core.engines import usable_cpus
from synapse_core.whole_numbers import whole_number_or_none
from synapse_flow.executors.base import LARGE_BLOCK, BaseExecutor

__all__ = ["MultiProcessingExecutor", "MultiprocessingExecutor"]


class MultiProcessingExecutor(BaseExecutor):
    """Works on processes of this machine: for validation and hooks that compute.

    Processes are spawned, so a script needs ``if __name__ == "__main__":`` around what it runs. Those of
    `Pipe.run` are forks, which begin at once, where there are no hooks and the model calls no Python code: on Linux, in
    a process of one thread, unless another way is set by ``multiprocessing.set_start_method``.

    Args:
        schema_model: What records are validated with: a pydantic model, or None for nothing.
        max_workers: Processes. Default: the CPUs that this process may use.
        chunksize: Entries in one call of a hook, at most.
        compression: ``"lz4"`` or None, for what goes to the processes and comes back.
        use_batch_validation: Of no effect: records are always validated many at a time, with the same outcome.
        max_inflight: Chunks that are read and not yet written, at most. Default: twice the processes.
        ordered: Whether the output keeps the order of the input.
    """

    engine_name: ClassVar[str] = "processes"
    block: ClassVar[tuple[int, int]] = LARGE_BLOCK
    crosses: ClassVar[bool] = True

    def __init__(
        self,
        schema_model: Any = None,
        max_workers: int | None = None,
        chunksize: int = 1,
        compression: str | None = None,
        use_batch_validation: bool = False,
        *,
        max_inflight: int | None = None,
        ordered: bool = True,
    ) -> None:
        super().__init__(
            schema_model,
            chunksize=chunksize,
            compression=compression,
            use_batch_validation=use_batch_validation,
            ordered=ordered,
        )
        self.max_workers = whole_number_or_none("max_workers", max_workers)
        self.max_inflight = whole_number_or_none("max_inflight", max_inflight)

    def engine_options(self) -> dict[str, Any]:
        """Return the arguments of the engine."""
        return {"max_workers": self.max_workers, "max_inflight": self.max_inflight}

    def in_flight(self) -> int:
        """Return how many chunks are taken from the input and not yet written, at most."""
        return self.max_inflight or 2 * (self.max_workers or usable_cpus())


MultiprocessingExecutor = MultiProcessingExecutor
"""The documents write it both ways."""
