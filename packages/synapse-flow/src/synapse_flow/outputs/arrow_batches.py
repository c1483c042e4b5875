"""Records as Arrow batches, made on workers, and brought to one schema where they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import accumulate, chain
from typing import Any

from synapse_core.errors import ExecutionError, ValidationError
from synapse_core.safe_text import safe_str, shorten
from synapse_flow.arrow_data import from_ipc, to_ipc
from synapse_flow.collecting import RowCollector
from synapse_flow.columns import ERROR_COLUMNS, columns_of, excluded_fields
from synapse_flow.entries import EntryTypedDict
from synapse_flow.outputs.arrow_values import MisfitError, array_of, arrow_type, common_type

__all__ = ["BatchCollector", "BatchShaper", "RowShape", "shape_of"]

SETTLING = 10_000
"""Records that decide what the columns are, where nobody has said it."""


@dataclass(frozen=True)
class RowShape:
    """What is known of rows before there are any.

    Attributes:
        types: Name of a column → its type; None where the first values decide.
        left_out: Fields that are not written.
        closed: Whether there are no other columns.
    """

    types: Mapping[str, Any]
    left_out: frozenset[str] = frozenset()
    closed: bool = False

    def batch(self, rows: Sequence[Mapping[str, Any]]) -> Any:
        """Return rows as a batch.

        Raises:
            MisfitError: A value does not fit its column, or a field has none.
        """
        pa = import_module("pyarrow")
        names = dict.fromkeys(self.types)
        for name in dict.fromkeys(chain.from_iterable(rows)):
            if name in names or name in self.left_out:
                continue
            if self.closed or not isinstance(name, str):
                index = next(index for index, row in enumerate(rows) if name in row)
                reason = (
                    f"there is no such column; there are {', '.join(names)}" if self.closed else "a name is no text"
                )
                raise MisfitError(reason, rows[index][name], column=str(name), index=index)
            names[name] = None
        if not names:
            raise MisfitError("a record without fields cannot be a row", dict(rows[0]))
        arrays = [array_of(name, [row.get(name) for row in rows], self.types.get(name)) for name in names]
        return pa.RecordBatch.from_arrays(arrays, names=list(names))


def shape_of(model: Any, schema: Any = None) -> RowShape:
    """Return what is known of the rows of a model, or of those that a schema of pyarrow describes.

    Raises:
        ValidationError: `schema` is not one.
    """
    left_out = frozenset(excluded_fields(model))
    if schema is None:
        return RowShape({name: arrow_type(column) for name, column in columns_of(model).items()}, left_out)
    if not isinstance(schema, import_module("pyarrow").Schema):
        raise ValidationError(f"schema is a {type(schema).__name__}; it has to be a pyarrow.Schema")
    return RowShape(dict(zip(schema.names, schema.types, strict=True)), left_out - set(schema.names), closed=True)


@dataclass
class BatchCollector(RowCollector):
    """Makes batches, as bytes; and rows where a value does not fit, so that the output can say which one it is."""

    shape: RowShape

    def joined(self, parts: list[Any]) -> Any:
        """Return a batch of the rows of all parts."""
        rows = super().joined(parts)
        return self._bytes(rows, self.shape) if rows else None

    def of_failed(self, entries: list[EntryTypedDict]) -> Any:
        """Return a batch of position, line, raw data and reasons of each; raw data and reasons as JSON."""
        rows = [{name: row.get(name) for name in ERROR_COLUMNS} for row in super().of_failed(entries)]
        return self._bytes(rows, RowShape({name: arrow_type(column) for name, column in ERROR_COLUMNS.items()}))

    @staticmethod
    def _bytes(rows: list[dict[str, Any]], shape: RowShape) -> Any:
        try:
            return to_ipc(shape.batch(rows))
        except MisfitError:
            return rows


class BatchShaper:
    """Brings batches to one schema: a given one, or that of the first records.

    Args:
        name: Of the output, for messages.
        shape: What is known of the rows.
        schema: What all batches become; None where the first records decide.

    Attributes:
        schema: What all batches become, once that is settled.
        rows: Records that were added.
    """

    def __init__(self, name: str, shape: RowShape, schema: Any = None) -> None:
        self.schema = schema
        self.rows = 0
        self._name = name
        self._shape = shape
        self._waiting: list[Any] = []

    def add(self, collected: Any) -> list[Any]:
        """Return what is ready to be written, of what was collected now and before.

        Raises:
            ExecutionError: A value does not fit its column.
        """
        if not collected:
            return []
        if isinstance(collected, bytes):
            batch = from_ipc(collected)
        else:
            try:
                batch = self._shape.batch(collected)
            except MisfitError as misfit:
                raise self._misfit(misfit) from misfit
        first = self.rows
        self.rows += batch.num_rows
        if self.schema is not None:
            return [self._conformed(batch, first)]
        self._waiting.append(batch)
        return self.settle() if self.rows >= SETTLING else []

    def settle(self) -> list[Any]:
        """Decide what the columns are, if that has not been done, and return what waited for it.

        Raises:
            ExecutionError: Values of a column do not go together.
        """
        if self.schema is not None:
            return []
        pa = import_module("pyarrow")
        types = {name: pa.null() if type_ is None else type_ for name, type_ in self._shape.types.items()}
        first = 0
        for batch in self._waiting:
            for field, column in zip(batch.schema, batch.columns, strict=True):
                seen = types.get(field.name, pa.null())
                types[field.name] = common_type(seen, field.type)
                if types[field.name] is None:
                    at = next(index for index, valid in enumerate(column.is_valid().to_pylist()) if valid)
                    reason = f"those before it are {seen}, and it is {field.type}"
                    raise self._misfit(
                        MisfitError(reason, column[at].as_py(), column=field.name, index=first - self.rows + at)
                    )
            first += batch.num_rows
        self.schema = pa.schema(list(types.items()))
        waiting, self._waiting = self._waiting, []
        firsts = accumulate((batch.num_rows for batch in waiting), initial=0)
        return [self._conformed(batch, first) for batch, first in zip(waiting, firsts, strict=False)]

    def _conformed(self, batch: Any, first: int) -> Any:
        if batch.schema.equals(self.schema):
            return batch
        pa = import_module("pyarrow")
        arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
        for name in list(arrays):
            if name not in self.schema.names and arrays[name].null_count < batch.num_rows:
                at = next(index for index, valid in enumerate(arrays[name].is_valid().to_pylist()) if valid)
                reason = f"there is no such column; the first records have {', '.join(self.schema.names)}"
                raise self._misfit(
                    MisfitError(reason, arrays[name][at].as_py(), column=name, index=first - self.rows + at)
                )
        made = [
            self._cast(field, arrays[field.name], first)
            if field.name in arrays
            else pa.nulls(batch.num_rows, field.type)
            for field in self.schema
        ]
        return pa.RecordBatch.from_arrays(made, schema=self.schema)

    def _cast(self, field: Any, column: Any, first: int) -> Any:
        pa = import_module("pyarrow")
        types = pa.types
        if column.type == field.type:
            return column
        numbers = {pa.int64(), pa.float64()}
        alike = types.is_decimal(column.type) and types.is_decimal(field.type)
        try:
            if types.is_null(column.type) or alike or {column.type, field.type} == numbers:
                return column.cast(field.type)
            return array_of(field.name, column.to_pylist(), field.type)
        except MisfitError as misfit:
            misfit.index += first - self.rows
            raise self._misfit(misfit) from misfit
        except pa.ArrowException:
            return self._cast_singly(field, column, first)

    def _cast_singly(self, field: Any, column: Any, first: int) -> Any:
        pa = import_module("pyarrow")
        for index in range(len(column)):
            try:
                column.slice(index, 1).cast(field.type)
            except pa.ArrowException as error:
                misfit = MisfitError(
                    safe_str(error), column[index].as_py(), column=field.name, index=first - self.rows + index
                )
                misfit.type = field.type
                raise self._misfit(misfit) from error
        raise ExecutionError(f"{self._name}: column {field.name!r} does not become {field.type}")

    def _misfit(self, misfit: MisfitError) -> ExecutionError:
        """Return the error for a value; its index counts from the end of what was added."""
        null = misfit.type is not None and import_module("pyarrow").types.is_null(misfit.type)
        empty = f" (the first {SETTLING:,} records have nothing there, so it has no type)" if null else ""
        return ExecutionError(
            f"{self._name}: record {self.rows + misfit.index} of the output, counted from 0, has "
            f"{shorten(misfit.value)} in {misfit.column!r}, which does not fit the column: {misfit.reason}{empty}. "
            "State the columns with schema=, or make the values alike with a model"
        )
