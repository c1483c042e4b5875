"""Documented path of `run_plugin` and `ExecutionMode`."""

from synapse_core import (
    ExecutionMode,
    run_plugin,
)

__all__ = [
    "ExecutionMode",
    "run_plugin",
]
