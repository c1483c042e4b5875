"""Documented path of `CSVOutputAdapter`."""

from synapse_flow.outputs.csv import CSVOutputAdapter

__all__ = ["CSVOutputAdapter"]
