"""Documented path of the output adapters."""

from synapse_flow.outputs.arrow import ArrowOutputAdapter, ParquetOutputAdapter
from synapse_flow.outputs.base import BaseAsyncOutputAdapter, BaseOutputAdapter
from synapse_flow.outputs.csv import CSVOutputAdapter
from synapse_flow.outputs.duckdb import DuckDBOutputAdapter
from synapse_flow.outputs.excel import ExcelOutputAdapter
from synapse_flow.outputs.json import JSONOutputAdapter
from synapse_flow.outputs.memory import (
    DummyOutputAdapter,
    GeneratorOutputAdapter,
    MemoryOutputAdapter,
    QueueOutputAdapter,
)
from synapse_flow.outputs.sql import SQLAlchemyOutputAdapter

__all__ = [
    "ArrowOutputAdapter",
    "BaseAsyncOutputAdapter",
    "BaseOutputAdapter",
    "CSVOutputAdapter",
    "DuckDBOutputAdapter",
    "DummyOutputAdapter",
    "ExcelOutputAdapter",
    "GeneratorOutputAdapter",
    "JSONOutputAdapter",
    "MemoryOutputAdapter",
    "ParquetOutputAdapter",
    "QueueOutputAdapter",
    "SQLAlchemyOutputAdapter",
]
