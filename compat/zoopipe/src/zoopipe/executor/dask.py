"""Documented path of `DaskExecutor`."""

from synapse_flow.executors.dask import DaskExecutor

__all__ = ["DaskExecutor"]
