"""What the executors share."""

from __future__ import annotations

from typing import Any, ClassVar

from synapse_core.errors import BackendMissingError, UnknownBackendError, ValidationError
from synapse_core.plugins.registry import Registry
from synapse_core.ports.engine import RecordEngine
from synapse_core.safe_text import shorten
from synapse_core.whole_numbers import whole_number_or_none
from synapse_flow.chunk_worker import process_chunk
from synapse_flow.chunks import ChunkSizes
from synapse_flow.packing import Packing
from synapse_flow.work import ChunkWork, sent

__all__ = ["CLUSTER_BLOCK", "LARGE_BLOCK", "BaseExecutor"]

LARGE_BLOCK = (8_000, 1 << 19)
"""Rows and bytes of a chunk where each one costs something, whatever its size: a message, or a switch of threads."""

CLUSTER_BLOCK = (32_000, 1 << 21)
"""The same where each one costs milliseconds: a task of a cluster."""

# Only a model whose own code takes long makes a chunk take this many seconds.
_LONGEST_WITHOUT_HOOKS = 1.0
_ROWS = 4000  # of chunks whose entries hooks see, at most


class BaseExecutor:
    """Says with which model records are validated, and on which engine.

    Args:
        schema_model: What records are validated with: a pydantic model, or None for nothing.
        chunksize: Entries in a task where hooks see them, and in one call of a hook, at most. 1 and None leave the
            size of tasks to how long they take, between 5 and 100 ms.
        compression: ``"lz4"`` or None, for what goes to other processes and comes back.
        use_batch_validation: Of no effect: records are always validated many at a time, with the same outcome.
        ordered: Whether the output keeps the order of the input.

    Attributes:
        engine_name: The engine's name in the registry.
        package: The distribution that has it.
        crosses: Whether its workers are other processes.
        block: Rows and bytes of a chunk that no hook sees, at most.
        process_chunk_on_worker: What every executor runs on a worker, for each chunk.
    """

    engine_name: ClassVar[str] = "serial"
    package: ClassVar[str] = "synapse-local"
    crosses: ClassVar[bool] = False
    block: ClassVar[tuple[int, int]] = (4000, 1 << 18)

    process_chunk_on_worker = staticmethod(process_chunk)

    def __init__(
        self,
        schema_model: Any = None,
        *,
        chunksize: int | None = None,
        compression: str | None = None,
        use_batch_validation: bool = False,
        ordered: bool = True,
    ) -> None:
        if isinstance(schema_model, str) or hasattr(type(schema_model), "model_fields"):  # or an instance of a model
            raise ValidationError(
                f"schema_model is {shorten(schema_model)}; it has to be a model itself, such as "
                f"{type(self).__name__}(Person), or None"
            )
        self.schema_model = schema_model
        self.chunksize = whole_number_or_none("chunksize", chunksize)
        self.ordered = ordered
        self.use_batch_validation = use_batch_validation
        self.compression = compression
        self.packing = Packing(compression) if self.crosses else None

    def engine_options(self) -> dict[str, Any]:
        """Return the arguments of the engine."""
        return {}

    def engine_without_hooks(self) -> tuple[str, dict[str, Any]]:
        """Return name and arguments of the engine for work that only computes."""
        return self.engine_name, self.engine_options()

    def engine(self, *, hooks: bool = True) -> RecordEngine:
        """Return a new engine.

        Args:
            hooks: Whether there are any.

        Raises:
            BackendMissingError: Its package is not installed.
        """
        name, options = (self.engine_name, self.engine_options()) if hooks else self.engine_without_hooks()
        registry = Registry()
        try:
            found = registry.find_engine(name)
        except UnknownBackendError:
            raise BackendMissingError(
                f"{type(self).__name__} needs the engine {name!r}, which is in a package that is not "
                f"installed here; type: pip install {self.package}"
            ) from None
        engine: RecordEngine = registry.load(found)(**options)
        return engine

    def in_flight(self) -> int:
        """Return how many chunks are taken from the input and not yet written, at most."""
        return 1

    def sizes(self, *, hooks: bool, max_bytes_in_flight: int | None = None) -> ChunkSizes:
        """Return how large chunks are.

        Args:
            hooks: Whether somebody sees entries.
            max_bytes_in_flight: Bytes of input that are read and not yet written, at most.
        """
        rows, most_bytes = self.block
        if max_bytes_in_flight is not None:
            most_bytes = max(1, min(most_bytes, max_bytes_in_flight // (self.in_flight() + 1)))
        if not hooks:
            return ChunkSizes(rows, most=rows, most_bytes=most_bytes, longest=_LONGEST_WITHOUT_HOOKS)
        if self.chunksize is not None and self.chunksize > 1:
            return ChunkSizes(self.chunksize, most=self.chunksize, fixed=True, most_bytes=most_bytes)
        # Calls of hooks with one entry each are grouped into tasks, where they are too short to be tasks of their own.
        return ChunkSizes(1 if self.in_flight() > 1 else 100, most=_ROWS, most_bytes=most_bytes)

    def hook_chunk(self, most: int | None) -> int | None:
        """Return how many entries one call of a hook gets at most, where the pipe allows `most`."""
        limits = [limit for limit in (self.chunksize, most) if limit is not None]
        return min(limits) if limits else None

    def sent(self, work: ChunkWork) -> Any:
        """Return the work as its engine takes it.

        Raises:
            ValidationError: A part of it cannot be sent to other processes.
        """
        return sent(work) if self.crosses else work

    def work(self, **parts: Any) -> ChunkWork:
        """Return the work on chunks."""
        return ChunkWork(**parts, packing=self.packing)
