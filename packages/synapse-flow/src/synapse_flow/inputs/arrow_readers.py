"""Batches of Parquet and Arrow files, from any place of them on."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

from synapse_core.errors import ExecutionError, PluginError, ValidationError
from synapse_flow.columns import duplicates
from synapse_flow.inputs.arrow_files import DataFile

__all__ = ["OpenFile", "Sieve", "open_file"]

_BUFFER = 1 << 20  # bytes of each column that are read at once from a local disk
_BATCH_BYTES = 1 << 23
_MOST_ROWS = 1 << 14
_FETCHED = 1 << 28  # bytes of a row group that are fetched at once from a network, at most


class Sieve:
    """Takes the wanted columns, and the records that an expression lets through.

    Args:
        columns: Names of the wanted columns, in order; None for all. Those that there are not are left out.
        filter: An expression of pyarrow, or None.
    """

    def __init__(self, columns: list[str] | None, filter: Any) -> None:
        self._columns = columns
        self._filter = filter

    def needed(self, schema: Any) -> list[str] | None:
        """Return the names of the columns that have to be read: the wanted ones, and those of the expression."""
        if self._columns is None:
            return None
        return [name for name in schema.names if name in self._columns or not self._binds(schema, without=name)]

    def _binds(self, schema: Any, *, without: str) -> bool:
        if self._filter is None:
            return True
        pa = import_module("pyarrow")
        try:
            pa.schema([field for field in schema if field.name != without]).empty_table().filter(self._filter)
        except pa.ArrowException:
            return False
        return True

    def passed(self, batch: Any) -> Any:
        """Return what is wanted of a batch."""
        pa = import_module("pyarrow")
        if self._filter is not None:
            table = pa.Table.from_batches([batch]).filter(self._filter).combine_chunks()
            batches = table.to_batches()
            batch = batches[0] if batches else batch.slice(0, 0)
        if self._columns is None:
            return batch
        names = [name for name in self._columns if name in batch.schema.names]
        return batch if names == batch.schema.names else batch.select(names)


class OpenFile:
    """A file that is open; its parts are row groups or record batches.

    Attributes:
        names: Of its columns, those that its folders name last.
        rows: Records in it, where that is known.
    """

    def __init__(self, file: DataFile, reader: _Reader, filter: Any) -> None:
        pa = import_module("pyarrow")
        self.file = file
        self.rows = reader.rows if filter is None else None
        self._reader = reader
        self._filter = filter
        names = reader.schema.names
        self._partition = {
            name: pa.scalar(value, pa.int64() if isinstance(value, int) else pa.string())
            for name, value in file.partition.items()
            if name not in names
        }
        self._schema = pa.schema([*reader.schema, *((name, each.type) for name, each in self._partition.items())])
        self.names: list[str] = self._schema.names

    def batches(self, part: int, row: int, columns: list[str] | None, rows: int) -> Iterator[tuple[int, int, Any]]:
        """Yield batches from a record on, each with the part that it is of and the number of its first record there.

        Args:
            part: Number of the part to begin with; those before it are not read where the format allows that.
            row: Number of a record in that part, among those that the filter lets through.
            columns: Names of the columns that are wanted, in order; None for all.
            rows: Of how many records a batch should be a multiple.

        Raises:
            ExecutionError: The file is damaged, or gone.
        """
        sieve = Sieve(columns, self._filter)
        with _reading(self.file):
            needed = sieve.needed(self._schema)
            own = None if needed is None else [name for name in needed if name not in self._partition]
            parts = self._reader.parts(self._filter, self._partition)
        batches = self._reader.batches(parts[bisect_left(parts, part) :], own, rows)
        at = 0
        while True:
            with _reading(self.file):
                found = next(batches, None)
                if found is None:
                    return
                number, batch = found
                batch = sieve.passed(self._completed(batch, needed))
            if number != part:
                part, row, at = number, 0, 0
            first, at = at, at + batch.num_rows
            if at <= row:
                continue
            cut = max(0, row - first)
            row = 0
            yield part, first + cut, batch.slice(cut) if cut else batch

    def fraction(self, part: int, row: int) -> float:
        """Return how much of the file lies before a record."""
        return self._reader.fraction(part, row)

    def close(self) -> None:
        """Close it."""
        self._reader.close()

    def _completed(self, batch: Any, needed: list[str] | None) -> Any:
        """Return a batch with the columns that folders name."""
        wanted = {name: each for name, each in self._partition.items() if needed is None or name in needed}
        if not wanted:
            return batch
        pa = import_module("pyarrow")
        arrays = [*batch.columns, *(pa.repeat(each, batch.num_rows) for each in wanted.values())]
        return pa.RecordBatch.from_arrays(arrays, names=[*batch.schema.names, *wanted])


def open_file(file: DataFile, format: str, filter: Any = None) -> OpenFile:
    """Open a file; what it is, its first bytes say, unless it has to be of one format.

    Raises:
        ValidationError: It is of another format, or has two columns of one name, or cannot be opened.
    """
    with _reading(file, opening=True):
        stream = import_module("pyarrow").OSFile(file.path, "rb") if file.is_local else _Fetched(file)
        try:
            head = bytes(stream.read(8))
            stream.seek(0)
            reader = _reader(file, format, head, stream)
        except BaseException:
            stream.close()
            raise
    if twice := duplicates(reader.schema.names):
        reader.close()
        raise ValidationError(f"{file.name} has more than one column of the name {twice}; a record has each name once")
    return OpenFile(file, reader, filter)


def _reader(file: DataFile, format: str, head: bytes, stream: Any) -> _Reader:
    if not head:
        raise ValidationError(f"{file.name} is empty; a file without records has at least a schema")
    found = "parquet" if head.startswith(b"PAR1") else "arrow" if head[:6] == b"ARROW1" else ""
    if not found and head[:4] == b"\xff\xff\xff\xff":
        found = "stream"
    if not found or (format == "parquet" and found != "parquet") or (format == "arrow" and found == "parquet"):
        wanted = {"parquet": "a Parquet file", "arrow": "an Arrow file", "auto": "a Parquet or Arrow file"}[format]
        raise ValidationError(f"{file.name} is not {wanted}: it begins with {head!r}")
    if found == "parquet":
        return _Parquet(stream, file.is_local)
    return _ArrowFile(stream, file.is_local) if found == "arrow" else _ArrowStream(stream, file)


class _Reader:
    """Batches of a file, with the number of the part that each is of.

    Where bytes come from an object of Python, nothing is done on threads of Arrow: one of them that still holds such
    an object when the interpreter ends aborts the process.
    """

    schema: Any
    rows: int | None = None

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def parts(self, filter: Any, partition: dict[str, Any]) -> Sequence[int]:
        """Return the numbers of the parts that may have records that a filter lets through."""
        raise NotImplementedError

    def batches(self, parts: Sequence[int], columns: list[str] | None, rows: int) -> Iterator[tuple[int, Any]]:
        """Yield the batches of these parts."""
        raise NotImplementedError

    def fraction(self, part: int, row: int) -> float:
        """Return how much of the file lies before a record."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


class _Parquet(_Reader):
    """Row groups, of which only some pages are in memory at a time."""

    def __init__(self, stream: Any, is_local: bool) -> None:
        super().__init__(stream)
        parquet = import_module("pyarrow.parquet")
        source = stream if is_local else import_module("pyarrow").PythonFile(stream, mode="r")
        self._file = parquet.ParquetFile(source, buffer_size=_BUFFER, pre_buffer=False)
        self._metadata = self._file.metadata
        self._is_local = is_local
        self.schema = self._file.schema_arrow
        self.rows = self._metadata.num_rows

    def parts(self, filter: Any, partition: dict[str, Any]) -> Sequence[int]:
        if filter is None:
            return range(self._metadata.num_row_groups)
        pa, dataset = import_module("pyarrow"), import_module("pyarrow.dataset")
        known = dataset.scalar(True)
        for name, value in partition.items():
            known = known & (dataset.field(name).is_null() if not value.is_valid else dataset.field(name) == value)
        sink = pa.BufferOutputStream()
        self._metadata.write_metadata_file(sink)  # the statistics alone, so that nothing has to be read for them
        fragment = dataset.ParquetFileFormat().make_fragment(sink.getvalue(), partition_expression=known)
        schema = pa.schema([*self.schema, *((name, value.type) for name, value in partition.items())])
        return [part.row_groups[0].id for part in fragment.split_by_row_group(filter, schema)]

    def batches(self, parts: Sequence[int], columns: list[str] | None, rows: int) -> Iterator[tuple[int, Any]]:
        for number in parts:
            if not self._is_local:
                self._stream.fetch(self._ranges(number, columns))
            for batch in self._file.iter_batches(
                self._batch_rows(number, rows), row_groups=[number], columns=columns, use_threads=self._is_local
            ):
                # A name with a dot in it may mean a field of another column, too.
                yield number, batch if columns is None else batch.select(columns)

    def _batch_rows(self, number: int, rows: int) -> int:
        group = self._metadata.row_group(number)
        most = min(_MOST_ROWS, _BATCH_BYTES * group.num_rows // max(1, group.total_byte_size))
        return int(most // rows * rows if most >= rows else max(1, most))

    def _ranges(self, number: int, columns: list[str] | None) -> list[tuple[int, int]]:
        """Return from where to where in the file the columns of a row group go."""
        group = self._metadata.row_group(number)
        ranges = []
        for index in range(group.num_columns):
            column = group.column(index)
            path = column.path_in_schema
            if columns is None or path in columns or path.partition(".")[0] in columns:
                start = column.dictionary_page_offset or column.data_page_offset
                ranges.append((start, start + column.total_compressed_size))
        return ranges

    def fraction(self, part: int, row: int) -> float:
        before: int = sum(self._metadata.row_group(number).num_rows for number in range(part))
        return (before + row) / max(1, self.rows or 0)


class _ArrowFile(_Reader):
    """Record batches, one at a time in memory."""

    def __init__(self, stream: Any, is_local: bool) -> None:
        super().__init__(stream)
        self._source = stream if is_local else import_module("pyarrow").PythonFile(stream, mode="r")
        self._is_local = is_local
        self._file = self._opened(None)
        self.schema = self._file.schema

    def _opened(self, columns: list[str] | None) -> Any:
        ipc = import_module("pyarrow").ipc
        fields = [] if columns is None else [self.schema.names.index(name) for name in columns]
        options = ipc.IpcReadOptions(included_fields=fields, use_threads=self._is_local)  # no fields are all of them
        return ipc.open_file(self._source, options=options)

    def parts(self, filter: Any, partition: dict[str, Any]) -> Sequence[int]:
        return range(self._file.num_record_batches)

    def batches(self, parts: Sequence[int], columns: list[str] | None, rows: int) -> Iterator[tuple[int, Any]]:
        file = self._opened(columns)
        for number in parts:
            batch = file.get_batch(number)
            yield number, batch if columns is None else batch.select(columns)

    def fraction(self, part: int, row: int) -> float:
        return part / max(1, int(self._file.num_record_batches))


class _ArrowStream(_Reader):
    """Record batches that follow each other; those before the wanted one are read too."""

    def __init__(self, stream: Any, file: DataFile) -> None:
        super().__init__(stream)
        ipc = import_module("pyarrow").ipc
        source = stream if file.is_local else import_module("pyarrow").PythonFile(stream, mode="r")
        self._reader = ipc.open_stream(source, options=ipc.IpcReadOptions(use_threads=file.is_local))
        self._size = file.size
        self.schema = self._reader.schema

    def parts(self, filter: Any, partition: dict[str, Any]) -> Sequence[int]:
        return range(1 << 62)  # how many there are, only the end says

    def batches(self, parts: Sequence[int], columns: list[str] | None, rows: int) -> Iterator[tuple[int, Any]]:
        for number, batch in enumerate(self._reader):
            if number in parts:
                yield number, batch if columns is None else batch.select(columns)

    def fraction(self, part: int, row: int) -> float:
        with suppress(ValueError, OSError):
            return float(self._stream.tell()) / max(1, self._size)
        return 1.0


class _Fetched:
    """A file of a network, as pyarrow reads it; of which some ranges are fetched beforehand, at once."""

    def __init__(self, file: DataFile) -> None:
        self._file = file
        self._raw = file.fs.open(file.path, "rb")
        self._at = 0
        self._ready: list[tuple[int, bytes]] = []

    @property
    def closed(self) -> bool:
        return bool(self._raw.closed)

    def fetch(self, ranges: list[tuple[int, int]]) -> None:
        """Fetch these, in place of those before, unless they are too large to be held in memory."""
        self._ready = []
        if sum(end - start for start, end in ranges) <= _FETCHED:
            starts, ends = [start for start, _ in ranges], [end for _, end in ranges]
            found = self._file.fs.cat_ranges([self._file.path] * len(ranges), starts, ends, on_error="raise")
            self._ready = list(zip(starts, found, strict=True))

    def read(self, size: int = -1) -> bytes:
        for start, data in self._ready:
            if size >= 0 and start <= self._at and self._at + size <= start + len(data):
                part = data[self._at - start : self._at - start + size]
                self._at += size
                return part
        self._raw.seek(self._at)
        part = bytes(self._raw.read(size))
        self._at += len(part)
        return part

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._at, self._file.size)[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._ready = []
        self._raw.close()


@contextmanager
def _reading(file: DataFile, *, opening: bool = False) -> Iterator[None]:
    """Translate what goes wrong with a file.

    Raises:
        ValidationError: It cannot be opened: it is not what it is taken for, or its end is missing.
        ExecutionError: It could be opened, and cannot be read on.
    """
    try:
        yield
    except PluginError:
        raise
    except Exception as error:  # every kind of storage has errors of its own, and pyarrow has many
        words = file.reason(error)
        if opening:
            raise ValidationError(f"{file.name} cannot be read: {words}") from error
        raise ExecutionError(f"{file.name} cannot be read any further: {words}") from error
