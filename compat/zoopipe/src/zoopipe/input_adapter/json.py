"""Documented path of `JSONInputAdapter`."""

from synapse_flow.inputs.json import JSONInputAdapter

__all__ = ["JSONInputAdapter"]
