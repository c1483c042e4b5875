"""Tables of DuckDB: all of a run's records, or none."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from typing import Any

from synapse_core.errors import ValidationError, nearest
from synapse_flow.arrow_data import need_pyarrow
from synapse_flow.collecting import Collector
from synapse_flow.duckdb_files import DuckDB, quoted
from synapse_flow.entries import EntryTypedDict
from synapse_flow.hooks.base import BaseHook
from synapse_flow.outputs.arrow_batches import BatchCollector, BatchShaper, RowShape, shape_of
from synapse_flow.outputs.base import BaseOutputAdapter, collected_entry
from synapse_flow.outputs.table_modes import check_mode, refuse_existing
from synapse_flow.used_files import UsedFile

__all__ = ["DuckDBOutputAdapter"]

_ROWS = 1 << 16
_BYTES = 1 << 25


class DuckDBOutputAdapter(BaseOutputAdapter):
    """Writes records into a table of a DuckDB database, in one transaction: all of them when the run ends, or none.

    A table that is not there is created with the columns that `ArrowOutputAdapter` would write. As output of errors it
    has the columns position, line, raw_data and errors, the last two as JSON. A run that was killed cannot be
    continued.

    Example::

        DuckDBOutputAdapter("shop.duckdb", "orders", mode="replace")

    Args:
        database: Path, or a connection of duckdb, which stays open.
        table: Name of the table, or ``schema.name``.
        mode: ``"append"`` adds rows; ``"replace"`` deletes those that are there, in the same transaction, and leaves
            the table's columns as they are; ``"create"``, or ``"fail"``, wants that there is no such table yet.
        pre_hooks: Hooks of this output, before the validation.
        post_hooks: Hooks of this output, after the validation.

    Raises:
        BackendMissingError: duckdb, or pyarrow, is not installed.
        ValidationError: An argument is of a wrong kind.
    """

    def __init__(
        self,
        database: str | os.PathLike[str] | Any,
        table: str,
        *,
        mode: str = "append",
        pre_hooks: Iterable[BaseHook] | None = None,
        post_hooks: Iterable[BaseHook] | None = None,
    ) -> None:
        super().__init__(pre_hooks=pre_hooks, post_hooks=post_hooks)
        self._database = DuckDB(database, type(self).__name__, read_only=False)
        need_pyarrow(type(self).__name__)
        check_mode(mode)
        self._name = table
        self._mode = mode
        self._shape = RowShape({})
        self._shaper = BatchShaper(self.path, self._shape)
        self._connection: Any = None
        self._known: list[str] | None = None
        self._ready: list[Any] = []
        self._written = 0
        self._finished = False

    @property
    def path(self) -> str:
        """The database and the table."""
        return f"{self._database.name} {self._name}"

    def used_files(self) -> Iterable[UsedFile]:
        """Return the file of the database, where it is one."""
        return self._database.used()

    def begin(self, model: Any, columns: list[str] | None) -> None:
        """Take the columns of the model."""
        self._shape = shape_of(model)
        if model is None and columns:
            self._shape = RowShape(dict.fromkeys(columns))

    def open(self) -> None:
        """Begin the transaction.

        Raises:
            ValidationError: There is such a table already, or it lacks columns of the model.
            ExecutionError: The database cannot be opened.
        """
        self._shaper = BatchShaper(self.path, self._shape)
        self._known, self._ready, self._written, self._finished = None, [], 0, False
        self._connection = self._database.connect()
        try:
            with self._database.talking("cannot be written"):
                self._start()
        except BaseException:
            self._end()
            raise

    def collector(self) -> Collector:
        """Return what makes batches of records, on workers."""
        return BatchCollector(self._shape)

    def write_chunk(self, collected: Any) -> None:
        """Write what the collector made of a chunk, when there is enough of it.

        Raises:
            ExecutionError: A value does not fit its column, or the database refuses a row.
        """
        self._take(self._shaper.add(collected))

    def write(self, entry: EntryTypedDict) -> None:
        """Write one entry."""
        self.write_chunk(collected_entry(self.collector(), entry))

    def finish(self) -> None:
        """Write what is left.

        Raises:
            ExecutionError: A value does not fit its column, or the database refuses a row.
        """
        self._take(self._shaper.settle())
        self._insert()
        if self._known is None and self._shaper.schema.names:
            self._create(self._shaper.schema.empty_table())
        self._finished = True

    def close(self) -> None:
        """Commit.

        Raises:
            ExecutionError: The database refuses the whole.
        """
        if not self._finished:
            self.finish()
        with self._database.talking("refuses the rows"):
            self._connection.commit()
        self._end()

    def discard(self) -> None:
        """Take back everything."""
        if self._connection is not None:
            with suppress(Exception):
                self._connection.rollback()
        self._end()

    def _end(self) -> None:
        self._ready, self._connection = [], None
        self._database.close()

    def _start(self) -> None:
        connection = self._connection
        connection.begin()
        # Times with a zone go into a column without one as UTC, wherever this runs.
        self._run("SET TimeZone = 'UTC'")
        if not self._exists():
            return
        if self._mode in ("create", "fail"):
            raise refuse_existing(self._database.name, self._name)
        self._known = list(connection.sql(f"SELECT * FROM {quoted(self._name)} LIMIT 0").columns)
        self._check_names(self._shape.types)
        if self._mode == "replace":
            self._run(f"DELETE FROM {quoted(self._name)}")

    def _exists(self) -> bool:
        schema, _, name = self._name.rpartition(".")
        [(found,)] = self._run(
            "SELECT count(*) FROM information_schema.tables "
            "WHERE table_name = ? AND table_schema = coalesce(?, current_schema())",
            [name, schema or None],
        )
        return bool(found)

    def _run(self, sql: str, parameters: Any = None) -> list[Any]:
        """Run a statement to its end: one that is not fetched from would hold the connection."""
        result: list[Any] = self._connection.execute(sql, parameters).fetchall()
        return result

    def _check_names(self, names: Iterable[str]) -> None:
        known = self._known or []
        missing = [name for name in names if name.lower() not in {each.lower() for each in known}]
        if missing:
            raise ValidationError(
                f"the table {self._name!r} has no column {', '.join(map(repr, missing))}."
                f"{nearest(missing[0], known)} It has: {', '.join(known)}. Add it, or leave the field out of the model"
            )

    def _create(self, table: Any) -> None:
        pa = import_module("pyarrow")
        fields = [
            pa.field(field.name, pa.string()) if pa.types.is_null(field.type) else field for field in table.schema
        ]
        with self._database.talking(f"cannot create the table {self._name!r}"):
            self._connection.register("synapse_rows", pa.schema(fields).empty_table())
            self._run(f"CREATE TABLE {quoted(self._name)} AS SELECT * FROM synapse_rows")
            self._connection.unregister("synapse_rows")
        self._known = table.schema.names

    def _take(self, batches: list[Any]) -> None:
        for batch in batches:
            self._ready.append(batch)
            rows, size = sum(each.num_rows for each in self._ready), sum(each.nbytes for each in self._ready)
            if rows >= _ROWS or size >= _BYTES:
                self._insert()

    def _insert(self) -> None:
        if not self._ready:
            return
        table = import_module("pyarrow").Table.from_batches(self._ready)
        self._ready = []
        if self._known is None:
            self._create(table)
        last = self._written + table.num_rows - 1
        where = f"refuses one of the records {self._written} to {last} of the output, counted from 0"
        with self._database.talking(f"{where}, in the table {self._name!r}"):
            self._connection.register("synapse_rows", table)
            self._run(f"INSERT INTO {quoted(self._name)} BY NAME SELECT * FROM synapse_rows")
            self._connection.unregister("synapse_rows")
        self._written += table.num_rows
