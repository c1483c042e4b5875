"""Exit codes of `synapse`, and which error ends with which."""

from __future__ import annotations

from enum import IntEnum

from synapse_core.errors import (
    ActionNotFoundError,
    AuthenticationError,
    BackendError,
    BackendUnreachableError,
    ConfigError,
    ExecutionCancelledError,
    ExecutionTimeoutError,
    JobNotFoundError,
    PluginError,
    PluginNotFoundError,
    RunNotFoundError,
    UnknownBackendError,
    ValidationError,
)

__all__ = ["ExitCode", "exit_code_of"]


class ExitCode(IntEnum):
    """What a process that ran `synapse` ends with."""

    OK = 0
    ACTION_FAILED = 1
    USAGE = 2
    PARAMS_INVALID = 3
    NOT_AUTHORISED = 4
    NOT_FOUND = 5
    BACKEND_UNREACHABLE = 6
    TIMEOUT = 7
    INTERRUPTED = 130
    TERMINATED = 143


# The first class that fits decides, so subclasses stand before their bases.
_CODES: tuple[tuple[type[PluginError], ExitCode], ...] = (
    (ValidationError, ExitCode.PARAMS_INVALID),
    (ActionNotFoundError, ExitCode.NOT_FOUND),
    (PluginNotFoundError, ExitCode.NOT_FOUND),
    (JobNotFoundError, ExitCode.NOT_FOUND),
    (RunNotFoundError, ExitCode.NOT_FOUND),
    (ConfigError, ExitCode.USAGE),
    (UnknownBackendError, ExitCode.USAGE),
    (AuthenticationError, ExitCode.NOT_AUTHORISED),
    (BackendUnreachableError, ExitCode.BACKEND_UNREACHABLE),
    (BackendError, ExitCode.USAGE),
    (ExecutionTimeoutError, ExitCode.TIMEOUT),
    (ExecutionCancelledError, ExitCode.INTERRUPTED),
)


def exit_code_of(error: PluginError) -> ExitCode:
    """Return the exit code for an error; ``ACTION_FAILED`` for what is not listed."""
    if isinstance(error, ValidationError) and isinstance(error, LookupError):  # of a name that nothing has
        return ExitCode.NOT_FOUND
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.ACTION_FAILED)
