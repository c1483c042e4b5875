"""Documented path of `IterableInputAdapter`."""

from synapse_flow.inputs.iterable import IterableInputAdapter

__all__ = ["IterableInputAdapter"]
