"""What every command of `synapse` shares: output, errors, ``--json``. Open to commands of other packages.

stdout is data, stderr is talk. With ``--json``, stdout holds one document and nothing else.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from synapse_cli.exit_codes import ExitCode, exit_code_of
from synapse_core.errors import ActionLoadError, ExecutionCancelledError, ExecutionError, PluginError, ValidationError

__all__ = [
    "ExitCode",
    "discover_plugin",
    "error_document",
    "exit_code_of",
    "json_option",
    "label",
    "own_streams",
    "print_data",
    "print_error",
    "print_json",
    "print_table",
    "shown_result",
    "talk",
]

_OF_STAND_IN = {"type_name", "repr", "why"}  # the fields of what an outcome holds for such a result

if TYPE_CHECKING:
    from synapse_core.discovery import PluginDiscovery

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """Add ``--json`` to a click command, as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, nothing else.")(
        command
    )


def talk(text: str) -> None:
    """Say something to the person, on stderr."""
    click.echo(text, err=True)


def label(word: str, color: str) -> str:
    """Return ``word: `` in a color, unless ``NO_COLOR`` is set; click takes it away where there is no terminal."""
    return f"{word}: " if os.environ.get("NO_COLOR") else click.style(f"{word}: ", fg=color, bold=True)


def discover_plugin(plugin: Path | str) -> PluginDiscovery:
    """Find a plugin, as `synapse_core.runner.discover` does, and show its warnings without Python's file and line."""
    from synapse_core.config_file import ConfigWarning
    from synapse_core.runner import discover

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConfigWarning)
        discovery = discover(plugin)
    for warning in discovery.warnings:
        talk(label("warning", "yellow") + warning)
    return discovery


def print_data(text: str) -> None:
    """Print data, on stdout; that nobody reads it any more is no error.

    Raises:
        OSError: It cannot be written: the disk is full, or stdout is closed.
    """
    if sys.stdout is None:
        raise OSError("stdout is closed")
    try:
        click.echo(text)
    except BrokenPipeError:
        leave_stdout()


def print_json(document: Any) -> None:
    """Print a document on stdout; what has no JSON form stands there as text, and stderr says so."""
    from synapse_core.json_types import to_json_types
    from synapse_core.safe_text import shorten

    problems: list[str] = []
    converted = to_json_types(document, problems)
    try:
        text = _as_json(converted)
        text.encode()
    except UnicodeEncodeError:  # half a character, which JSON can write as an escape
        import json

        text = json.dumps(converted, indent=2)
    except ValueError as error:  # an integer of thousands of digits
        import json

        problems.append(str(error).partition(";")[0])
        text = json.dumps(shorten(converted))
    print_data(text)
    for problem in problems:
        talk(f"note: the output has no JSON form and is shown as text: {problem}")


def shown_result(result: Any) -> Any:
    """Return what is printed of a result: where it could not leave its worker, its text, and stderr says why."""
    from synapse_core.model.tagged import PlainData

    if isinstance(result, PlainData) and result.keys() >= _OF_STAND_IN:
        talk(f"note: the result did not come back, and is shown as text: {result['why']}")
        return result["repr"]
    return result


def _as_json(value: Any, indent: str = "") -> str:
    """Return JSON with an item a line, and lists of plain values on one line."""
    import json

    inner = indent + "  "
    if isinstance(value, dict) and value:
        rows = [f"{json.dumps(key, ensure_ascii=False)}: {_as_json(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(inner + row for row in rows) + "\n" + indent + "}"
    if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        return "[\n" + ",\n".join(inner + _as_json(item, inner) for item in value) + "\n" + indent + "]"
    return json.dumps(value, ensure_ascii=False)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout, its columns as wide as their longest cell; the last one is never padded."""
    lines = [tuple(headings), *(tuple(str(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        print_data("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_error(error: PluginError, *, debug: bool = True) -> None:
    """Print an error on stderr: its message, and in debug mode the traceback of the user's code."""
    text = str(error)
    cancelled = isinstance(error, ExecutionCancelledError)  # nothing went wrong: a traceback would say it did
    if isinstance(error, ExecutionError) and debug and error.remote_traceback and not cancelled:
        talk(error.remote_traceback.rstrip())
    elif isinstance(error, ActionLoadError) and debug and error.traceback:
        talk(error.traceback.rstrip())
    if not debug and not isinstance(error, ValidationError):
        text = text.partition("\n")[0]
    talk(label("error", "red") + text)


def error_document(error: PluginError) -> dict[str, Any]:
    """Return an error as a JSON document."""
    document: dict[str, Any] = {"type": type(error).__name__, "message": str(error)}
    if isinstance(error, ValidationError):
        document["problems"] = [
            {"path": p.path, "given": p.given, "rule": p.rule, "type": p.type} for p in error.problems
        ]
    if isinstance(error, ExecutionError):
        document |= {
            "original_type": error.original_type,
            "original_message": error.original_message,
            "traceback": error.remote_traceback,
            "details": error.details,
        }
    return document


@contextmanager
def own_streams(*, stdout_is_talk: bool = False) -> Iterator[None]:
    """Get stdout and stderr back as they were, whatever the code inside does to them.

    Args:
        stdout_is_talk: Send to stderr what is written to stdout inside, by Python, by C code or by a
            child process.
    """
    streams = (sys.stdout, sys.stderr)
    kept: dict[int, int] = {}
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        with suppress(OSError, ValueError, AttributeError):  # closed, or a test's that is no file
            stream.flush()
            if stream.fileno() == number:
                kept[number] = os.dup(number)
    if stdout_is_talk and 1 in kept and 2 in kept:
        os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr) if stdout_is_talk and 1 not in kept else nullcontext():
            yield
    finally:
        with suppress(OSError, ValueError, AttributeError):
            sys.stdout.flush()
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)
        sys.stdout, sys.stderr = (
            open(number, "w", closefd=False) if stream is not None and stream.closed else stream  # noqa: SIM115
            for number, stream in zip((1, 2), streams, strict=True)
        )


def leave_stdout(to: int | None = None) -> None:
    """Send what is still written to stdout elsewhere: to nowhere, or to another file descriptor."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY) if to is None else to, sys.stdout.fileno())
