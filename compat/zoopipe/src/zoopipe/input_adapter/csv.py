"""Documented path of `CSVInputAdapter`."""

from synapse_flow.inputs.csv import CSVInputAdapter

__all__ = ["CSVInputAdapter"]
