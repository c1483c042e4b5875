"""Documented paths of executors."""

from synapse_core import (
    ExecutorProtocol,
    JobStatus,
)

__all__ = [
    "ExecutorProtocol",
    "JobStatus",
]
