"""Tables and queries of a database, through SQLAlchemy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from importlib import import_module
from typing import Any
from uuid import UUID

from synapse_core.errors import ExecutionError, ValidationError, nearest
from synapse_core.safe_text import shorten
from synapse_core.whole_numbers import whole_number
from synapse_flow.chunks import ChunkSizes, Decoder, Records
from synapse_flow.columns import duplicates
from synapse_flow.databases import Database, has_order, table_name
from synapse_flow.hooks.base import BaseHook
from synapse_flow.inputs.base import Block, Start
from synapse_flow.inputs.block_input import BlockInputAdapter
from synapse_flow.inputs.row_decoding import RowDecoder
from synapse_flow.used_files import UsedFile

__all__ = ["SQLAlchemyInputAdapter", "SQLInputAdapter"]

_PAGE = 2000


class SQLAlchemyInputAdapter(BlockInputAdapter):
    r"""Reads a table, or what a query gives, with the values that the database's driver makes.

    Rows are streamed, so their number does not matter. With `key` they are read in pages instead, each a query of its
    own that begins behind the last row of the page before: no transaction stays open for the length of the run, and a
    run that was killed goes on there. Without it, a run goes on only where the query ends with ``ORDER BY``, and the
    rows before are read again; those that are equal by that order may change places, so order by what is unique.

    SQLite has no dates and no exact decimals: these come as text and as floating point numbers, from which a model
    makes the rest.

    Example::

        SQLAlchemyInputAdapter("postgresql+psycopg://etl@db/shop", table="orders", key="id")

    Args:
        url_or_engine: URL of the database, or an Engine of SQLAlchemy, which stays open.
        query: SQL, or a statement of SQLAlchemy. ``:name`` in SQL stands for a parameter, and ``\:`` for a colon.
        table: Name of a table, or ``schema.name``, instead of a query.
        key: Column by which rows are sorted and paged; each row has its own value there, also by the column's
            collation, and none has none. An index on it makes the pages quick.
        parameters: Values for the query.
        page_size: Rows that are fetched at a time, and held in memory.
        id_generator: Makes an id for each record, in order.
        pre_hooks: Hooks of this input, before the validation.
        post_hooks: Hooks of this input, after the validation.

    Raises:
        BackendMissingError: SQLAlchemy, or the driver that the URL names, is not installed.
        ValidationError: An argument is of a wrong kind.
    """

    def __init__(
        self,
        url_or_engine: Any,
        query: Any = None,
        *,
        table: str | None = None,
        key: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        page_size: int = _PAGE,
        id_generator: Callable[[], Any] | None = None,
        pre_hooks: Iterable[BaseHook] | None = None,
        post_hooks: Iterable[BaseHook] | None = None,
    ) -> None:
        super().__init__(id_generator=id_generator, pre_hooks=pre_hooks, post_hooks=post_hooks)
        self._database = Database(url_or_engine, type(self).__name__)
        if (query is None) is (table is None):
            raise ValidationError(
                "neither query= nor table= is given; one of them says which rows are read"
                if table is None
                else "query= and table= are given; leave one of them out"
            )
        self._query = query.strip().rstrip(";") if isinstance(query, str) else query
        self._table = table
        self._key = key
        self._parameters = dict(parameters or {})
        self._page_size = whole_number("page_size", page_size)
        self._connection: Any = None
        self._result: Any = None
        self._names: list[str] = []

    @property
    def path(self) -> str:
        """The database's URL, without its password."""
        return self._database.name

    def used_files(self) -> Iterable[UsedFile]:
        """Return the file of the database, where it is one."""
        return self._database.used()

    def open(self) -> None:
        """Connect, and begin the query.

        Raises:
            ValidationError: There is no such table or column, or the query is refused.
            ExecutionError: The database cannot be reached.
        """
        self._connection = self._database.connect()
        if self._table is not None and (problem := self._database.no_table(self._connection, self._table)):
            raise problem
        with self._database.talking("refuses the query", ValidationError):
            if self._key is None:
                self._begin()
            else:
                statement = import_module("sqlalchemy").select(self._all()).select_from(self._source()).limit(0)
                self._result = self._connection.execute(statement, self._parameters)
            if not self._result.returns_rows:
                raise ValidationError("the query gives no rows; an input needs a SELECT")
            self._names = list(self._result.keys())
        if twice := duplicates(self._names):
            raise ValidationError(
                f"the query gives {twice} more than once; give the columns names of their own with AS"
            )
        if self._key is not None:
            self._result.close()
            self._check_key(self._key)

    def close(self) -> None:
        """Close the connection."""
        self._end()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._database.close()

    def columns(self) -> list[str] | None:
        """Return the names of the columns."""
        return list(self._names)

    def decoder(self) -> Decoder:
        """Return what makes records of rows."""
        return _NamingDecoder(self._names)

    def blocks(self, sizes: ChunkSizes, start: Start) -> Generator[Block]:
        """Yield rows; with `key`, the cursor is that of the last one.

        Raises:
            ExecutionError: The database fails, or two rows have one key.
        """
        try:
            if self._key is None:
                yield from self._streamed(sizes, start.position)
            else:
                yield from self._by_pages(self._key, sizes, start)
        finally:
            self._end()  # what this holds would keep an output from writing to the same database

    def identity(self) -> Any:
        """Return the database, the query with its parameters, and the key."""
        query = self._table if self._table is not None else str(self._query)
        parameters = hashlib.sha256(repr(sorted(self._parameters.items())).encode()).hexdigest()[:16]
        return {
            "database": self._database.name,
            "query": query,
            "parameters": parameters if self._parameters else None,
            "key": self._key,
            "columns": self._names,
        }

    # -- statements --

    def _statement(self) -> Any:
        sa = import_module("sqlalchemy")
        if self._table is not None:
            return sa.select(self._all()).select_from(self._source())
        return sa.text(self._query) if isinstance(self._query, str) else self._query

    @staticmethod
    def _all() -> Any:
        return import_module("sqlalchemy").text("*")  # and not the columns: their values stay as the driver made them

    def _source(self) -> Any:
        """Return what pages are selected from; its key column is known."""
        sa = import_module("sqlalchemy")
        columns = [sa.column(self._key)] if self._key else []
        if self._table is not None:
            schema, name = table_name(self._table)
            return sa.table(name, *columns, schema=schema)
        if isinstance(self._query, str):
            return sa.text(self._query + "\n").columns(*columns).subquery("source")  # it may end with a comment
        if isinstance(self._query, sa.TextClause):
            return self._query.columns(*columns).subquery("source")
        return self._query.subquery("source")

    def _paged(self, *, limit: int, after: Any = None, where: Any = None) -> Any:
        sa = import_module("sqlalchemy")
        source = self._source()
        column = source.c[self._key]
        page = sa.select(self._all()).select_from(source).order_by(column).limit(limit)
        if after is not None:
            page = page.where(column > sa.bindparam("synapse_after", after))
        return page if where is None else page.where(where(column))

    def _check_key(self, key: str) -> None:
        if key not in self._names:
            raise ValidationError(
                f"key is {key!r}, and there is no such column.{nearest(key, self._names)} There are: "
                f"{', '.join(self._names)}"
            )
        with self._database.talking("refuses the query", ValidationError):
            statement = self._paged(limit=1, where=lambda column: column.is_(None))
            found = self._connection.execute(statement, self._parameters).first()
            self._connection.rollback()
        if found is not None:
            raise ValidationError(
                f"key is {key!r}, and some rows have nothing there; choose a column that is NOT NULL, or leave them "
                "out in the query"
            )

    # -- reading --

    def _begin(self) -> None:
        options = {"stream_results": True, "yield_per": self._page_size}
        self._result = self._connection.execute(self._statement(), self._parameters, execution_options=options)

    def _streamed(self, sizes: ChunkSizes, position: int) -> Generator[Block]:
        if position and not (self._table is None and has_order(str(self._query))):
            raise ValidationError(
                "the rows have no order, so the run cannot be continued. Start afresh with --fresh, and give the input "
                "key= with a column that identifies a row, or the query an ORDER BY"
            )
        if self._result is None or self._result.closed:
            with self._database.talking("refuses the query"):
                self._begin()
        pages = self._result.partitions(self._page_size)
        while True:
            with self._database.talking("fails while it is read"):
                page = next(pages, None)
            if page is None:
                return
            cut = min(position, len(page))
            position -= cut
            for rows in _sliced(page[cut:], sizes):
                yield Block(len(rows), rows)

    def _by_pages(self, key: str, sizes: ChunkSizes, start: Start) -> Generator[Block]:
        last = _value(start.cursor)
        at = self._names.index(key)
        while True:
            with self._database.talking("fails while it is read"):
                self._check_last(key, last)
                statement = self._paged(limit=self._page_size + 1, after=last)
                page = self._connection.execute(statement, self._parameters).all()
                self._connection.rollback()
            keys = [row[at] for row in page]
            for one, other in zip([last, *keys], keys, strict=False):
                if one == other and one is not None:
                    raise ExecutionError(
                        f"key is {key!r}, and two rows have {shorten(one)} there; choose a column that is unique, or "
                        "rows would be lost between two pages"
                    )
            for rows in _sliced(page[: self._page_size], sizes):
                last = rows[-1][at]
                yield Block(len(rows), rows, cursor=_cursor(key, last))
            if len(page) <= self._page_size:
                return

    def _check_last(self, key: str, last: Any) -> None:
        """See that no row is lost behind the last one: texts that differ here may be equal by the column's collation.

        Raises:
            ExecutionError: Several rows have its key.
        """
        if not isinstance(last, str):
            return
        sa = import_module("sqlalchemy")
        source = self._source()
        same = sa.select(sa.literal(1)).select_from(source).where(source.c[key] == sa.bindparam("synapse_last", last))
        if len(self._connection.execute(same.limit(2), self._parameters).all()) > 1:
            raise ExecutionError(
                f"key is {key!r}, and the database takes the values of several rows there for {shorten(last)}; choose "
                "a column that is unique, also by its collation, or rows would be lost behind it"
            )

    def _end(self) -> None:
        with suppress(Exception):  # a connection that has broken has nothing to end
            if self._result is not None:
                self._result.close()
            if self._connection is not None:
                self._connection.rollback()
        self._result = None


SQLInputAdapter = SQLAlchemyInputAdapter
"""The same, for those who do not care with what a database is spoken to."""


class _NamingDecoder(RowDecoder):
    """Gives rows their names; what could not be sent fails."""

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def records(self, raws: list[Any]) -> Records:
        """Return rows with their names."""
        return super().records([dict(zip(self._names, row, strict=True)) if type(row) is list else row for row in raws])


def _sliced(page: Iterable[Any], sizes: ChunkSizes) -> Iterator[list[list[Any]]]:
    rows = list(map(list, page))
    at = 0
    while at < len(rows):
        part = rows[at : at + sizes.rows]
        at += len(part)
        yield part


# -- keys as JSON data ------------------------------------------------------------------------

_TEXT_OF: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "decimal": (Decimal, str, Decimal),
    "uuid": (UUID, str, UUID),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
}


def _cursor(key: str, value: Any) -> Any:
    if isinstance(value, (int, float, str)):
        return value
    for name, (type_, text_of, _) in _TEXT_OF.items():
        if isinstance(value, type_):
            return {name: text_of(value)}
    raise ValidationError(
        f"key is {key!r}, whose values are of type {type(value).__name__}; it may be a column of numbers, texts, "
        "dates, times with a date, or UUIDs"
    )


def _value(cursor: Any) -> Any:
    if not isinstance(cursor, dict):
        return cursor
    [(name, text)] = cursor.items()
    return _TEXT_OF[name][2](text)
