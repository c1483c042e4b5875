from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from flow_parts import Adds, Person, people
from pydantic import AwareDatetime, BaseModel, Field

from synapse_core.errors import BackendMissingError, ExecutionError, ValidationError
from synapse_flow import (
    BaseInputAdapter,
    FlowStatus,
    JSONOutputAdapter,
    MemoryOutputAdapter,
    MultiProcessingExecutor,
    Pipe,
    SyncFifoExecutor,
)
from synapse_flow.chunks import Chunk, ChunkSizes, joined_records
from synapse_flow.inputs.base import Start
from synapse_flow.inputs.duckdb import DuckDBInputAdapter
from synapse_flow.outputs.duckdb import DuckDBOutputAdapter

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


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "test.duckdb"
    execute(path, "CREATE TABLE people AS SELECT range AS id, 'name ' || range AS name FROM range(5000)")
    return path


def execute(path, *statements):
    with duckdb.connect(path) as connection:
        for statement in statements:
            found = connection.execute(statement).fetchall()
    return found


def blocks(source, start=BEGINNING, rows=300, **options):
    """Return the records that an input gives, and the positions behind its blocks."""
    adapter = DuckDBInputAdapter(source, **options)
    try:
        adapter.open()
        records, positions = [], []
        for block in adapter.blocks(ChunkSizes(rows, most=rows, fixed=True), start):
            assert 0 < block.count <= rows
            records += joined_records(adapter.decoder().decode(Chunk(0, 0, block.count, block.payload))).raws
            positions.append(len(records))
        return records, positions
    finally:
        adapter.close()


def read(source, **options):
    return blocks(source, **options)[0]


# -- inputs ----------------------------------------------------------------------------------


def test_tables_and_queries_are_read(database):
    rows = [{"id": i, "name": f"name {i}"} for i in range(5000)]
    assert read(database, table="people") == rows
    assert read(str(database), table="main.people") == rows
    assert read(database, query="SELECT * FROM people ORDER BY id") == rows
    assert read(database, query="FROM people WHERE id >= ? AND id < ?", parameters=[10, 12]) == rows[10:12]
    assert read(database, query="FROM people WHERE id = $id", parameters={"id": 7}) == [rows[7]]
    with duckdb.connect(database) as connection:
        assert read(connection, table="people") == rows
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


def test_a_query_reads_files_and_names_may_be_anything(tmp_path):
    pq.write_table(pa.table({"n": [1, 2]}), tmp_path / "t.parquet")
    assert read(":memory:", query=f"SELECT n + 1 AS m FROM '{tmp_path}/t.parquet' ORDER BY m") == [{"m": 2}, {"m": 3}]
    execute(tmp_path / "t.duckdb", 'CREATE SCHEMA "my schema"', 'CREATE TABLE "my schema"."a""b" AS SELECT 1 AS n')
    assert read(tmp_path / "t.duckdb", table='my schema.a"b') == [{"n": 1}]


def test_values_have_the_types_of_python(tmp_path):
    [row] = read(
        ":memory:",
        query="""SELECT 1.50::DECIMAL(10, 2) AS a, 170141183460469231731687303715884105727::HUGEINT AS b,
        DATE '2024-02-29' AS c, TIMESTAMPTZ '2024-02-29 01:02:03+00' AS d, 'x'::ENUM ('x', 'y') AS e, MAP {'k': 1} AS f,
        [1, NULL] AS g, {'h': {'i': 1}} AS h, NULL AS i, '\\x00'::BLOB AS j, TIMESTAMP_NS '2024-01-01 00:00:00.123456789' AS k""",
    )
    assert row == {
        "a": Decimal("1.50"), "b": 2**127 - 1, "c": date(2024, 2, 29), "d": datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC),
        "e": "x", "f": {"k": 1}, "g": [1, None], "h": {"h": {"i": 1}}, "i": None, "j": b"\x00",
        "k": datetime(2024, 1, 1, 0, 0, 0, 123456),
    }  # fmt: skip


_STREAM = """
import resource
from synapse_flow.chunks import ChunkSizes, joined_records
from synapse_flow.inputs.base import Start
from synapse_flow.inputs.duckdb import DuckDBInputAdapter
adapter = DuckDBInputAdapter(":memory:", "SELECT range, repeat('x', 100) FROM range(?)", parameters=[20_000_000])
adapter.open()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = sum(block.count for block in adapter.blocks(ChunkSizes(1 << 14, most=1 << 14, most_bytes=1 << 30), Start()))
print(rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
def test_rows_are_streamed(tmp_path):
    done = subprocess.run([sys.executable, "-c", _STREAM], check=True, capture_output=True, text=True)
    rows, grown = map(int, done.stdout.split())
    assert rows == 20_000_000
    assert grown < 200, f"{grown} MiB for rows of 2 GB"


def test_a_run_goes_on_behind_any_block_of_rows_with_an_order(database):
    for options in ({"table": "people"}, {"query": "SELECT * FROM people ORDER BY id DESC"}):
        records, positions = blocks(database, **options)
        for position in positions:
            assert blocks(database, Start(position), **options)[0] == records[position:]
    for query in ("SELECT * FROM people", "SELECT *, row_number() OVER (ORDER BY name) AS n FROM people"):
        with pytest.raises(ValidationError, match=r"have no order, so the run cannot be continued.*ORDER BY"):
            blocks(database, Start(300), query=query)


def test_an_aborted_run_goes_on_and_writes_the_same_file(database, tmp_path):
    def pipe(target):
        return Pipe(
            DuckDBInputAdapter(database, table="people"),
            MultiProcessingExecutor(max_workers=1) if target.name == "whole.jsonl" else None,
            JSONOutputAdapter(target),
            checkpoint=tmp_path / "checkpoint" if target.name == "resumed.jsonl" else None,
        )

    pipe(tmp_path / "whole.jsonl").run()
    stopped = pipe(tmp_path / "resumed.jsonl")
    original = stopped.input_adapter.blocks

    def abort_after_the_first(sizes, start):
        found = original(sizes, start)
        yield next(found)
        stopped.report.abort()
        yield from found

    stopped.input_adapter.blocks = abort_after_the_first
    assert stopped.run().status is FlowStatus.CANCELLED
    report = pipe(tmp_path / "resumed.jsonl").run()
    assert 0 < report.resumed_at < 5000
    assert (tmp_path / "resumed.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": "peopel"}, r"test.duckdb refuses the query: .*peopel"),
        ({"query": "SELECT nope FROM people"}, "refuses the query: .*nope"),
        ({"query": "SELECT 1 AS a, 2 AS a"}, "gives 'a' more than once|refuses the query: .*a"),
        ({"query": "SELECT ? AS a", "parameters": []}, "refuses the query: "),
        ({}, "give a query, or table=, and not both"),
        ({"query": "SELECT 1", "table": "people"}, "give a query, or table=, and not both"),
    ],
)
def test_a_query_that_cannot_be_read_says_why(database, options, message):
    with pytest.raises(ValidationError, match=message):
        read(database, **options)


def test_a_query_that_fails_on_its_way_ends_the_run(database, tmp_path):
    query = "SELECT CASE WHEN id = 4000 THEN 'x' ELSE '1' END::INTEGER AS n FROM people"
    with pytest.raises(ExecutionError, match=r"(?s)test.duckdb fails while it is read: .*Could not convert string 'x'"):
        Pipe(DuckDBInputAdapter(database, query), None, JSONOutputAdapter(tmp_path / "t.jsonl")).run()
    assert not (tmp_path / "t.jsonl").exists()


def test_a_database_that_is_not_there_is_not_made(database, tmp_path):
    with pytest.raises(ValidationError, match=r"there is no database .*tests.duckdb. Did you mean 'test.duckdb'"):
        read(tmp_path / "tests.duckdb", table="t")
    assert list(tmp_path.iterdir()) == [database]
    (tmp_path / "text.duckdb").write_text("no database " * 1000)
    with pytest.raises(ExecutionError, match=r"text.duckdb cannot be opened: "):
        read(tmp_path / "text.duckdb", table="t")
    with pytest.raises(ValidationError, match="the database is a int; it has to be a path"):
        DuckDBInputAdapter(5, table="t")


@pytest.mark.parametrize("missing", ["duckdb", "pyarrow"])
def test_without_a_package_the_extra_is_named(monkeypatch, tmp_path, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    extra = {"duckdb": "duckdb", "pyarrow": "arrow"}[missing]
    for make in (DuckDBInputAdapter, DuckDBOutputAdapter):
        with pytest.raises(BackendMissingError, match=rf"{make.__name__} .*pip install 'synapse-flow\[{extra}\]'"):
            make(tmp_path / "t.duckdb", "t")


# -- outputs ---------------------------------------------------------------------------------


def write(database, rows, table="t", model=None, *, hooks=(), **options):
    output = DuckDBOutputAdapter(database, table, **options)
    return Pipe(Rows(rows), SyncFifoExecutor(model), output, post_validation_hooks=hooks).run()


@pytest.mark.parametrize("processes", [False, True])
def test_records_come_back_as_they_were_and_failed_ones_in_a_table_beside_them(tmp_path, processes):
    executor = MultiProcessingExecutor(Person, max_workers=2) if processes else SyncFifoExecutor(Person)
    path = tmp_path / "t.duckdb"
    report = Pipe(
        Rows(people(9000)), executor, DuckDBOutputAdapter(path, "people"), DuckDBOutputAdapter(path, "failed")
    ).run()
    assert (report.success_count, report.error_count) == (7715, 1285)
    good = MemoryOutputAdapter()
    Pipe(DuckDBInputAdapter(path, table="people"), SyncFifoExecutor(Person), good).run()
    expected = [Person(**row).model_dump() for row in people(9000) if row["age"] != "200"]
    assert [entry["validated_data"] for entry in good.results] == expected
    first = read(path, table="failed")[0]
    assert (first["position"], first["line"], len(first)) == (6, None, 4)
    assert json.loads(first["raw_data"]) == people(7)[6]


class Typed(BaseModel):
    id: int
    price: Decimal = Field(max_digits=10, decimal_places=2)
    at: AwareDatetime
    key: UUID
    tags: list[str] = []
    scores: dict[str, float] = {}
    note: str | None = None


def test_a_new_table_has_the_types_of_the_model(tmp_path):
    row = {"id": 1, "price": "1.5", "at": "2024-01-01T00:00:00+02:00", "key": str(UUID(int=3)), "scores": {"a": 1}}
    write(tmp_path / "t.duckdb", [row, {**row, "tags": ["x"]}], model=Typed)
    found = execute(tmp_path / "t.duckdb", "SELECT column_name, column_type FROM (DESCRIBE t)")
    assert dict(found) == {
        "id": "BIGINT", "price": "DECIMAL(10,2)", "at": "TIMESTAMP WITH TIME ZONE", "key": "VARCHAR",
        "tags": "VARCHAR[]", "scores": "MAP(VARCHAR, DOUBLE)", "note": "VARCHAR",
    }  # fmt: skip
    first, second = read(tmp_path / "t.duckdb", table="t")
    assert Typed.model_validate(first) == Typed.model_validate(row)
    assert second["tags"] == ["x"]


def test_without_a_model_the_first_records_make_the_table(tmp_path):
    write(tmp_path / "t.duckdb", [{"a": 1, "b": None}, {"a": 2.5, "c": "x"}, {"a": 3}])
    assert execute(tmp_path / "t.duckdb", "FROM t") == [(1.0, None, None), (2.5, None, "x"), (3.0, None, None)]


def test_fields_that_hooks_add_become_columns(tmp_path):
    write(tmp_path / "t.duckdb", people(20, bad_every=99), model=Person, hooks=[Adds()])
    assert execute(tmp_path / "t.duckdb", "SELECT sum(twice) FROM t") == [(2 * sum(range(20)),)]


def test_rows_are_appended_put_in_place_of_others_or_refused(tmp_path):
    path, rows = tmp_path / "t.duckdb", [{"n": n} for n in range(3)]
    write(path, rows, mode="create")
    write(path, rows)
    assert execute(path, "SELECT count(*) FROM t") == [(6,)]
    write(path, rows[:2], mode="replace")
    assert execute(path, "SELECT count(*), max(n) FROM t") == [(2, 1)]
    write(path, [], mode="replace")
    assert execute(path, "SELECT count(*) FROM t") == [(0,)]
    for mode in ("create", "fail"):
        with pytest.raises(ValidationError, match="has a table 't' already; write mode='append'"):
            write(path, rows, mode=mode)
    with pytest.raises(ValidationError, match="mode is 'upsert'; it may be 'append'"):
        write(path, rows, mode="upsert")


def test_others_see_nothing_of_a_run_until_it_ends_and_nothing_of_one_that_fails(tmp_path):
    connection = duckdb.connect(tmp_path / "t.duckdb")
    connection.execute("CREATE TABLE t AS SELECT 0 AS n").fetchall()
    seen = []

    class Watching(BaseInputAdapter):
        waits = False
        fails = True

        @property
        def generator(self):
            yield from ({"n": n} for n in range(1, 150_000))
            seen.append(connection.cursor().execute("SELECT n FROM t").fetchall())
            if self.fails:
                raise RuntimeError("the source is gone")

    source = Watching()
    with pytest.raises(RuntimeError, match="the source is gone"):
        Pipe(source, None, DuckDBOutputAdapter(connection, "t", mode="replace")).run()
    with pytest.raises(RuntimeError, match="the source is gone"):
        Pipe(source, None, DuckDBOutputAdapter(connection, "u")).run()
    assert connection.execute("SELECT n FROM t").fetchall() == [(0,)]
    assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchall() == [(1,)]
    source.fails = False
    Pipe(source, None, DuckDBOutputAdapter(connection, "t")).run()
    assert seen == [[(0,)]] * 3
    assert connection.execute("SELECT count(*) FROM t").fetchall() == [(150_000,)]
    connection.close()


def test_rows_that_the_database_refuses_end_the_run_with_its_words(tmp_path):
    path = tmp_path / "t.duckdb"
    execute(path, "CREATE TABLE t (n INTEGER PRIMARY KEY, v VARCHAR NOT NULL)")
    for bad, words in (
        ({"n": 17, "v": "x"}, "(?i)duplicate key"),
        ({"n": 9000, "v": None}, "NOT NULL constraint failed: t.v"),
        ({"n": 2**40, "v": "x"}, "(?i)out of range"),
    ):
        rows = [*({"n": n, "v": "x"} for n in range(3000)), bad]
        pattern = (
            rf"(?s){words.startswith('(?i)') * '(?i)'}refuses one of the records 0 to 3000 .* in the table 't': .*"
        )
        with pytest.raises(ExecutionError, match=pattern + words.removeprefix("(?i)")):
            write(path, rows)
    assert execute(path, "SELECT count(*) FROM t") == [(0,)]


def test_columns_that_a_table_does_not_have_are_named(tmp_path):
    path = tmp_path / "t.duckdb"
    execute(path, "CREATE TABLE t (ID INTEGER, nam VARCHAR)")
    with pytest.raises(
        ValidationError, match=r"the table 't' has no column 'name', 'age', .* Did you mean 'nam'.* It has: ID"
    ):
        write(path, [], model=Person)
    with pytest.raises(ExecutionError, match=r"(?s)refuses one of the records.*extra"):
        write(path, [{"id": 1, "extra": 3}])
    write(path, [{"id": 1}])
    assert execute(path, "FROM t") == [(1, None)]


def test_times_with_a_zone_become_utc_in_a_column_without_one(tmp_path):
    execute(tmp_path / "t.duckdb", "CREATE TABLE t (moment TIMESTAMP)")
    write(tmp_path / "t.duckdb", [{"moment": datetime.fromisoformat("2024-02-29T01:02:03+02:00")}])
    assert read(tmp_path / "t.duckdb", table="t") == [{"moment": datetime(2024, 2, 28, 23, 2, 3)}]


def test_a_table_is_copied_within_its_database(database):
    with pytest.raises(ExecutionError, match=r"give that read_only=False, or give both one connection"):
        Pipe(DuckDBInputAdapter(database, table="people"), None, DuckDBOutputAdapter(database, "copy")).run()
    source = DuckDBInputAdapter(database, table="people", read_only=False)
    Pipe(source, None, DuckDBOutputAdapter(database, "copy")).run()
    with duckdb.connect(database) as connection:
        Pipe(DuckDBInputAdapter(connection, table="people"), None, DuckDBOutputAdapter(connection, "again")).run()
    assert read(database, table="copy") == read(database, table="people") == read(database, table="again")


def test_a_run_without_records_makes_the_table_of_its_model(tmp_path):
    write(tmp_path / "t.duckdb", [], "people", Person)
    write(tmp_path / "t.duckdb", [], "nothing")
    assert execute(tmp_path / "t.duckdb", "SELECT table_name FROM duckdb_tables()") == [("people",)]
    assert read(tmp_path / "t.duckdb", table="people") == []
