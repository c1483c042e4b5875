"""Documented path of `MemoryOutputAdapter`."""

from synapse_flow.outputs.memory import MemoryOutputAdapter

__all__ = ["MemoryOutputAdapter"]
