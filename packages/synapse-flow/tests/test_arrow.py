from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from flow_parts import Adds, Person, people
from pydantic import AwareDatetime, BaseModel, Field, NaiveDatetime, SecretStr, computed_field, field_serializer

from synapse_core.errors import BackendMissingError, ExecutionError, ValidationError
from synapse_flow import (
    BaseInputAdapter,
    CSVInputAdapter,
    FlowStatus,
    JSONOutputAdapter,
    MemoryOutputAdapter,
    MultiProcessingExecutor,
    Pipe,
    SyncFifoExecutor,
    TimestampHook,
)  # fmt: skip
from synapse_flow.chunks import Chunk, ChunkSizes, joined_records
from synapse_flow.inputs.arrow import ArrowInputAdapter, ParquetInputAdapter
from synapse_flow.inputs.base import Start
from synapse_flow.outputs.arrow import ArrowOutputAdapter, ParquetOutputAdapter

ROWS = 5000
BEGINNING = Start()


class Rows(BaseInputAdapter):
    """Gives the rows that it was given."""

    waits = False

    def __init__(self, rows, **more):
        super().__init__(**more)
        self.rows = rows

    @property
    def generator(self):
        yield from self.rows


@pytest.fixture(scope="module")
def table():
    return pa.table(
        {
            "id": pa.array(range(ROWS)),
            "name": [f"name {i}" for i in range(ROWS)],
            "kind": pa.array(["a", "b"] * (ROWS // 2)).dictionary_encode(),
            "born": pa.array([date(2000, 1, 1) + timedelta(i % 999) if i % 5 else None for i in range(ROWS)]),
        },
        metadata={"made": "by a test"},
    )


@pytest.fixture(scope="module")
def folder(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("arrow")
    pq.write_table(table, folder / "t.parquet", row_group_size=1500)
    feather.write_feather(table, folder / "t.feather", chunksize=800, compression="lz4")
    with pa.ipc.new_stream(folder / "t.arrows", table.schema) as writer:
        writer.write_table(table, max_chunksize=700)
    pq.write_to_dataset(table, folder / "parts", partition_cols=["kind"])
    return folder


FILES = ["t.parquet", "t.feather", "t.arrows"]


def blocks(source, start=None, rows=400, **options):
    """Return the records that an input gives, and its cursors, each with the position behind it."""
    start = start or Start()
    adapter = ArrowInputAdapter(source, **options)
    try:
        adapter.open()
        records, cursors = [], []
        for block in adapter.blocks(ChunkSizes(rows, most=rows, fixed=True), start):
            assert 0 < block.count <= rows
            records += joined_records(adapter.decoder().decode(Chunk(0, 0, block.count, block.payload))).raws
            cursors.append((len(records), json.loads(json.dumps(block.cursor))))
        return records, cursors
    finally:
        adapter.close()


def read(source, **options):
    return blocks(source, **options)[0]


def opened(source, **options):
    """Open an input; for what that raises."""
    adapter = ArrowInputAdapter(source, **options)
    try:
        adapter.open()
    finally:
        adapter.close()


# -- inputs: what is read --------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_each_format_gives_its_records_with_their_types(folder, table, name):
    assert read(folder / name) == table.to_pylist()
    assert read(str(folder / name), format="parquet" if name.endswith("parquet") else "arrow") == table.to_pylist()


def test_a_folder_a_pattern_and_a_list_give_all_their_files(folder, table):
    rows = table.to_pylist()
    assert read([folder / "t.feather", str(folder / "t.parquet")]) == rows * 2
    assert read(f"{folder}/t.*") == rows * 3
    assert sorted(read(folder / "parts"), key=lambda row: row["id"]) == rows


def test_objects_of_pyarrow_and_whatever_gives_an_arrow_stream_are_read(folder, table):
    class Frame:
        def __arrow_c_stream__(self, requested_schema=None):
            return table.__arrow_c_stream__(requested_schema)

    rows = table.to_pylist()
    dataset = ds.dataset(folder / "t.parquet")
    for source in (table, table.combine_chunks().to_batches()[0], table.to_reader(333), dataset, Frame()):
        assert read(source) == rows
    assert read(dataset.scanner(columns=["id"], filter=pc.field("id") < 10)) == [{"id": i} for i in range(10)]


def test_a_reader_that_was_read_says_so(table):
    adapter = ArrowInputAdapter(table.to_reader())
    Pipe(adapter).run()
    with pytest.raises(ValidationError, match="has been read already"):
        Pipe(adapter).run()


@pytest.mark.parametrize("name", FILES)
def test_columns_and_a_filter_choose_what_is_read(folder, table, name):
    assert read(folder / name, columns=["kind", "id"]) == [
        {"kind": row["kind"], "id": row["id"]} for row in table.to_pylist()
    ]
    wanted = [{"name": f"name {i}"} for i in range(4321, ROWS)]
    assert read(folder / name, columns=["name"], filter=pc.field("id") >= 4321) == wanted
    assert read(folder / name, columns=["name"], filter=[("id", ">=", 4321)]) == wanted
    assert read(table, columns=["name"], filter=[("id", ">=", 4321)]) == wanted
    assert read(folder / name, filter=pc.field("id") < 0) == []


def test_folders_name_columns(tmp_path):
    for year, place in ((2023, "New%20York"), (2024, "__HIVE_DEFAULT_PARTITION__")):
        path = tmp_path / f"year={year}" / f"place={place}"
        path.mkdir(parents=True)
        pq.write_table(pa.table({"id": [year]}), path / "part-0.parquet")
        (path / "_SUCCESS").touch()
    rows = [{"id": 2023, "year": 2023, "place": "New York"}, {"id": 2024, "year": 2024, "place": None}]
    assert read(tmp_path) == rows
    assert read(tmp_path, filter=pc.field("year") == 2024) == rows[1:]
    assert read(tmp_path, columns=["place"]) == [{"place": "New York"}, {"place": None}]
    assert read(tmp_path, columns=["place"], filter=[("year", "<", 2024)]) == [{"place": "New York"}]


def test_each_file_has_the_columns_that_it_has(tmp_path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"a": [2.5], "b": ["x"]}), tmp_path / "2.parquet")
    assert read(tmp_path) == [{"a": 1}, {"a": 2.5, "b": "x"}]
    assert read(tmp_path, columns=["a"]) == [{"a": 1}, {"a": 2.5}]


def test_a_column_whose_name_has_a_dot_is_not_a_part_of_another(tmp_path):
    pq.write_table(pa.table({"a": [{"b": 1, "c": 2}], "a.b": [3], "d": [4]}), tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet", columns=["a.b"]) == [{"a.b": 3}]
    assert read(tmp_path / "t.parquet", columns=["d", "a"]) == [{"d": 4, "a": {"b": 1, "c": 2}}]


def test_files_of_other_places_are_read_through_fsspec(folder, table):
    memory = fsspec.filesystem("memory")
    for name in FILES:
        memory.put(str(folder / name), f"/arrow-in/{name}")
    for name in FILES:
        assert read(f"memory://arrow-in/{name}") == table.to_pylist()
        assert read(f"memory://arrow-in/{name}", filter=[("id", "<", 3)], columns=["id"]) == [
            {"id": i} for i in range(3)
        ]
    assert len(read("memory://arrow-in/")) == len(read("memory://arrow-in/*")) == 3 * ROWS


def test_blocks_hold_few_bytes_where_records_are_large(tmp_path):
    pq.write_table(pa.table({"text": ["x" * 10_000] * 500}), tmp_path / "t.parquet")
    adapter = ArrowInputAdapter(tmp_path / "t.parquet")
    adapter.open()
    sizes = ChunkSizes(4000, most=4000, fixed=True, most_bytes=100_000)
    counts = [block.count for block in adapter.blocks(sizes, Start())]
    adapter.close()
    assert sum(counts) == 500
    assert max(counts) <= 10


# -- inputs: values --------------------------------------------------------------------------


def test_every_type_of_arrow_becomes_the_type_of_python_that_it_stands_for(tmp_path):
    moment = datetime(2024, 2, 29, 12, 30, 1, 234567)
    berlin = ZoneInfo("Europe/Berlin")
    columns = {
        "second": (pa.array([moment.replace(microsecond=0)], pa.timestamp("s")), moment.replace(microsecond=0)),
        "micro": (pa.array([moment], pa.timestamp("us")), moment),
        "nano": (pa.array([1_709_209_801_234_567_891], pa.timestamp("ns")), moment),
        "utc": (pa.array([moment], pa.timestamp("us", "UTC")), moment.replace(tzinfo=UTC)),
        "zone": (pa.array([moment], pa.timestamp("us", "Europe/Berlin")), moment.replace(tzinfo=UTC)),
        "offset": (pa.array([moment], pa.timestamp("us", "-03:30")), moment.replace(tzinfo=UTC)),
        "old": (pa.array([datetime(1, 1, 1)], pa.timestamp("us")), datetime(1, 1, 1)),
        "day": (pa.array([date(1, 1, 1)]), date(1, 1, 1)),
        "day64": (pa.array([date(2024, 2, 29)], pa.date64()), date(2024, 2, 29)),
        "time": (pa.array([time(1, 2, 3, 4)]), time(1, 2, 3, 4)),
        "time_nano": (pa.array([1_001], pa.time64("ns")), time(0, 0, 0, 1)),
        "duration": (pa.array([timedelta(-3, 5, 7)]), timedelta(-3, 5, 7)),
        "duration_nano": (pa.array([2_500], pa.duration("ns")), timedelta(microseconds=2)),
        "decimal": (pa.array([Decimal("12.340")], pa.decimal128(10, 3)), Decimal("12.340")),
        "large": (pa.array([2**64 - 1], pa.uint64()), 2**64 - 1),
        "bytes": (pa.array([b"\x00\xff"]), b"\x00\xff"),
        "map": (pa.array([[("a", 1), ("b", None)]], pa.map_(pa.string(), pa.int64())), {"a": 1, "b": None}),
        "maps": (pa.array([[[("a", [1])]]], pa.list_(pa.map_(pa.string(), pa.list_(pa.int8())))), [{"a": [1]}]),
        "struct": (pa.array([{"x": {"y": [1, None]}, "z": None}]), {"x": {"y": [1, None]}, "z": None}),
        "map_in_struct": (
            pa.array([{"m": [("k", 1)]}], pa.struct([("m", pa.map_(pa.string(), pa.int64()))])),
            {"m": {"k": 1}},
        ),
        "nano_in_list": (pa.array([[1]], pa.list_(pa.timestamp("ns"))), [datetime(1970, 1, 1)]),
        "kind": (pa.array(["a"]).dictionary_encode(), "a"),
        "kinds": (pa.array([["a"]], pa.list_(pa.dictionary(pa.int8(), pa.string()))), ["a"]),
        "runs": (pa.RunEndEncodedArray.from_arrays([1], pa.array(["x"])), "x"),
        "nothing": (pa.nulls(1), None),
        "uuid": (pa.array([UUID(int=7).bytes], pa.uuid()), UUID(int=7)),
    }
    made = pa.table({name: array for name, (array, _) in columns.items()})
    with pa.ipc.new_file(tmp_path / "t.arrow", made.schema) as writer:
        writer.write_table(made)
    [row] = read(tmp_path / "t.arrow")
    assert row == {name: value for name, (_, value) in columns.items()}
    assert all(type(row[name]) is type(value) for name, (_, value) in columns.items())
    assert (row["zone"].tzinfo, row["offset"].tzinfo) == (berlin, timezone(-timedelta(hours=3, minutes=30)))
    assert (row["utc"].tzinfo, row["micro"].tzinfo) == (UTC, None)


def test_a_value_that_python_cannot_hold_fails_its_record_alone(tmp_path):
    days = pa.array([0, 2**30, None, 1], pa.int32()).cast(pa.date32())
    times = pa.array([0, 1, 2, 2**60], pa.timestamp("us"))
    doubled = pa.array([[("a", 1)], [], [("a", 1), ("a", 2)], []], pa.map_(pa.string(), pa.int64()))
    pq.write_table(pa.table({"day": days, "at": times, "map": doubled}), tmp_path / "t.parquet")
    good, bad = MemoryOutputAdapter(), MemoryOutputAdapter()
    report = Pipe(ArrowInputAdapter(tmp_path / "t.parquet"), SyncFifoExecutor(), good, bad).run()
    assert (report.success_count, report.error_count) == (1, 3)
    assert good.results[0]["validated_data"] == {"day": date(1970, 1, 1), "at": datetime(1970, 1, 1), "map": {"a": 1}}
    messages = {entry["position"]: entry["errors"][0]["message"] for entry in bad.results}
    assert messages[1].startswith("column 'day': ")
    assert messages[3].startswith("column 'at': ")
    assert "column 'map'" in messages[2]
    assert "a key twice" in messages[2]


# -- inputs: going on, and how far ------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("filter", [None, pc.field("kind") == "a"], ids=["all", "filtered"])
def test_a_run_goes_on_behind_any_block(folder, name, filter):
    sources = [folder / "t.parquet", folder / name]
    records, cursors = blocks(sources, filter=filter)
    for position, cursor in cursors:
        assert blocks(sources, Start(position, cursor), rows=170, filter=filter)[0] == records[position:]


def test_objects_go_on_by_position(folder, table):
    for source in (table, ds.dataset(folder / "t.parquet")):
        assert blocks(source, Start(1234))[0] == table.to_pylist()[1234:]


def damaged(path: Path, group: int) -> Path:
    """Return a copy of a Parquet file of which a row group holds nonsense."""
    column = pq.read_metadata(path).row_group(group).column(1)
    data = bytearray(path.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    data[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    copy = path.with_name(f"damaged-{group}.parquet")
    copy.write_bytes(data)
    return copy


def test_row_groups_before_the_place_are_not_read(folder, table):
    copy = damaged(folder / "t.parquet", 0)
    with pytest.raises(ExecutionError, match=r"damaged-0.parquet cannot be read any further"):
        read(copy)
    assert blocks(copy, Start(1500, [0, 1, 0]))[0] == table.to_pylist()[1500:]
    copy.unlink()


def test_row_groups_without_a_wanted_record_are_not_read(folder, table):
    copy = damaged(folder / "t.parquet", 1)
    assert read(copy, filter=pc.field("id") >= 3000) == table.to_pylist()[3000:]
    with pytest.raises(ExecutionError):
        read(copy, filter=pc.field("id") >= 2999)
    copy.unlink()


def test_how_far_a_run_is_counts_records_of_one_file_and_bytes_of_several(folder, table):
    for source, whole in (
        (folder / "t.parquet", ROWS),
        (table, ROWS),
        ([folder / name for name in FILES], sum((folder / name).stat().st_size for name in FILES)),
    ):
        adapter = ArrowInputAdapter(source)
        adapter.open()
        seen = []
        for _ in adapter.blocks(ChunkSizes(400, most=400, fixed=True), Start()):
            done, of = adapter.done()
            assert of == whole
            seen.append(done)
        assert seen == sorted(seen)
        assert 0 < seen[0] < whole / 4
        assert adapter.done() == (whole, whole)
        adapter.close()


def test_an_aborted_run_goes_on_and_writes_the_same_file(folder, tmp_path):
    def pipe(target):
        return Pipe(
            ArrowInputAdapter([folder / "t.parquet", folder / "t.feather"]),
            SyncFifoExecutor(),
            JSONOutputAdapter(target),
            checkpoint=tmp_path / "checkpoint" if target.name == "resumed.jsonl" else None,
        )

    pipe(tmp_path / "whole.jsonl").run()
    stopped = pipe(tmp_path / "resumed.jsonl")
    original = stopped.input_adapter.blocks

    def abort_after_three(sizes, start):
        for number, block in enumerate(original(sizes, start), start=1):
            yield block
            if number == 3:
                stopped.report.abort()

    stopped.input_adapter.blocks = abort_after_three
    assert stopped.run().status is FlowStatus.CANCELLED
    assert json.loads((tmp_path / "checkpoint").read_text())["cursor"] is not None
    report = pipe(tmp_path / "resumed.jsonl").run()
    assert 0 < report.resumed_at < 2 * ROWS
    assert report.read_count == 2 * ROWS
    assert (tmp_path / "resumed.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


# -- inputs: mistakes ------------------------------------------------------------------------


def test_a_source_that_cannot_be_read_says_why(folder, tmp_path):
    (tmp_path / "empty.parquet").touch()
    (tmp_path / "text.parquet").write_text("id,name\n1,a\n")
    (tmp_path / "cut.parquet").write_bytes((folder / "t.parquet").read_bytes()[:-20])
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "notes.txt").touch()
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pa.ipc.new_file(tmp_path / "twice.arrow", twice.schema) as writer:
        writer.write_table(twice)
    for source, options, message in (
        (folder / "t.parqet", {}, "there is no file or folder .*t.parqet. Did you mean 't.parquet'"),
        (tmp_path / "empty.parquet", {}, "empty.parquet is empty"),
        (tmp_path / "text.parquet", {}, "text.parquet is not a Parquet or Arrow file: it begins with b'id,name"),
        (tmp_path / "cut.parquet", {}, "cut.parquet cannot be read: "),
        (tmp_path / "none", {}, r"has no file that ends with .parquet, .*; it has: notes.txt"),
        (f"{tmp_path}/*.feather", {}, r"no file matches .*\*.feather"),
        (tmp_path / "twice.arrow", {}, "more than one column of the name 'a'"),
        (twice, {}, "more than one column of the name 'a'"),
        (folder / "t.parquet", {"format": "arrow"}, "is not an Arrow file"),
        (folder / "t.feather", {"format": "parquet"}, "is not a Parquet file"),
        (
            folder / "t.parquet",
            {"columns": ["id", "nam"]},
            "has no column 'nam'. Did you mean 'name'.* It has: id, name,",
        ),
        (folder / "t.parquet", {"columns": "id"}, "columns is 'id'; it has to be a list"),
        (folder / "t.parquet", {"format": "csv"}, "format is 'csv'; it may be 'auto', 'parquet', 'arrow'"),
        (folder / "t.parquet", {"filter": "id > 3"}, "filter is 'id > 3'; it has to be an expression"),
        ([], {}, "source is an empty list"),
        (5, {}, "source is a int; it has to be a path"),
    ):
        with pytest.raises(ValidationError, match=message):
            opened(source, **options)
    with pytest.raises(ValidationError, match="is not a Parquet file"):
        Pipe(ParquetInputAdapter(folder / "t.feather")).run()


def test_a_filter_on_a_column_that_is_not_there_says_so(folder):
    with pytest.raises(ExecutionError, match=r"t.parquet cannot be read any further: .*nope"):
        read(folder / "t.parquet", filter=pc.field("nope") > 1)


def test_a_model_that_wants_more_columns_is_refused_before_anything_is_read(folder):
    with pytest.raises(ValidationError, match="the input has no column 'age', which Person requires"):
        Pipe(ArrowInputAdapter(folder / "t.parquet"), SyncFifoExecutor(Person)).run()


def test_without_pyarrow_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for make in (ArrowInputAdapter, ParquetInputAdapter, ArrowOutputAdapter, ParquetOutputAdapter):
        with pytest.raises(BackendMissingError, match=rf"{make.__name__} .*pip install 'synapse-flow\[arrow\]'"):
            make(tmp_path / "t.parquet")


def test_the_modules_import_without_pyarrow():
    code = """
    import sys
    sys.modules["pyarrow"] = None
    import synapse_flow.inputs.arrow, synapse_flow.outputs.arrow, synapse_flow.inputs.duckdb, synapse_flow.outputs.duckdb
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


# -- outputs: files --------------------------------------------------------------------------


def read_back(path: Path) -> pa.Table:
    return pq.read_table(path) if path.suffix == ".parquet" else pa.ipc.open_file(pa.OSFile(str(path))).read_all()


def write(rows, target, model=None, *, hooks=(), **options):
    return Pipe(
        Rows(rows), SyncFifoExecutor(model), ArrowOutputAdapter(target, **options), post_validation_hooks=hooks
    ).run()


@pytest.mark.parametrize(
    ("suffix", "processes"), [("parquet", False), ("parquet", True), ("arrow", False), ("feather", False)]
)
def test_records_come_back_as_they_were_and_failed_ones_beside_them(tmp_path, suffix, processes):
    executor = MultiProcessingExecutor(Person, max_workers=2) if processes else SyncFifoExecutor(Person)
    good, bad = tmp_path / f"good.{suffix}", tmp_path / f"bad.{suffix}"
    report = Pipe(Rows(people(9000)), executor, ArrowOutputAdapter(good), ArrowOutputAdapter(bad)).run()
    table, errors = read_back(good), read_back(bad)
    assert sorted(path.name for path in tmp_path.iterdir()) == [bad.name, good.name]
    assert (table.num_rows, errors.num_rows) == (report.success_count, report.error_count) == (7715, 1285)
    expected = [
        {**Person(**row).model_dump(), "balance": row["balance"]} for row in people(9000) if row["age"] != "200"
    ]
    assert table.to_pylist() == expected
    assert [str(each) for each in table.schema.types] == ["int64", "string", "int64", "string", "date32[day]"]
    assert errors.schema == pa.schema(
        [("position", pa.int64()), ("line", pa.int64()), ("raw_data", pa.string()), ("errors", pa.string())]
    )
    first = errors.slice(0, 1).to_pylist()[0]
    assert (first["position"], first["line"]) == (6, None)
    assert json.loads(first["raw_data"]) == people(7)[6]
    assert json.loads(first["errors"])[0]["loc"] == ["age"]
    round_trip = MemoryOutputAdapter()
    Pipe(ArrowInputAdapter(good), SyncFifoExecutor(Person), round_trip).run()
    assert [entry["validated_data"] for entry in round_trip.results] == [Person(**row).model_dump() for row in expected]


def test_lines_of_failed_records_are_written(tmp_path):
    (tmp_path / "people.csv").write_text("id,name,age\n1,a,1\n2,b,999\n")
    Pipe(
        CSVInputAdapter(tmp_path / "people.csv"),
        SyncFifoExecutor(Person),
        None,
        ArrowOutputAdapter(tmp_path / "bad.parquet"),
    ).run()
    assert read_back(tmp_path / "bad.parquet").column("line").to_pylist() == [3]


def test_other_places_get_the_file_when_it_is_whole():
    memory = fsspec.filesystem("memory")
    write(people(10, bad_every=99), "memory://arrow-out/t.parquet", Person)
    assert len(read("memory://arrow-out/t.parquet")) == 10
    with pytest.raises(ExecutionError):
        write([{"a": 1}, {"a": "x"}], "memory://arrow-out/u.parquet")
    assert not memory.exists("/arrow-out/u.parquet")


def test_row_groups_have_the_size_that_was_asked_for(tmp_path):
    write(people(10_500, bad_every=10**9), tmp_path / "t.parquet", Person, row_group_size=3000)
    metadata = pq.read_metadata(tmp_path / "t.parquet")
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [3000, 3000, 3000, 1500]
    write(people(7000, bad_every=10**9), tmp_path / "t.arrow", Person, row_group_size=3000)
    assert [batch.num_rows for batch in read_back(tmp_path / "t.arrow").to_batches()] == [3000, 3000, 1000]


@pytest.mark.parametrize(
    ("suffix", "compression", "found"),
    [
        ("parquet", "auto", "SNAPPY"),
        ("parquet", "zstd", "ZSTD"),
        ("parquet", None, "UNCOMPRESSED"),
        ("arrow", "lz4", ""),
    ],
)
def test_files_are_compressed_as_asked(tmp_path, suffix, compression, found):
    write([{"a": "x" * 1000}] * 1000, tmp_path / f"t.{suffix}", compression=compression)
    assert read(tmp_path / f"t.{suffix}") == [{"a": "x" * 1000}] * 1000
    if found:
        assert pq.read_metadata(tmp_path / "t.parquet").row_group(0).column(0).compression == found
    else:
        assert (tmp_path / "t.arrow").stat().st_size < 100_000


def test_a_suffix_that_says_nothing_needs_a_format(tmp_path):
    with pytest.raises(ValidationError, match=r"t.dat ends with none of .parquet.*give format='parquet'"):
        ArrowOutputAdapter(tmp_path / "t.dat")
    Pipe(Rows([{"a": 1}]), None, ParquetOutputAdapter(tmp_path / "t.dat")).run()
    assert read(tmp_path / "t.dat") == [{"a": 1}]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "csv"}, "format is 'csv'"),
        ({"compression": "rar"}, "compression is 'rar'; for this format it may be 'snappy'"),
        ({"schema": {"a": int}}, "schema is a dict; it has to be a pyarrow.Schema"),
        ({"row_group_size": 0}, "row_group_size is 0"),
    ],
)
def test_wrong_options_are_refused_at_once(tmp_path, options, message):
    with pytest.raises(ValidationError, match=message):
        ArrowOutputAdapter(tmp_path / "t.parquet", **options)


def test_a_run_that_fails_leaves_the_old_file_as_it_was(tmp_path):
    target = tmp_path / "t.parquet"
    write([{"a": 1}], target)
    with pytest.raises(ExecutionError):
        write([{"a": 1}] * 20_000 + [{"a": "x"}], target, row_group_size=1000)
    assert read(target) == [{"a": 1}]
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "t.parquet").mkdir()
    with pytest.raises(ExecutionError, match=r"t.parquet cannot be written: "):
        write([{"a": 1}], tmp_path / "t.parquet")


def test_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(ValidationError, match="ArrowOutputAdapter cannot go on"):
        Pipe(Rows([]), None, ArrowOutputAdapter(tmp_path / "t.parquet"), checkpoint=tmp_path / "c").run()


# -- outputs: columns ------------------------------------------------------------------------


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Address(BaseModel):
    city: str
    zip: int | None = None


class Everything(BaseModel):
    truth: bool
    whole: int | None
    real: float
    text: str
    raw: bytes
    day: date
    naive: NaiveDatetime
    aware: AwareDatetime
    either: datetime
    clock: time
    span: timedelta
    bounded: Decimal = Field(max_digits=10, decimal_places=2)
    unbounded: Decimal
    key: UUID
    colour: Colour
    level: Level
    word: Literal["x", "y"]
    address: IPv4Address
    path: Path
    secret: SecretStr
    numbers: list[int]
    names: set[str]
    scores: dict[str, float]
    home: Address
    homes: list[Address] = []
    anything: Any = None
    hidden: int = Field(default=0, exclude=True)

    @computed_field
    @property
    def double(self) -> int:
        return 2 * (self.whole or 0)

    @field_serializer("word")
    def shout(self, value: str) -> str:
        return value.upper()


def everything(**changes) -> dict[str, Any]:
    return {
        "truth": True, "whole": 1, "real": 1.5, "text": "ä", "raw": b"\x00", "day": "2024-02-29",
        "naive": "2024-02-29T01:02:03.000004", "aware": "2024-02-29T01:02:03+02:00", "either": "2024-02-29T01:02:03Z",
        "clock": "01:02:03", "span": "P1DT2S", "bounded": "12.5", "unbounded": "0.1000000000000000000000000000001",
        "key": str(UUID(int=5)), "colour": "red", "level": 1, "word": "x", "address": "10.0.0.1", "path": "/a/b",
        "secret": "geheim", "numbers": [1, 2], "names": ["n"], "scores": {"a": 1.5, "b": 2},
        "home": {"city": "Köln"}, "anything": {"x": [1]},
        **changes,
    }  # fmt: skip


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_the_columns_are_those_that_the_model_declares(tmp_path, suffix):
    write([everything(), everything(whole=None, numbers=[], scores={}, names=[])], tmp_path / f"t.{suffix}", Everything)
    schema = read_back(tmp_path / f"t.{suffix}").schema
    place = pa.struct([("city", pa.string()), ("zip", pa.int64())])
    assert {field.name: field.type for field in schema} == {
        "truth": pa.bool_(), "whole": pa.int64(), "real": pa.float64(), "text": pa.string(), "raw": pa.binary(),
        "day": pa.date32(), "naive": pa.timestamp("us"), "aware": pa.timestamp("us", "UTC"),
        "either": pa.timestamp("us", "UTC"), "clock": pa.time64("us"), "span": pa.duration("us"),
        "bounded": pa.decimal128(10, 2), "unbounded": pa.string(), "key": pa.string(), "colour": pa.string(),
        "level": pa.int64(), "word": pa.string(), "address": pa.string(), "path": pa.string(), "secret": pa.string(),
        "numbers": pa.list_(pa.int64()), "names": pa.list_(pa.string()), "scores": pa.map_(pa.string(), pa.float64()),
        "home": place, "homes": pa.list_(place), "anything": pa.struct([("x", pa.list_(pa.int64()))]),
        "double": pa.int64(),
    }  # fmt: skip
    first, second = read(tmp_path / f"t.{suffix}")
    assert first == {
        "truth": True, "whole": 1, "real": 1.5, "text": "ä", "raw": b"\x00", "day": date(2024, 2, 29),
        "naive": datetime(2024, 2, 29, 1, 2, 3, 4), "aware": datetime(2024, 2, 28, 23, 2, 3, tzinfo=UTC),
        "either": datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC), "clock": time(1, 2, 3), "span": timedelta(1, 2),
        "bounded": Decimal("12.50"), "unbounded": "0.1000000000000000000000000000001", "key": str(UUID(int=5)),
        "colour": "red", "level": 1, "word": "X", "address": "10.0.0.1", "path": "/a/b", "secret": "**********",
        "numbers": [1, 2], "names": ["n"], "scores": {"a": 1.5, "b": 2.0}, "home": {"city": "Köln", "zip": None},
        "homes": [], "anything": {"x": [1]}, "double": 2,
    }  # fmt: skip
    assert (second["whole"], second["numbers"], second["scores"], second["double"]) == (None, [], {}, 0)


def test_fields_that_are_excluded_are_not_written(tmp_path):
    class Account(BaseModel):
        id: int
        token: str = Field(exclude=True)

    write([{"id": 1, "token": "geheim"}], tmp_path / "t.parquet", Account)
    assert read(tmp_path / "t.parquet") == [{"id": 1}]


def test_without_a_model_the_first_records_decide(tmp_path):
    rows = [{"a": None, "b": 1, "c": Decimal("1.5"), "e": []}] * 5000
    rows += [{"a": "x", "b": 2.5, "c": Decimal("10.255"), "d": [{"k": 1}, {"l": UUID(int=1)}], "e": [1]}] * 5000
    rows += [{"b": 3, "c": 7, "d": None}]
    write(rows, tmp_path / "t.parquet")
    table = read_back(tmp_path / "t.parquet")
    assert [str(each) for each in table.schema.types] == [
        "string", "double", "decimal128(38, 3)", "list<element: int64>",
        "list<element: struct<k: int64, l: string>>",
    ]  # fmt: skip
    assert table.slice(9999).to_pylist() == [
        {"a": "x", "b": 2.5, "c": Decimal("10.255"), "d": [{"k": 1, "l": None}, {"k": None, "l": str(UUID(int=1))}], "e": [1]},
        {"a": None, "b": 3.0, "c": Decimal("7.000"), "d": None, "e": None},
    ]  # fmt: skip


def test_a_schema_is_kept_to_the_letter(tmp_path):
    schema = pa.schema([("small", pa.int16()), ("day", pa.date32()), ("key", pa.uuid()), ("more", pa.float32())])
    write([{"day": date(2024, 1, 1), "small": 3, "key": UUID(int=9)}], tmp_path / "t.arrow", schema=schema)
    assert read_back(tmp_path / "t.arrow").schema == schema
    assert read(tmp_path / "t.arrow") == [{"small": 3, "day": date(2024, 1, 1), "key": UUID(int=9), "more": None}]


def test_fields_that_hooks_add_become_columns(tmp_path):
    write(people(30, bad_every=99), tmp_path / "t.parquet", Person, hooks=[Adds(), TimestampHook()])
    assert read_back(tmp_path / "t.parquet").column("twice").to_pylist() == [2 * i for i in range(30)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"a": 1}, {"a": "x"}], r"record 1 of the output, counted from 0, has 'x' in 'a'.*those before it are int64, and it is string"),
        ([{"a": 1}] * 12_000 + [{"a": 2.5}], r"record 12000 .* has 2.5 in 'a'"),
        ([{"a": 1}] * 12_000 + [{"a": "x"}], r"record 12000 .* has 'x' in 'a'.*int64"),
        ([{"a": None}] * 12_000 + [{"a": 1}], r"record 12000 .* has 1 in 'a'.*the first 10,000 records have nothing there"),
        ([{"a": 1}] * 12_000 + [{"a": 1, "b": 2}], r"record 12000 .* has 2 in 'b'.*no such column; the first records have a"),
        ([{"a": 1}] * 5000 + [{"a": "x"}] * 5000, r"record 5000 .* has 'x' in 'a'.*those before it are int64, and it is string"),
        ([{"a": Decimal("1.5")}] * 12_000 + [{"a": Decimal("1.25")}], r"record 12000 .*Decimal\('1.25'\) in 'a'"),
        ([{"a": 2**63}], r"has 9223372036854775808 in 'a'.*beyond 64 bits"),
        ([{"a": date(2024, 1, 1)}, {"a": datetime(2024, 1, 1, 5)}], r"record 1 .*those before it are date32.*, and it is timestamp"),
        ([{"a": datetime(2024, 1, 1)}, {"a": datetime(2024, 1, 1, tzinfo=UTC)}], r"record 1 .*those before it are timestamp\[us\], and it is timestamp\[us, tz=UTC\]"),
        ([{"a": [1, "x"]}], r"has 'x' in 'a'"),
        ([{"a": {"b": 1}}, {"a": {"b": "x"}}], "record 1 "),
        ([{"a": {"b": 1}}] * 12_000 + [{"a": {"c": 1}}], r"record 12000 .* has {'c': 1} in 'a'.*no part 'c'"),
        ([{"a": "\ud800"}], "surrogates"),
        ([{"a": object()}], "Arrow has no type for it"),
        ([{"a": Decimal("NaN")}], "a column of decimals cannot hold it"),
        ([{}], "a record without fields cannot be a row"),
        ([{"a": b"x"}, {"a": "x"}], "record 1 .*those before it are binary, and it is string"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_ends_the_run_and_is_named(tmp_path, rows, message):
    with pytest.raises(ExecutionError, match=message):
        write(rows, tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (pa.int64(), 1.0), (pa.int64(), 1.5), (pa.int64(), True), (pa.int64(), "1"), (pa.int8(), 128),
        (pa.float64(), 2**53 + 1), (pa.float64(), Decimal(1)), (pa.string(), 1), (pa.string(), b"x"), (pa.binary(), "x"),
        (pa.date32(), datetime(2024, 1, 1)), (pa.timestamp("us"), date(2024, 1, 1)),
        (pa.timestamp("us"), datetime(2024, 1, 1, tzinfo=UTC)), (pa.timestamp("us", "UTC"), datetime(2024, 1, 1)),
        (pa.timestamp("s"), datetime(2024, 1, 1, 0, 0, 0, 1)), (pa.time64("us"), time(1, tzinfo=UTC)),
        (pa.time32("s"), time(0, 0, 0, 1)), (pa.duration("ms"), timedelta(microseconds=1)),
        (pa.decimal128(5, 2), Decimal("1.234")), (pa.decimal128(5, 2), Decimal("12345")), (pa.decimal128(5, 2), 1.5),
        (pa.list_(pa.int64()), [1.5]), (pa.list_(pa.int64()), 1), (pa.struct([("a", pa.int64())]), {"a": 1, "b": 2}),
        (pa.map_(pa.string(), pa.int64()), {"a": 1.5}), (pa.map_(pa.string(), pa.int64()), {1: 1}),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_nothing_is_cut_rounded_or_guessed_to_fit_a_schema(tmp_path, type_, value):
    with pytest.raises(ExecutionError, match=r"record 1 of the output.*in 'a', which does not fit the column"):
        write([{"a": None}, {"a": value}], tmp_path / "t.arrow", schema=pa.schema([("a", type_)]))


def test_a_field_that_a_schema_does_not_have_ends_the_run(tmp_path):
    with pytest.raises(ExecutionError, match=r"record 1 .* has 2 in 'b'.*there is no such column; there are a"):
        write([{"a": 1}, {"a": 1, "b": 2}], tmp_path / "t.parquet", schema=pa.schema([("a", pa.int64())]))


def test_a_run_without_records_writes_a_file_without_records(tmp_path):
    write([], tmp_path / "t.parquet", Person)
    assert read_back(tmp_path / "t.parquet").schema.names == ["id", "name", "age", "balance", "born"]
    assert read(tmp_path / "t.parquet") == []
    write([], tmp_path / "u.arrow")
    assert read_back(tmp_path / "u.arrow").shape == (0, 0)


def test_entries_can_be_written_one_by_one(tmp_path):
    output = ArrowOutputAdapter(tmp_path / "t.parquet")
    output.open()
    for number in range(3):
        output.write({"validated_data": {"n": number}})
    output.close()
    assert read(tmp_path / "t.parquet") == [{"n": 0}, {"n": 1}, {"n": 2}]


# -- memory ----------------------------------------------------------------------------------

_MAKE = """
import sys
import pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq
rows, target = int(sys.argv[1]), sys.argv[2]
ids = pa.array(range(rows))
text = pc.binary_join_element_wise("a name that is long enough to matter ", ids.cast(pa.string()), "")
pq.write_table(pa.table({"id": ids, "name": text, "real": ids.cast(pa.float64())}), target, row_group_size=rows)
"""

_COPY = """
import resource, sys
from synapse_flow import Pipe
from synapse_flow.inputs.arrow import ParquetInputAdapter
from synapse_flow.outputs.arrow import ParquetOutputAdapter
report = Pipe(ParquetInputAdapter(sys.argv[1]), None, ParquetOutputAdapter(sys.argv[2], row_group_size=20_000)).run()
print(report.success_count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.campaign
def test_memory_does_not_grow_with_the_file_even_where_it_is_one_row_group(tmp_path):
    peaks = []
    for rows in (100_000, 1_000_000):
        source, target = tmp_path / f"{rows}.parquet", tmp_path / "copy.parquet"
        subprocess.run([sys.executable, "-c", _MAKE, str(rows), source], check=True)
        done = subprocess.run([sys.executable, "-c", _COPY, source, target], check=True, capture_output=True, text=True)
        written, peak = map(int, done.stdout.split())
        assert written == rows
        peaks.append(peak / 1024)
    assert peaks[1] < peaks[0] + 60, f"MiB: {peaks}"  # all rows at once are some 600 MiB as Python's dicts
