"""Connections to DuckDB, and what goes wrong with them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from synapse_core.errors import BackendMissingError, ExecutionError, PluginError, ValidationError, nearest
from synapse_core.safe_text import safe_str
from synapse_flow.failures import PlaceNotFoundError
from synapse_flow.urls import shown_url
from synapse_flow.used_files import UsedFile, used_database

__all__ = ["DuckDB", "quoted"]


class DuckDB:
    """A database of DuckDB: one in a file, or one of somebody else's connection, which stays open.

    Args:
        database: Path, ``":memory:"``, or a connection.
        who: What needs it, for messages.
        read_only: Whether a file is opened for reading only.

    Attributes:
        name: For messages.

    Raises:
        BackendMissingError: duckdb is not installed.
        ValidationError: `database` is neither.
    """

    def __init__(self, database: Any, who: str, *, read_only: bool) -> None:
        try:
            self._duckdb = import_module("duckdb")
        except ImportError as error:
            raise BackendMissingError(
                f"{who} needs the package duckdb, which is not installed here; type: pip install 'synapse-flow[duckdb]'"
            ) from error
        self._given = database if isinstance(database, self._duckdb.DuckDBPyConnection) else None
        if self._given is None and not isinstance(database, (str, os.PathLike)):
            raise ValidationError(
                f"the database is a {type(database).__name__}; it has to be a path, ':memory:', or a connection of "
                "duckdb"
            )
        self._path = "" if self._given is not None else os.fspath(database)
        self._read_only = read_only
        self._connection: Any = None
        self.name = shown_url(self._path) or "the DuckDB database"

    @property
    def is_file(self) -> bool:
        """Whether it is a file of this machine."""
        return bool(self._path) and not self._path.startswith(":memory:") and "://" not in self._path

    def used(self) -> list[UsedFile]:
        """Return its file, where it is one."""
        return [used_database(self._path)] if self.is_file else []

    def connect(self) -> Any:
        """Return a connection of its own transactions.

        Raises:
            ValidationError: There is no such file, where it is only read.
            ExecutionError: It cannot be opened.
        """
        if self._read_only and self.is_file and not Path(self._path).exists():
            folder = Path(self._path).parent
            near = nearest(Path(self._path).name, os.listdir(folder)) if folder.is_dir() else ""
            raise PlaceNotFoundError(f"there is no database {self._path}.{near}")
        with self.talking("cannot be opened"):
            if self._given is not None:
                self._connection = self._given.cursor()
            else:
                self._connection = self._duckdb.connect(self._path, read_only=self._read_only and self.is_file)
            self._connection.execute("SET enable_progress_bar = false").fetchall()  # it writes to standard output
        return self._connection

    def close(self) -> None:
        """Close the connection, unless somebody else has opened it."""
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()
            self._connection = None

    @contextmanager
    def talking(self, what: str, error_type: type[PluginError] = ExecutionError) -> Iterator[None]:
        """Translate what goes wrong with the database.

        Args:
            what: What fails then, for the message.
            error_type: What is raised.
        """
        try:
            yield
        except PluginError:
            raise
        except Exception as error:  # Arrow's readers have errors of their own
            words = safe_str(error).strip()
            if "different configuration" in words:
                words += (
                    ". An input has it open for reading only; give that read_only=False, or give both one connection"
                )
            raise error_type(f"{self.name} {what}: {words}") from error


def quoted(table: str) -> str:
    """Return the name of a table, which may be ``schema.name``, as SQL."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in table.split("."))
