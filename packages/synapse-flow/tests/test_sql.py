from __future__ import annotations

import builtins
import json
import sqlite3
import sys
import threading
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flow_parts import Adds, Person, people
from pydantic import AwareDatetime, BaseModel, Field, NaiveDatetime

from synapse_core.errors import (
    AuthenticationError,
    BackendMissingError,
    BackendUnreachableError,
    ConfigError,
    ExecutionError,
    ValidationError,
)
from synapse_flow import (
    BaseInputAdapter,
    CSVInputAdapter,
    FlowStatus,
    JSONOutputAdapter,
    MemoryOutputAdapter,
    MultiProcessingExecutor,
    Pipe,
    SyncFifoExecutor,
)  # fmt: skip
from synapse_flow.chunks import Chunk, ChunkSizes, joined_records
from synapse_flow.databases import has_order
from synapse_flow.inputs.base import Start
from synapse_flow.inputs.sql import SQLAlchemyInputAdapter, SQLInputAdapter
from synapse_flow.outputs.sql import SQLAlchemyOutputAdapter, SQLOutputAdapter
from synapse_testing.postgres import postgres_server, postgres_url  # noqa: F401 - fixtures

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


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """Give the URL of an empty database of each kind."""
    if request.param == "sqlite":
        sqlite3.connect(tmp_path / "test.db").close()
        return f"sqlite:///{tmp_path / 'test.db'}"
    return request.getfixturevalue("postgres_url")


def abort_after(blocks, pipe):
    """Make a pipe abort when its input has given some blocks."""
    original = pipe.input_adapter.blocks

    def aborting(sizes, start):
        for number, block in enumerate(original(sizes, start), start=1):
            yield block
            if number == blocks:
                pipe.report.abort()

    pipe.input_adapter.blocks = aborting
    return pipe


def execute(url, *statements, rows=None):
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            result = connection.execute(sa.text(statement), rows) if rows else connection.execute(sa.text(statement))
        found = result.all() if result.returns_rows else None
    engine.dispose()
    return found


def tables(url):
    engine = sa.create_engine(url)
    try:
        return sa.inspect(engine).get_table_names()
    finally:
        engine.dispose()


def fill(url, count=5000):
    """Make a table of people whose keys are not without gaps."""
    execute(url, "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, code TEXT UNIQUE)")
    rows = [{"id": 3 * i + 1, "name": f"name {i}", "code": f"{i:06}"} for i in range(count)]
    execute(url, "INSERT INTO people VALUES (:id, :name, :code)", rows=rows)
    return rows


def blocks(url, start=BEGINNING, rows=300, **options):
    """Return the records that an input gives, and its cursors, each with the position behind it."""
    adapter = SQLAlchemyInputAdapter(url, **options)
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


def read(url, **options):
    return blocks(url, **options)[0]


# -- inputs ----------------------------------------------------------------------------------


def test_tables_and_queries_of_any_form_are_read(url):
    rows = fill(url)
    people = sa.table("people", sa.column("id"), sa.column("name"), sa.column("code"))
    some = rows[1000:]
    for options in (
        {"table": "people", "key": "id"},
        {"table": "people"},
        {"query": "SELECT * FROM people ORDER BY id;"},
        {"query": "SELECT * FROM people -- with a comment", "key": "code"},
        {"query": sa.select(people), "key": "id", "page_size": 999},
        {"query": sa.text("SELECT * FROM people"), "key": "id", "page_size": 1000},
    ):
        assert read(url, **options) == rows
    for options in (
        {"query": "SELECT * FROM people WHERE id > :least ORDER BY id", "parameters": {"least": 3000}},
        {"query": "SELECT * FROM people WHERE id > :least", "parameters": {"least": 3000}, "key": "id"},
        {"query": sa.select(people).where(people.c.id > 3000), "key": "id"},
    ):
        assert read(url, **options) == some
    assert read(url, query="SELECT count(*) AS n FROM people") == [{"n": len(rows)}]
    assert read(url, query="SELECT * FROM people WHERE id < 0") == []
    assert read(url, query="SELECT * FROM people WHERE id < 0", key="id") == []


def test_an_engine_of_somebody_else_is_used_and_stays_open(url):
    rows = fill(url, 10)
    engine = sa.create_engine(url)
    assert SQLInputAdapter is SQLAlchemyInputAdapter
    assert read(engine, table="people", key="id") == rows
    report = Pipe(SQLAlchemyInputAdapter(engine, table="people"), None, SQLOutputAdapter(engine, "copy")).run()
    assert report.success_count == 10
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM copy")).scalar() == 10
    engine.dispose()


def test_tables_of_another_schema_are_read_and_written(postgres_url):  # noqa: F811 - the fixture
    execute(postgres_url, 'CREATE SCHEMA "Other"')
    Pipe(Rows([{"n": 1}]), None, SQLAlchemyOutputAdapter(postgres_url, "Other.Order")).run()
    assert read(postgres_url, table="Other.Order") == [{"n": 1}]
    assert read(postgres_url, table="Other.Order", key="n") == [{"n": 1}]


def test_values_are_those_of_the_driver(postgres_url):  # noqa: F811 - the fixture
    [row] = read(
        postgres_url,
        query="""SELECT 1.50::numeric AS a, date '2024-02-29' AS b, timestamptz '2024-02-29 01:02:03Z' AS c,
        '00000000-0000-0000-0000-000000000007'::uuid AS d, '{"x": [1]}'::jsonb AS e, ARRAY[1, 2] AS f, NULL AS g,
        interval '1 day' AS h, '\\x00ff'::bytea AS i, 'a\\:b' AS j""",
    )
    assert row == {
        "a": Decimal("1.50"), "b": date(2024, 2, 29), "c": datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC), "d": UUID(int=7),
        "e": {"x": [1]}, "f": [1, 2], "g": None, "h": timedelta(1), "i": b"\x00\xff", "j": "a:b",
    }  # fmt: skip


def test_rows_cross_to_processes_and_what_cannot_fails_alone(postgres_url, tmp_path):  # noqa: F811 - the fixture
    query = "SELECT n AS id, CASE WHEN n = 3 THEN int4range(1, 2) END AS range, 1.5::numeric AS exact FROM generate_series(1, 5) n"
    good, bad = MemoryOutputAdapter(), MemoryOutputAdapter()
    report = Pipe(SQLAlchemyInputAdapter(postgres_url, query), MultiProcessingExecutor(max_workers=1), good, bad).run()
    assert (report.success_count, report.error_count) == (4, 1)
    assert good.results[0]["raw_data"] == {"id": 1, "range": None, "exact": Decimal("1.5")}
    assert bad.results[0]["position"] == 2
    assert "cannot be sent to another process" in bad.results[0]["errors"][0]["message"]


def test_rows_are_streamed(postgres_url):  # noqa: F811 - the fixture
    # All of them at once would not fit into the memory that the test may use, nor come within its time.
    adapter = SQLAlchemyInputAdapter(postgres_url, "SELECT generate_series(1, 100000000), repeat('x', 1000) AS t")
    adapter.open()
    found = adapter.blocks(ChunkSizes(1000, most=1000, fixed=True), Start())
    assert [next(found).payload[0][0] for _ in range(3)] == [1, 1001, 2001]
    found.close()
    adapter.close()


def test_no_transaction_stays_open_between_pages(url):
    fill(url, 100)
    adapter = SQLAlchemyInputAdapter(url, table="people", key="id", page_size=10)
    adapter.open()
    found = adapter.blocks(ChunkSizes(10, most=10, fixed=True), Start())
    next(found)
    execute(url, "DELETE FROM people WHERE id < 1000")  # waits for whoever reads, where somebody does
    assert list(found) == []
    adapter.close()


@pytest.mark.parametrize("size", [2, 3])
def test_no_row_is_lost_where_the_database_takes_two_keys_for_one(url, size):
    if url.startswith("sqlite"):
        execute(url, "CREATE TABLE t (k TEXT COLLATE NOCASE)")
    else:
        execute(
            url,
            "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
            "CREATE TABLE t (k TEXT COLLATE nocase)",
        )
    execute(url, "INSERT INTO t VALUES ('anna'), ('bob'), ('Bob'), ('carl')")
    words = "key is 'k', and the database takes the values of several rows there for '[bB]ob'"
    if size == 2:  # a page ends between them
        with pytest.raises(ExecutionError, match=words):
            read(url, table="t", key="k", page_size=size)
    else:  # a run stopped between them
        _, cursors = blocks(url, table="t", key="k", page_size=10, rows=1)
        with pytest.raises(ExecutionError, match=words):
            blocks(url, Start(*cursors[1]), table="t", key="k", page_size=size)


def test_keys_that_differ_in_case_are_several_where_the_database_says_so(url):
    execute(url, "CREATE TABLE t (k TEXT)", "INSERT INTO t VALUES ('anna'), ('bob'), ('Bob'), ('carl')")
    assert {row["k"] for row in read(url, table="t", key="k", page_size=1)} == {"anna", "bob", "Bob", "carl"}


@pytest.mark.parametrize(
    ("query", "is_ordered"),
    [
        ("SELECT * FROM people ORDER BY id", True),
        ("SELECT * FROM people\norder\n by id LIMIT 7", True),
        ("WITH p AS (SELECT * FROM people) SELECT * FROM p /* ( */ ORDER BY id -- (", True),
        ("SELECT 'it''s (', \"a(b\" FROM people ORDER BY id", True),
        ("(SELECT 1) UNION (SELECT 2) ORDER BY 1", True),
        ("SELECT $x$ ( $x$ AS a FROM people ORDER BY id", True),
        ("SELECT *, row_number() OVER (ORDER BY id) AS n FROM people", False),
        ("WITH p AS (SELECT * FROM people ORDER BY id) SELECT * FROM p", False),
        ("SELECT * FROM people -- ORDER BY id", False),
        ("SELECT * FROM people /* ORDER BY id */", False),
        ("SELECT 'ORDER BY' AS a, \"order by\" FROM people", False),
        ("SELECT reorder by_name FROM people", False),
        ("SELECT * FROM people", False),
    ],
)
def test_only_the_outermost_order_by_orders_the_rows(query, is_ordered):
    assert has_order(query) is is_ordered


def test_an_order_inside_the_query_is_none_to_go_on_in(url):
    fill(url, 600)
    with pytest.raises(ValidationError, match="the rows have no order, so the run cannot be continued"):
        blocks(url, Start(300), query="SELECT *, row_number() OVER (ORDER BY name) AS n FROM people")
    rows = read(url, query="SELECT * FROM people ORDER BY id")
    assert blocks(url, Start(300), query="SELECT * FROM people ORDER BY id")[0] == rows[300:]


@pytest.mark.parametrize("key", ["id", "code"])
def test_a_run_with_a_key_goes_on_behind_any_block(url, key):
    fill(url, 2000)
    records, cursors = blocks(url, table="people", key=key, page_size=700)
    for position, cursor in cursors:
        assert blocks(url, Start(position, cursor), table="people", key=key, page_size=450)[0] == records[position:]


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("timestamptz", ["2024-01-01T00:00:00.000001+00:00", "2024-01-01T00:00:00.000002+00:00", "2024-06-01"]),
        ("timestamp", ["2024-01-01T00:00:00", "2024-01-01T00:00:00.000002", "2024-06-01"]),
        ("date", ["2024-01-01", "2024-01-02", "2024-01-03"]),
        ("uuid", [str(UUID(int=n)) for n in (1, 2, 3)]),
        ("numeric", ["0.1", "0.10000000000000000000001", "2"]),
        ("bytea", ["\\x00", "\\x0001", "\\xff"]),
        ("float8", ["0.1", "0.30000000000000004", "1e300"]),
    ],
)
def test_keys_of_other_types_survive_a_checkpoint(postgres_url, type_, values):  # noqa: F811 - the fixture
    execute(postgres_url, f"CREATE TABLE t (k {type_})")
    execute(postgres_url, f"INSERT INTO t VALUES (CAST(:v AS {type_}))", rows=[{"v": value} for value in values])
    records, cursors = blocks(postgres_url, table="t", key="k", rows=1)
    assert len(records) == 3
    for position, cursor in cursors:
        assert blocks(postgres_url, Start(position, cursor), table="t", key="k", rows=1)[0] == records[position:]


def test_an_aborted_run_goes_on_and_writes_the_same_file(url, tmp_path):
    fill(url)

    def pipe(target):
        return Pipe(
            SQLAlchemyInputAdapter(url, table="people", key="id", page_size=400),
            SyncFifoExecutor(),
            JSONOutputAdapter(target),
            checkpoint=tmp_path / "checkpoint" if target.name == "resumed.jsonl" else None,
        )

    pipe(tmp_path / "whole.jsonl").run()
    stopped = abort_after(3, pipe(tmp_path / "resumed.jsonl"))
    assert stopped.run().status is FlowStatus.CANCELLED
    assert json.loads((tmp_path / "checkpoint").read_text())["cursor"] > 1
    report = pipe(tmp_path / "resumed.jsonl").run()
    assert 0 < report.resumed_at < 5000
    assert (tmp_path / "resumed.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_another_query_does_not_go_on_from_the_checkpoint_of_this_one(url, tmp_path):
    fill(url, 3000)

    def pipe(**options):
        source = SQLAlchemyInputAdapter(url, page_size=500, **options)
        return Pipe(source, None, JSONOutputAdapter(tmp_path / "t.jsonl"), checkpoint=tmp_path / "checkpoint")

    query = "SELECT * FROM people WHERE id > :n"
    abort_after(3, pipe(query=query, parameters={"n": 0}, key="id")).run()
    for other in ({"parameters": {"n": 1}, "key": "id"}, {"parameters": {"n": 0}, "key": "code"}):
        with pytest.raises(ConfigError, match="is of another flow: its input"):
            pipe(query=query, **other).run()
    assert pipe(query=query, parameters={"n": 0}, key="id").run().read_count == 3000


def test_without_a_key_only_a_query_with_an_order_goes_on(url):
    rows = fill(url, 100)
    assert blocks(url, Start(30), query="SELECT * FROM people ORDER BY id")[0] == rows[30:]
    for options in ({"table": "people"}, {"query": "SELECT * FROM people"}):
        with pytest.raises(ValidationError, match=r"have no order, so the run cannot be continued.*key="):
            blocks(url, Start(30), **options)


def test_rows_that_a_key_would_lose_end_the_run(url):
    execute(url, "CREATE TABLE t (k INTEGER, v TEXT)", "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (2, 'c'), (3, 'd')")
    for page_size in (1, 2, 3, 10):
        with pytest.raises(
            ExecutionError, match="key is 'k', and two rows have 2 there; choose a column that is unique"
        ):
            read(url, table="t", key="k", page_size=page_size)
    execute(url, "DELETE FROM t WHERE v = 'c'", "INSERT INTO t VALUES (NULL, 'x')")
    with pytest.raises(ValidationError, match="key is 'k', and some rows have nothing there"):
        read(url, table="t", key="k")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": "peopel"}, "has no table 'peopel'. Did you mean 'people'\\? It has: people"),
        ({"table": "people", "key": "nmae"}, "key is 'nmae', and there is no such column. Did you mean 'name'"),
        ({"query": "SELECT nope FROM people"}, "refuses the query: .*nope"),
        ({"query": "SELECT id, id FROM people"}, "gives 'id' more than once"),
        (
            {"query": "SELECT * FROM people WHERE id > :a"},
            "refuses the query: A value is required for bind parameter 'a'$",
        ),
        ({"query": "DELETE FROM people"}, "gives no rows; an input needs a SELECT|refuses the query: .*DELETE"),
        ({}, "neither query= nor table= is given"),
        ({"query": "SELECT 1", "table": "people"}, "query= and table= are given; leave one of them out"),
        ({"table": "people", "page_size": 0}, "page_size is 0"),
    ],
)
def test_a_query_that_cannot_be_read_says_why(url, options, message):
    fill(url, 3)
    with pytest.raises(ValidationError, match=message):
        read(url, **options)
    assert execute(url, "SELECT count(*) FROM people") == [(3,)]


def test_a_file_of_sqlite_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(ValidationError, match=r"there is no database .*nope.db"):
        read(f"sqlite:///{tmp_path}/nope.db", table="t")
    assert list(tmp_path.iterdir()) == []


# -- connections -----------------------------------------------------------------------------


@pytest.mark.parametrize("adapter", ["input", "output"])
def test_no_message_shows_a_password(postgres_url, adapter):  # noqa: F811 - the fixture
    good = sa.make_url(postgres_url)
    secret = "geheim-4711"

    def run(target):
        if adapter == "input":
            return Pipe(SQLAlchemyInputAdapter(target, table="nope")).run()
        execute(postgres_url, "CREATE TABLE IF NOT EXISTS t (n INTEGER NOT NULL)")
        return Pipe(Rows([{"n": None, "x": 1}]), None, SQLAlchemyOutputAdapter(target, "t")).run()

    def texts(error):
        while error is not None:
            yield str(error) + repr(error)
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)

    for target in (
        good.set(password=secret),
        good.set(password=secret).render_as_string(hide_password=False),
        good.set(password=secret, port=1).render_as_string(hide_password=False),
        good.set(password=None, query={"password": secret}),
        f"postgresql+psycopg://synapse:{secret}@127.0.0.1:none/x",
        f"postgresql+nodriver://synapse:{secret}@127.0.0.1/x",
        postgres_url,
    ):
        with pytest.raises((ValidationError, ExecutionError, AuthenticationError, BackendUnreachableError)) as caught:
            run(target)
        for text in texts(caught.value):
            assert secret not in text
            assert good.password not in text
    path = SQLAlchemyOutputAdapter(postgres_url, "t").path
    assert good.password not in path
    assert "***" in path


@pytest.mark.parametrize("target", [5, None, "people.db", sqlite3])
def test_what_is_no_database_is_refused(target):
    with pytest.raises(ValidationError, match=r"it has to be a URL such as|the database's URL cannot be read"):
        SQLAlchemyInputAdapter(target, table="t")


def test_a_server_that_does_not_answer_is_named():
    with pytest.raises(BackendUnreachableError, match=r"postgresql\+psycopg://me@127.0.0.1:1/x cannot be opened: "):
        read("postgresql+psycopg://me@127.0.0.1:1/x", table="t")


def test_without_sqlalchemy_or_a_driver_what_to_install_is_named(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "sqlalchemy", None)
        for make in (SQLAlchemyInputAdapter, SQLAlchemyOutputAdapter):
            with pytest.raises(BackendMissingError, match=rf"{make.__name__} .*pip install 'synapse-flow\[sql\]'"):
                make("sqlite://", "t")
    real = builtins.__import__

    def without_psycopg(name, *more):
        if name.partition(".")[0] == "psycopg":
            raise ModuleNotFoundError("No module named 'psycopg'", name="psycopg")
        return real(name, *more)

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", without_psycopg)
        with pytest.raises(
            BackendMissingError, match=r"me:\*\*\*@db/x needs the driver psycopg, .*pip install 'psycopg\[binary\]'"
        ):
            SQLAlchemyInputAdapter("postgresql+psycopg://me:geheim@db/x", "t")


# -- outputs ---------------------------------------------------------------------------------


def write(url, rows, table="t", model=None, *, hooks=(), **options):
    output = SQLAlchemyOutputAdapter(url, table, **options)
    return Pipe(Rows(rows), SyncFifoExecutor(model), output, post_validation_hooks=hooks).run()


@pytest.mark.parametrize("processes", [False, True])
def test_records_come_back_as_they_were_and_failed_ones_in_a_table_beside_them(url, tmp_path, processes):
    executor = MultiProcessingExecutor(Person, max_workers=2) if processes else SyncFifoExecutor(Person)
    errors = url.replace("test.db", "errors.db")
    output, failed = SQLAlchemyOutputAdapter(url, "people"), SQLAlchemyOutputAdapter(errors, "failed")
    report = Pipe(Rows(people(5000)), executor, output, failed).run()
    assert (report.success_count, report.error_count) == (4286, 714)
    good = MemoryOutputAdapter()
    Pipe(SQLAlchemyInputAdapter(url, table="people", key="id"), SyncFifoExecutor(Person), good).run()
    expected = [Person(**row).model_dump() for row in people(5000) if row["age"] != "200"]
    assert [entry["validated_data"] for entry in good.results] == expected
    first = read(errors, table="failed", key="position")[0]
    assert (first["position"], first["line"], len(first)) == (6, None, 4)
    assert json.loads(first["raw_data"]) == people(7)[6]
    assert json.loads(first["errors"])[0]["loc"] == ["age"]
    types = {
        column["name"]: str(column["type"]) for column in sa.inspect(sa.create_engine(errors)).get_columns("failed")
    }
    assert types == {"position": "BIGINT", "line": "BIGINT", "raw_data": "TEXT", "errors": "TEXT"}


def test_lines_of_failed_records_are_written(url, tmp_path):
    (tmp_path / "people.csv").write_text("id,name,age\n1,a,1\n2,b,999\n")
    Pipe(
        CSVInputAdapter(tmp_path / "people.csv"), SyncFifoExecutor(Person), None, SQLAlchemyOutputAdapter(url, "bad")
    ).run()
    assert execute(url, "SELECT position, line FROM bad") == [(1, 3)]


class Colour(Enum):
    RED = "red"


class Everything(BaseModel):
    truth: bool
    whole: int | None
    real: float
    text: str
    short: str = Field(max_length=5)
    raw: bytes
    day: date
    naive: NaiveDatetime
    aware: AwareDatetime
    clock: time
    span: timedelta
    bounded: Decimal = Field(max_digits=12, decimal_places=2)
    unbounded: Decimal
    key: UUID
    colour: Colour
    numbers: list[int]
    home: dict[str, Any]
    anything: Any = None
    hidden: str = Field(default="geheim", exclude=True)


EVERYTHING = {
    "truth": True, "whole": 2**40, "real": 1.5, "text": "ä\n'", "short": "abcde", "raw": b"\x00\xff",
    "day": date(2024, 2, 29), "naive": datetime(2024, 2, 29, 1, 2, 3, 4),
    "aware": datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC), "clock": time(1, 2, 3), "span": timedelta(1, 2, 3),
    "bounded": Decimal("1234567890.12"), "unbounded": Decimal("0.1000000000000000000000000000001"),
    "key": UUID(int=5), "colour": Colour.RED, "numbers": [1, 2], "home": {"at": [date(2024, 1, 1)]}, "anything": None,
}  # fmt: skip


def test_a_new_table_has_the_types_of_the_model_and_keeps_each_value(url):
    write(url, [EVERYTHING, {**EVERYTHING, "whole": None}], model=Everything)
    engine = sa.create_engine(url)
    types = {column["name"]: str(column["type"]) for column in sa.inspect(engine).get_columns("t")}
    engine.dispose()
    on_postgres = {
        "truth": "BOOLEAN", "whole": "BIGINT", "real": "DOUBLE PRECISION", "text": "TEXT", "short": "VARCHAR(5)",
        "raw": "BYTEA", "day": "DATE", "naive": "TIMESTAMP", "aware": "TIMESTAMP", "clock": "TIME", "span": "INTERVAL",
        "bounded": "NUMERIC(12, 2)", "unbounded": "NUMERIC", "key": "UUID", "colour": "TEXT", "numbers": "JSONB",
        "home": "JSONB", "anything": "TEXT",
    }  # fmt: skip
    on_sqlite = {
        **on_postgres, "real": "DOUBLE", "raw": "BLOB", "naive": "DATETIME", "aware": "TEXT", "span": "TEXT",
        "bounded": "TEXT", "unbounded": "TEXT", "key": "VARCHAR(36)", "numbers": "JSON", "home": "JSON",
    }  # fmt: skip
    assert types == (on_sqlite if url.startswith("sqlite") else on_postgres)
    first, second = read(url, table="t")
    if url.startswith("sqlite"):
        first["numbers"], first["home"] = json.loads(first["numbers"]), json.loads(first["home"])
    assert Everything.model_validate(first).model_dump() == {**EVERYTHING, "home": {"at": ["2024-01-01"]}}
    assert second["whole"] is None


def test_without_a_model_the_first_records_make_the_table(url):
    write(url, [{"a": 1, "b": None}, {"a": 2.5, "b": "x", "c": date(2024, 1, 1)}, {"a": 3, "d": {"k": 1}}])
    assert execute(url, "SELECT a, b FROM t ORDER BY a") == [(1.0, None), (2.5, "x"), (3.0, None)]
    assert [row["c"] and str(row["c"]) for row in read(url, table="t")] == [None, "2024-01-01", None]


def test_fields_that_hooks_add_become_columns(url):
    write(url, people(20, bad_every=99), model=Person, hooks=[Adds()])
    assert execute(url, "SELECT sum(twice) FROM t") == [(2 * sum(range(20)),)]


def test_rows_are_appended_put_in_place_of_others_or_refused(url):
    rows = [{"n": n} for n in range(3)]
    write(url, rows, mode="create")
    write(url, rows)
    assert execute(url, "SELECT count(*) FROM t") == [(6,)]
    write(url, rows[:2], mode="replace")
    assert execute(url, "SELECT count(*), max(n) FROM t") == [(2, 1)]
    write(url, [], mode="replace")
    assert execute(url, "SELECT count(*) FROM t") == [(0,)]
    for mode in ("create", "fail"):
        with pytest.raises(ValidationError, match="has a table 't' already; write mode='append'"):
            write(url, rows, mode=mode)
    with pytest.raises(ValidationError, match="mode is 'upsert'; it may be 'append'"):
        write(url, rows, mode="upsert")
    with pytest.raises(ValidationError, match="batch_size is 0"):
        write(url, rows, batch_size=0)


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_others_see_nothing_of_a_run_until_it_ends(url, mode):
    write(url, [{"n": 0}])
    seen, at_last = [], threading.Event()

    class Watching(BaseInputAdapter):
        waits = False

        @property
        def generator(self):
            for n in range(1, 9000):
                yield {"n": n}
                if n == 8999:
                    seen.append(execute(url, "SELECT n FROM t"))
                    at_last.set()

    Pipe(Watching(), None, SQLAlchemyOutputAdapter(url, "t", mode=mode)).run()
    assert at_last.is_set()
    assert seen == [[(0,)]]
    assert execute(url, "SELECT count(*) FROM t") == [(9000 if mode == "append" else 8999,)]


def test_a_run_that_fails_or_is_aborted_leaves_nothing(url):
    class Failing(BaseInputAdapter):
        waits = False

        @property
        def generator(self):
            yield from ({"n": n} for n in range(9000))
            raise RuntimeError("the source is gone")

    with pytest.raises(RuntimeError, match="the source is gone"):
        Pipe(Failing(), None, SQLAlchemyOutputAdapter(url, "t")).run()
    assert tables(url) == []
    write(url, [{"n": 0}])
    with pytest.raises(RuntimeError):
        Pipe(Failing(), None, SQLAlchemyOutputAdapter(url, "t", mode="replace")).run()
    assert execute(url, "SELECT n FROM t") == [(0,)]
    pipe = Pipe(Rows([{"n": 1}] * 5000), None, SQLAlchemyOutputAdapter(url, "t"))
    pipe.input_adapter.id_generator = lambda: pipe.report.abort()
    assert pipe.run().status is FlowStatus.CANCELLED
    assert execute(url, "SELECT n FROM t") == [(0,)]


def test_a_row_that_the_database_refuses_is_named_with_its_words(url):
    execute(url, "CREATE TABLE t (n INTEGER PRIMARY KEY, v TEXT NOT NULL)")
    rows = [{"n": n, "v": "x"} for n in range(5000)]
    for bad, words in (({"n": 17, "v": "x"}, "[uU][nN][iI]"), ({"n": 9000, "v": None}, "(NOT NULL|not-null)")):
        with pytest.raises(ExecutionError, match=rf"refuses record 3210 of the output.* in the table 't': .*{words}"):
            write(url, [*rows[:3210], bad, *rows[3210:]])
    assert execute(url, "SELECT count(*) FROM t") == [(0,)]


def test_columns_that_a_table_does_not_have_are_named(url):
    execute(url, "CREATE TABLE t (id INTEGER, nam TEXT)")
    with pytest.raises(
        ValidationError, match=r"the table 't' has no column 'name', 'age', .* Did you mean 'nam'.* It has: id, nam"
    ):
        write(url, [], model=Person)
    with pytest.raises(ExecutionError, match="the table 't' has no column 'extra'"):
        write(url, [{"id": 1}, {"id": 2, "extra": 3}])
    assert execute(url, "SELECT count(*) FROM t") == [(0,)]


def test_columns_that_a_record_does_not_have_get_their_default(url):
    execute(url, "CREATE TABLE t (n INTEGER, v TEXT DEFAULT 'given')")
    write(url, [{"n": 1}, {"n": 2, "v": "own"}, {"n": 3}])
    assert execute(url, "SELECT v FROM t ORDER BY n") == [("given",), ("own",), ("given",)]


def test_times_with_a_zone_become_utc_in_a_column_without_one(url):
    execute(url, "CREATE TABLE t (at TIMESTAMP)")
    write(url, [{"at": datetime.fromisoformat("2024-02-29T01:02:03+02:00")}])
    assert str(read(url, table="t")[0]["at"]).startswith("2024-02-28 23:02:03")


def test_a_run_without_records_makes_the_table_of_its_model(url):
    write(url, [], "people", Person)
    assert read(url, table="people") == []
    write(url, [], "nothing")
    assert tables(url) == ["people"]


def test_a_locked_file_of_sqlite_says_what_to_do(tmp_path):
    url = f"sqlite:///{tmp_path / 't.db'}"
    engine = sa.create_engine(url, connect_args={"timeout": 0.05})
    output, errors = SQLAlchemyOutputAdapter(engine, "good"), SQLAlchemyOutputAdapter(engine, "bad")
    with pytest.raises(ExecutionError, match=r"database is locked. SQLite takes one writer at a time"):
        Pipe(Rows([{"n": 1}]), None, output, errors).run()
    engine.dispose()


def test_a_table_is_copied_within_its_database(url):
    fill(url)
    for options in ({}, {"key": "id"}):
        source = SQLAlchemyInputAdapter(url, table="people", **options)
        Pipe(source, None, SQLAlchemyOutputAdapter(url, "copy", mode="replace")).run()
        assert execute(url, "SELECT * FROM copy ORDER BY id") == execute(url, "SELECT * FROM people ORDER BY id")


def test_entries_can_be_written_one_by_one(url):
    output = SQLAlchemyOutputAdapter(url, "t", batch_size=2)
    output.open()
    for number in range(3):
        output.write({"validated_data": {"n": number}})
    output.close()
    assert execute(url, "SELECT n FROM t ORDER BY n") == [(0,), (1,), (2,)]
