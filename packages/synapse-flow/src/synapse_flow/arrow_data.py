"""Arrow data on its way: batches as bytes, and batches as records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

from synapse_core.errors import BackendMissingError, ExecutionError
from synapse_core.safe_text import safe_str
from synapse_flow.chunks import Chunk, ChunkSizes, Records
from synapse_flow.row_table import RowTable

__all__ = ["ArrowDecoder", "from_ipc", "need_pyarrow", "slices", "to_ipc"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MICROSECOND = timedelta(microseconds=1)
_UTC_NAMES = ("UTC", "Etc/UTC", "Z", "GMT")


def need_pyarrow(who: str, module: str = "pyarrow") -> Any:
    """Return pyarrow, or a module of it.

    Args:
        who: What needs it, for the message.
        module: Its full name.

    Raises:
        BackendMissingError: It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise BackendMissingError(
            f"{who} needs the package pyarrow, which is not installed here; type: pip install 'synapse-flow[arrow]'"
        ) from error


def to_ipc(batch: Any) -> bytes:
    """Return a batch as an Arrow stream; of a slice, only what is in it."""
    pa = import_module("pyarrow")
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


def from_ipc(data: bytes) -> Any:
    """Return the batch that `to_ipc` made bytes of."""
    with import_module("pyarrow").ipc.open_stream(data) as reader:
        return reader.read_next_batch()


def slices(batch: Any, sizes: ChunkSizes) -> Iterator[Any]:
    """Yield a batch in slices of at most ``sizes.rows`` records and ``sizes.most_bytes``, or of one record."""
    batch = _light(batch)
    at = 0
    while at < batch.num_rows:
        count = min(sizes.rows, batch.num_rows - at)
        part = batch.slice(at, count)
        while count > 1 and part.nbytes > sizes.most_bytes:
            count //= 2
            part = batch.slice(at, count)
        yield part
        at += count


def _light(batch: Any) -> Any:
    """Return a batch without what each slice of it would carry whole: dictionaries, and metadata of the schema."""
    is_dictionary = import_module("pyarrow").types.is_dictionary
    if any(map(is_dictionary, batch.schema.types)):
        columns = [
            column.cast(column.type.value_type) if is_dictionary(column.type) else column for column in batch.columns
        ]
        return type(batch).from_arrays(columns, names=batch.schema.names)
    return batch.replace_schema_metadata(None) if batch.schema.metadata else batch


class ArrowDecoder:
    """Makes records of batches. Times finer than a microsecond, which Python does not have, are cut to microseconds."""

    def decode(self, chunk: Chunk) -> Iterator[Records]:
        """Yield the records; one with a value that Python cannot hold has a problem."""
        batch = from_ipc(chunk.payload)
        names: list[str] = batch.schema.names
        records = Records([])
        columns = []
        for name, column in zip(names, batch.columns, strict=True):
            values, problems = _values(column)
            columns.append(values)
            for index, message in problems.items():
                records.problems.setdefault(index, []).append(
                    {"type": "value_range", "message": f"column {name!r}: {message}"}
                )
        rows = list(zip(*columns, strict=True)) if columns else [()] * batch.num_rows
        records.raws = RowTable(tuple(names), rows)
        yield records


def _values(column: Any) -> tuple[list[Any], dict[int, str]]:
    """Return a column as Python values, and why some of them are only text, by index."""
    column = _readable(column)
    values_of = _quick(column.type) or _by_pyarrow
    try:
        return values_of(column), {}
    except Exception:  # which of pyarrow's and Python's many it is depends on the type
        values, problems = [], {}
        for index in range(len(column)):
            one = column.slice(index, 1)
            try:
                values.extend(values_of(one))
            except Exception as error:
                values.append(_as_text(one))
                problems[index] = f"{values[-1]} cannot be a value of Python: {safe_str(error)}"
        return values, problems


def _as_text(one: Any) -> str:
    pa = import_module("pyarrow")
    try:
        return str(one.cast(pa.string())[0].as_py())
    except pa.ArrowException:
        return f"a value of type {one.type}"


def _by_pyarrow(column: Any) -> list[Any]:
    values: list[Any] = column.to_pylist()
    with_dicts = _with_dicts(column.type)
    return values if with_dicts is None else list(map(with_dicts, values))


def _with_dicts(type_: Any) -> Callable[[Any], Any] | None:
    """Return what makes dicts of maps, which pyarrow gives as pairs; None where a type has none in it."""
    types = import_module("pyarrow").types
    inner: list[Any] = [_with_dicts(type_.field(number).type) for number in range(type_.num_fields)]
    if types.is_map(type_):
        item_of = _with_dicts(type_.item_type)
        return lambda pairs: pairs if pairs is None else _as_dict(pairs, item_of)
    if not any(inner):
        return None
    if types.is_struct(type_):
        of_name = {field.name: each for field, each in zip(type_, inner, strict=True) if each is not None}
        return lambda row: (
            row and {name: of_name[name](item) if name in of_name else item for name, item in row.items()}
        )
    [of_item] = inner
    return lambda items: items and list(map(of_item, items))


def _as_dict(pairs: list[tuple[Any, Any]], item_of: Callable[[Any], Any] | None) -> dict[Any, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a map has a key twice")
    return made if item_of is None else {key: item_of(item) for key, item in made.items()}


def _quick(type_: Any) -> Callable[[Any], list[Any]] | None:
    """Return a faster way than pyarrow's, by an order of magnitude, for times and days."""
    pa = import_module("pyarrow")
    types = pa.types
    if type_ == pa.date32():
        return lambda column: _each(_day, column.cast(pa.int32()))
    if types.is_duration(type_):
        return lambda column: _each(_MICROSECOND.__mul__, column.cast(pa.duration("us")).cast(pa.int64()))
    if types.is_time(type_):
        return lambda column: _each(time.fromisoformat, column.cast(pa.string()))
    if not types.is_timestamp(type_):
        return None
    zone = None if type_.tz is None else _zone(type_.tz)
    if zone is None or zone is UTC:
        in_python = pa.timestamp("us", zone and "UTC")
        return lambda column: _each(datetime.fromisoformat, column.cast(in_python).cast(pa.string()))
    return lambda column: _each(
        lambda instant: (_EPOCH + _MICROSECOND * instant).astimezone(zone),
        column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()),
    )


def _day(number: int) -> date:
    return date.fromordinal(_EPOCH_DAY + number)


def _each(make: Callable[[Any], Any], column: Any) -> list[Any]:
    values = column.to_pylist()
    return [None if each is None else make(each) for each in values] if column.null_count else list(map(make, values))


def _zone(name: str) -> Any:
    if name in _UTC_NAMES:
        return UTC
    if name[0] in "+-":
        hours, _, minutes = name[1:].partition(":")
        offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
        return timezone(-offset if name[0] == "-" else offset)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ExecutionError(
            f"times of the input are in the zone {name!r}, which this machine does not know; type: pip install tzdata"
        ) from None


def _readable(column: Any) -> Any:
    """Return a column without what Python has no equal of: nanoseconds, dictionaries, run lengths."""
    pa = import_module("pyarrow")
    if pa.types.is_run_end_encoded(column.type):
        column = pa.compute.run_end_decode(column)
    wanted = _readable_type(column.type)
    # Not safe: nanoseconds are meant to be cut, and nothing else differs.
    return column if wanted == column.type else column.cast(wanted, safe=False)


def _readable_type(type_: Any) -> Any:
    pa = import_module("pyarrow")
    types = pa.types
    if types.is_dictionary(type_):
        return _readable_type(type_.value_type)
    if types.is_timestamp(type_) and type_.unit == "ns":
        return pa.timestamp("us", type_.tz)
    if types.is_time64(type_):
        return pa.time64("us")
    if types.is_duration(type_) and type_.unit == "ns":
        return pa.duration("us")
    if types.is_map(type_):
        return pa.map_(_readable_type(type_.key_type), _readable_type(type_.item_type))
    if types.is_list(type_):
        return pa.list_(_readable_type(type_.value_type))
    if types.is_large_list(type_):
        return pa.large_list(_readable_type(type_.value_type))
    if types.is_struct(type_):
        return pa.struct([(field.name, _readable_type(field.type)) for field in type_])
    return type_
