"""`synapse plugin list`: reads config files and no plugin code; loads no pydantic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from synapse_cli.kit import json_option, print_json, print_table, talk
from synapse_cli.plugin_lookup import current_folder, find_plugin, plugin_options
from synapse_core.config_file import ConfigFile, iter_plugin_folders, read_config_file
from synapse_core.errors import ConfigError, PluginNotFoundError

__all__ = ["list_actions"]


@click.command("list")
@plugin_options
@json_option
def list_actions(path: Path | None, plugin_code: str | None, as_json: bool) -> None:
    """List the actions of a plugin, or of all plugins below the folder. Imports no plugin code."""
    files = [read_config_file(file) for file in _config_files(path, plugin_code)]
    documents = [_describe(file) for file in files]
    if as_json:
        print_json(documents)
        return
    for document in documents:
        talk(f"{document['code']} ({document['path']})" + (f": {document['name']}" if document["name"] else ""))
    several = len(documents) > 1
    rows = [
        ([document["code"]] if several else [])
        + [action["name"], action["method"] or "", action["entrypoint"] or "(none)", action["description"] or ""]
        for document in documents
        for action in document["actions"]
    ]
    if not rows:
        talk("no actions: the config has nothing below 'actions'")
        return
    print_table([*(["PLUGIN"] if several else []), "ACTION", "METHOD", "ENTRYPOINT", "DESCRIPTION"], rows)


def _config_files(path: Path | None, code: str | None) -> list[Path]:
    try:
        found = find_plugin(path, code)
    except PluginNotFoundError:
        below = iter_plugin_folders(path or current_folder()) if code is None else []
        if not below:
            raise
        return below
    if isinstance(found, str):
        raise PluginNotFoundError(f"no plugin {found!r} here; name its folder with --path")
    return [found]


def _describe(file: ConfigFile) -> dict[str, Any]:
    actions = file.data.get("actions")
    if actions is None:
        actions = {}
    if not isinstance(actions, dict) or not all(isinstance(a, (dict, str, type(None))) for a in actions.values()):
        raise _full_error(file)
    return {
        "code": str(file.data.get("code") or file.path.parent.name),
        "name": file.data.get("name"),
        "version": file.data.get("version"),
        "path": str(file.path.parent),
        "actions": [_describe_action(str(name), action) for name, action in actions.items()],
    }


def _describe_action(name: str, action: Any) -> dict[str, Any]:
    fields = {"entrypoint": action} if isinstance(action, str) else action or {}
    return {"name": name, **{key: fields.get(key) for key in ("entrypoint", "method", "description")}}


def _full_error(file: ConfigFile) -> ConfigError:
    from synapse_core.config import parse_config  # with pydantic, which names every problem and its line

    try:
        parse_config(file)
    except ConfigError as error:
        return error
    return ConfigError(f"{file.path}: 'actions' has to be a mapping of names to actions", path=str(file.path))
