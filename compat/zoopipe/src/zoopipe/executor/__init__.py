"""Documented path of the executors."""

from synapse_flow.executors.asyncio import AsyncIOExecutor
from synapse_flow.executors.base import BaseExecutor
from synapse_flow.executors.dask import DaskExecutor
from synapse_flow.executors.multiprocessing import MultiProcessingExecutor, MultiprocessingExecutor
from synapse_flow.executors.ray import RayExecutor
from synapse_flow.executors.sync_fifo import SyncFifoExecutor
from synapse_flow.executors.thread import ThreadExecutor

__all__ = [
    "AsyncIOExecutor",
    "BaseExecutor",
    "DaskExecutor",
    "MultiProcessingExecutor",
    "MultiprocessingExecutor",
    "RayExecutor",
    "SyncFifoExecutor",
    "ThreadExecutor",
]
