"""Which plugin a command means: ``--path``, ``--plugin``, or the one around the current folder. Loads no pydantic."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from synapse_core.config_file import CONFIG_NAMES, find_config_file, iter_plugin_folders, read_config_file
from synapse_core.errors import ConfigError, PluginNotFoundError, nearest

__all__ = ["current_folder", "find_plugin", "plugin_options"]

F = TypeVar("F", bound=Callable[..., Any])


def plugin_options(command: F) -> F:
    """Add ``--path`` and ``--plugin``."""
    path = click.option(
        "--path",
        type=click.Path(path_type=Path),
        default=None,
        help="Plugin folder, or its config.yaml.  [default: the current folder or the closest one above it]",
    )
    code = click.option(
        "--plugin",
        "-p",
        "plugin_code",
        metavar="CODE",
        help="Plugin code, module or folder.  [default: from config.yaml]",
    )
    return path(code(command))


def find_plugin(path: Path | None, code: str | None) -> Path | str:
    """Return the plugin's config file, or the name of a module.

    Raises:
        PluginNotFoundError: There is none; lists those that were found.
    """
    if code is None:
        return find_config_file(path) if path is not None else _closest_config(current_folder())
    if os.sep in code or code.startswith((".", "~")):
        return find_config_file(code)
    start = path if path is not None else current_folder()
    found: dict[str, list[Path]] = {}
    for candidate in _candidates(start):
        for name in {_code_of(candidate), candidate.parent.name}:
            found.setdefault(name, []).append(candidate)
    if meant := found.get(code):
        if len(meant) > 1 and meant[0].parent != start:
            places = ", ".join(str(config.parent) for config in meant)
            raise PluginNotFoundError(f"several plugins are called {code!r}: {places}. Say which with --path")
        return meant[0]
    if "." in code or not found:
        return code  # a module, perhaps; whoever imports it says if not
    raise PluginNotFoundError(
        f"no plugin {code!r} at {start} or in folders below it.{nearest(code, found)} Found: {', '.join(sorted(found))}"
    )


def current_folder() -> Path:
    """Return the current folder.

    Raises:
        PluginNotFoundError: It has been deleted.
    """
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise PluginNotFoundError("the current folder has been deleted; change to another, or use --path") from None


def _candidates(start: Path) -> list[Path]:
    folders = [start if start.is_dir() else start.parent, *iter_plugin_folders(start)]
    return [config for folder in folders for name in CONFIG_NAMES if (config := folder / name).is_file()]


def _code_of(config: Path) -> str:
    try:
        return str(read_config_file(config).data.get("code") or config.parent.name)
    except ConfigError:  # another plugin's broken file is no reason not to find this one
        return config.parent.name


def _closest_config(folder: Path) -> Path:
    for candidate in (folder, *folder.parents):
        for name in CONFIG_NAMES:
            if (candidate / name).is_file():
                return candidate / name
    return find_config_file(folder)  # raises, naming what lies below
