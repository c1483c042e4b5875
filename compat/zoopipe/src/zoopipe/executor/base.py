"""Documented path of `BaseExecutor`."""

from synapse_flow.executors.base import BaseExecutor

__all__ = ["BaseExecutor"]
