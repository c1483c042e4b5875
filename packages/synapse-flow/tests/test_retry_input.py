"""Positions that records bring along, and the file of errors as an input."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from flow_parts import Person, Upper, people
from pydantic import BaseModel, field_validator

from synapse_core import ExecutionError, ValidationError
from synapse_flow import (
    BaseInputAdapter,
    CSVInputAdapter,
    JSONOutputAdapter,
    MemoryOutputAdapter,
    MultiProcessingExecutor,
    Pipe,
    SyncFifoExecutor,
    ThreadExecutor,
)
from synapse_flow.inputs.retry import RetryInputAdapter

EXECUTORS = {
    "in order": lambda: SyncFifoExecutor(Person),
    "threads": lambda: ThreadExecutor(Person, max_workers=2, chunksize=3),
    "processes": lambda: MultiProcessingExecutor(Person, max_workers=1, chunksize=3),
}


class Numbered(BaseInputAdapter):
    """Records with positions of their own, as many as 10 apart; some have none."""

    @property
    def generator(self) -> Any:
        for index, raw in enumerate(people(20, bad_every=5)):
            yield {"raw_data": raw, "position": None if index == 4 else index * 10}


@pytest.mark.parametrize("name", EXECUTORS)
@pytest.mark.parametrize("hooks", [[], [Upper()]])
def test_positions_that_records_bring_are_those_that_outputs_are_told(name: str, hooks: list[Any]) -> None:
    good, bad = MemoryOutputAdapter(), MemoryOutputAdapter()
    Pipe(Numbered(), EXECUTORS[name](), good, bad, pre_validation_hooks=hooks).run()
    assert [entry["position"] for entry in bad.results] == [4, 90, 140, 190]
    assert [entry["position"] for entry in good.results] == [i * 10 for i in range(20) if i % 5 != 4]
    assert [entry["raw_data"]["name"] for entry in bad.results] == [f"name {i}" for i in (4, 9, 14, 19)]


def errors_file(path: Path, rows: int = 9) -> Path:
    """Write what a flow wrote of failed records, with positions far apart."""
    lines = [
        {
            "id": f"id {i}",
            "position": i * 1000,
            "line": i * 1000 + 2,
            "raw_data": raw,
            "errors": [{"loc": ["age"], "msg": "too old", "type": "less_than_equal"}],
        }
        for i, raw in enumerate(people(rows, bad_every=3))
    ]
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", EXECUTORS)
@pytest.mark.parametrize("file", ["errors.jsonl", "errors.jsonl.gz"])
def test_failed_records_are_run_again_with_ids_positions_and_lines(tmp_path: Path, name: str, file: str) -> None:
    source = RetryInputAdapter(errors_file(tmp_path / file))
    good, bad = MemoryOutputAdapter(), MemoryOutputAdapter()
    report = Pipe(source, EXECUTORS[name](), good, bad).run()
    assert (report.read_count, report.success_count, report.error_count) == (9, 6, 3)
    assert [(entry["id"], entry["position"], entry["line"]) for entry in bad.results] == [
        ("id 2", 2000, 2002), ("id 5", 5000, 5002), ("id 8", 8000, 8002),
    ]  # fmt: skip
    assert [entry["position"] for entry in good.results] == [0, 1000, 3000, 4000, 6000, 7000]


def test_an_envelope_has_the_first_position(tmp_path: Path) -> None:
    source = RetryInputAdapter(errors_file(tmp_path / "errors.jsonl"))
    Pipe(source, SyncFifoExecutor(Person), JSONOutputAdapter(tmp_path / "o.jsonl", envelope=True)).run()
    rows = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [row["position"] for row in rows] == [0, 1000, 3000, 4000, 6000, 7000]


class Sealed(BaseModel):
    name: Any

    @field_validator("name")
    @classmethod
    def _seal(cls, value: Any) -> Any:
        return object() if value == "name 3" else value


def test_a_record_that_cannot_be_written_is_named_by_its_first_position(tmp_path: Path) -> None:
    pipe = Pipe(
        RetryInputAdapter(errors_file(tmp_path / "errors.jsonl")),
        SyncFifoExecutor(Sealed),
        JSONOutputAdapter(tmp_path / "o.jsonl"),
    )
    with pytest.raises(
        ExecutionError, match=r"the record at position 3000 cannot be written as JSON, because of its field 'name'"
    ):
        pipe.run()


def test_an_interrupted_retry_goes_on(tmp_path: Path) -> None:
    def pipe(limit: int | None) -> Pipe:
        return Pipe(
            RetryInputAdapter(errors_file_once), SyncFifoExecutor(Person), JSONOutputAdapter(tmp_path / "o.jsonl"),
            JSONOutputAdapter(tmp_path / "e.jsonl"), checkpoint=tmp_path / "c", limit=limit,
        )  # fmt: skip

    errors_file_once = errors_file(tmp_path / "errors.jsonl", rows=9000)
    first = pipe(None)
    first.executor.chunksize = 100
    report = first.start()
    report.abort()
    report.wait()
    report = pipe(None).run()
    assert (report.read_count, report.error_count) == (9000, 3000)
    rows = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert [row["position"] for row in rows] == [i * 1000 for i in range(9000) if i % 3 == 2]


def test_the_records_one_by_one(tmp_path: Path) -> None:
    source = RetryInputAdapter(errors_file(tmp_path / "errors.jsonl"))
    source.open()
    assert [entry["position"] for entry in source.generator] == [i * 1000 for i in range(9)]  # type: ignore[misc]
    source.close()


@pytest.mark.parametrize(
    ("line", "error", "said"),
    [
        (
            '{"raw_data": 3}',
            ValidationError,
            "line 2, is no failed record: it has no 'raw_data' with the fields of one",
        ),
        ("[]", ValidationError, "line 2, is no failed record"),
        (
            '{"raw_data": {}, "position": "x"}',
            ValidationError,
            "line 2: 'position' is 'x'; it has to be a whole number",
        ),
        ("{", ExecutionError, "line 2, is no JSON"),
    ],
)
def test_a_line_that_is_none_is_told_with_its_number(tmp_path: Path, line: str, error: type, said: str) -> None:
    file = tmp_path / "errors.jsonl"
    file.write_text('{"raw_data": {"id": "1"}}\n' + line + "\n")
    with pytest.raises(error) as told:
        Pipe(RetryInputAdapter(file), SyncFifoExecutor()).run()
    assert said in str(told.value)


# -- what an input could not read --------------------------------------------------------------

TOO_MANY = {"type": "column_count", "message": "the row has 4 fields, and the header 3 (too many)"}
TOO_FEW = {"type": "column_count", "message": "the row has 1 fields, and the header 3 ('name', 'it\\'s' missing)"}
NO_TEXT = {"type": "encoding", "message": "name: byte 0xe9 is not utf-8; bytes are shown as \\x.."}
NO_TEXT_IN_LINE = {"type": "encoding", "message": "byte 0xe9 at 9 of the line is not utf-8; such bytes are shown as"}
NO_JSON = {"type": "json_invalid", "message": "the line is no JSON: EOF at column 9"}
NO_OBJECT = {"type": "json_type", "message": "the line holds a list; a record is an object"}


@pytest.mark.parametrize(
    ("errors", "raw", "expected"),
    [
        ([NO_TEXT], {"name": "Andr\\xe9"}, ["encoding"]),
        ([NO_TEXT], {"name": "André", "": ["\\xfc"]}, ["encoding"]),
        ([NO_TEXT], {"name": "André"}, {"name": "André"}),
        ([NO_TEXT], {"name": "C:\\x1"}, {"name": "C:\\x1"}),
        ([TOO_MANY], {"name": "c", "": ["5"]}, ["column_count"]),
        ([TOO_MANY], {"name": "c"}, {"name": "c"}),
        ([TOO_FEW], {"id": "1"}, ["column_count"]),
        ([TOO_FEW], {"id": "1", "name": "c"}, ["column_count"]),
        ([TOO_FEW], {"id": "1", "name": "c", "it's": "d"}, {"id": "1", "name": "c", "it's": "d"}),
        ([TOO_MANY, NO_TEXT], {"name": "\\xe9", "": ["5"]}, ["column_count", "encoding"]),
        ([TOO_MANY, NO_TEXT], {"name": "\\xe9"}, ["encoding"]),
        ([NO_TEXT_IN_LINE], {"value": '{"a": "\\xe9"}'}, ["encoding"]),
        ([NO_TEXT_IN_LINE], {"value": '{"a": "é"}'}, {"a": "é"}),
        ([NO_TEXT_IN_LINE], {"value": "é"}, ["encoding"]),
        ([NO_JSON], {"value": '{"a": 1'}, ["json_invalid"]),
        ([NO_JSON], {"value": '{"a": 1}'}, {"a": 1}),
        ([NO_JSON], {"a": 1}, {"a": 1}),
        ([NO_OBJECT], {"value": [1]}, ["json_type"]),
        ([NO_OBJECT], {"value": {"a": 1}}, {"a": 1}),
        ([{"type": "own", "message": "no idea"}], {"a": 1}, ["own"]),
        ([{"type": "HookError", "message": "A: no"}], {"a": "\\xe9"}, {"a": "\\xe9"}),
    ],
)
def test_what_could_not_be_read_fails_again_while_its_raw_data_shows_why(
    errors: Any, raw: Any, expected: Any, tmp_path: Path
) -> None:
    file = tmp_path / "errors.jsonl"
    file.write_text(json.dumps({"position": 4000, "line": 4002, "raw_data": raw, "errors": errors}) + "\n")
    good, bad = MemoryOutputAdapter(), MemoryOutputAdapter()
    Pipe(RetryInputAdapter(file), SyncFifoExecutor(), good, bad).run()
    (entry,) = good.results + bad.results
    assert entry["position"] == 4000
    if isinstance(expected, dict):
        assert good.results
        assert entry["raw_data"] == expected
    else:
        assert [error["type"] for error in entry["errors"]] == expected
        assert (entry["raw_data"], entry["line"]) == (raw, 4002)


def test_what_the_inputs_write_of_what_they_cannot_read_fails_again_until_it_is_mended(tmp_path: Path) -> None:
    errors, again = tmp_path / "errors.jsonl", tmp_path / "again.jsonl"
    (tmp_path / "in.csv").write_bytes(b"id,name,age\n1,Andr\xe9,3\n2,c,4,5\n3,d\n4,e,5\n")
    Pipe(CSVInputAdapter(tmp_path / "in.csv"), SyncFifoExecutor(Person), None, JSONOutputAdapter(errors)).run()
    Pipe(RetryInputAdapter(errors), SyncFifoExecutor(Person), None, JSONOutputAdapter(again)).run()
    assert errors.read_bytes() == again.read_bytes()
    rows = [json.loads(line) for line in errors.read_text().splitlines()]
    rows[0]["raw_data"]["name"] = "André"
    del rows[1]["raw_data"][""]
    rows[2]["raw_data"]["age"] = "7"
    errors.write_text("".join(json.dumps(row) + "\n" for row in rows))
    good = MemoryOutputAdapter()
    Pipe(RetryInputAdapter(errors), SyncFifoExecutor(Person), good).run()
    assert [(entry["position"], entry["validated_data"]["id"]) for entry in good.results] == [(0, 1), (1, 2), (2, 3)]
