"""Documented path of `RayExecutor`."""

from synapse_flow.executors.ray import RayExecutor

__all__ = ["RayExecutor"]
