"""Tables and queries of DuckDB."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any

from synapse_core.errors import ValidationError
from synapse_flow.arrow_data import ArrowDecoder, need_pyarrow, slices, to_ipc
from synapse_flow.chunks import ChunkSizes, Decoder
from synapse_flow.columns import duplicates
from synapse_flow.databases import has_order
from synapse_flow.duckdb_files import DuckDB, quoted
from synapse_flow.hooks.base import BaseHook
from synapse_flow.inputs.base import Block, Start
from synapse_flow.inputs.block_input import BlockInputAdapter
from synapse_flow.urls import shown_url
from synapse_flow.used_files import UsedFile

__all__ = ["DuckDBInputAdapter"]

_ROWS = 1 << 14


class DuckDBInputAdapter(BlockInputAdapter):
    """Reads a table of a DuckDB database, or what a query gives; the query may read Parquet and CSV files, too.

    Rows are streamed, so their number does not matter. Values have their Python types, as with `ArrowInputAdapter`.
    A run that was killed goes on where it stopped, if a table is read, or the query ends with ``ORDER BY``; the rows
    before are read again, and those that are equal by that order may change places, so order by what is unique.

    Example::

        DuckDBInputAdapter("shop.duckdb", "SELECT * FROM orders WHERE year >= $year", parameters={"year": 2024})

    Args:
        database: Path, ``":memory:"``, or a connection of duckdb, which stays open.
        query: SQL.
        table: Name of a table, or ``schema.name``, instead of a query.
        parameters: Values for ``?`` in the query, in order, or for ``$name``, by name.
        read_only: Whether a file is opened for reading only, which several processes may do at once. An output to the
            same file needs False.
        id_generator: Makes an id for each record, in order.
        pre_hooks: Hooks of this input, before the validation.
        post_hooks: Hooks of this input, after the validation.

    Raises:
        BackendMissingError: duckdb, or pyarrow, is not installed.
        ValidationError: An argument is of a wrong kind.
    """

    def __init__(
        self,
        database: str | os.PathLike[str] | Any,
        query: str | None = None,
        *,
        table: str | None = None,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        read_only: bool = True,
        id_generator: Callable[[], Any] | None = None,
        pre_hooks: Iterable[BaseHook] | None = None,
        post_hooks: Iterable[BaseHook] | None = None,
    ) -> None:
        super().__init__(id_generator=id_generator, pre_hooks=pre_hooks, post_hooks=post_hooks)
        self._database = DuckDB(database, type(self).__name__, read_only=read_only)
        need_pyarrow(type(self).__name__)
        if (query is None) is (table is None):
            raise ValidationError("give a query, or table=, and not both")
        self._query = query if query is not None else f"SELECT * FROM {quoted(table or '')}"
        self._sorted = table is not None or has_order(self._query)
        self._parameters = parameters
        self._relation: Any = None
        self._names: list[str] = []

    @property
    def path(self) -> str:
        """The database's path."""
        return shown_url(self._database.name)

    def used_files(self) -> Iterable[UsedFile]:
        """Return the file of the database, where it is one."""
        return self._database.used()

    def open(self) -> None:
        """Open the database, and look at the query.

        Raises:
            ValidationError: There is no such database or table, or the query is refused.
        """
        connection = self._database.connect()
        with self._database.talking("refuses the query", ValidationError):
            more = {} if self._parameters is None else {"params": self._parameters}
            self._relation = connection.sql(self._query, **more)
        if self._relation is None:
            raise ValidationError("the query gives no rows; an input needs a SELECT")
        self._names = list(self._relation.columns)
        if twice := duplicates(self._names):
            raise ValidationError(
                f"the query gives {twice} more than once; give the columns names of their own with AS"
            )

    def close(self) -> None:
        """Close the database, unless somebody else has opened it."""
        self._relation = None
        self._database.close()

    def columns(self) -> list[str] | None:
        """Return the names of the columns."""
        return list(self._names)

    def decoder(self) -> Decoder:
        """Return what makes records of batches."""
        return ArrowDecoder()

    def blocks(self, sizes: ChunkSizes, start: Start) -> Generator[Block]:
        """Yield slices of batches, as bytes of Arrow.

        Raises:
            ExecutionError: The query fails while it is read.
            ValidationError: A run would go on in rows without an order.
        """
        position = start.position
        if position and not self._sorted:
            raise ValidationError(
                "the query's rows have no order, so the run cannot be continued. Start afresh with --fresh, and give "
                "the query an ORDER BY"
            )
        relation = self._relation
        with self._database.talking("fails while it is read"):
            # Before DuckDB 1.4, it had another name.
            reader = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
            batches = iter(reader(max(1, _ROWS // sizes.rows) * sizes.rows))
        while True:
            with self._database.talking("fails while it is read"):
                batch = next(batches, None)
            if batch is None:
                return
            cut = min(position, batch.num_rows)
            position -= cut
            for piece in slices(batch.slice(cut) if cut else batch, sizes):
                yield Block(piece.num_rows, to_ipc(piece))

    def identity(self) -> Any:
        """Return the database, and the query with its parameters."""
        parameters = hashlib.sha256(repr(self._parameters).encode()).hexdigest()[:16]
        return {
            "database": self._database.name,
            "query": self._query,
            "parameters": parameters if self._parameters is not None else None,
            "columns": self._names,
        }
