"""Reading ``config.yaml``: the file as plain data, with the line of every key. Loads no pydantic."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from synapse_core.errors import ConfigError, PluginNotFoundError
from synapse_core.folders import is_skipped_folder

__all__ = ["CONFIG_NAMES", "ConfigFile", "find_config_file", "iter_plugin_folders", "read_config_file"]

CONFIG_NAMES = ("config.yaml", "config.yml")

# The C parser is some eight times faster, and missing only where PyYAML was built without libyaml.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ConfigFile:
    """A parsed file.

    Attributes:
        path: The file.
        data: Its content; the top level is a mapping with string keys.
    """

    def __init__(self, path: Path, text: str, data: dict[str, Any]) -> None:
        self.path = path
        self.data = data
        self._text = text

    def line_of(self, *keys: str | int) -> int | None:
        """Return the 1-based line of a key, or of the closest one above it that the file has."""
        node = yaml.compose(self._text, Loader=_Loader)
        line = node.start_mark.line + 1 if node is not None else None
        for key in keys:
            if isinstance(node, yaml.MappingNode):
                found = [(k, v) for k, v in node.value if k.value == str(key)]
                if not found:
                    break
                marked, node = found[-1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
                marked = node = node.value[key]
            else:
                break
            line = marked.start_mark.line + 1
        return line


def find_config_file(path: str | os.PathLike[str]) -> Path:
    """Return the config file that `path`, a plugin folder or the file itself, stands for.

    Raises:
        PluginNotFoundError: There is nothing at `path`, or no config file in that folder.
    """
    given = Path(path).expanduser()
    if given.is_file():
        return given.absolute()
    if not given.exists():
        raise PluginNotFoundError(f"no plugin at {given}: there is no such file or folder")
    for name in CONFIG_NAMES:
        if (given / name).is_file():
            return (given / name).absolute()
    below = [str(found.relative_to(given)) for found in iter_plugin_folders(given)]
    hint = f" Plugins below it: {', '.join(below[:5])}" if below else " Create one, or name another folder with --path"
    raise PluginNotFoundError(f"no plugin at {given}: the folder has no {CONFIG_NAMES[0]}.{hint}")


def iter_plugin_folders(folder: Path, depth: int = 2) -> list[Path]:
    """Return the folders up to `depth` levels below that hold a config file, hidden ones left out."""
    found: list[Path] = []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return found
    for entry in entries:
        if not entry.is_dir() or is_skipped_folder(entry.path, entry.name):
            continue
        if any(os.path.isfile(os.path.join(entry.path, name)) for name in CONFIG_NAMES):
            found.append(Path(entry.path))
        elif depth > 1:
            found.extend(iter_plugin_folders(Path(entry.path), depth - 1))
    return found


def read_config_file(path: str | os.PathLike[str]) -> ConfigFile:
    """Read a plugin's config file.

    Raises:
        PluginNotFoundError: There is none.
        ConfigError: It is unreadable, empty, no YAML, or no mapping.
    """
    file = find_config_file(path)
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror or error}", path=str(file)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 text: {error.reason} at byte {error.start}", path=str(file)) from error
    try:
        data = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(file, text, error) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: not valid YAML: {error}", path=str(file)) from error
    if data is None:
        raise ConfigError(
            f"{file}:1: the file is empty; expected a mapping with the keys 'code' and 'actions'",
            path=str(file),
            line=1,
        )
    if not isinstance(data, dict):
        raise ConfigError(
            f"{file}:1: expected a mapping with the keys 'code' and 'actions', found a {type(data).__name__}",
            path=str(file),
            line=1,
        )
    odd = [key for key in data if not isinstance(key, str)]
    if odd:
        raise ConfigError(f"{file}: the key {odd[0]!r} is not a string; put it in quotes", path=str(file))
    return ConfigFile(file, text, data)


def _not_yaml(file: Path, text: str, error: yaml.MarkedYAMLError) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    what = ", ".join(part for part in (error.context, error.problem) if part)
    if mark is None:
        return ConfigError(f"{file}: not valid YAML: {what}", path=str(file))
    lines = text.splitlines()
    shown = f"\n  {lines[mark.line]}\n  {' ' * mark.column}^" if mark.line < len(lines) else ""
    return ConfigError(
        f"{file}:{mark.line + 1}:{mark.column + 1}: not valid YAML: {what}{shown}", path=str(file), line=mark.line + 1
    )
