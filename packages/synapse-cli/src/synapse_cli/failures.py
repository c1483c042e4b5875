"""The last stop of every failure: a message on stderr, a document where ``--json`` asks for one, an exit code."""

from __future__ import annotations

import sys
import traceback
from typing import Any

import click

from synapse_cli.exit_codes import ExitCode, exit_code_of
from synapse_cli.kit import error_document, label, leave_stdout, print_error, print_json, talk
from synapse_core.errors import PluginError

__all__ = ["report_failure"]


def report_failure(error: BaseException, *, as_json: bool) -> int:
    """Say what went wrong and return the exit code.

    Raises:
        SystemExit: `error` is one; somebody has chosen the exit code already.
    """
    if isinstance(error, SystemExit):
        raise error
    if isinstance(error, BrokenPipeError):  # nobody reads stdout any more, which is the reader's choice
        leave_stdout()
        return ExitCode.OK
    code, document = _explain(error)
    if as_json and not isinstance(error, OSError):
        try:
            print_json({"status": "failed", "error": document})
        except OSError as unwritable:
            error = unwritable
    if isinstance(error, OSError) and not isinstance(error, PluginError):
        leave_stdout()  # or Python would try once more at exit
    return code


def _explain(error: BaseException) -> tuple[int, dict[str, Any]]:
    document: dict[str, Any] = {"type": type(error).__name__, "message": str(error)}
    if isinstance(error, PluginError):
        print_error(error)
        return exit_code_of(error), error_document(error)
    if isinstance(error, click.ClickException):
        error.show()
        return ExitCode.USAGE, {**document, "message": error.format_message()}
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        talk("interrupted")
        return ExitCode.INTERRUPTED, {"type": "KeyboardInterrupt", "message": "interrupted"}
    if isinstance(error, OSError):
        talk(label("error", "red") + f"the output cannot be written: {error.strerror or error}")
        return ExitCode.ACTION_FAILED, document
    traceback.print_exception(error, file=sys.stderr)
    talk(label("error", "red") + "a command failed in a way that it does not know; the traceback says where")
    return ExitCode.ACTION_FAILED, document
