"""Documented path of `DummyOutputAdapter`."""

from synapse_flow.outputs.memory import DummyOutputAdapter

__all__ = ["DummyOutputAdapter"]
