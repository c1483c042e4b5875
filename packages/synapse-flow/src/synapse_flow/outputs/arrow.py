"""Parquet files and Arrow files, whose columns have types."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from synapse_core.errors import ExecutionError, PluginError, ValidationError
from synapse_core.safe_text import safe_str
from synapse_core.whole_numbers import whole_number
from synapse_flow.arrow_data import need_pyarrow
from synapse_flow.collecting import Collector
from synapse_flow.entries import EntryTypedDict
from synapse_flow.hooks.base import BaseHook
from synapse_flow.outputs.arrow_batches import BatchCollector, BatchShaper, RowShape, shape_of
from synapse_flow.outputs.base import BaseOutputAdapter, collected_entry
from synapse_flow.publication import Publication
from synapse_flow.used_files import UsedFile

__all__ = ["ArrowOutputAdapter", "ParquetOutputAdapter"]

_BY_SUFFIX = {
    ".parquet": "parquet", ".pq": "parquet", ".parq": "parquet",
    ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow",
}  # fmt: skip
_COMPRESSIONS = {"parquet": ("snappy", "gzip", "brotli", "zstd", "lz4", None), "arrow": ("lz4", "zstd", None)}
_ROWS = 1 << 17
_BYTES = 1 << 26


class ArrowOutputAdapter(BaseOutputAdapter):
    """Writes records to a Parquet file or an Arrow file, which is there when it is whole, and not before.

    The columns are those of `schema`; else those of the model: whole numbers are int64, numbers double, text and
    members of an Enum what they stand for, dates date32, times of the day time64, datetimes timestamps in
    microseconds, in UTC where they have a zone; a Decimal with ``max_digits`` and ``decimal_places`` is a decimal
    of these, and any other Decimal text, which keeps each digit; so are UUIDs, paths and addresses. Lists, dicts and
    models in a field are lists, maps and structs. Where the model does not say it, or there is none, the first 10,000
    records decide, and decimals have as many places as these. Each column may be null.

    Nothing is cut or rounded to fit: a later value of another kind ends the run, and the message names it. As output
    of errors it has the columns position, line, raw_data and errors, the last two as JSON. A run that was killed
    cannot be continued.

    Example::

        Pipe(CSVInputAdapter("people.csv"), SyncFifoExecutor(Person), ArrowOutputAdapter("people.parquet"))

    Args:
        target: Path, or a URL that fsspec knows.
        format: ``"parquet"``, ``"arrow"`` (an Arrow file, as Feather is), or ``"auto"``: by the suffix.
        schema: A pyarrow.Schema. A record with another field ends the run.
        compression: ``"snappy"``, ``"gzip"``, ``"brotli"``, ``"zstd"``, ``"lz4"`` or None; ``"auto"`` is snappy for
            Parquet, and None for Arrow files, which take lz4 and zstd.
        row_group_size: Records of a row group, or of a batch of an Arrow file; fewer where they are large.
        storage_options: For the file system, such as credentials.
        pre_hooks: Hooks of this output, before the validation.
        post_hooks: Hooks of this output, after the validation.

    Raises:
        BackendMissingError: pyarrow is not installed.
        ValidationError: An argument is of a wrong kind.
    """

    def __init__(
        self,
        target: str | os.PathLike[str],
        *,
        format: str = "auto",
        schema: Any = None,
        compression: str | None = "auto",
        row_group_size: int = _ROWS,
        storage_options: Mapping[str, Any] | None = None,
        pre_hooks: Iterable[BaseHook] | None = None,
        post_hooks: Iterable[BaseHook] | None = None,
    ) -> None:
        super().__init__(pre_hooks=pre_hooks, post_hooks=post_hooks)
        need_pyarrow(type(self).__name__)
        self._file = Publication(target, storage_options)
        self._format = _format_of(self._file.name, format)
        self._compression = _compression_of(self._format, compression)
        self._group_rows = whole_number("row_group_size", row_group_size)
        self._schema = schema
        self._shape = shape_of(None, schema)
        self._shaper = BatchShaper(self.path, self._shape, schema)
        self._ready: list[Any] = []
        self._writer: Any = None
        self._sink: _Sink | None = None
        self._finished = False

    @property
    def path(self) -> str:
        """The file's path, or URL."""
        return self._file.name

    def check(self) -> None:
        """See what is in the way of the file.

        Raises:
            ExecutionError: A folder is in its place, or a file in that of its folder.
        """
        self._file.check()

    def used_files(self) -> Iterable[UsedFile]:
        """Return the file, and its part."""
        return self._file.used()

    def begin(self, model: Any, columns: list[str] | None) -> None:
        """Take the columns of the model."""
        self._shape = shape_of(model, self._schema)
        if model is None and self._schema is None and columns:
            self._shape = RowShape(dict.fromkeys(columns))

    def open(self) -> None:
        """Begin the file."""
        self._shaper = BatchShaper(self.path, self._shape, self._schema)
        self._ready, self._writer, self._finished = [], None, False
        self._file.open()
        self._sink = _Sink(self._file)

    def collector(self) -> Collector:
        """Return what makes batches of records, on workers."""
        return BatchCollector(self._shape)

    def write_chunk(self, collected: Any) -> None:
        """Write what the collector made of a chunk.

        Raises:
            ExecutionError: A value does not fit its column, or the file cannot be written.
        """
        self._take(self._shaper.add(collected))

    def write(self, entry: EntryTypedDict) -> None:
        """Write one entry."""
        self.write_chunk(collected_entry(self.collector(), entry))

    def finish(self) -> None:
        """Write what is left, and the end of the file."""
        self._take(self._shaper.settle())
        self._write_groups(1)
        with _writing(self.path):
            self._opened_writer().close()
        self._end()
        self._file.flush()
        self._finished = True

    def close(self) -> None:
        """Put the file in its place."""
        if not self._finished:
            self.finish()
        self._file.publish()

    def discard(self) -> None:
        """Remove what was written."""
        self._end()
        self._file.discard()

    def abandon(self) -> None:
        """Wait no longer for anybody who reads what is written."""
        self._file.give_up()

    def _end(self) -> None:
        if self._sink is not None:
            self._sink.end()
        self._ready, self._writer, self._sink = [], None, None

    def _take(self, batches: list[Any]) -> None:
        for batch in batches:
            self._ready.append(batch)
            if sum(each.num_rows for each in self._ready) >= self._group_rows:
                self._write_groups(self._group_rows)
            elif sum(each.nbytes for each in self._ready) >= _BYTES:
                self._write_groups(1)

    def _write_groups(self, least: int) -> None:
        """Write what is ready in groups, and keep a last one of fewer than `least` records."""
        if not self._ready:
            return
        table = import_module("pyarrow").Table.from_batches(self._ready)
        at = 0
        while table.num_rows - at >= least:
            group = table.slice(at, self._group_rows).combine_chunks()
            at += group.num_rows
            with _writing(self.path):
                self._opened_writer().write_table(group, self._group_rows)
        self._ready = table.slice(at).to_batches()

    def _opened_writer(self) -> Any:
        if self._writer is None:
            pa, schema = import_module("pyarrow"), self._shaper.schema
            sink = pa.PythonFile(self._sink, mode="w")
            if self._format == "parquet":
                parquet = import_module("pyarrow.parquet")
                self._writer = parquet.ParquetWriter(sink, schema, compression=self._compression or "none")
            else:
                options = pa.ipc.IpcWriteOptions(compression=self._compression)
                self._writer = pa.ipc.new_file(sink, schema, options=options)
        return self._writer


class ParquetOutputAdapter(ArrowOutputAdapter):
    """Writes records to a Parquet file, as `ArrowOutputAdapter` does, whatever its suffix.

    Args:
        target: Path, or a URL that fsspec knows.
        schema: A pyarrow.Schema. Default: by the model, or by the first records.
        compression: ``"snappy"``, ``"gzip"``, ``"brotli"``, ``"zstd"``, ``"lz4"`` or None.
        row_group_size: Records of a row group; fewer where they are large.
        storage_options: For the file system, such as credentials.
        pre_hooks: Hooks of this output, before the validation.
        post_hooks: Hooks of this output, after the validation.
    """

    def __init__(
        self,
        target: str | os.PathLike[str],
        *,
        schema: Any = None,
        compression: str | None = "auto",
        row_group_size: int = _ROWS,
        storage_options: Mapping[str, Any] | None = None,
        pre_hooks: Iterable[BaseHook] | None = None,
        post_hooks: Iterable[BaseHook] | None = None,
    ) -> None:
        super().__init__(
            target,
            format="parquet",
            schema=schema,
            compression=compression,
            row_group_size=row_group_size,
            storage_options=storage_options,
            pre_hooks=pre_hooks,
            post_hooks=post_hooks,
        )


class _Sink:
    """The file as pyarrow writes to it; a writer that is given up on writes its end nowhere."""

    closed = False

    def __init__(self, file: Publication) -> None:
        self._file: Publication | None = file
        self._at = 0

    def write(self, data: Any) -> int:
        size = len(memoryview(data).cast("B"))
        self._at += size
        if self._file is not None:
            self._file.write(data)
        return size

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        """Do nothing; what is written is written."""

    def close(self) -> None:
        """Do nothing; the file is published, or discarded."""

    def end(self) -> None:
        self._file = None

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


@contextmanager
def _writing(name: str) -> Iterator[None]:
    try:
        yield
    except PluginError:
        raise
    except Exception as error:  # pyarrow has many
        raise ExecutionError(f"{name} cannot be written: {safe_str(error)}") from error


def _format_of(name: str, format: str) -> str:
    if format in ("parquet", "arrow"):
        return format
    if format != "auto":
        raise ValidationError(f"format is {format!r}; it may be 'parquet', 'arrow' or 'auto'")
    found = next((each for suffix, each in _BY_SUFFIX.items() if name.lower().endswith(suffix)), None)
    if found is None:
        raise ValidationError(
            f"{name} ends with none of {', '.join(_BY_SUFFIX)}, so its format is not known; give format='parquet' or "
            "format='arrow'"
        )
    return found


def _compression_of(format: str, compression: str | None) -> str | None:
    if compression == "auto":
        return "snappy" if format == "parquet" else None
    if compression not in _COMPRESSIONS[format]:
        known = ", ".join(map(repr, _COMPRESSIONS[format]))
        raise ValidationError(f"compression is {compression!r}; for this format it may be {known} or 'auto'")
    codec = import_module("pyarrow").Codec
    if compression is not None and not codec.is_available(compression):
        raise ValidationError(f"compression is {compression!r}, which this build of pyarrow does not have")
    return compression
