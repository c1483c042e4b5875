"""Documented path of `DuckDBOutputAdapter`."""

from synapse_flow.outputs.duckdb import DuckDBOutputAdapter

__all__ = ["DuckDBOutputAdapter"]
