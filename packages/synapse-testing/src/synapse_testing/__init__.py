"""Conformance suites and test helpers for Synapse backends and plugins."""

from typing import TYPE_CHECKING

from synapse_core.lazy import lazy_exports

if TYPE_CHECKING:
    from synapse_testing.conformance.engine import (
        ProcessEngineConformance as ProcessEngineConformance,
        RecordEngineConformance as RecordEngineConformance,
    )
    from synapse_testing.conformance.executor import ExecutorConformance as ExecutorConformance
    from synapse_testing.engine import InlineEngine as InlineEngine
    from synapse_testing.executor import InMemoryExecutor as InMemoryExecutor
    from synapse_testing.job_executor import InMemoryJobExecutor as InMemoryJobExecutor, JobBook as JobBook
    from synapse_testing.plugin_fixtures import ActionRun as ActionRun
    from synapse_testing.run_store import InMemoryRunStore as InMemoryRunStore
    from synapse_testing.services import require_service as require_service

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "synapse_testing.conformance.engine": ("ProcessEngineConformance", "RecordEngineConformance"),
        "synapse_testing.conformance.executor": ("ExecutorConformance",),
        "synapse_testing.engine": ("InlineEngine",),
        "synapse_testing.executor": ("InMemoryExecutor",),
        "synapse_testing.job_executor": ("InMemoryJobExecutor", "JobBook"),
        "synapse_testing.plugin_fixtures": ("ActionRun",),
        "synapse_testing.run_store": ("InMemoryRunStore",),
        "synapse_testing.services": ("require_service",),
    },
)

__all__ = [
    "ActionRun",
    "ExecutorConformance",
    "InMemoryExecutor",
    "InMemoryJobExecutor",
    "InMemoryRunStore",
    "InlineEngine",
    "JobBook",
    "ProcessEngineConformance",
    "RecordEngineConformance",
    "require_service",
]
