"""Documented path of `ExcelInputAdapter`."""

from synapse_flow.inputs.excel import ExcelInputAdapter

__all__ = ["ExcelInputAdapter"]
