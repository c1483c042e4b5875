"""Positions that records bring along, and the file of errors as an input."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from flow_parts import Person, Upper, people

from synapse_core import ExecutionError, ValidationError
from synapse_flow import (
    BaseInputAdapter,
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
