"""Documented path of the enums of ``config.yaml``."""

from synapse_core import (
    PackageManager,
    PluginCategory,
    RunMethod,
)

__all__ = [
    "PackageManager",
    "PluginCategory",
    "RunMethod",
]
