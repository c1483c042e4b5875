"""Documented path of the input adapters."""

from synapse_flow.inputs.arrow import ArrowInputAdapter, ParquetInputAdapter
from synapse_flow.inputs.base import BaseAsyncInputAdapter, BaseInputAdapter
from synapse_flow.inputs.csv import CSVInputAdapter
from synapse_flow.inputs.duckdb import DuckDBInputAdapter
from synapse_flow.inputs.excel import ExcelInputAdapter
from synapse_flow.inputs.iterable import IterableInputAdapter
from synapse_flow.inputs.json import JSONInputAdapter
from synapse_flow.inputs.queue import AsyncQueueInputAdapter, QueueInputAdapter
from synapse_flow.inputs.sql import SQLAlchemyInputAdapter

__all__ = [
    "ArrowInputAdapter",
    "AsyncQueueInputAdapter",
    "BaseAsyncInputAdapter",
    "BaseInputAdapter",
    "CSVInputAdapter",
    "DuckDBInputAdapter",
    "ExcelInputAdapter",
    "IterableInputAdapter",
    "JSONInputAdapter",
    "ParquetInputAdapter",
    "QueueInputAdapter",
    "SQLAlchemyInputAdapter",
]
