"""Records are written as CSV under one header, whatever becomes of them, and read back as they were."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

import pytest
from flow_parts import Adds, Keeps, Person, Upper, people
from hypothesis import given, settings, strategies as st
from pydantic import BaseModel, ConfigDict, Field, RootModel, computed_field

from synapse_core.errors import ConfigError, ExecutionError, ValidationError
from synapse_flow import (
    BaseInputAdapter,
    CSVInputAdapter,
    FlowStatus,
    MemoryOutputAdapter,
    MultiProcessingExecutor,
    Pipe,
    SyncFifoExecutor,
)  # fmt: skip
from synapse_flow.inputs.json import JSONInputAdapter
from synapse_flow.outputs.csv import CSVOutputAdapter


class Rows(BaseInputAdapter):
    """An input that knows nothing of its columns."""

    waits = False

    def __init__(self, rows, columns=None, **more):
        super().__init__(**more)
        self.rows, self.names = rows, columns

    @property
    def generator(self):
        return iter(self.rows)

    def columns(self):
        return self.names


def write(target: Path, rows: list[Any], model: Any = None, columns: Any = None, executor: Any = None, **options: Any):
    hooks = {name: options.pop(name) for name in list(options) if name.endswith("_hooks")}
    executor = executor or SyncFifoExecutor(model)
    return Pipe(Rows(rows, columns), executor, CSVOutputAdapter(target, **options), **hooks).run()


def table(target: Path, **options: Any) -> list[list[str]]:
    with target.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file, **options))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out.csv"


# -- values --------------------------------------------------------------------------------------


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""), ("a", "a"), ("", ""), (3, "3"), (0.1, "0.1"), (1e300, "1e+300"), (float("inf"), "inf"),
        (True, "true"), (False, "false"), (Decimal("1.50"), "1.50"), (Colour.RED, "red"), (Level.LOW, "1"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"), (date(2024, 2, 29), "2024-02-29"),
        (datetime(2024, 2, 29, 1, 2, 3, 4000), "2024-02-29T01:02:03.004000"),
        (datetime(2024, 2, 29, tzinfo=UTC), "2024-02-29T00:00:00+00:00"), (time(1, 2), "01:02:00"),
        (timedelta(hours=1), "PT1H"), (b"bytes", "bytes"), (b"\xff", "_w=="), ([1, "é"], '[1,"é"]'),
        ({"a": {"b": None}}, '{"a":{"b":null}}'), ((1, 2), "[1,2]"), ({1}, "[1]"), ([Decimal("1.5")], '["1.5"]'),
        ([date(2024, 1, 1)], '["2024-01-01"]'), (PurePosixPath("/a"), "/a"), (IPv4Address("10.0.0.1"), "10.0.0.1"),
        ("a,b", "a,b"), ('a "b"', 'a "b"'), ("a\nb\rc\r\nd", "a\nb\rc\r\nd"), (" a ", " a "), ("\0", "\0"),
    ],
)  # fmt: skip
def test_each_kind_of_value_has_its_text(target, value, text):
    write(target, [{"a": value, "b": 1}])
    assert table(target) == [["a", "b"], [text, "1"]]


texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(',;"\n\r \0'), max_size=8)


@settings(max_examples=80)
@given(
    st.lists(st.fixed_dictionaries({"a": texts, 'b "\r,': texts}), max_size=6),
    st.sampled_from([{}, {"delimiter": ";"}, {"delimiter": "\t", "quotechar": "'"}, {"encoding": "utf-16"}]),
)
def test_any_text_comes_back_from_the_file(tmp_path_factory, rows, options):
    target = tmp_path_factory.getbasetemp() / "texts.csv"
    write(target, rows, columns=["a", 'b "\r,'], **options)
    output = MemoryOutputAdapter()
    Pipe(CSVInputAdapter(target, **options), SyncFifoExecutor(), output).run()
    assert [entry["raw_data"] for entry in output.results] == rows


def test_a_single_empty_field_is_no_blank_line(target):
    write(target, [{"a": None}, {"a": ""}, {"a": "x"}])
    assert target.read_bytes() == b'a\n""\n""\nx\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "utf-32"])
def test_a_file_of_many_chunks_has_its_mark_once(target, encoding):
    write(target, [{"a": f"é{i}"} for i in range(9000)], executor=MultiProcessingExecutor(max_workers=2), columns=["a"],
          encoding=encoding)  # fmt: skip
    assert target.read_bytes().decode(encoding) == "a\n" + "".join(f"é{i}\n" for i in range(9000))


def test_a_character_that_the_encoding_lacks_ends_the_run(target):
    with pytest.raises(ExecutionError, match=r"out\.csv: '→' cannot be written in iso8859-1; choose another encoding="):
        write(target, [{"a": "→"}], encoding="latin-1")
    assert not target.exists()


# -- the header ----------------------------------------------------------------------------------


class Account(BaseModel):
    number: int = Field(alias="no", serialization_alias="No.")
    owner: str = "nobody"
    secret: str = Field("x", exclude=True)


class Circle(BaseModel):
    radius: float

    @computed_field
    def area(self) -> float:
        return 3 * self.radius**2


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int = Field(alias="A")


def test_columns_are_the_names_of_the_models_fields(target):
    write(target, [{"no": "1"}, {"no": "x"}, {"no": "2", "owner": "Ann", "more": 1}], Account)
    assert table(target) == [["number", "owner"], ["1", "nobody"], ["2", "Ann"]]


def test_computed_fields_are_columns_too(target):
    write(target, [{"radius": 2}], Circle)
    assert table(target) == [["radius", "area"], ["2.0", "12.0"]]


def test_columns_of_the_input_follow_where_the_model_takes_any(target):
    write(target, [{"A": 1, "b": 2}], Open, columns=["A", "b", "c"])
    assert table(target) == [["a", "b", "c"], ["1", "2", ""]]
    write(target, [{"A": 1, "b": 2}], Open)
    assert table(target) == [["a", "b"], ["1", "2"]]


def test_columns_of_the_input_are_those_of_a_flow_without_a_model(target):
    write(target, [{"b": 1, "a": 2}, {"a": 3}], columns=["a", "b"])
    assert table(target) == [["a", "b"], ["2", "1"], ["3", ""]]


@pytest.mark.parametrize("executor", [SyncFifoExecutor, lambda: MultiProcessingExecutor(max_workers=2)])
def test_the_first_record_tells_the_columns_where_nothing_else_does(target, executor):
    rows = [{"id": i, "name": f"n{i}"} for i in range(9000)]
    write(target, rows, executor=executor(), pre_validation_hooks=[Upper()])
    assert table(target) == [["id", "name"], *([str(i), f"N{i}"] for i in range(9000))]


def test_fieldnames_choose_and_order_the_columns(target):
    write(target, [{"a": 1, "b": 2}], fieldnames=["b", "c", "a"])
    assert table(target) == [["b", "c", "a"], ["2", "", "1"]]
    write(target, [{"no": 1}], Account, fieldnames=["owner", "number"])
    assert table(target) == [["owner", "number"], ["nobody", "1"]]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (
            [{"a": 1}, {"a": 2, "aa": 3}],
            {},
            r"has 'aa', for which .* no column. Did you mean 'a'\? It has: a\. Name all",
        ),
        ([{"a": 1, "b": 2, "c": 3}], {"fieldnames": ["a"]}, r"out\.csv: a record has 'b', 'c', .*fieldnames=\["),
        ([{"a": 1, "b": 2}], {"columns": ["a"]}, "has 'b'"),
        ([{"radius": 1, "id": 1, "age": 1}], {"model": Circle, "fieldnames": ["radius"]}, "has 'area'"),
    ],
)
def test_a_field_without_a_column_ends_the_run_and_says_how_to_name_it(target, rows, options, message):
    with pytest.raises(ExecutionError, match=message):
        write(target, rows, **options)
    assert list(target.parent.iterdir()) == []


def test_fields_that_hooks_add_need_to_be_named(target):
    hooks = {"post_validation_hooks": [Adds()]}
    with pytest.raises(ExecutionError, match="has 'twice'"):
        write(target, people(3), Person, **hooks)
    names = [*Person.model_fields, "twice"]
    write(target, people(3), Person, fieldnames=names, **hooks)
    assert table(target)[2] == ["1", "name 1", "2", "1.50", "2000-01-02", "2"]


@pytest.mark.parametrize(
    ("options", "model", "header"),
    [({}, Person, list(Person.model_fields)), ({"columns": ["x", "y"]}, None, ["x", "y"]),
     ({"fieldnames": ["z"]}, None, ["z"])],
)  # fmt: skip
@pytest.mark.parametrize("rows", [[], [{"id": "no"}] * 5])
def test_there_is_one_header_also_without_valid_records(target, options, model, header, rows):
    write(target, rows if model else [], model, **options)
    assert table(target) == [header]


def test_a_file_that_nothing_tells_the_columns_of_is_empty(target):
    write(target, [])
    assert target.read_bytes() == b""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fieldnames": []}, r"fieldnames is \[\]; it has to be a list"), ({"fieldnames": "abc"}, "has to be a list"),
        ({"fieldnames": ["a", "b", "a"]}, "fieldnames= names 'a' more than once"),
        ({"delimiter": ""}, "make no CSV"), ({"delimiter": "\n"}, "make no CSV"), ({"quotechar": None}, "make no CSV"),
        ({"quotechar": ","}, "make no CSV"), ({"encoding": "utf-9"}, "no encoding 'utf-9'"),
        ({"encoding": "rot13"}, "no encoding 'rot13'"), ({"compression": "zip"}, "compression is 'zip'"),
    ],
)  # fmt: skip
def test_what_makes_no_csv_is_refused(target, options, message):
    with pytest.raises(ValidationError, match=message):
        CSVOutputAdapter(target, **options)


# -- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.csv.zst"])
@pytest.mark.parametrize("hooks", [[], [Keeps()]])
def test_what_is_written_is_read_again(tmp_path, name, hooks):
    target = tmp_path / name
    first, second = MemoryOutputAdapter(), MemoryOutputAdapter()
    Pipe(Rows(people(9000)), SyncFifoExecutor(Person), first).run()
    write(target, people(9000), Person, pre_validation_hooks=hooks)
    Pipe(CSVInputAdapter(target), SyncFifoExecutor(Person), second).run()
    assert [entry["validated_data"] for entry in second.results] == [entry["validated_data"] for entry in first.results]


class Sized(RootModel[dict[str, int]]):
    pass


def test_models_without_fields_are_written_by_their_first_record(target):
    write(target, [{"a": "1"}, {"a": "2"}], Sized)
    assert table(target) == [["a"], ["1"], ["2"]]


def test_failed_records_are_written_with_their_reasons(tmp_path):
    source = tmp_path / "in.csv"
    source.write_text('id,name,age\n1,Zoé,3\n2,"B\nb",x\n3,Cy\n')
    errors = tmp_path / "errors.csv"
    Pipe(CSVInputAdapter(source), SyncFifoExecutor(Person), None, CSVOutputAdapter(errors)).run()
    header, *rows = table(errors)
    assert header == ["position", "line", "errors", "raw_data"]
    assert [row[:2] for row in rows] == [["1", "3"], ["2", "5"]]
    assert json.loads(rows[0][2])[0]["type"] == "int_parsing"
    assert json.loads(rows[0][3]) == {"id": "2", "name": "B\nb", "age": "x"}
    assert json.loads(rows[1][2])[0]["type"] == "column_count"


@pytest.mark.parametrize("name", ["errors.csv", "errors.csv.gz"])
def test_failed_records_are_written_in_any_encoding_and_in_chosen_columns(tmp_path, name):
    errors = tmp_path / name
    rows = [{"id": i, "name": "é→😀", "age": 999} for i in range(5000)]
    output = CSVOutputAdapter(errors, fieldnames=["raw_data", "id", "position"], encoding="latin-1")
    ids = iter(range(10**6)).__next__
    Pipe(Rows(rows, id_generator=ids), SyncFifoExecutor(Person), None, output).run()
    data = gzip.decompress(errors.read_bytes()) if name.endswith("gz") else errors.read_bytes()
    header, *lines = csv.reader(io.StringIO(data.decode("latin-1"), newline=""))
    assert header == ["raw_data", "id", "position"]
    assert [(json.loads(raw), int(id_), int(position)) for raw, id_, position in lines] == [
        (row, i, i) for i, row in enumerate(rows)
    ]


class Breaks(CSVOutputAdapter):
    """Fails at its third chunk."""

    chunks = 0

    def write_chunk(self, collected):
        self.chunks += 1
        if self.chunks == 3:
            raise ExecutionError("no space left")
        super().write_chunk(collected)


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz"])
@pytest.mark.parametrize("model", [None, Person])
def test_a_run_that_failed_goes_on_under_the_same_header(tmp_path, name, model):
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in people(12_000)))
    target, state = tmp_path / name, tmp_path / "state"

    def pipe(output):
        return Pipe(JSONInputAdapter(source), SyncFifoExecutor(model), output, checkpoint=state)

    with pytest.raises(ExecutionError, match="no space left"):
        pipe(Breaks(target)).run()
    assert not target.exists()
    with pytest.raises(ConfigError, match="has the columns id, name, age, balance, born, and now there are id, name"):
        pipe(CSVOutputAdapter(target, fieldnames=["id", "name"])).run()
    report = pipe(CSVOutputAdapter(target)).run()
    assert 0 < report.resumed_at < 12_000
    data = gzip.decompress(target.read_bytes()) if name.endswith("gz") else target.read_bytes()
    rows = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    assert [row["id"] for row in rows] == [row["id"] for row in people(12_000) if model is None or row["age"] != "200"]
    assert data.count(b"id,name") == 1


def test_an_output_can_be_used_for_another_run(target):
    output = CSVOutputAdapter(target)
    for rows in ([{"a": 1}], [{"b": 2}]):
        assert Pipe(Rows(rows), SyncFifoExecutor(), output).run().status is FlowStatus.COMPLETED
        assert table(target) == [list(rows[0]), [str(value) for value in rows[0].values()]]


def test_entries_can_be_written_one_by_one(target):
    output = CSVOutputAdapter(target)
    output.open()
    output.write({"validated_data": {"a": 1}})
    output.write({"validated_data": {"a": 2}})
    assert not target.exists()
    output.close()
    assert table(target) == [["a"], ["1"], ["2"]]
