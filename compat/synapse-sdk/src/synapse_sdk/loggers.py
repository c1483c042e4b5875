"""Documented path of `ConsoleLogger`."""

from typing import TYPE_CHECKING

from synapse_sdk._facade import facade

if TYPE_CHECKING:
    from synapse_local import ConsoleLogger as ConsoleLogger

__getattr__, __dir__ = facade(
    __name__,
    {
        "ConsoleLogger": ("synapse_local", "synapse-local"),
    },
)
