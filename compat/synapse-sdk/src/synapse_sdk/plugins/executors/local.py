"""Documented path of `LocalExecutor`."""

from typing import TYPE_CHECKING

from synapse_sdk._facade import facade

if TYPE_CHECKING:
    from synapse_local import LocalExecutor as LocalExecutor

__getattr__, __dir__ = facade(
    __name__,
    {
        "LocalExecutor": ("synapse_local", "synapse-local"),
    },
)
