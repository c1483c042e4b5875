"""Run Synapse actions in this process."""

from typing import TYPE_CHECKING

from synapse_core.lazy import lazy_exports

if TYPE_CHECKING:
    from synapse_local.console import ConsoleLogger as ConsoleLogger
    from synapse_local.engines.event_loop import AsyncEngine as AsyncEngine
    from synapse_local.engines.processes import ProcessEngine as ProcessEngine
    from synapse_local.engines.serial import SerialEngine as SerialEngine
    from synapse_local.engines.threads import ThreadEngine as ThreadEngine
    from synapse_local.executor import LocalExecutor as LocalExecutor

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "synapse_local.console": ("ConsoleLogger",),
        "synapse_local.engines.event_loop": ("AsyncEngine",),
        "synapse_local.engines.processes": ("ProcessEngine",),
        "synapse_local.engines.serial": ("SerialEngine",),
        "synapse_local.engines.threads": ("ThreadEngine",),
        "synapse_local.executor": ("LocalExecutor",),
    },
)

__all__ = [
    "AsyncEngine",
    "ConsoleLogger",
    "LocalExecutor",
    "ProcessEngine",
    "SerialEngine",
    "ThreadEngine",
]
