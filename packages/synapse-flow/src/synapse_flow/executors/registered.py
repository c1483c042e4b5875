"""Any engine that is registered, by its name."""

from __future__ import annotations

from typing import Any, ClassVar

from synapse_core.errors import ValidationError
from synapse_core.plugins.registry import Registry
from synapse_core.ports.engine import RecordEngine
from synapse_flow.executors.base import BaseExecutor

__all__ = ["EngineExecutor"]

_IN_FLIGHT = 20


class EngineExecutor(BaseExecutor):
    """Works on an engine of any package, which is found by its name.

    Args:
        engine: Its name in the registry.
        schema_model: What records are validated with: a pydantic model, or None for nothing.
        chunksize: Entries in a task where hooks see them, at most. Default: as many as take between 5 and 100 ms.
        compression: ``"lz4"`` or None, for what goes to the workers and comes back.
        ordered: Whether the output keeps the order of the input.
        crosses: Whether its workers may be other processes. Where all of them are threads of this one,
            `False` saves the packing.
        **options: Arguments of the engine itself.
    """

    package: ClassVar[str] = "that has it"

    def __init__(
        self,
        engine: str,
        schema_model: Any = None,
        *,
        chunksize: int | None = None,
        compression: str | None = None,
        ordered: bool = True,
        crosses: bool = True,
        **options: Any,
    ) -> None:
        self.engine_name = engine  # type: ignore[misc]  # of this executor, not of the class
        self.crosses = crosses  # type: ignore[misc]
        super().__init__(schema_model, chunksize=chunksize, compression=compression, ordered=ordered)
        self.options = options

    def engine_options(self) -> dict[str, Any]:
        """Return the arguments of the engine."""
        return dict(self.options)

    def engine(self, *, hooks: bool = True) -> RecordEngine:
        """Return a new engine.

        Args:
            hooks: Whether there are any, which is all the same here.

        Raises:
            UnknownBackendError: There is none of that name; lists the known.
            ValidationError: It does not take these arguments.
        """
        registry = Registry()
        cls = registry.load(registry.find_engine(self.engine_name))
        try:
            engine: RecordEngine = cls(**self.engine_options())
        except TypeError as error:
            raise ValidationError(f"the engine {self.engine_name!r} cannot be made: {error}") from error
        return engine

    def in_flight(self) -> int:
        """Return how many chunks are taken from the input and not yet written, at most."""
        found = self.options.get("max_inflight")
        return found if isinstance(found, int) else _IN_FLIGHT
