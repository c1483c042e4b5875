"""The `synapse` command: finds the command, and turns every error into a message and an exit code."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping, Sequence

import click

from synapse_cli.lazy_group import LazyCommand, LazyGroup

__all__ = ["cli", "main"]

_BUILT_IN = {
    "plugin": LazyCommand("synapse_cli.plugin_group:plugin", "Run, list and show the actions of a plugin."),
    "executors": LazyCommand("synapse_cli.executors:executors", "List what can run actions here."),
}


def _commands() -> Mapping[str, LazyCommand]:
    from synapse_core.plugins.registry import registry

    contributed = {
        command.name: LazyCommand(command.target, command.help, command.aliases)
        for command in registry.commands()
        if command.name not in _BUILT_IN
    }
    for name, packages in registry.duplicate_commands().items():
        refusal = f"the command {name!r} is registered twice, by {packages}; uninstall one of them"
        contributed[name] = LazyCommand("", f"(refused: registered by {packages})", refusal=refusal)
    return {**_BUILT_IN, **dict(sorted(contributed.items()))}


def _print_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"synapse {version('synapse-cli')}")
        ctx.exit()


@click.group(
    cls=LazyGroup, table=_commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120}
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
def cli() -> None:
    """Run the actions of Synapse plugins: here, on a cluster, or on a server.

    Exit codes: 0 ok, 1 the action failed, 2 usage, 3 params invalid, 4 not authorised, 5 not found,
    6 backend unreachable, 7 timeout, 130 interrupted.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `synapse` and end the process with its exit code."""
    # Start-up makes many objects and no garbage, and looking for it takes a tenth of the time. Whoever
    # runs somebody else's code turns it on again first.
    gc.disable()
    code = _run(arguments)
    gc.freeze()  # nor is there a use in looking for it at exit: the memory goes with the process
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        result = cli.main(args=arguments, prog_name="synapse", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as exit_request:
        return exit_request.exit_code
    except BaseException as error:
        from synapse_cli.failures import report_failure

        return report_failure(error, as_json="--json" in (sys.argv[1:] if arguments is None else arguments))
