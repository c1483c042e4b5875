"""The documented ``zoopipe`` import paths: re-exports of synapse-flow, and nothing else."""

from synapse_flow.entries import EntryStatus, EntryTypedDict
from synapse_flow.executors.asyncio import AsyncIOExecutor
from synapse_flow.executors.base import BaseExecutor
from synapse_flow.executors.dask import DaskExecutor
from synapse_flow.executors.multiprocessing import MultiProcessingExecutor, MultiprocessingExecutor
from synapse_flow.executors.ray import RayExecutor
from synapse_flow.executors.sync_fifo import SyncFifoExecutor
from synapse_flow.executors.thread import ThreadExecutor
from synapse_flow.hooks.base import BaseHook, HookPriority, HookStore
from synapse_flow.inputs.arrow import ArrowInputAdapter, ParquetInputAdapter
from synapse_flow.inputs.base import BaseAsyncInputAdapter, BaseInputAdapter
from synapse_flow.inputs.csv import CSVInputAdapter
from synapse_flow.inputs.duckdb import DuckDBInputAdapter
from synapse_flow.inputs.excel import ExcelInputAdapter
from synapse_flow.inputs.iterable import IterableInputAdapter
from synapse_flow.inputs.json import JSONInputAdapter
from synapse_flow.inputs.queue import AsyncQueueInputAdapter, QueueInputAdapter
from synapse_flow.inputs.sql import SQLAlchemyInputAdapter
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
from synapse_flow.pipe import Pipe
from synapse_flow.report import FlowReport, FlowStatus

__all__ = [
    "ArrowInputAdapter",
    "ArrowOutputAdapter",
    "AsyncIOExecutor",
    "AsyncQueueInputAdapter",
    "BaseAsyncInputAdapter",
    "BaseAsyncOutputAdapter",
    "BaseExecutor",
    "BaseHook",
    "BaseInputAdapter",
    "BaseOutputAdapter",
    "CSVInputAdapter",
    "CSVOutputAdapter",
    "DaskExecutor",
    "DuckDBInputAdapter",
    "DuckDBOutputAdapter",
    "DummyOutputAdapter",
    "EntryStatus",
    "EntryTypedDict",
    "ExcelInputAdapter",
    "ExcelOutputAdapter",
    "FlowReport",
    "FlowStatus",
    "GeneratorOutputAdapter",
    "HookPriority",
    "HookStore",
    "IterableInputAdapter",
    "JSONInputAdapter",
    "JSONOutputAdapter",
    "MemoryOutputAdapter",
    "MultiProcessingExecutor",
    "MultiprocessingExecutor",
    "ParquetInputAdapter",
    "ParquetOutputAdapter",
    "Pipe",
    "QueueInputAdapter",
    "QueueOutputAdapter",
    "RayExecutor",
    "SQLAlchemyInputAdapter",
    "SQLAlchemyOutputAdapter",
    "SyncFifoExecutor",
    "ThreadExecutor",
]
