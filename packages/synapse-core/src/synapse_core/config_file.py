"""Reading ``config.yaml``: the file as plain data, with the line of every key. Loads no pydantic."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from synapse_core.errors import ConfigError, PluginNotFoundError
from synapse_core.folders import is_skipped_folder
from synapse_core.redaction import HIDDEN, looks_secret, looks_secret_value

__all__ = ["CONFIG_NAMES", "ConfigFile", "ConfigWarning", "find_config_file", "iter_plugin_folders", "read_config_file"]

CONFIG_NAMES = ("config.yaml", "config.yml")

# The C parser is some eight times faster, and missing only where PyYAML was built without libyaml.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ConfigWarning(UserWarning):
    """Something in ``config.yaml`` that is probably not meant."""


class ConfigFile:
    """A parsed file.

    Attributes:
        path: The file.
        data: Its content; the top level is a mapping with string keys.
    """

    def __init__(self, path: Path, root: yaml.Node, data: dict[str, Any]) -> None:
        self.path = path
        self.data = data
        self._root = root

    def line_of(self, *keys: str | int | None) -> int | None:
        """Return the 1-based line of a key, or of the closest one above it that the file has."""
        node = self._root
        line = node.start_mark.line + 1
        for key in keys:
            if isinstance(node, yaml.MappingNode):
                found = [(k, v) for k, v in node.value if k.value == str(key) or _is_boolean(k, key)]
                if not found:
                    break
                marked, node = found[-1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
                marked = node = node.value[key]
            else:
                break
            line = marked.start_mark.line + 1
        return line


def _is_boolean(node: yaml.Node, key: str | int | None) -> bool:
    return str(key) in ("True", "False") and node.tag == "tag:yaml.org,2002:bool"


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
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{file}:{line}: not UTF-8 text: {error.reason} at byte {error.start}", path=str(file), line=line
        ) from error
    root, twice, data = _parsed(file, text)
    if root is None or data is None:
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
    result = ConfigFile(file, root, data)
    problems = [
        (result.line_of(key), f"the key {key!r} is not a string; put it in quotes")
        for key in data
        if not isinstance(key, str)
    ]
    actions = data.get("actions")
    problems += [
        (
            result.line_of("actions", key),
            f"an action's name is read as {key!r}: YAML takes on, off, yes, no, true, false, null and ~ for values; "
            "put the name in quotes",
        )
        for key in (actions if isinstance(actions, dict) else ())
        if isinstance(key, bool) or key is None
    ]
    problems += [
        (again, f"the key {key!r} is already in line {before}; one of the two would be lost")
        for key, before, again in twice
    ]
    if problems:
        raise ConfigError(
            "\n".join(f"{file}:{line}: {problem}" for line, problem in problems), path=str(file), line=problems[0][0]
        )
    for key in ("code", "version"):
        if isinstance(data.get(key), (int, float, date)) and data[key] is not True and data[key] is not False:
            data[key] = _text_of(root, key)
    return result


def _text_of(root: yaml.Node, key: str) -> str:
    """Return a value as it was written: as a number, version 1.10 would be 1.1."""
    return next(str(value.value) for name, value in root.value if name.value == key)


def _parsed(file: Path, text: str) -> tuple[yaml.Node | None, list[tuple[str, int, int]], Any]:
    loader = _Loader(text.removeprefix("\ufeff"))
    cause: BaseException | None
    root: yaml.Node | None = None
    try:
        root = loader.get_single_node()
        if root is None:
            return None, [], None
        twice = list(_twice(root))  # before construction, which writes merged keys into the nodes
        return root, twice, loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        problem, cause = _not_yaml(file, text, error)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{file}:{line}: not valid YAML: the character U+{ord(text[error.position]):04X} is not allowed",
            path=str(file),
            line=line,
        ) from error
    except RecursionError:
        raise ConfigError(f"{file}: not valid YAML: it is nested too deep", path=str(file)) from None
    except (ValueError, yaml.YAMLError) as error:  # 2024-13-45 looks like a date and is none
        line = _line_of_bad_value(root) if root is not None else 1
        secret = _may_be_secret(text.splitlines(), line - 1)
        what = _QUOTED.sub(f"'{HIDDEN}'", str(error)) if secret else error
        problem = ConfigError(f"{file}:{line}: not valid YAML: {what}", path=str(file), line=line)
        cause = None if secret else error
    finally:
        loader.dispose()
    # Outside of the handlers: what may show a secret is neither the cause nor the context.
    raise problem from cause


def _nodes(node: yaml.Node, seen: set[int]) -> Iterator[yaml.Node]:
    """Yield every node below and with this one, each once: an alias may lead back up."""
    if id(node) in seen:
        return
    seen.add(id(node))
    yield node
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _nodes(key, seen)
            yield from _nodes(value, seen)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _nodes(item, seen)


def _line_of_bad_value(root: yaml.Node) -> int:
    for node in _nodes(root, set()):
        if isinstance(node, yaml.ScalarNode):
            try:
                yaml.SafeLoader("").construct_object(node)
            except Exception:
                return node.start_mark.line + 1
    return root.start_mark.line + 1


def _twice(root: yaml.Node) -> Iterator[tuple[str, int, int]]:
    """Yield keys that stand twice in one mapping, with both lines; YAML forbids them, and PyYAML drops the first."""
    for node in _nodes(root, set()):
        if not isinstance(node, yaml.MappingNode):
            continue
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            line = key.start_mark.line + 1
            if (name := (key.tag, key.value)) in lines:
                yield key.value, lines[name], line
            else:
                lines[name] = line


_KEY = re.compile(r"""([\w.-]+)["']?\s*[:=]""")
_QUOTED = re.compile(r"""'[^']{2,}'|"[^"]{2,}\"""")


def _may_be_secret(lines: list[str], index: int) -> bool:
    """Say whether a line, or a key that it stands below, looks like a secret; all of ``env`` does."""
    if index >= len(lines):
        return False
    if looks_secret_value(lines[index]):
        return True
    indent: int | None = None
    for line in reversed(lines[: index + 1]):
        keys = _KEY.findall(line)
        depth = len(line) - len(line.lstrip())
        if not keys or line.lstrip().startswith("#") or (indent is not None and depth >= indent):
            continue  # it goes on with what an earlier line began, or is a neighbour
        if any(key in ("env", "runtime_env") or looks_secret(key) for key in keys):
            return True
        indent = depth
    return False


def _not_yaml(file: Path, text: str, error: yaml.MarkedYAMLError) -> tuple[ConfigError, BaseException | None]:
    """Return the error to raise and its cause; neither shows a secret."""
    lines = text.splitlines()
    mark = error.problem_mark or error.context_mark
    if mark is not None and mark.line >= len(lines) and error.context_mark is not None:
        mark = error.context_mark  # noticed at the end of the file, and begun there
    what = ", ".join(part for part in (error.context, error.problem) if part)
    if mark is None:
        return ConfigError(f"{file}: not valid YAML: {what}", path=str(file)), error
    secret = _may_be_secret(lines, mark.line)
    if error.context_mark is not None and "scanning" in (error.context or ""):  # a text over several lines
        secret = secret or _may_be_secret(lines, error.context_mark.line)
    if secret:
        what = _QUOTED.sub(f"'{HIDDEN}'", what)  # a password may look like the name of an anchor or a tag
    if mark.line < len(lines) and "\t" in lines[mark.line][: mark.column + 1]:
        what += "; YAML is indented with spaces, and this is a tab"
    shown = f"\n  {lines[mark.line]}\n  {' ' * mark.column}^" if mark.line < len(lines) and not secret else ""
    place = f"{file}:{mark.line + 1}:{mark.column + 1}"
    failure = ConfigError(f"{place}: not valid YAML: {what}{shown}", path=str(file), line=mark.line + 1)
    return failure, None if secret else error
