"""Documented path of `ArrowOutputAdapter`."""

from synapse_flow.outputs.arrow import ArrowOutputAdapter, ParquetOutputAdapter

__all__ = ["ArrowOutputAdapter", "ParquetOutputAdapter"]
