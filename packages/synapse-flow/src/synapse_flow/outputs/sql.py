"""Tables of a database, through SQLAlchemy: all of a run's records, or none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from itertools import groupby
from typing import Any

from synapse_core.errors import ExecutionError, ValidationError, nearest
from synapse_core.whole_numbers import whole_number
from synapse_flow.collecting import Collector, RowCollector
from synapse_flow.columns import ERROR_COLUMNS, Column, columns_of, excluded_fields
from synapse_flow.databases import Database, table_name
from synapse_flow.entries import EntryTypedDict
from synapse_flow.hooks.base import BaseHook
from synapse_flow.outputs.base import BaseOutputAdapter, collected_entry
from synapse_flow.outputs.sql_tables import column_of_values, sql_type, sql_value
from synapse_flow.outputs.table_modes import check_mode, refuse_existing
from synapse_flow.used_files import UsedFile

__all__ = ["SQLAlchemyOutputAdapter", "SQLOutputAdapter"]

_BATCH = 1000
_COMMITTING = ("mysql", "mariadb", "oracle")  # where the creation of a table ends a transaction


class SQLAlchemyOutputAdapter(BaseOutputAdapter):
    """Writes records into a table, in one transaction: others see all of them when the run ends, or none.

    A table that is not there is created from the model, or, without one, from the first records: its columns may
    all be null, and it has no key. A database that cannot take back the creation of a table, as MySQL, gets it
    dropped where the run fails. As output of errors the table has the columns position, line, raw_data and errors, the
    last two as JSON. A run that was killed cannot be continued.

    Example::

        SQLAlchemyOutputAdapter("postgresql+psycopg://etl@db/shop", "orders", mode="replace")

    Args:
        url_or_engine: URL of the database, or an Engine of SQLAlchemy, which stays open.
        table: Name of the table, or ``schema.name``.
        mode: ``"append"`` adds rows; ``"replace"`` deletes those that are there, in the same transaction, and leaves
            the table's columns as they are; ``"create"``, or ``"fail"``, wants that there is no such table yet.
        batch_size: Rows that are sent at a time.
        pre_hooks: Hooks of this output, before the validation.
        post_hooks: Hooks of this output, after the validation.

    Raises:
        BackendMissingError: SQLAlchemy, or the driver that the URL names, is not installed.
        ValidationError: An argument is of a wrong kind.
    """

    def __init__(
        self,
        url_or_engine: Any,
        table: str,
        *,
        mode: str = "append",
        batch_size: int = _BATCH,
        pre_hooks: Iterable[BaseHook] | None = None,
        post_hooks: Iterable[BaseHook] | None = None,
    ) -> None:
        super().__init__(pre_hooks=pre_hooks, post_hooks=post_hooks)
        self._database = Database(url_or_engine, type(self).__name__)
        check_mode(mode)
        self._name = table
        self._mode = mode
        self._batch_size = whole_number("batch_size", batch_size)
        self._columns: dict[str, Column] = {}
        self._left_out: set[str] = set()
        self._connection: Any = None
        self._table: Any = None
        self._created = False
        self._waiting: list[dict[str, Any]] = []
        self._written = 0

    @property
    def path(self) -> str:
        """The database and the table, without a password."""
        return f"{self._database.name} {self._name}"

    def used_files(self) -> Iterable[UsedFile]:
        """Return the file of the database, where it is one."""
        return self._database.used()

    def begin(self, model: Any, columns: list[str] | None) -> None:
        """Take the columns of the model."""
        self._columns = columns_of(model)
        self._left_out = excluded_fields(model)

    def open(self) -> None:
        """Begin the transaction.

        Raises:
            ValidationError: There is such a table already, or it lacks columns of the model.
            ExecutionError: The database cannot be reached.
        """
        self._table, self._created, self._waiting, self._written = None, False, [], 0
        self._connection = self._database.connect(create=True)
        try:
            with self._database.talking("cannot be written"):
                self._start()
        except BaseException:
            self._end()
            raise

    def collector(self) -> Collector:
        """Return what makes rows of records, on workers."""
        return _RowCollector()

    def write_chunk(self, collected: Any) -> None:
        """Write rows, when there are enough of them.

        Raises:
            ExecutionError: The database refuses one.
        """
        self._waiting += collected or ()
        while len(self._waiting) >= self._batch_size:
            rows, self._waiting = self._waiting[: self._batch_size], self._waiting[self._batch_size :]
            self._insert(rows)

    def write(self, entry: EntryTypedDict) -> None:
        """Write one entry."""
        self.write_chunk(collected_entry(self.collector(), entry))

    def finish(self) -> None:
        """Write what is left.

        Raises:
            ExecutionError: The database refuses a row.
        """
        if self._waiting:
            rows, self._waiting = self._waiting, []
            self._insert(rows)
        elif self._table is None and self._columns:
            self._create([])

    def close(self) -> None:
        """Commit.

        Raises:
            ExecutionError: The database refuses the whole.
        """
        self.finish()  # which has nothing to do where it was done
        with self._database.talking("refuses the rows"):
            self._connection.commit()
        self._end()

    def discard(self) -> None:
        """Take back everything."""
        if self._connection is None:
            return
        with suppress(Exception):
            self._connection.rollback()
            if self._created and self._database.dialect in _COMMITTING:
                self._table.drop(self._connection)
                self._connection.commit()
        self._end()

    def _end(self) -> None:
        self._waiting = []
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()
            self._connection = None
        self._database.close()

    # -- the table --

    def _start(self) -> None:
        sa = import_module("sqlalchemy")
        if self._database.dialect == "sqlite":
            # Its driver begins a transaction at the first row only, and a table would be outside of it. Immediately:
            # whether somebody else writes to the file is seen now, and not after hours.
            self._connection.exec_driver_sql("BEGIN IMMEDIATE")
        schema, name = table_name(self._name)
        if not sa.inspect(self._connection).has_table(name, schema=schema):
            return
        if self._mode in ("create", "fail"):
            raise refuse_existing(self._database.name, self._name)
        self._table = sa.Table(name, sa.MetaData(), schema=schema, autoload_with=self._connection)
        self._check_names(self._columns)
        if self._mode == "replace":
            self._connection.execute(self._table.delete())

    def _create(self, rows: Sequence[dict[str, Any]]) -> None:
        sa = import_module("sqlalchemy")
        columns = dict(self._columns)
        names = dict.fromkeys(name for row in rows for name in row if name not in self._left_out)
        if tuple(names) == tuple(ERROR_COLUMNS):
            columns = dict(ERROR_COLUMNS)
        for name in names:
            if columns.get(name) in (None, Column("unknown"), Column("datetime")):
                columns[name] = column_of_values(row.get(name) for row in rows)
        schema, name = table_name(self._name)
        dialect = self._database.dialect
        self._table = sa.Table(
            name,
            sa.MetaData(),
            *(sa.Column(each, sql_type(column, dialect), nullable=True) for each, column in columns.items()),
            schema=schema,
        )
        with self._database.talking(f"cannot create the table {self._name!r}"):
            self._table.create(self._connection)
        self._created = True

    def _check_names(self, names: Iterable[str]) -> None:
        known = [column.name for column in self._table.columns]
        missing = [name for name in names if name not in known]
        if missing:
            raise ValidationError(
                f"the table {self._name!r} has no column {', '.join(map(repr, missing))}."
                f"{nearest(missing[0], known)} It has: {', '.join(known)}. Add it, or leave the field out of the model"
            )

    # -- rows --

    def _insert(self, rows: list[dict[str, Any]]) -> None:
        if self._table is None:
            self._create(rows)
        names = dict.fromkeys(name for row in rows for name in row if name not in self._left_out)
        try:
            self._check_names(names)
        except ValidationError as error:
            raise ExecutionError(str(error)) from error
        made = {name: sql_value(self._table.columns[name].type) for name in names}
        ready = [{name: make(row[name]) for name, make in made.items() if name in row} for row in rows]
        # A statement has the columns of its first row; those that a row does not have get the table's default.
        for _, alike in groupby(ready, key=tuple):
            self._send(list(alike))

    def _send(self, rows: list[dict[str, Any]]) -> None:
        insert = self._table.insert()
        try:
            with self._connection.begin_nested():
                self._connection.execute(insert, rows)
        except Exception as error:
            raise self._refused(rows, error) from self._database.cause(error)
        self._written += len(rows)

    def _refused(self, rows: list[dict[str, Any]], error: Exception) -> ExecutionError:
        """Return the error for rows that the database refused; which one it was, it says when they come singly."""
        insert, lost = self._table.insert(), import_module("sqlalchemy").exc.OperationalError
        at = None
        for index, row in enumerate(rows if not isinstance(error, lost) else ()):
            try:
                with self._connection.begin_nested():
                    self._connection.execute(insert, [row])
            except Exception as own:
                at, error = index, own
                break
        last = self._written + len(rows) - 1
        which = f"one of the records {self._written} to {last}" if at is None else f"record {self._written + at}"
        return ExecutionError(
            f"{self._database.name} refuses {which} of the output, counted from 0, in the table {self._name!r}: "
            f"{self._database.words(error)}"
        )


SQLOutputAdapter = SQLAlchemyOutputAdapter
"""The same, for those who do not care with what a database is spoken to."""


class _RowCollector(RowCollector):
    """Rows; of records that failed, with the same columns each."""

    def of_failed(self, entries: list[EntryTypedDict]) -> Any:
        """Return position, line, raw data and reasons of each; raw data and reasons as JSON."""
        return [{name: row.get(name) for name in ERROR_COLUMNS} for row in super().of_failed(entries)]
