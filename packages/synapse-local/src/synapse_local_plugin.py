"""What synapse-local offers, without importing it."""

from __future__ import annotations

from synapse_core.plugins.descriptions import EngineDescription, ExecutorDescription, SinkDescription
from synapse_core.plugins.hookspecs import hookimpl
from synapse_local.capabilities import LOCAL_CAPABILITIES


@hookimpl
def synapse_executors() -> list[ExecutorDescription]:
    """Offer the local executor."""
    return [
        ExecutorDescription(
            name="local",
            target="synapse_local.executor:LocalExecutor",
            help="in this process, at once; for development and debugging",
            capabilities=LOCAL_CAPABILITIES,
            options=("env", "job_id", "sink", "debug"),
        )
    ]


@hookimpl
def synapse_engines() -> list[EngineDescription]:
    """Offer the record engines of this machine."""
    return [
        EngineDescription(
            name="serial", target="synapse_local.engines.serial:SerialEngine", help="one chunk after another"
        ),
        EngineDescription(
            name="threads", target="synapse_local.engines.threads:ThreadEngine", help="on threads; for work that waits"
        ),
        EngineDescription(
            name="processes",
            target="synapse_local.engines.processes:ProcessEngine",
            help="on processes; for work that computes",
        ),
        EngineDescription(
            name="asyncio",
            target="synapse_local.engines.event_loop:AsyncEngine",
            help="as tasks of an event loop; for work that awaits",
        ),
    ]


@hookimpl
def synapse_sinks() -> list[SinkDescription]:
    """Offer the terminal."""
    return [
        SinkDescription(
            name="console",
            target="synapse_local.console:ConsoleLogger",
            help="progress bars and lines on stderr",
        )
    ]
