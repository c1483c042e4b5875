"""Documented path of `SyncFifoExecutor`."""

from synapse_flow.executors.sync_fifo import SyncFifoExecutor

__all__ = ["SyncFifoExecutor"]
