"""Documented path of `JSONOutputAdapter`."""

from synapse_flow.outputs.json import JSONOutputAdapter

__all__ = ["JSONOutputAdapter"]
