"""Documented path of `PluginDiscovery`."""

from synapse_core import (
    PluginDiscovery,
)

__all__ = [
    "PluginDiscovery",
]
