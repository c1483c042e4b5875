"""Documented path of `BaseInputAdapter`."""

from synapse_flow.inputs.base import BaseAsyncInputAdapter, BaseInputAdapter

__all__ = ["BaseAsyncInputAdapter", "BaseInputAdapter"]
