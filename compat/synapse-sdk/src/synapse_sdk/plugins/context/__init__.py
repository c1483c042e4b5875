"""Documented path of `RuntimeContext` and `PluginEnvironment`."""

from synapse_core import (
    PluginEnvironment,
    RuntimeContext,
)

__all__ = [
    "PluginEnvironment",
    "RuntimeContext",
]
