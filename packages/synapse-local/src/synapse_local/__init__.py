"""Run Synapse actions in this process."""

from typing import TYPE_CHECKING

from synapse_core.lazy import lazy_exports

if TYPE_CHECKING:
    from synapse_local.console import ConsoleLogger as ConsoleLogger
    from synapse_local.executor import LocalExecutor as LocalExecutor

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "synapse_local.console": ("ConsoleLogger",),
        "synapse_local.executor": ("LocalExecutor",),
    },
)

__all__ = [
    "ConsoleLogger",
    "LocalExecutor",
]
