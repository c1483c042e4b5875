"""Documented path of `GeneratorOutputAdapter`."""

from synapse_flow.outputs.memory import GeneratorOutputAdapter

__all__ = ["GeneratorOutputAdapter"]
