"""Push millions of records through pydantic validation and hooks, on any engine."""

from typing import TYPE_CHECKING

from synapse_core.lazy import lazy_exports

if TYPE_CHECKING:
    from synapse_flow.actions import FlowAction as FlowAction
    from synapse_flow.entries import EntryStatus as EntryStatus, EntryTypedDict as EntryTypedDict
    from synapse_flow.executors.asyncio import AsyncIOExecutor as AsyncIOExecutor
    from synapse_flow.executors.base import BaseExecutor as BaseExecutor
    from synapse_flow.executors.dask import DaskExecutor as DaskExecutor
    from synapse_flow.executors.multiprocessing import (
        MultiProcessingExecutor as MultiProcessingExecutor,
        MultiprocessingExecutor as MultiprocessingExecutor,
    )
    from synapse_flow.executors.ray import RayExecutor as RayExecutor
    from synapse_flow.executors.registered import EngineExecutor as EngineExecutor
    from synapse_flow.executors.sync_fifo import SyncFifoExecutor as SyncFifoExecutor
    from synapse_flow.executors.thread import ThreadExecutor as ThreadExecutor
    from synapse_flow.hooks.base import BaseHook as BaseHook, HookPriority as HookPriority, HookStore as HookStore
    from synapse_flow.hooks.builtin import FieldMapperHook as FieldMapperHook, TimestampHook as TimestampHook
    from synapse_flow.inputs.arrow import (
        ArrowInputAdapter as ArrowInputAdapter,
        ParquetInputAdapter as ParquetInputAdapter,
    )
    from synapse_flow.inputs.base import (
        BaseAsyncInputAdapter as BaseAsyncInputAdapter,
        BaseInputAdapter as BaseInputAdapter,
    )
    from synapse_flow.inputs.csv import CSVInputAdapter as CSVInputAdapter
    from synapse_flow.inputs.duckdb import DuckDBInputAdapter as DuckDBInputAdapter
    from synapse_flow.inputs.excel import ExcelInputAdapter as ExcelInputAdapter
    from synapse_flow.inputs.iterable import IterableInputAdapter as IterableInputAdapter
    from synapse_flow.inputs.json import JSONInputAdapter as JSONInputAdapter
    from synapse_flow.inputs.queue import (
        AsyncQueueInputAdapter as AsyncQueueInputAdapter,
        QueueInputAdapter as QueueInputAdapter,
    )
    from synapse_flow.inputs.retry import RetryInputAdapter as RetryInputAdapter
    from synapse_flow.inputs.sql import SQLAlchemyInputAdapter as SQLAlchemyInputAdapter
    from synapse_flow.outputs.arrow import (
        ArrowOutputAdapter as ArrowOutputAdapter,
        ParquetOutputAdapter as ParquetOutputAdapter,
    )
    from synapse_flow.outputs.base import (
        BaseAsyncOutputAdapter as BaseAsyncOutputAdapter,
        BaseOutputAdapter as BaseOutputAdapter,
    )
    from synapse_flow.outputs.csv import CSVOutputAdapter as CSVOutputAdapter
    from synapse_flow.outputs.duckdb import DuckDBOutputAdapter as DuckDBOutputAdapter
    from synapse_flow.outputs.excel import ExcelOutputAdapter as ExcelOutputAdapter
    from synapse_flow.outputs.json import JSONOutputAdapter as JSONOutputAdapter
    from synapse_flow.outputs.memory import (
        DummyOutputAdapter as DummyOutputAdapter,
        GeneratorOutputAdapter as GeneratorOutputAdapter,
        MemoryOutputAdapter as MemoryOutputAdapter,
        QueueOutputAdapter as QueueOutputAdapter,
    )
    from synapse_flow.outputs.sql import SQLAlchemyOutputAdapter as SQLAlchemyOutputAdapter
    from synapse_flow.pipe import Pipe as Pipe
    from synapse_flow.report import FlowReport as FlowReport, FlowStatus as FlowStatus

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "synapse_flow.actions": ("FlowAction",),
        "synapse_flow.entries": (
            "EntryStatus",
            "EntryTypedDict",
        ),
        "synapse_flow.executors.asyncio": ("AsyncIOExecutor",),
        "synapse_flow.executors.base": ("BaseExecutor",),
        "synapse_flow.executors.dask": ("DaskExecutor",),
        "synapse_flow.executors.multiprocessing": (
            "MultiProcessingExecutor",
            "MultiprocessingExecutor",
        ),
        "synapse_flow.executors.ray": ("RayExecutor",),
        "synapse_flow.executors.registered": ("EngineExecutor",),
        "synapse_flow.executors.sync_fifo": ("SyncFifoExecutor",),
        "synapse_flow.executors.thread": ("ThreadExecutor",),
        "synapse_flow.hooks.base": (
            "BaseHook",
            "HookPriority",
            "HookStore",
        ),
        "synapse_flow.hooks.builtin": (
            "FieldMapperHook",
            "TimestampHook",
        ),
        "synapse_flow.inputs.arrow": (
            "ArrowInputAdapter",
            "ParquetInputAdapter",
        ),
        "synapse_flow.inputs.base": (
            "BaseAsyncInputAdapter",
            "BaseInputAdapter",
        ),
        "synapse_flow.inputs.csv": ("CSVInputAdapter",),
        "synapse_flow.inputs.duckdb": ("DuckDBInputAdapter",),
        "synapse_flow.inputs.excel": ("ExcelInputAdapter",),
        "synapse_flow.inputs.iterable": ("IterableInputAdapter",),
        "synapse_flow.inputs.json": ("JSONInputAdapter",),
        "synapse_flow.inputs.queue": (
            "AsyncQueueInputAdapter",
            "QueueInputAdapter",
        ),
        "synapse_flow.inputs.retry": ("RetryInputAdapter",),
        "synapse_flow.inputs.sql": ("SQLAlchemyInputAdapter",),
        "synapse_flow.outputs.arrow": (
            "ArrowOutputAdapter",
            "ParquetOutputAdapter",
        ),
        "synapse_flow.outputs.base": (
            "BaseAsyncOutputAdapter",
            "BaseOutputAdapter",
        ),
        "synapse_flow.outputs.csv": ("CSVOutputAdapter",),
        "synapse_flow.outputs.duckdb": ("DuckDBOutputAdapter",),
        "synapse_flow.outputs.excel": ("ExcelOutputAdapter",),
        "synapse_flow.outputs.json": ("JSONOutputAdapter",),
        "synapse_flow.outputs.memory": (
            "DummyOutputAdapter",
            "GeneratorOutputAdapter",
            "MemoryOutputAdapter",
            "QueueOutputAdapter",
        ),
        "synapse_flow.outputs.sql": ("SQLAlchemyOutputAdapter",),
        "synapse_flow.pipe": ("Pipe",),
        "synapse_flow.report": (
            "FlowReport",
            "FlowStatus",
        ),
    },
)

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
    "EngineExecutor",
    "EntryStatus",
    "EntryTypedDict",
    "ExcelInputAdapter",
    "ExcelOutputAdapter",
    "FieldMapperHook",
    "FlowAction",
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
    "RetryInputAdapter",
    "SQLAlchemyInputAdapter",
    "SQLAlchemyOutputAdapter",
    "SyncFifoExecutor",
    "ThreadExecutor",
    "TimestampHook",
]
