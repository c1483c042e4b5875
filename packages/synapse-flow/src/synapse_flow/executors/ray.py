"""Workers of a Ray cluster."""

from __future__ import annotations

from typing import Any, ClassVar

from synapse_core.whole_numbers import whole_number
from synapse_flow.executors.base import CLUSTER_BLOCK, BaseExecutor

__all__ = ["RayExecutor"]


class RayExecutor(BaseExecutor):
    """Works on a Ray cluster; one that it did not start is never shut down.

    Args:
        schema_model: What records are validated with: a pydantic model, or None for nothing.
        address: ``None`` starts a Ray of its own where none is connected, ``"auto"`` finds a running one, ``"ray://host:port"``
            names it.
        compression: ``"lz4"`` or None, for what goes to the workers and comes back.
        max_inflight: Chunks that are read and not yet written, at most.
        chunksize: Entries in a task where hooks see them, at most. Default: as many as take between 5 and 100 ms.
        use_batch_validation: Of no effect: records are always validated many at a time, with the same outcome.
        ordered: Whether the output keeps the order of the input.
    """

    engine_name: ClassVar[str] = "ray"
    package: ClassVar[str] = "synapse-ray"
    crosses: ClassVar[bool] = True
    block: ClassVar[tuple[int, int]] = CLUSTER_BLOCK

    def __init__(
        self,
        schema_model: Any = None,
        address: str | None = None,
        compression: str | None = None,
        max_inflight: int = 20,
        *,
        chunksize: int | None = None,
        use_batch_validation: bool = False,
        ordered: bool = True,
    ) -> None:
        super().__init__(
            schema_model,
            chunksize=chunksize,
            compression=compression,
            use_batch_validation=use_batch_validation,
            ordered=ordered,
        )
        self.address = address
        self.max_inflight = whole_number("max_inflight", max_inflight)

    def engine_options(self) -> dict[str, Any]:
        """Return the arguments of the engine."""
        return {"address": self.address, "max_inflight": self.max_inflight}

    def in_flight(self) -> int:
        """Return how many chunks are taken from the input and not yet written, at most."""
        return self.max_inflight
