"""Find executors, engines, run stores and commands by name. The only door to what is installed."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from synapse_core.errors import BackendError, BackendLoadError, BackendMissingError, UnknownBackendError, nearest
from synapse_core.plugins.descriptions import (
    CheckDescription,
    CommandDescription,
    Description,
    EngineDescription,
    ExecutorDescription,
    RunStoreDescription,
    SinkDescription,
)
from synapse_core.plugins.rows import Row
from synapse_core.plugins.table import installed_rows
from synapse_core.safe_text import safe_str

if TYPE_CHECKING:
    from synapse_core.ports.events import EventSink

__all__ = ["KNOWN_EXECUTORS", "KnownExecutor", "Registry", "registry"]

D = TypeVar("D", bound=Description)


@dataclass(frozen=True, slots=True)
class KnownExecutor:
    """A mode of the documentation whose package may not be installed.

    Attributes:
        distribution: The package that provides it.
        options: Constructor arguments that it takes, for messages.
    """

    distribution: str
    options: tuple[str, ...] = ()

    @property
    def install(self) -> str:
        """The command that installs it."""
        return f"pip install '{self.distribution}'" if "[" in self.distribution else f"pip install {self.distribution}"


_RAY_OPTIONS = ("ray_address", "num_cpus", "num_gpus", "include_sdk", "job_id")

KNOWN_EXECUTORS: dict[str, KnownExecutor] = {
    "local": KnownExecutor("synapse-local"),
    "task": KnownExecutor("synapse-ray", _RAY_OPTIONS),
    "job": KnownExecutor("synapse-ray", (*_RAY_OPTIONS, "start_ray")),
    "ray-job": KnownExecutor("synapse-ray", (*_RAY_OPTIONS, "start_ray")),
    "pipeline": KnownExecutor("synapse-pipeline[ray]", _RAY_OPTIONS),
    "remote": KnownExecutor("synapse-remote", ("host", "token", "include_sdk")),
}


def _normal(name: str) -> str:
    return name.strip().lower().replace("_", "-")


class Registry:
    """What is installed, by kind and name.

    Args:
        rows: The table. Default: that of this environment, read when it is first needed.
    """

    def __init__(self, rows: Iterable[Row] | None = None) -> None:
        self._rows = None if rows is None else list(rows)

    def rows(self, *, fresh: bool = False) -> list[Row]:
        """Return everything that is installed, broken rows included; `fresh` asks the packages anew."""
        if self._rows is None or fresh:
            self._rows = installed_rows(fresh=fresh)
        return self._rows

    def executors(self) -> list[ExecutorDescription]:
        """Return the usable executors."""
        return self._usable(ExecutorDescription)

    def engines(self) -> list[EngineDescription]:
        """Return the usable record engines."""
        return self._usable(EngineDescription)

    def run_stores(self) -> list[RunStoreDescription]:
        """Return the usable run stores."""
        return self._usable(RunStoreDescription)

    def sinks(self) -> list[SinkDescription]:
        """Return the usable event sinks."""
        return self._usable(SinkDescription)

    def open_sink(self, name: str, *, debug: bool = True) -> EventSink:
        """Return a new event sink of that name; the standard library's logger ``synapse`` where there is none.

        Executors show on the terminal by ``open_sink("console")``, whichever package provides it.
        """
        found = self._find(SinkDescription, name, "sink")
        if found is None:
            from synapse_core.stdlib_logging import LoggingSink

            return LoggingSink()
        sink: EventSink = self.load(found)(debug=debug)
        return sink

    def commands(self) -> list[CommandDescription]:
        """Return the usable commands."""
        return self._usable(CommandDescription)

    def duplicate_commands(self) -> dict[str, str]:
        """Return the names that several packages give to a command, with those packages."""
        owners: dict[str, list[str]] = {}
        for row in self.rows():
            if isinstance(row.description, CommandDescription) and not row.error:
                owners.setdefault(row.name, []).append(f"{row.distribution} {row.version}")
        return {name: " and ".join(packages) for name, packages in owners.items() if len(packages) > 1}

    def checks(self) -> list[CheckDescription]:
        """Return the usable checks."""
        return self._usable(CheckDescription)

    def executor_names(self) -> list[str]:
        """Return every mode: those installed and those known to the documentation."""
        return sorted({row.name for row in self.executors()} | KNOWN_EXECUTORS.keys())

    def find_executor(self, name: str) -> ExecutorDescription:
        """Return the executor of that name or alias.

        Raises:
            BackendMissingError: It is known and its package is not installed.
            BackendLoadError: Its package is installed and broken.
            UnknownBackendError: Nothing of that name is known.
        """
        wanted = _normal(name)
        if (found := self._find(ExecutorDescription, wanted, "executor")) is not None:
            return found
        known = KNOWN_EXECUTORS.get(wanted)
        broken = [
            row
            for row in self.rows()
            if row.error
            and (_normal(row.name) == wanted or (known and row.distribution == known.distribution.partition("[")[0]))
        ]
        if broken:
            row = broken[0]
            raise BackendLoadError(
                f"mode {name!r} is provided by {row.distribution} {row.version}, which is broken: {row.error}"
            )
        if known is not None:
            raise BackendMissingError(
                f"mode {name!r} needs the package {known.distribution}, which is not installed. "
                f"Install it with: {known.install}",
                install=known.install,
            )
        names = self.executor_names()
        raise UnknownBackendError(
            f"unknown mode {name!r}.{nearest(wanted, names)} Known modes: {', '.join(names)}. "
            "A package can add one through the entry-point group synapse.backends",
            name=name,
            known=names,
        )

    def find_engine(self, name: str) -> EngineDescription:
        """Return the record engine of that name or alias.

        Raises:
            UnknownBackendError: There is none.
        """
        found = self._find(EngineDescription, name, "engine")
        if found is None:
            names = sorted(engine.name for engine in self.engines())
            raise UnknownBackendError(
                f"unknown engine {name!r}.{nearest(name, names)} Known engines: {', '.join(names) or '(none)'}",
                name=name,
                known=names,
            )
        return found

    def load(self, description: Description) -> Any:
        """Import what a description points to.

        Raises:
            BackendLoadError: That fails.
        """
        module_name, _, attribute = description.target.partition(":")
        try:
            found: Any = importlib.import_module(module_name)
            for part in attribute.split("."):
                found = getattr(found, part)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # importing runs their code, which may even call sys.exit
            hint = f" Install what it needs with: {description.install}" if description.install else ""
            raise BackendLoadError(
                f"{description.name!r} cannot be loaded from {description.target}: "
                f"{type(error).__name__}: {safe_str(error)}.{hint}"
            ) from error
        return found

    def _usable(self, kind: type[D]) -> list[D]:
        return [row.description for row in self.rows() if isinstance(row.description, kind) and not row.error]

    def _find(self, kind: type[D], name: str, word: str) -> D | None:
        found = [
            (row, row.description)
            for row in self.rows()
            if isinstance(row.description, kind)
            and _normal(name) in map(_normal, (row.description.name, *row.description.aliases))
        ]
        if len(found) > 1:
            home = KNOWN_EXECUTORS.get(name)
            at_home = [pair for pair in found if home and pair[0].distribution == home.distribution.partition("[")[0]]
            if len(at_home) != 1:
                both = " and ".join(f"{row.distribution} {row.version}" for row, _ in found)
                raise BackendError(f"the {word} {name!r} is registered twice, by {both}; uninstall one of them")
            found = at_home
        return found[0][1] if found else None


registry = Registry()
"""The registry of this environment."""
