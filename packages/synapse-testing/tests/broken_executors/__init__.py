"""Executors that break one promise each; `breaks` names it, and the suite has to fail exactly there."""

from broken_executors import context, errors, jobs, params, process, results
from broken_executors.base import BROKEN

__all__ = ["BROKEN", "context", "errors", "jobs", "params", "process", "results"]
