"""What a person types for an action: ``--params``, ``--set``, ``--env``, read into dicts.

Messages name the option and the place, and show no more of the text than that: it may hold a secret.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from synapse_core.redaction import looks_secret, looks_secret_value

__all__ = ["parse_document", "parse_environment", "parse_params", "parse_settings"]

_SHOWN_AROUND = 20
_WORD = re.compile(r"[\w.-]+")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def parse_params(text: str | None) -> dict[str, Any]:
    """Read ``--params``.

    Raises:
        click.UsageError: It is no document, or no mapping.
    """
    value = parse_document(text, "--params") if text is not None else None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise click.UsageError(f"--params has to be an object, such as '{{\"epochs\": 3}}'; found a {_kind(value)}")
    return value


def parse_document(text: str, option: str) -> Any:
    """Read an option's value: JSON, ``@file`` (JSON or YAML), or ``-`` for standard input (the same).

    Raises:
        click.UsageError: It is none of these; points at the position.
    """
    if text == "-":
        return _parse_json_or_yaml(_read_stdin(option), f"{option} - (standard input)")
    if not text.startswith("@"):
        return _parse_json(text, option)
    content = _read(text[1:], option)
    what = f"{option} {text}"
    return _parse_json(content, what) if text.endswith(".json") else _parse_json_or_yaml(content, what)


def _parse_json(text: str, option: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = text.splitlines()[error.lineno - 1] if text.splitlines() else ""
        start = max(0, error.colno - 1 - _SHOWN_AROUND)
        excerpt = line[start : error.colno - 1 + _SHOWN_AROUND]
        secret = looks_secret_value(line) or any(looks_secret(word) for word in _WORD.findall(line))
        pointer = "" if secret else f"  {excerpt}\n  {' ' * (error.colno - 1 - start)}^\n"
        raise click.UsageError(
            f"{option} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}\n{pointer}"
            f"Write {option.partition(' ')[0]} '{{\"name\": 1}}' in single quotes, or "
            f"{option.partition(' ')[0]} @file.yaml"
        ) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists thousands deep
        raise click.UsageError(f"{option} cannot be read as JSON: {_reason(error)}") from None


def _parse_json_or_yaml(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass  # YAML, then; JSON first, because YAML reads some of it differently
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise click.UsageError(f"{what} is not valid YAML: {error.problem or error.context}{where}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise click.UsageError(f"{what} cannot be read as YAML: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return "it is nested too deep" if isinstance(error, RecursionError) else str(error).partition("\n")[0]


def parse_settings(settings: Sequence[str], params: dict[str, Any]) -> dict[str, Any]:
    """Return `params` with each ``key=value`` of ``--set`` put in.

    Keys lead into mappings by dots and into lists by ``[0]``; values are JSON, else YAML.

    Raises:
        click.UsageError: A setting has no ``=``, or leads through something that has no such place.
    """
    result: Any = params
    for setting in settings:
        key, equals, text = setting.partition("=")
        path = [int(index) if index else name for name, index in _STEP.findall(key)]
        if not equals or not path or isinstance(path[0], int) or _STEP.sub("", key).strip("."):
            raise click.UsageError("--set has to be of the form key=value, outer.inner=value or list[0]=value")
        result = _with(result, path, _parse_json_or_yaml(text, f"--set {key}"), key)
    settled: dict[str, Any] = result
    return settled


def _with(container: Any, path: list[str | int], value: Any, key: str) -> Any:
    step, *rest = path
    if isinstance(step, int):
        items = [] if container is None else container
        if not isinstance(items, list) or step > len(items):
            size = f"a list of {len(items)}" if isinstance(items, list) else f"a {_kind(items)}"
            raise click.UsageError(f"--set {key}=…: there is no place [{step}] in {size}")
        old = items[step] if step < len(items) else None
        return [*items[:step], _with(old, rest, value, key) if rest else value, *items[step + 1 :]]
    mapping = {} if container is None else container
    if not isinstance(mapping, dict):
        raise click.UsageError(f"--set {key}=…: {step!r} would be inside a {_kind(mapping)}, not a mapping")
    return {**mapping, step: _with(mapping.get(step), rest, value, key) if rest else value}


def parse_environment(variables: Sequence[str]) -> dict[str, str]:
    """Read ``--env``: ``KEY=VALUE``, or ``KEY`` alone for this process's value.

    Raises:
        click.UsageError: A variable has no name, or is not set here.
    """
    environment = {}
    for variable in variables:
        key, equals, value = variable.partition("=")
        if not key:
            raise click.UsageError("--env has to be of the form KEY=VALUE")
        if not equals:
            if key not in os.environ:
                raise click.UsageError(f"--env {key}: not set in this environment; write --env {key}=VALUE")
            value = os.environ[key]
        environment[key] = value
    return environment


def _read_stdin(option: str) -> str:
    if sys.stdin is None:
        raise click.UsageError(f"{option} -: standard input is closed")
    try:
        return sys.stdin.read()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{option} -: standard input cannot be read: {error}") from None


def _read(name: str, option: str) -> str:
    try:
        return Path(name).expanduser().read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise click.UsageError(f"{option} @{name}: not UTF-8 text") from None
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: there is no such user's home
        raise click.UsageError(f"{option} @{name}: {getattr(error, 'strerror', None) or error}") from None


def _kind(value: Any) -> str:
    return {list: "list", str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}.get(
        type(value), type(value).__name__
    )
