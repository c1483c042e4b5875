"""Documented path of `DuckDBInputAdapter`."""

from synapse_flow.inputs.duckdb import DuckDBInputAdapter

__all__ = ["DuckDBInputAdapter"]
