"""A click group that knows the names and help lines of its commands without importing them."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from synapse_core.errors import nearest

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["LazyCommand", "LazyGroup"]


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """A command that is imported when it is run.

    Attributes:
        target: ``module:object``.
        help: One line, for the list.
        aliases: Further names, which the list leaves out.
        refusal: Why it is not to be run; empty where it may be.
    """

    target: str
    help: str
    aliases: tuple[str, ...] = ()
    refusal: str = ""


class LazyGroup(click.Group):
    """A group whose commands come from a table; a contributed one that does not load spoils only itself.

    Args:
        table: Called once, at first need; name → command.
    """

    def __init__(self, *args: Any, table: Callable[[], Mapping[str, LazyCommand]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._make_table = table
        self._table: Mapping[str, LazyCommand] | None = None

    @property
    def table(self) -> Mapping[str, LazyCommand]:
        """The commands by name."""
        if self._table is None:
            self._table = self._make_table()
        return self._table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, for help and completion."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        entry = self.table.get(cmd_name) or self._by_alias().get(cmd_name)
        if entry is None:
            return None
        if entry.refusal:
            raise click.ClickException(entry.refusal)
        module_name, _, attribute = entry.target.partition(":")
        if not module_name.startswith("synapse_cli."):
            gc.enable()  # see synapse_cli.main
        try:
            command = getattr(importlib.import_module(module_name), attribute)
        except Exception as error:  # another package's code
            raise click.ClickException(
                f"the command {cmd_name!r} cannot be loaded from {entry.target}: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(command, click.Command):
            raise click.ClickException(f"the command {cmd_name!r} cannot be used: {entry.target} is no click command")
        return command

    def _by_alias(self) -> dict[str, LazyCommand]:
        return {alias: entry for entry in self.table.values() for alias in entry.aliases}

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands without importing any."""
        from click.shell_completion import CompletionItem

        own = [
            CompletionItem(name, help=entry.help) for name, entry in self.table.items() if name.startswith(incomplete)
        ]
        return own or click.Command.shell_complete(self, ctx, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is an error that lists the known."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            names = self.list_commands(ctx)
            ctx.fail(f"no command {args[0]!r}.{nearest(args[0], names)} Commands: {', '.join(names)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self.table.items()])
