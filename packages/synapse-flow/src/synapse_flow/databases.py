"""Connections to databases through SQLAlchemy, and what goes wrong with them, without passwords."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from synapse_core.errors import BackendMissingError, ExecutionError, PluginError, ValidationError, nearest
from synapse_core.redaction import redact, secret_values
from synapse_core.safe_text import safe_str
from synapse_flow.failures import PlaceNotFoundError, database_error
from synapse_flow.urls import shown_url
from synapse_flow.used_files import UsedFile, used_database

__all__ = ["Database", "has_order", "table_name"]

_DRIVERS = {
    "psycopg": "pip install 'psycopg[binary]'",
    "psycopg2": "pip install psycopg2-binary, or write postgresql+psycopg:// and pip install 'psycopg[binary]'",
    "MySQLdb": "pip install mysqlclient, or write mysql+pymysql:// and pip install pymysql",
    "pymysql": "pip install pymysql",
    "oracledb": "pip install oracledb",
    "pyodbc": "pip install pyodbc",
}


_LOCKED = (
    ". SQLite takes one writer at a time, and none while somebody reads much: let each output have a file of its own, "
    "and give an input of the same file key="
)


class Database:
    """A database: one that a URL names, or one of somebody else's engine, which stays open.

    Args:
        target: URL, as text or as SQLAlchemy's; or an Engine of SQLAlchemy.
        who: What needs it, for messages.

    Attributes:
        name: For messages; without a password.

    Raises:
        BackendMissingError: SQLAlchemy, or the driver that the URL names, is not installed.
        ValidationError: `target` is neither.
    """

    def __init__(self, target: Any, who: str) -> None:
        self._sqlalchemy = _sqlalchemy(who)
        self._given = target if isinstance(target, self._sqlalchemy.Engine) else None
        self._engine: Any = self._given
        if self._given is None:
            self.url = self._url(target)
            self._engine = self._created()
        self.url = self._engine.url
        self.name = _shown(self.url)
        password = self.url.password
        self._secrets = [*([str(password)] if password else []), *secret_values(dict(self.url.query))]

    @property
    def dialect(self) -> str:
        """What the database is: ``"sqlite"``, ``"postgresql"``, …."""
        return str(self._engine.dialect.name)

    def connect(self, *, create: bool = False) -> Any:
        """Return a connection.

        Args:
            create: Whether a file of SQLite that is not there is made.

        Raises:
            ValidationError: There is no such file.
            BackendUnreachableError: The database does not answer.
            AuthenticationError: It lets nobody in with these credentials.
            ExecutionError: It refuses for another reason.
        """
        path = self._sqlite_file()
        if path is not None and not create and not path.exists():
            raise PlaceNotFoundError(f"there is no database {path}")
        with self.talking("cannot be opened", None):
            return self._engine.connect()

    def close(self) -> None:
        """Close the connections, unless somebody else has opened the engine."""
        if self._given is None:
            self._engine.dispose()

    @contextmanager
    def talking(self, what: str, error_type: type[PluginError] | None = ExecutionError) -> Iterator[None]:
        """Translate what goes wrong with the database.

        Args:
            what: What fails then, for the message.
            error_type: What is raised; None for what the words of the database say.
        """
        try:
            yield
        except PluginError:
            raise
        except Exception as error:  # drivers have errors of their own
            words = self.words(error)
            raise (error_type or database_error(words))(f"{self.name} {what}: {words}") from self.cause(error)

    def words(self, error: BaseException) -> str:
        """Return what the database says, without the statement and its values, and without secrets."""
        text = redact(_text(getattr(error, "orig", None) or error), self._secrets, shortest=1)
        return text + _LOCKED if self.dialect == "sqlite" and "database is locked" in text else text

    def cause(self, error: BaseException) -> BaseException | None:
        """Return the driver's own error, unless it shows a secret; SQLAlchemy's shows the values of records."""
        own = getattr(error, "orig", None) or error
        return own if redact(_text(own), self._secrets, shortest=1) == _text(own) else None

    def no_table(self, connection: Any, table: str) -> ValidationError | None:
        """Return what is wrong with the name of a table, or None where there is one."""
        schema, name = table_name(table)
        with self.talking("cannot be asked for its tables"):
            inspector = self._sqlalchemy.inspect(connection)
            if inspector.has_table(name, schema=schema):
                return None
            known = sorted([*inspector.get_table_names(schema=schema), *inspector.get_view_names(schema=schema)])
        some = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
        return ValidationError(
            f"{self.name} has no table {table!r}.{nearest(name, known)} It has: {some or 'no tables'}"
        )

    def _url(self, target: Any) -> Any:
        if not isinstance(target, (str, self._sqlalchemy.URL)):
            raise ValidationError(
                f"the database is a {type(target).__name__}; it has to be a URL such as "
                "'postgresql+psycopg://user@host/name' or 'sqlite:///file.db', or an Engine of SQLAlchemy"
            )
        try:
            return self._sqlalchemy.make_url(target)
        except Exception:  # whose text may be the URL, and a password in it
            raise ValidationError(
                "the database's URL cannot be read; it has the form dialect+driver://user:password@host:port/name, "
                "with %40 for an @ in a password. Examples: 'postgresql+psycopg://user@host/name', 'sqlite:///file.db'"
            ) from None

    def _created(self) -> Any:
        try:
            return self._sqlalchemy.create_engine(self.url)
        except ImportError as error:
            driver = error.name or safe_str(error)
            raise BackendMissingError(
                f"{_shown(self.url)} needs the driver {driver}, which is not installed here; "
                f"type: {_DRIVERS.get(driver, f'pip install {driver}')}"
            ) from error
        except self._sqlalchemy.exc.NoSuchModuleError:
            raise ValidationError(
                f"SQLAlchemy knows no database {self.url.drivername!r}; common ones are postgresql+psycopg, "
                "mysql+pymysql, sqlite"
            ) from None
        except Exception as error:
            words = redact(safe_str(error), [self.url.password or ""], shortest=1)
            raise ValidationError(f"{_shown(self.url)} cannot be used: {words}") from None

    def used(self) -> list[UsedFile]:
        """Return its file, where it is one of SQLite's."""
        path = self._sqlite_file()
        return [] if path is None else [used_database(path)]

    def _sqlite_file(self) -> Path | None:
        name = self.url.database
        if self.dialect != "sqlite" or not name or name == ":memory:" or name.startswith("file:"):
            return None
        return Path(name)


def table_name(table: str) -> tuple[str | None, str]:
    """Return the schema, or None, and the name, of a table that is written as ``schema.name``, or as ``name``."""
    schema, _, name = table.rpartition(".")
    return schema or None, name


_PARTS_OF_SQL = re.compile(
    r"""'[^']*'|"[^"]*"|`[^`]*`|--[^\n]*|/\*.*?\*/|(\$\w*\$).*?\1|(?P<mark>[()])|(?P<order>\border\s+by\b)""",
    re.IGNORECASE | re.DOTALL,
)


def has_order(query: str) -> bool:
    """Say whether the rows of a query have an order: whether ``ORDER BY`` stands outside of all parentheses.

    Inside of some it orders a window, an aggregate or a part of the query.
    """
    depth = 0
    for found in _PARTS_OF_SQL.finditer(query):
        if found["order"] and not depth:
            return True
        depth += {"(": 1, ")": -1}.get(found["mark"], 0)
    return False


def _text(error: BaseException) -> str:
    return safe_str(error).partition(" (Background on this error")[0].strip() or type(error).__name__


def _shown(url: Any) -> str:
    return shown_url(url.render_as_string(hide_password=False))


def _sqlalchemy(who: str) -> Any:
    try:
        return import_module("sqlalchemy")
    except ImportError as error:
        raise BackendMissingError(
            f"{who} needs the package SQLAlchemy, which is not installed here; type: pip install 'synapse-flow[sql]'"
        ) from error
