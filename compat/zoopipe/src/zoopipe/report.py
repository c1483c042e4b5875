"""Documented path of the report and its statuses."""

from synapse_flow.entries import EntryStatus, EntryTypedDict
from synapse_flow.report import FlowReport, FlowStatus

__all__ = ["EntryStatus", "EntryTypedDict", "FlowReport", "FlowStatus"]
