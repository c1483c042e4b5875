"""Documented path of `ThreadExecutor`."""

from synapse_flow.executors.thread import ThreadExecutor

__all__ = ["ThreadExecutor"]
