"""Documented path of `MultiProcessingExecutor`."""

from synapse_flow.executors.multiprocessing import MultiProcessingExecutor, MultiprocessingExecutor

__all__ = ["MultiProcessingExecutor", "MultiprocessingExecutor"]
