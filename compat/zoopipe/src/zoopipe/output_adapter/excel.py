"""Documented path of `ExcelOutputAdapter`."""

from synapse_flow.outputs.excel import ExcelOutputAdapter

__all__ = ["ExcelOutputAdapter"]
