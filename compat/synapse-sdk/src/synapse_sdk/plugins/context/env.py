"""Documented path of `PluginEnvironment`."""

from synapse_core import (
    PluginEnvironment,
)

__all__ = [
    "PluginEnvironment",
]
