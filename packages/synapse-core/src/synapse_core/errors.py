"""Every error that Synapse raises, by who is at fault.

::

    PluginError
    │   -- the caller's mistake --
    ├── ValidationError          (ValueError)    params do not fit the action's model
    ├── ConfigError              (ValueError)    config.yaml or another settings file is wrong
    ├── EnvironmentValueError    (ValueError)    a value of ctx.env has another type than asked for
    ├── ActionNotFoundError      (LookupError)   the plugin has no action of that name
    ├── PluginNotFoundError      (LookupError)   there is no plugin at that path or of that name
    ├── ActionLoadError          (ImportError)   an entrypoint does not import
    ├── UnknownBackendError      (LookupError)   no mode, engine or run store of that name
    │   -- the action's failure --
    ├── ExecutionError                           the action raised; carries type, message, traceback
    │   ├── ExecutionTimeoutError  (TimeoutError)   not finished in time; the work goes on
    │   ├── ExecutionCancelledError                 stopped by somebody
    │   ├── WorkerLostError                         the process that ran the action died
    │   ├── JobNotFoundError       (LookupError)    no job of that id
    │   ├── JobExistsError                          that job id is taken
    │   ├── RunNotFoundError       (LookupError)    no pipeline run of that id
    │   └── LeaseLostError                          somebody else works on the run now
    │   -- the backend's failure --
    └── BackendError                             a backend cannot do what it was asked for
        ├── BackendMissingError    (ImportError)    its package is not installed
        ├── BackendLoadError       (ImportError)    its package is installed and broken
        ├── CapabilityError        (AttributeError) it never claimed to be able to do this
        ├── AuthenticationError                     it refused the credentials, or there were none
        └── BackendUnreachableError (ConnectionError)  nobody answers

Every one of them survives pickling, attributes included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from synapse_core.rebuilding import rebuild_exception, take_apart

__all__ = [
    "ActionLoadError",
    "ActionNotFoundError",
    "AuthenticationError",
    "BackendError",
    "BackendLoadError",
    "BackendMissingError",
    "BackendUnreachableError",
    "CapabilityError",
    "ConfigError",
    "EnvironmentValueError",
    "ExecutionCancelledError",
    "ExecutionError",
    "ExecutionTimeoutError",
    "FieldProblem",
    "JobExistsError",
    "JobNotFoundError",
    "LeaseLostError",
    "PluginError",
    "PluginNotFoundError",
    "RunNotFoundError",
    "UnknownBackendError",
    "ValidationError",
    "WorkerLostError",
    "nearest",
]


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the closest known name, or an empty string."""
    import difflib  # only messages need it

    names = list(known)
    if not (close := difflib.get_close_matches(name, names, n=1, cutoff=0.6)):
        folded = {each.casefold(): each for each in names}
        close = [folded[each] for each in difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)]
    return f" Did you mean {close[0]!r}?" if close else ""


class PluginError(Exception):
    """Base of everything that Synapse raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are rebuilt from their args by default, which fails for keyword-only arguments.
        return rebuild_exception, (type(self), *take_apart(self))


# -- the caller's mistake ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One field of the params that breaks a rule.

    Attributes:
        path: Dotted path of the field, ``model.layers[2]``; empty for the params as a whole.
        given: What was given, shortened; ``None`` where nothing was.
        rule: The rule, as a sentence.
        type: pydantic's machine-readable name of the rule.
    """

    path: str
    given: str | None
    rule: str
    type: str

    def __str__(self) -> str:
        where = self.path or "(params)"
        return f"{where}: {self.rule}" + (f" (given: {self.given})" if self.given is not None else "")


class ValidationError(PluginError, ValueError):
    """Params do not fit the action's model; raised before anything has run.

    Attributes:
        problems: One entry per field.
        action: Name of the action.
    """

    def __init__(self, message: str, *, problems: Iterable[FieldProblem] = (), action: str | None = None) -> None:
        super().__init__(message)
        self.problems = tuple(problems)
        self.action = action

    def __str__(self) -> str:
        return "\n".join([str(self.args[0]), *(f"  {problem}" for problem in self.problems)])


class ConfigError(PluginError, ValueError):
    """A settings file is missing something, is not valid YAML or TOML, or has a wrong type.

    Attributes:
        path: The file.
        line: 1-based line, where known.
    """

    def __init__(self, message: str, *, path: str | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.line = line


class EnvironmentValueError(PluginError, ValueError):
    """A value of the environment cannot be read as the type that was asked for."""


class ActionNotFoundError(PluginError, LookupError):
    """The plugin has no action of that name.

    Attributes:
        action: The name that was asked for.
        known: The names that there are.
    """

    def __init__(self, message: str, *, action: str | None = None, known: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.action = action
        self.known = tuple(known)


class PluginNotFoundError(PluginError, LookupError):
    """There is no plugin at that path, or no module of that name."""


class ActionLoadError(PluginError, ImportError):
    """An entrypoint does not import, or is not something that can run.

    Attributes:
        entrypoint: The entrypoint string.
        traceback: The plugin's own traceback, without Synapse's frames; empty where there is none.
    """

    def __init__(self, message: str, *, entrypoint: str | None = None, traceback: str = "") -> None:
        super().__init__(message)
        self.entrypoint = entrypoint
        self.traceback = traceback


class UnknownBackendError(PluginError, LookupError):
    """No mode, engine or run store of that name exists, installed or not.

    Attributes:
        name: The name that was asked for.
        known: The names that there are.
    """

    def __init__(self, message: str, *, name: str | None = None, known: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.name = name
        self.known = tuple(known)


# -- the action's failure ---------------------------------------------------------------------


class ExecutionError(PluginError):
    """The action raised, or its work was lost.

    Attributes:
        original_type: Name of the action's own exception class, ``"ValueError"``.
        original_message: Its text.
        remote_traceback: Its traceback as text, from wherever it ran.
        details: Further facts, JSON types only: ``action``, ``job_id`` and what a backend adds.
    """

    def __init__(
        self,
        message: str = "",
        *,
        original_type: str | None = None,
        original_message: str | None = None,
        remote_traceback: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.original_type = original_type
        self.original_message = original_message
        self.remote_traceback = remote_traceback
        self.details: dict[str, Any] = dict(details or {})


class ExecutionTimeoutError(ExecutionError, TimeoutError):
    """The wait is over and the work is not; it goes on."""


class ExecutionCancelledError(ExecutionError):
    """Somebody stopped the work before it was finished."""


class WorkerLostError(ExecutionError):
    """The process that ran the action died without an answer."""


class JobNotFoundError(ExecutionError, LookupError):
    """The backend knows no job of that id."""


class JobExistsError(ExecutionError):
    """The job id is taken; the job that has it was left alone."""


class RunNotFoundError(ExecutionError, LookupError):
    """The run store knows no run of that id."""


class LeaseLostError(ExecutionError):
    """Whoever wrote no longer has the run's lease; nothing was written, and its work is to stop."""


# -- the backend's failure --------------------------------------------------------------------


class BackendError(PluginError):
    """A backend cannot do what it was asked for."""


class BackendMissingError(BackendError, ImportError):
    """The package of a known backend is not installed.

    Attributes:
        install: The command that installs it.
    """

    def __init__(self, message: str, *, install: str | None = None) -> None:
        super().__init__(message)
        self.install = install


class BackendLoadError(BackendError, ImportError):
    """A backend is installed, and importing it fails."""


class CapabilityError(BackendError, AttributeError):
    """The backend never claimed to be able to do this.

    An ``AttributeError`` too, so that ``hasattr`` says no.
    """


class AuthenticationError(BackendError):
    """The backend refused the credentials, or none were given."""


class BackendUnreachableError(BackendError, ConnectionError):
    """Nobody answers at the backend's address."""
