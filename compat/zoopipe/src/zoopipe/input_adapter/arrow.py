"""Documented path of `ArrowInputAdapter`."""

from synapse_flow.inputs.arrow import ArrowInputAdapter, ParquetInputAdapter

__all__ = ["ArrowInputAdapter", "ParquetInputAdapter"]
