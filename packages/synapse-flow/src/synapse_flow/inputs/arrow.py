"""Parquet and Arrow data: read in batches here, and made records on workers."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from importlib import import_module
from typing import Any

from synapse_core.errors import ExecutionError, ValidationError, nearest
from synapse_core.safe_text import safe_str
from synapse_flow.arrow_data import ArrowDecoder, need_pyarrow, slices, to_ipc
from synapse_flow.chunks import ChunkSizes, Decoder
from synapse_flow.columns import duplicates
from synapse_flow.hooks.base import BaseHook
from synapse_flow.inputs.arrow_files import FORMATS, DataFile, find_files, identity_of, means, used_now
from synapse_flow.inputs.arrow_readers import OpenFile, Sieve, open_file
from synapse_flow.inputs.base import Block, Start
from synapse_flow.inputs.block_input import BlockInputAdapter
from synapse_flow.urls import shown_url
from synapse_flow.used_files import UsedFile

__all__ = ["ArrowInputAdapter", "ParquetInputAdapter"]


class ArrowInputAdapter(BlockInputAdapter):
    """Reads Parquet files, Arrow files and streams, and tables of pyarrow. Values have their Python types.

    Files are read piece by piece, so their size does not matter. Several files are read one after the other, in the
    order of their names, each with the columns that it has; folders such as ``year=2024`` give their files a column.
    Times finer than a microsecond are cut to microseconds. A record with a value that Python cannot hold, such as a
    date in the year 20000, fails, and the others go on.

    A run that was killed goes on in the row group where it stopped. Objects of pyarrow are skipped over instead,
    from their beginning.

    Example::

        ArrowInputAdapter("s3://bucket/events/", columns=["id", "at"], filter=pyarrow.compute.field("year") >= 2024)

    Args:
        source: Path or URL that fsspec knows, of a file, a folder, or a pattern such as ``data/*.parquet``; a list
            of these; or a Table, RecordBatch, RecordBatchReader or Dataset of pyarrow, or anything else that gives an
            Arrow stream, such as a data frame of Polars.
        columns: Names of the columns to read, in order. Default: all.
        filter: Expression of pyarrow, or a list of tuples such as ``[("year", ">=", 2024)]``: records for which it
            is false are not read, and are not counted. Parts of a file that have none are skipped.
        format: ``"parquet"``, ``"arrow"``, or ``"auto"``: by the first bytes of each file; of folders, only files with
            a common suffix of either are read.
        storage_options: For the file system, such as credentials.
        id_generator: Makes an id for each record, in order.
        pre_hooks: Hooks of this input, before the validation.
        post_hooks: Hooks of this input, after the validation.

    Raises:
        BackendMissingError: pyarrow is not installed.
        ValidationError: An argument is of a wrong kind.
    """

    def __init__(
        self,
        source: Any,
        *,
        columns: Sequence[str] | None = None,
        filter: Any = None,
        format: str = "auto",
        storage_options: Mapping[str, Any] | None = None,
        id_generator: Callable[[], Any] | None = None,
        pre_hooks: Iterable[BaseHook] | None = None,
        post_hooks: Iterable[BaseHook] | None = None,
    ) -> None:
        super().__init__(id_generator=id_generator, pre_hooks=pre_hooks, post_hooks=post_hooks)
        need_pyarrow(type(self).__name__)
        if format not in FORMATS:
            raise ValidationError(f"format is {format!r}; it may be {', '.join(map(repr, FORMATS))}")
        if isinstance(columns, str) or (columns is not None and not columns):
            raise ValidationError(f"columns is {columns!r}; it has to be a list of names, or None for all columns")
        self._format = format
        self._columns = list(columns) if columns is not None else None
        self._filter = _expression(filter)
        self._options = dict(storage_options or {})
        self._names = _paths(source)
        self._object = _Object(source, self._columns, self._filter) if self._names is None else None
        self._files: list[DataFile] = []
        self._open: OpenFile | None = None
        self._number = 0  # of the open file
        self._place: tuple[int, int] | None = (0, 0)  # in it; None at its end

    @property
    def path(self) -> str | None:
        """The file's path, or URL; the first one of several; None for an object in memory."""
        if not self._names:
            return None
        more = len(self._names) - 1
        return shown_url(self._names[0]) + (f" and {more} more" if more else "")

    def used_files(self) -> Iterable[UsedFile]:
        """Return the files that are there now."""
        return used_now(self._names or [], self._format, self._options)

    def would_read(self, file: UsedFile) -> str | None:
        """Return the folder or pattern of which a file is, or will be, one."""
        names = self._names or []
        return next((shown_url(name) for name in names if means(name, self._format, self._options, file)), None)

    def open(self) -> None:
        """Find the files, and open the first.

        Raises:
            ValidationError: There is none, it is of another format, or it lacks a column.
        """
        if self._object is not None:
            self._object.open()
            self._check(self._object.names, "the source")
            return
        self._files = find_files(self._names or [], self._format, self._options)
        self._go_to(0)
        assert self._open is not None
        self._check(self._open.names, self._open.file.name)

    def close(self) -> None:
        """Close what is open."""
        if self._open is not None:
            self._open.close()
            self._open = None
        if self._object is not None:
            self._object.close()

    def columns(self) -> list[str] | None:
        """Return the names of the columns; of several files, those of the first."""
        if self._columns is not None:
            return list(self._columns)
        names = self._object.names if self._object is not None else self._open.names if self._open is not None else []
        return list(names)

    def decoder(self) -> Decoder:
        """Return what makes records of batches."""
        return ArrowDecoder()

    def blocks(self, sizes: ChunkSizes, start: Start) -> Generator[Block]:
        """Yield slices of batches, as bytes of Arrow; the cursor is a file, a part of it, and a record in that."""
        if self._object is not None:
            yield from self._object.blocks(sizes, start.position)
            return
        number, part, row = start.cursor if start.cursor is not None else (0, 0, 0)
        while number < len(self._files):
            self._go_to(number)
            assert self._open is not None
            wanted = self._wanted_of(self._open)
            with closing(_generator(self._open.batches(part, row, wanted, sizes.rows))) as batches:
                for part, row, batch in batches:
                    for piece in slices(batch, sizes):
                        row += piece.num_rows
                        self._place = (part, row)
                        yield Block(piece.num_rows, to_ipc(piece), cursor=[number, part, row])
            self._place = None
            number, part, row = number + 1, 0, 0

    def done(self) -> tuple[int, int] | None:
        """Return how many records of a single file or a table have been read, and how many there are; else bytes."""
        if self._object is not None:
            return self._object.done()
        file = self._open
        if file is None:
            return None
        fraction = 1.0 if self._place is None else file.fraction(*self._place)
        if len(self._files) == 1 and file.rows is not None:
            return round(fraction * file.rows), file.rows
        before = sum(each.size for each in self._files[: self._number])
        return before + round(fraction * file.file.size), sum(each.size for each in self._files)

    def identity(self) -> Any:
        """Return the files' names, sizes and times of change, the columns, and the filter."""
        what = {"adapter": type(self).__name__} if self._object is not None else identity_of(self._files)
        return {**what, "columns": self.columns(), "filter": None if self._filter is None else str(self._filter)}

    def _go_to(self, number: int) -> None:
        if self._open is not None and self._number == number and self._place == (0, 0):
            return
        if self._open is not None:
            self._open.close()
        self._open = open_file(self._files[number], self._format, self._filter)
        self._number, self._place = number, (0, 0)

    def _wanted_of(self, file: OpenFile) -> list[str] | None:
        if self._columns is None:
            return None
        return [name for name in self._columns if name in file.names]

    def _check(self, names: list[str], what: str) -> None:
        missing = [name for name in self._columns or [] if name not in names]
        if missing:
            raise ValidationError(
                f"{what} has no column {', '.join(map(repr, missing))}.{nearest(missing[0], names)} "
                f"It has: {', '.join(names)}"
            )


class ParquetInputAdapter(ArrowInputAdapter):
    """Reads Parquet files, as `ArrowInputAdapter` does; a file of another format is refused.

    Args:
        source: Path or URL of a file, a folder, or a pattern; or a list of these.
        columns: Names of the columns to read, in order. Default: all.
        filter: Expression of pyarrow, or a list of tuples: records for which it is false are not read.
        storage_options: For the file system, such as credentials.
        id_generator: Makes an id for each record, in order.
        pre_hooks: Hooks of this input, before the validation.
        post_hooks: Hooks of this input, after the validation.
    """

    def __init__(
        self,
        source: Any,
        *,
        columns: Sequence[str] | None = None,
        filter: Any = None,
        storage_options: Mapping[str, Any] | None = None,
        id_generator: Callable[[], Any] | None = None,
        pre_hooks: Iterable[BaseHook] | None = None,
        post_hooks: Iterable[BaseHook] | None = None,
    ) -> None:
        super().__init__(
            source,
            columns=columns,
            filter=filter,
            format="parquet",
            storage_options=storage_options,
            id_generator=id_generator,
            pre_hooks=pre_hooks,
            post_hooks=post_hooks,
        )


class _Object:
    """Batches of an object in memory, or of one that reads them itself."""

    def __init__(self, source: Any, columns: list[str] | None, filter: Any) -> None:
        pa = import_module("pyarrow")
        if isinstance(source, pa.RecordBatch):
            source = pa.Table.from_batches([source])
        if not isinstance(source, (pa.Table, pa.RecordBatchReader)) and not _is_dataset(source):
            if not hasattr(source, "__arrow_c_stream__"):
                raise ValidationError(
                    f"source is a {type(source).__name__}; it has to be a path, a URL, a list of these, or an object "
                    "with Arrow data: a Table, RecordBatch, RecordBatchReader or Dataset of pyarrow, or a data frame"
                )
            self._make: Any = lambda: pa.RecordBatchReader.from_stream(source)
        else:
            self._make = lambda: source
        self._columns = columns
        self._filter = filter
        self._once = isinstance(source, pa.RecordBatchReader)
        self._used = False
        self._source: Any = source
        self._given = 0
        self.names: list[str] = []

    def open(self) -> None:
        if self._once and self._used:
            raise ValidationError("the RecordBatchReader has been read already; make a new one for each run")
        self._source = self._make()
        schema = self._source.projected_schema if hasattr(self._source, "projected_schema") else self._source.schema
        self.names = schema.names
        self._given = 0
        if twice := duplicates(self.names):
            raise ValidationError(
                f"the source has more than one column of the name {twice}; records have each name once"
            )

    def close(self) -> None:
        if self._source is not None and not self._once and hasattr(self._source, "close"):
            self._source.close()
        self._source = None

    def done(self) -> tuple[int, int] | None:
        rows = getattr(self._source, "num_rows", None)
        return (self._given, rows) if rows is not None and self._filter is None else None

    def blocks(self, sizes: ChunkSizes, position: int) -> Generator[Block]:
        self._used = True
        for batch in self._batches():
            cut = max(0, min(position - self._given, batch.num_rows))
            self._given += cut
            for piece in slices(batch.slice(cut) if cut else batch, sizes):
                self._given += piece.num_rows
                yield Block(piece.num_rows, to_ipc(piece))

    def _batches(self) -> Iterator[Any]:
        pa, source = import_module("pyarrow"), self._source
        try:
            if hasattr(source, "scanner"):
                source = source.scanner(
                    columns=self._columns, filter=self._filter, batch_readahead=2, fragment_readahead=1
                )
            if hasattr(source, "to_batches"):
                source = source.to_batches()
            sieve = Sieve(self._columns, self._filter)
            yield from map(sieve.passed, source)
        except (pa.ArrowException, OSError) as error:
            raise ExecutionError(f"the source cannot be read any further: {safe_str(error)}") from error


def _is_dataset(source: Any) -> bool:
    return type(source).__module__.startswith("pyarrow._dataset")


def _generator(items: Iterator[Any]) -> Generator[Any]:
    yield from items


def _expression(filter: Any) -> Any:
    if filter is None or isinstance(filter, import_module("pyarrow.compute").Expression):
        return filter
    try:
        return import_module("pyarrow.parquet").filters_to_expression(filter)
    except Exception:  # it checks nothing
        raise ValidationError(
            f"filter is {filter!r}; it has to be an expression of pyarrow, such as pyarrow.compute.field('year') >= "
            "2024, or a list of tuples such as [('year', '>=', 2024)]"
        ) from None


def _paths(source: Any) -> list[str] | None:
    """Return the paths and URLs that a source is, or None where it is something else."""
    if isinstance(source, (str, os.PathLike)):
        return [os.fspath(source)]
    if isinstance(source, (list, tuple)) and all(isinstance(each, (str, os.PathLike)) for each in source):
        if not source:
            raise ValidationError("source is an empty list; name at least one file")
        return [os.fspath(each) for each in source]
    return None
