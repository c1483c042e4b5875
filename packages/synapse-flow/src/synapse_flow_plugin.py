"""What synapse-flow offers, without importing it."""

from __future__ import annotations

from synapse_core.plugins.descriptions import CommandDescription
from synapse_core.plugins.hookspecs import hookimpl


@hookimpl
def synapse_commands() -> list[CommandDescription]:
    """Offer ``synapse flow``."""
    return [
        CommandDescription(
            name="flow", target="synapse_flow.cli:flow", help="Push records through validation and hooks."
        )
    ]
