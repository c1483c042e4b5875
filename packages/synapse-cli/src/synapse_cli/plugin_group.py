"""`synapse plugin …`."""

from __future__ import annotations

import click

from synapse_cli.lazy_group import LazyCommand, LazyGroup

__all__ = ["plugin"]

_COMMANDS = {
    "run": LazyCommand("synapse_cli.plugin_run:run", "Run an action."),
    "list": LazyCommand("synapse_cli.plugin_list:list_actions", "List the actions of a plugin."),
    "show": LazyCommand("synapse_cli.plugin_show:show", "Show an action and its params."),
}


@click.group(cls=LazyGroup, table=lambda: _COMMANDS)
def plugin() -> None:
    """Run, list and show the actions of a plugin."""
