"""What a package tells the plugin host about itself: frozen descriptions, and no code of its engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from synapse_core.ports.executor import Capabilities

__all__ = [
    "API_VERSION",
    "CheckDescription",
    "CommandDescription",
    "Description",
    "EngineDescription",
    "ExecutorDescription",
    "RunStoreDescription",
    "SinkDescription",
]

API_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """Something that a package offers under a name.

    Attributes:
        name: What people type.
        target: ``module:object``, imported only when it is used.
        help: One line.
        aliases: Further names.
        install: The command that installs what it needs.
        api_version: Version of the port that it implements.
    """

    name: str
    target: str
    help: str = ""
    aliases: tuple[str, ...] = ()
    install: str = ""
    api_version: int = API_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorDescription(Description):
    """An executor; its name is a mode of ``run_plugin`` and ``--mode``.

    Attributes:
        capabilities: What it claims to be able to do.
        options: Keyword arguments of its constructor that callers may set.
        run_with: Whether running a plugin in this mode executes, returning the result, or
            submits, returning a job id.
        needs: ``code`` where the action has to import in the calling process; ``reference`` where its
            name is enough, because the code is found elsewhere: such an executor may be given an
            `ActionReference`.
    """

    capabilities: Capabilities = field(default_factory=Capabilities)
    options: tuple[str, ...] = ("env", "job_id")
    run_with: Literal["execute", "submit"] = "execute"
    needs: Literal["code", "reference"] = "code"


class EngineDescription(Description):
    """A record engine."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStoreDescription(Description):
    """A run store.

    Attributes:
        schemes: URL schemes that it opens.
    """

    schemes: tuple[str, ...] = ()


class SinkDescription(Description):
    """An event sink; the target is a class or function that takes ``debug=`` and returns one."""

    __slots__ = ()


class CommandDescription(Description):
    """A command of ``synapse``; the target is a click command or group."""

    __slots__ = ()


class CheckDescription(Description):
    """A check of the installation; the target is a function without arguments that returns a list of problems."""

    __slots__ = ()
