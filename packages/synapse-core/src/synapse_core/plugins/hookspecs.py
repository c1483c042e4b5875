"""The hooks of the plugin host: this file is the whole API of a backend package.

A backend names a light module in the entry-point group ``synapse.backends`` and decorates functions
of these names with `hookimpl`. They return descriptions and import nothing heavy.
"""

from __future__ import annotations

import pluggy

from synapse_core.plugins.descriptions import (
    CheckDescription,
    CommandDescription,
    EngineDescription,
    ExecutorDescription,
    RunStoreDescription,
    SinkDescription,
)

__all__ = [
    "ENTRY_POINT_GROUP",
    "PROJECT",
    "hookimpl",
    "synapse_checks",
    "synapse_commands",
    "synapse_engines",
    "synapse_executors",
    "synapse_run_stores",
    "synapse_sinks",
]

PROJECT = "synapse"
ENTRY_POINT_GROUP = "synapse.backends"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def synapse_executors() -> list[ExecutorDescription]:  # type: ignore[empty-body]
    """Return the executors that the package provides."""


@hookspec
def synapse_engines() -> list[EngineDescription]:  # type: ignore[empty-body]
    """Return the record engines that the package provides."""


@hookspec
def synapse_run_stores() -> list[RunStoreDescription]:  # type: ignore[empty-body]
    """Return the run stores that the package provides."""


@hookspec
def synapse_sinks() -> list[SinkDescription]:  # type: ignore[empty-body]
    """Return the event sinks that the package provides: where executors show what an action reports."""


@hookspec
def synapse_commands() -> list[CommandDescription]:  # type: ignore[empty-body]
    """Return commands to add to ``synapse``."""


@hookspec
def synapse_checks() -> list[CheckDescription]:  # type: ignore[empty-body]
    """Return checks of the installation."""
