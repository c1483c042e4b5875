"""Documented path of `BaseOutputAdapter`."""

from synapse_flow.outputs.base import BaseAsyncOutputAdapter, BaseOutputAdapter

__all__ = ["BaseAsyncOutputAdapter", "BaseOutputAdapter"]
