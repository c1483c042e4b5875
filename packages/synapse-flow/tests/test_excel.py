"""Excel workbooks keep values and their types, and are there when they are whole."""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import openpyxl
import pytest
from flow_parts import Keeps, Person, people
from hypothesis import HealthCheck, given, settings, strategies as st
from pydantic import BaseModel

from synapse_core.errors import ExecutionError, ValidationError
from synapse_flow import FlowStatus, MemoryOutputAdapter, MultiProcessingExecutor, Pipe, SyncFifoExecutor
from synapse_flow.inputs.excel import ExcelInputAdapter
from synapse_flow.inputs.iterable import IterableInputAdapter
from synapse_flow.outputs.excel import ExcelOutputAdapter


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.xlsx"


def workbook(path: Path, *rows: list[Any], **sheets: list[list[Any]]) -> Path:
    """Write a workbook with the first sheet's rows, and other sheets."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for name, others in sheets.items():
        sheet = book.create_sheet(name)
        for row in others:
            sheet.append(row)
    book.save(path)
    return path


def read(path: Path, model: Any = None, executor: Any = None, **options: Any) -> tuple[Any, list[Any], list[Any]]:
    good, bad = MemoryOutputAdapter(), MemoryOutputAdapter()
    report = Pipe(ExcelInputAdapter(path, **options), executor or SyncFifoExecutor(model), good, bad).run()
    return report, [entry["raw_data"] for entry in good.results], bad.results


def write(path: Path, rows: list[Any], model: Any = None, hooks: Any = (), **options: Any) -> Any:
    pipe = Pipe(
        IterableInputAdapter(rows), SyncFifoExecutor(model), ExcelOutputAdapter(path, **options),
        pre_validation_hooks=hooks,
    )  # fmt: skip
    return pipe.run()


def cells(path: Path) -> list[list[Any]]:
    return [[each.value for each in row] for row in openpyxl.load_workbook(path).active.iter_rows()]


# -- values --------------------------------------------------------------------------------------


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("text", "text"), (3, 3), (-2.5, -2.5), (0.1 + 0.2, 0.1 + 0.2), (1e300, 1e300), (True, True), (None, None),
        (10**15 - 1, 10**15 - 1), (10**15, "1000000000000000"), (float("inf"), "inf"), (float("nan"), "nan"),
        (Decimal("1.10"), 1.1), (Decimal("1.2345678901234567"), "1.2345678901234567"), (Decimal("NaN"), "NaN"),
        (datetime(2024, 2, 29, 1, 2, 3, 4000), datetime(2024, 2, 29, 1, 2, 3, 4000)),
        (datetime(2024, 2, 29, tzinfo=UTC), "2024-02-29T00:00:00+00:00"), (time(1, 2, 3), time(1, 2, 3)),
        (date(2024, 2, 29), datetime(2024, 2, 29)), (date(1899, 1, 2), "1899-01-02"), (Colour.RED, "red"),
        (timedelta(hours=30), timedelta(hours=30)), (timedelta(hours=-1), "-PT1H"), (UUID(int=1), str(UUID(int=1))),
        ([1, {"a": None}], '[1,{"a":null}]'), ("=1+1", "=1+1"), ("#N/A", "#N/A"), (" a ", " a "),
        ("a\nb\rc\r\nd", "a\nb\rc\r\nd"), ("_x0041_", "_x0041_"), ("\x01\x00", "\x01\x00"), ("\ud800", "\ud800"),
        ("x" * 32_767, "x" * 32_767), ("2024-01-02", "2024-01-02"), ("007", "007"),
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
def test_values_come_back_with_their_types_or_as_text(path, value, wanted):
    write(path, [{"a": value, "b": 1}])
    [record] = read(path)[1]
    assert record == {"a": wanted, "b": 1}
    assert type(record["a"]) is type(wanted)


def test_a_text_that_looks_like_a_formula_is_none(path):
    write(path, [{"=a": "=1+1"}])
    sheet = openpyxl.load_workbook(path).active
    assert [sheet["A1"].data_type, sheet["A2"].data_type] == ["s", "s"]


values = st.one_of(
    st.text(min_size=1, max_size=6), st.integers(-(10**15) + 1, 10**15 - 1), st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.fixed_dictionaries({"a": values, "b": values}), max_size=5))
def test_any_values_come_back(path, rows):
    write(path, rows, fieldnames=["a", "b"])
    assert read(path)[1] == rows


def test_cells_that_excel_escaped_are_read_as_text(path):
    workbook(path, ["a_x000D_b"], ["line_x000D_\nend _x005F_x000D_"])
    assert read(path)[1] == [{"a\rb": "line\r\nend _x000D_"}]


# -- reading -------------------------------------------------------------------------------------


def test_rows_have_the_names_of_the_header_and_blank_ones_are_left_out(path):
    workbook(path, [], ["id", "name", 2024], [1, "Ann", 5], [], [None, None, None], [2], [None, "Bob"])
    assert read(path)[1] == [
        {"id": 1, "name": "Ann", "2024": 5}, {"id": 2, "name": None, "2024": None}, {"id": None, "name": "Bob", "2024": None}
    ]  # fmt: skip


def test_a_value_under_no_name_fails_its_row_alone(path):
    workbook(path, ["a", None, "b", None], [1, None, 2], [3, "x", 4], [], [5, None, 6, None, 7, 8], [9, None, 10])
    report, good, bad = read(path)
    assert good == [{"a": 1, "b": 2}, {"a": 9, "b": 10}]
    assert [(entry["position"], entry["line"], entry["raw_data"][""]) for entry in bad] == [
        (1, 3, ["x"]),
        (2, 5, [7, 8]),
    ]
    messages = [entry["errors"][0]["message"] for entry in bad]
    assert messages == [
        "the cell B3 is under no name of the header",
        "the cells E5, F5 are under no name of the header",
    ]
    assert report.errors_by_type == {"column_count": 2}


def test_rows_are_validated_by_a_model(path):
    workbook(path, ["id", "name", "age", "born"], [1, "Ann", 33, date(2000, 1, 2)], [2, "Bob", 200, None])
    report, _, bad = read(path, Person)
    assert (report.success_count, report.error_count) == (1, 1)
    assert bad[0]["line"] == 3
    assert bad[0]["errors"][0]["type"] == "less_than_equal"


def test_a_sheet_is_chosen_by_name_or_number(path):
    workbook(path, ["a"], [1], People=[["b"], [2]])
    assert [read(path, sheet=sheet)[1] for sheet in (None, 0, "Sheet", 1, "People")] == [
        [{"a": 1}], [{"a": 1}], [{"a": 1}], [{"b": 2}], [{"b": 2}]
    ]  # fmt: skip
    with pytest.raises(
        ValidationError, match=r"no sheet 'Peple'. Did you mean 'People'\? Its sheets are: 'Sheet', 'People'"
    ):
        read(path, sheet="Peple")
    for sheet in (2, -1, True):
        with pytest.raises(ValidationError, match=f"no sheet {sheet}"):
            read(path, sheet=sheet)


def test_fieldnames_and_skipped_rows_take_the_place_of_a_header(path):
    workbook(path, ["made today"], [], ["x", "y"], [1, 2])
    assert read(path, skip_rows=2)[1] == [{"x": 1, "y": 2}]
    assert read(path, skip_rows=3, fieldnames=["a", "b"])[1] == [{"a": 1, "b": 2}]
    assert read(path, skip_rows=9)[1] == []


@pytest.mark.parametrize("rows", [[], [["a", "b"]], [[None]]])
def test_a_sheet_without_rows_gives_no_records(path, rows):
    report, good, bad = read(workbook(path, *rows))
    assert (report.status, report.read_count, good, bad) == (FlowStatus.COMPLETED, 0, [], [])


def test_a_header_that_names_a_column_twice_is_refused(path):
    with pytest.raises(ValidationError, match="names 'a' more than once; give the columns names of their own"):
        read(workbook(path, ["a", "b", "a"]))
    with pytest.raises(ValidationError, match="fieldnames= names 'a' more than once"):
        ExcelInputAdapter(path, fieldnames=["a", "a"])


def damaged(path: Path) -> bytes:
    """Return a workbook whose sheet ends too early."""
    workbook(path, ["a"], *([number] for number in range(5000)))
    made = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data[: len(data) // 2] if name.endswith("sheet1.xml") else data)
    return made.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no whole Excel workbook"),
        (b"id,name\n1,Ann\n", "is no whole Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"old workbook \(.xls\), or one with a password; save it as .xlsx"),
    ],
)
def test_what_is_no_workbook_is_refused(path, data, message):
    path.write_bytes(data)
    with pytest.raises(ValidationError, match=message):
        read(path)
    with pytest.raises(ValidationError, match=r"there is no file .*nothing\.xlsx"):
        read(path.with_name("nothing.xlsx"))


def test_a_damaged_workbook_ends_the_run_and_publishes_nothing(path):
    whole = workbook(path, ["a"], [1]).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValidationError, match="is no whole Excel workbook"):
        read(path)
    path.write_bytes(damaged(path))
    target = path.with_name("out.xlsx")
    pipe = Pipe(ExcelInputAdapter(path), SyncFifoExecutor(), ExcelOutputAdapter(target))
    with pytest.raises(ExecutionError, match=r"is damaged behind row \d+: no element found"):
        pipe.run()
    assert list(path.parent.iterdir()) == [path]


# -- writing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("hooks", [[], [Keeps()]])
def test_what_is_written_is_read_again_on_every_engine(path, hooks):
    write(path, people(3000), Person, hooks)
    wanted = [Person(**row) for row in people(3000) if row["age"] != "200"]
    for executor in (SyncFifoExecutor(Person), MultiProcessingExecutor(Person, max_workers=2)):
        output = MemoryOutputAdapter()
        Pipe(ExcelInputAdapter(path), executor, output).run()
        assert [Person(**entry["validated_data"]) for entry in output.results] == wanted


class Account(BaseModel):
    number: int
    owner: str | None = None


@pytest.mark.parametrize(
    ("rows", "options", "wanted"),
    [
        ([{"number": "1"}], {"model": Account}, [["number", "owner"], [1, None]]),
        ([{"number": "x"}], {"model": Account}, [["number", "owner"]]),
        ([{"b": 1, "a": 2}, {"a": 3}], {}, [["b", "a"], [1, 2], [None, 3]]),
        ([{"b": 1, "a": 2}], {"fieldnames": ["a", "c", "b"]}, [["a", "c", "b"], [2, None, 1]]),
        ([], {"fieldnames": ["a"]}, [["a"]]),
        ([], {}, []),
    ],
)
def test_there_is_one_header(path, rows, options, wanted):
    write(path, rows, sheet="Rows", **options)
    assert cells(path) == wanted
    assert openpyxl.load_workbook(path).sheetnames == ["Rows"]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([{"a": 1}, {"b": 2}], {}, "a record has 'b', for which the header has no column"),
        ([{"a": "x" * 32_768}], {}, r"a text of 32,768 characters, 'x+'…, is longer than a cell's 32,767"),
        ([dict.fromkeys(map(str, range(16_385)))], {}, "16,385 columns are more than Excel's 16,384"),
    ],
)
def test_what_a_sheet_cannot_hold_ends_the_run_and_publishes_nothing(path, rows, options, message, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(path.parent / "temporary"))
    os.mkdir(tempfile.gettempdir())
    with pytest.raises(ExecutionError, match=message):
        write(path, rows, **options)
    assert list(path.parent.iterdir()) == [path.parent / "temporary"]
    assert list((path.parent / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sheet": ""}, "1 to 31 characters"), ({"sheet": "x" * 32}, "1 to 31 characters"),
        ({"sheet": "a/b"}, "none of"), ({"fieldnames": ["a", "a"]}, "names 'a' more than once"),
        ({"fieldnames": []}, "has to be a list"),
    ],
)  # fmt: skip
def test_what_makes_no_sheet_is_refused(path, options, message):
    with pytest.raises(ValidationError, match=message):
        ExcelOutputAdapter(path, **options)


def test_failed_records_are_written_with_their_reasons(path):
    rows = [{"id": 1, "name": "Ann", "age": 200}, {"id": 2, "name": "x" * 40_000, "age": 201}]
    Pipe(IterableInputAdapter(rows), SyncFifoExecutor(Person), None, ExcelOutputAdapter(path)).run()
    header, first, second = cells(path)
    assert header == ["position", "line", "errors", "raw_data"]
    assert (first[0], json.loads(first[2])[0]["type"], json.loads(first[3])) == (0, "less_than_equal", rows[0])
    assert (len(second[3]), second[3][-3:]) == (32_767, "xx…")


def test_a_workbook_is_published_when_it_is_whole(path):
    path.write_bytes(b"the old one")
    output = ExcelOutputAdapter(path)
    output.open()
    output.write({"validated_data": {"a": 1}})
    assert path.read_bytes() == b"the old one"
    output.close()
    assert cells(path) == [["a"], [1]]
    assert list(path.parent.iterdir()) == [path]


def test_an_output_can_be_used_for_another_run(path):
    output = ExcelOutputAdapter(path)
    for row in ({"a": 1}, {"b": 2}):
        Pipe(IterableInputAdapter([row]), SyncFifoExecutor(), output).run()
        assert cells(path) == [list(row), list(row.values())]


def test_a_checkpoint_is_refused_before_anything_is_written(path):
    pipe = Pipe(
        IterableInputAdapter([{"a": 1}]),
        SyncFifoExecutor(),
        ExcelOutputAdapter(path),
        checkpoint=path.with_name("state"),
    )
    with pytest.raises(ValidationError, match="ExcelOutputAdapter cannot go on where a run stopped"):
        pipe.run()
    assert list(path.parent.iterdir()) == []
