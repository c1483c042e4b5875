"""What a person types for an action: ``--params``, ``--set``, ``--env``, read into dicts."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

__all__ = ["parse_environment", "parse_json", "parse_params", "parse_settings"]

_SHOWN_AROUND = 20


def parse_params(text: str | None) -> dict[str, Any]:
    """Read ``--params``: JSON, ``@file`` (YAML or JSON), or ``-`` for standard input.

    Raises:
        click.UsageError: It is neither, or no mapping; points at the position.
    """
    if text is None:
        return {}
    if text == "-":
        value = _parse_yaml(sys.stdin.read(), "--params - (standard input)")
    elif text.startswith("@"):
        value = _parse_yaml(_read(Path(text[1:]).expanduser()), f"--params {text}")
    else:
        value = parse_json(text, "--params")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise click.UsageError(f"--params has to be an object, such as '{{\"epochs\": 3}}'; found a {_kind(value)}")
    return value


def parse_json(text: str, option: str) -> Any:
    """Read JSON given on the command line.

    Raises:
        click.UsageError: It is not JSON; points at the position.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = text.splitlines()[error.lineno - 1] if text.splitlines() else ""
        # Only what is around the place: params may hold a secret, and terminals are narrow.
        start = max(0, error.colno - 1 - _SHOWN_AROUND)
        excerpt = line[start : error.colno - 1 + _SHOWN_AROUND]
        raise click.UsageError(
            f"{option} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}\n"
            f"  {excerpt}\n  {' ' * (error.colno - 1 - start)}^\n"
            f"Write {option} '{{\"name\": 1}}' in single quotes, or {option} @file.yaml"
        ) from None


def parse_settings(settings: Sequence[str], params: dict[str, Any]) -> dict[str, Any]:
    """Return `params` with each ``key=value`` of ``--set`` put in; keys are dotted, values YAML.

    Raises:
        click.UsageError: A setting has no ``=``, or leads through something that is no mapping.
    """
    result = params
    for setting in settings:
        key, equals, text = setting.partition("=")
        path = key.split(".")
        if not equals or not all(path):
            raise click.UsageError(f"--set {setting!r} has to be of the form key=value or outer.inner=value")
        result = _with(result, path, _parse_yaml(text, f"--set {key}"), setting)
    return result


def _with(mapping: Any, path: list[str], value: Any, setting: str) -> dict[str, Any]:
    if not isinstance(mapping, dict):
        key = setting.partition("=")[0]
        raise click.UsageError(f"--set {key}=…: {path[0]!r} would be inside a {_kind(mapping)}, not a mapping")
    key, *rest = path
    return {**mapping, key: _with(mapping.get(key, {}), rest, value, setting) if rest else value}


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


def _parse_yaml(text: str, what: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise click.UsageError(f"{what} is not valid YAML: {error}") from None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"--params @{file}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise click.UsageError(f"--params @{file}: not UTF-8 text") from None


def _kind(value: Any) -> str:
    return {list: "list", str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}.get(
        type(value), type(value).__name__
    )
