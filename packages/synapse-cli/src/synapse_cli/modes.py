"""Which mode runs an action, and which options go with it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from synapse_cli.kit import talk
from synapse_core.plugins.descriptions import ExecutorDescription
from synapse_core.plugins.registry import KNOWN_EXECUTORS, registry
from synapse_core.terminal import is_ci

__all__ = ["choose_mode", "executor_arguments"]

# Options of the command line that only some executors have, by the constructor argument they become.
_OPTION_NAMES = {
    "ray_address": "--ray-address",
    "num_gpus": "--gpus",
    "num_cpus": "--cpus",
    "host": "--host",
    "token": "--token",
    "include_sdk": "--debug-sdk",
    "job_id": "--job-id",
    "start_ray": "--start-ray",
    "env": "--env",
}


def choose_mode(mode: str | None) -> ExecutorDescription:
    """Return the executor for ``--mode``; without it, ask on a terminal where there is a choice, else ``local``.

    Raises:
        UnknownBackendError: There is no such mode; lists the known.
        BackendMissingError: Its package is not installed.
    """
    if mode is None:
        installed = {executor.name: executor.help for executor in registry.executors()}
        mode = _ask(installed) if len(installed) > 1 and _is_attended() else "local"
    return registry.find_executor(mode)


def _is_attended() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty() and not is_ci()


def _ask(installed: Mapping[str, str]) -> str:
    names = ["local", *sorted(installed.keys() - {"local"})]
    for name in names:
        talk(f"  {name:<10} {installed.get(name, '')}".rstrip())
    answer: str = click.prompt("Where to run?", type=click.Choice(names), default=names[0], err=True)
    return answer


def executor_arguments(description: ExecutorDescription, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the constructor arguments for the options that were given.

    Raises:
        click.UsageError: The mode does not have one of them; names the modes that do.
    """
    arguments = {name: value for name, value in given.items() if value is not None}
    for name in arguments:
        if name not in description.options:
            raise click.UsageError(
                f"{_OPTION_NAMES[name]} has no meaning with mode {description.name!r}. "
                f"Modes with it: {_modes_with(name)}"
            )
    return arguments


def _modes_with(option: str) -> str:
    there = {row.name for row in registry.executors()}
    having = {row.name for row in registry.executors() if option in row.options}
    missing = {name: known for name, known in KNOWN_EXECUTORS.items() if option in known.options and name not in there}
    names = [*sorted(having), *(f"{name} ({known.install})" for name, known in missing.items())]
    return ", ".join(names) or "none"
