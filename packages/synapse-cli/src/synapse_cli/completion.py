"""Shell completion of action and mode names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from synapse_cli.plugin_lookup import find_plugin
from synapse_core.errors import PluginError

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

__all__ = ["complete_action", "complete_mode"]


def complete_action(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of an action from the config of the plugin that the command line names so far."""
    from click.shell_completion import CompletionItem

    from synapse_core.config_file import read_config_file

    path = ctx.params.get("path")
    try:
        found = find_plugin(Path(path) if path else None, ctx.params.get("plugin_code"))
        actions = read_config_file(found).data.get("actions") if isinstance(found, Path) else None
    except PluginError:  # nothing to complete from; the command itself will say why
        return []
    if not isinstance(actions, dict):
        return []
    return [
        CompletionItem(str(name), help=_description(action))
        for name, action in actions.items()
        if str(name).startswith(incomplete)
    ]


def _description(action: object) -> str | None:
    return str(action["description"]) if isinstance(action, dict) and action.get("description") else None


def complete_mode(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of an installed mode."""
    from click.shell_completion import CompletionItem

    from synapse_core.plugins.registry import registry

    return [
        CompletionItem(executor.name, help=executor.help)
        for executor in registry.executors()
        if executor.name.startswith(incomplete)
    ]
