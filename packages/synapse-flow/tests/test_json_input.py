"""JSON lines and arrays are read as the json module reads them, wherever they are cut."""

from __future__ import annotations

import contextlib
import json
import math
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from flow_parts import Person, people
from hypothesis import given, settings, strategies as st

from synapse_core.errors import ExecutionError, ValidationError
from synapse_flow import (
    FlowStatus,
    JSONOutputAdapter,
    MemoryOutputAdapter,
    MultiProcessingExecutor,
    Pipe,
    SyncFifoExecutor,
    chunks,
)  # fmt: skip
from synapse_flow.chunks import Chunk, ChunkSizes, joined_records
from synapse_flow.inputs import blocks
from synapse_flow.inputs.base import Start
from synapse_flow.inputs.json import JSONInputAdapter

BEGINNING = Start()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("json") / "records"


def found(
    path: Path, rows: int, size: int, read: int, start: Start = BEGINNING, **options: Any
) -> list[tuple[Any, ...]]:
    """Return raw data, types of problems and line of each record, and the cursor behind its block."""
    adapter = JSONInputAdapter(path, **options)
    records = []
    with pytest.MonkeyPatch.context() as patch, contextlib.closing(adapter):
        patch.setattr(blocks, "_READ", read)
        patch.setattr(chunks, "_VALUES_AT_ONCE", 16)
        patch.setattr(chunks, "_FEWEST_AT_ONCE", 1)
        adapter.open()
        decoder = adapter.decoder()
        for block in adapter.blocks(ChunkSizes(rows, most=rows, fixed=True, most_bytes=size), start):
            assert 0 < block.count <= rows
            decoded = joined_records(decoder.decode(Chunk(0, 0, block.count, block.payload, block.line)))
            assert len(decoded.raws) == block.count
            for index, raw in enumerate(decoded.raws):
                kinds = [each["type"] for each in decoded.problems.get(index, [])]
                cursor = block.cursor if index == block.count - 1 else None
                records.append((raw, kinds, decoded.line_of(index), cursor))
    return records


def expected(data: bytes) -> list[tuple[Any, list[str], int]]:
    """Return what the json module makes of each line that is not blank."""
    records: list[tuple[Any, list[str], int]] = []
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip(b" \t"):
            continue
        try:
            value = json.loads(line.decode())
        except UnicodeDecodeError:
            records.append(({"value": line.decode("utf-8", "backslashreplace")}, ["encoding"], number))
        except ValueError:
            records.append(({"value": line.decode()}, ["json_invalid"], number))
        else:
            is_record = isinstance(value, dict)
            records.append((value, [], number) if is_record else ({"value": value}, ["json_type"], number))
    return records


cuts = st.tuples(st.integers(1, 6), st.integers(1, 60), st.integers(1, 50))
parts = st.sampled_from(
    [b"\n", b"\n", b"\n", b"\r\n", b"\r", b" ", b"\t", b'{"a":1}', b'{"a":[1', b"2]}", b'{"b":"x\xc3\xa9"}', b"\xff",
     b"{}", b"[1,2]", b"7", b"null", b'"text"', b'{"a":1},{"b":2}', b"\xef\xbb\xbf", b"{", b"}", b",", b"\0", b'"']
)  # fmt: skip


@settings(max_examples=200)
@given(st.lists(parts, max_size=20), cuts)
def test_any_lines_are_read_as_the_json_module_reads_each(file, parts, cuts):
    data = b"".join(parts)
    file.write_bytes(b'{"a":0}\n' + data)  # a file that begins with a NUL is refused
    wanted = [({"a": 0}, [], 1), *((raw, kinds, line + 1) for raw, kinds, line in expected(data))]
    records = found(file, *cuts, format="jsonl")
    assert [each[:3] for each in records] == wanted
    for position, (*_, cursor) in enumerate(records, 1):
        if cursor is not None:
            rest = found(file, *cuts, Start(position, cursor), format="jsonl")
            assert [each[:3] for each in rest] == wanted[position:]


numbers = st.one_of(st.integers(), st.integers(-(10**40), 10**40), st.floats(allow_nan=False, allow_infinity=False))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
tables = st.lists(st.dictionaries(texts, values, max_size=4), max_size=8)


def same(one: Any, other: Any) -> bool:
    """Say whether two values are equal and of equal types, at any depth."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other and (not isinstance(one, float) or math.copysign(1, one) == math.copysign(1, other))


@settings(max_examples=50)
@given(tables, st.booleans(), cuts)
def test_lines_come_back_with_their_values_and_types(file, table, ascii_only, cuts):
    lines = [json.dumps(row, ensure_ascii=ascii_only) for row in table]
    file.write_bytes("\n".join(lines).encode())
    assert same([each[0] for each in found(file, *cuts, format="jsonl")], table)


@settings(max_examples=50)
@given(tables, st.sampled_from([None, 2]), cuts, st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]))
def test_arrays_come_back_with_their_values_and_types(file, table, indent, cuts, encoding):
    file.write_text(json.dumps(table, indent=indent, ensure_ascii=False), encoding=encoding)
    assert same([each[0] for each in found(file, *cuts, encoding=encoding)], table)


@settings(max_examples=50)
@given(tables, tables, cuts)
def test_an_array_is_found_by_its_keys(file, table, other, cuts):
    file.write_text(json.dumps({"item": other, "data": {"rows": table, "more": other}, "rows": other}))
    assert same([each[0] for each in found(file, *cuts, item_path="data.rows")], table)


# -- whole files through a pipe ------------------------------------------------------------------


def run(path: Path, model: Any = None, **options: Any) -> tuple[Any, list[Any], list[Any]]:
    good, bad = MemoryOutputAdapter(), MemoryOutputAdapter()
    report = Pipe(JSONInputAdapter(path, **options), SyncFifoExecutor(model), good, bad).run()
    return report, [entry["raw_data"] for entry in good.results], bad.results


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "records.json"
    path.write_bytes(data)
    return path


ROWS = [{"a": 1, "b": "x"}, {"a": 2.5, "b": None}]


@pytest.mark.parametrize("name", ["out.jsonl", "out.json", "out.jsonl.gz", "out.json.zst"])
def test_what_the_output_writes_the_input_reads(tmp_path, name):
    source = written(tmp_path, "\n".join(map(json.dumps, people(5000))).encode())
    first, second = tmp_path / name, tmp_path / "again.jsonl"
    Pipe(JSONInputAdapter(source), SyncFifoExecutor(Person), JSONOutputAdapter(first)).run()
    report = Pipe(JSONInputAdapter(first), SyncFifoExecutor(Person), JSONOutputAdapter(second)).run()
    assert (report.success_count, report.error_count) == (4286, 0)
    validated = [Person(**row).model_dump(mode="json") for row in people(5000) if row["age"] != "200"]
    assert [json.loads(line) for line in second.read_text().splitlines()] == validated


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (b'{"a":1,"b":"x"}\n{"a":2.5,"b":null}', {}),
        (b'\n \t\n{"a":1,"b":"x"}\r\n\r\n{"a":2.5,"b":null}\r\n  ', {}),
        (b'\xef\xbb\xbf{"a":1,"b":"x"}\r{"a":2.5,"b":null}\r', {}),
        (b'[{"a":1,"b":"x"},{"a":2.5,"b":null}]', {}),
        (b' \n\n [\n {"a":1,\n"b":"x"} ,\n{"a":2.5,"b":null}\n]\n\n', {}),
        (b'\xef\xbb\xbf[{"a":1,"b":"x"},{"a":2.5,"b":null}]', {"format": "array"}),
        (b'{"n":2,"d":{"r":[{"a":1,"b":"x"},{"a":2.5,"b":null}]}}', {"item_path": "d.r"}),
        ('{"a":1,"b":"x"}\n{"a":2.5,"b":null}'.encode("utf-16"), {"encoding": "utf-16"}),
    ],
)
def test_the_form_is_found_out(tmp_path, data, options):
    assert same(run(written(tmp_path, data), **options)[1], ROWS)


@pytest.mark.parametrize(
    ("data", "options"), [(b"", {}), (b"\n \n", {}), (b"[]", {}), (b'{"d":[]}', {"item_path": "d"})]
)
def test_a_file_without_records_gives_none(tmp_path, data, options):
    report, good, bad = run(written(tmp_path, data), **options)
    assert (report.status, report.read_count, good, bad) == (FlowStatus.COMPLETED, 0, [], [])


def test_bad_lines_fail_alone_with_their_text_and_line(tmp_path):
    lines = [b'{"a":1}', b"", b'{"a":', b"[1]", b'{"a":"\xe9"}', b'"' + b"\xc3\xa9" * 20_000, b'{"a":2}']
    report, good, bad = run(written(tmp_path, b"\n".join(lines)))
    assert good == [{"a": 1}, {"a": 2}]
    assert [(entry["position"], entry["line"]) for entry in bad] == [(1, 3), (2, 4), (3, 5), (4, 6)]
    assert [entry["raw_data"]["value"] for entry in bad] == ['{"a":', [1], '{"a":"\\xe9"}', '"' + "é" * 9_999]
    messages = [entry["errors"][0]["message"] for entry in bad]
    assert messages[0] == "the line is no JSON: EOF while parsing a value at column 5"
    assert messages[1] == "the line holds an array; a record is an object"
    assert messages[2] == "byte 0xe9 at 6 of the line is not utf-8; such bytes are shown as \\x.."
    assert report.errors_by_type == {"json_invalid": 2, "json_type": 1, "encoding": 1}


def test_items_that_are_no_objects_fail_alone(tmp_path):
    _, good, bad = run(written(tmp_path, b'[{"a":1}, [2.5], null, {"a":3}]'))
    assert good == [{"a": 1}, {"a": 3}]
    assert [(entry["position"], entry["raw_data"]) for entry in bad] == [(1, {"value": [2.5]}), (2, {"value": None})]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (b'[{"a":1},{"a":', {}, "ends in the middle of its JSON, behind item 0, counted from 0: the file is cut off"),
        (b'[{"a":1}', {}, "ends in the middle of its JSON, behind item 0"),
        (b'{"d":[{"a":1}]', {"item_path": "d"}, "ends in the middle of its JSON, behind item 0"),
        (b'[{"a":1}]{', {}, "is no JSON behind item 0, counted from 0: .*trailing"),
        (b'[{"a":1} {"a":2}]', {}, "is no JSON behind item 0"),
        (b'[{"a":"\xe9"}]', {}, "is no JSON before the first item, .*UTF8.*; name the file's encoding with encoding="),
        (b"", {"format": "array"}, "is empty; it should be an array"),
        (b'{"a":1}\xff\n{"a"', {"encoding": "ascii"}, "is not ascii: ordinal not in range.* near line 1"),
    ],
)
def test_a_broken_file_ends_the_run_and_publishes_nothing(tmp_path, data, options, message):
    path = written(tmp_path, data)
    pipe = Pipe(JSONInputAdapter(path, **options), SyncFifoExecutor(), JSONOutputAdapter(tmp_path / "out.jsonl"))
    with pytest.raises(ExecutionError, match=message):
        pipe.run()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (b'{"d": [{"a":1}]}', {"format": "array"}, "should be an array, and is an object; name the keys"),
        (b"[1]", {"item_path": "d"}, "should be an object, and is an array"),
        (b"7", {"format": "array"}, "should be an array, and is neither"),
        (b'{\n"d": [{"a":1}]\n}', {}, "begins with an object of several lines"),
        (b'{"d": {"r": 1}, "e": []}', {"item_path": "d.r"}, "has no array at item_path='d.r'; its keys are: d, e"),
        ('{"a":1}\n'.encode("utf-16"), {}, "encoding='utf-16' reads that"),
        ('{"a":1}\n'.encode("utf-16-be"), {}, "NUL characters, as text in UTF-16 does"),
        (b"\x1f\x8b\x08\x00", {}, "compression='gzip' reads that"),
        (b"{}", {"format": "xml"}, "format is 'xml'; it may be 'jsonl', 'array' or 'auto'"),
        (b"{}", {"format": "jsonl", "item_path": "d"}, "leave one of them out"),
        (b"{}", {"encoding": "utf-9"}, "no encoding 'utf-9'"),
        (b"{}", {"max_record_bytes": 0}, "max_record_bytes is 0"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_do(tmp_path, data, options, message):
    with pytest.raises(ValidationError, match=message):
        run(written(tmp_path, data), **options)


def test_a_missing_file_is_named_with_the_one_beside_it(tmp_path):
    path = written(tmp_path, b"{}")
    with pytest.raises(ValidationError, match=r"there is no file .*record\.json\. Did you mean 'records\.json'"):
        run(path.with_name("record.json"))


def test_a_line_of_megabytes_is_one_record_and_a_longer_one_ends_the_run(tmp_path):
    path = written(tmp_path, json.dumps({"a": "x" * 5_000_000}).encode() + b'\n{"a":1}\n')
    assert [len(str(raw["a"])) for raw in run(path)[1]] == [5_000_000, 1]
    with pytest.raises(ExecutionError, match="begins in line 1 is longer than 1,000,000 bytes; one document of many"):
        run(path, max_record_bytes=1_000_000)


@pytest.mark.parametrize("opening", [b"", b"["])
def test_memory_is_that_of_some_blocks(tmp_path, opening):
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.write(opening)
        for number in range(40_000):
            comma = b"," if opening and number else b""
            file.write(comma + b'{"a":%d,"b":"some text","c":[1.5,2.5,{"d":"' % number + b"x" * 300 + b'"}]}\n')
        file.write(b"]" if opening else b"")
    adapter = JSONInputAdapter(path)
    adapter.open()
    tracemalloc.start()
    count = sum(block.count for block in adapter.blocks(ChunkSizes(4000, most=4000, fixed=True), Start()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    adapter.close()
    assert count == 40_000
    assert peak < 6_000_000 < path.stat().st_size


@pytest.mark.parametrize("opening", [b"", b"["])
def test_processes_read_the_same_as_this_one(tmp_path, opening):
    joined = (b",\n" if opening else b"\n").join(json.dumps(row).encode() for row in people(10_000))
    path = written(tmp_path, opening + joined + (b"]" if opening else b"\n[]"))
    lines = []
    for name, executor in (
        ("one", SyncFifoExecutor(Person)),
        ("two", MultiProcessingExecutor(Person, max_workers=2)),
    ):
        targets = [tmp_path / f"{name}.jsonl", tmp_path / f"{name}.errors.jsonl"]
        Pipe(JSONInputAdapter(path), executor, *map(JSONOutputAdapter, targets)).run()
        lines.append([target.read_bytes() for target in targets])
    assert lines[0] == lines[1]
    assert lines[0][1].count(b"\n") == 1428 + (not opening)


class Breaks(JSONOutputAdapter):
    """Fails at its third chunk."""

    chunks = 0

    def write_chunk(self, collected):
        self.chunks += 1
        if self.chunks == 3:
            raise ExecutionError("no space left")
        super().write_chunk(collected)


@pytest.mark.parametrize("opening", [b"", b"["])
def test_a_run_that_failed_goes_on_where_it_stopped(tmp_path, opening):
    rows = [json.dumps(row).encode() for row in people(12_000)]
    path = written(tmp_path, opening + (b",\n" if opening else b"\n").join(rows) + (b"]" if opening else b""))
    target, state = tmp_path / "out.jsonl", tmp_path / "state"
    with pytest.raises(ExecutionError, match="no space left"):
        Pipe(JSONInputAdapter(path), SyncFifoExecutor(Person), Breaks(target), checkpoint=state).run()
    report = Pipe(JSONInputAdapter(path), SyncFifoExecutor(Person), JSONOutputAdapter(target), checkpoint=state).run()
    assert report.resumed_at is not None
    assert 0 < report.resumed_at < report.read_count == 12_000
    wanted = [int(row["id"]) for row in people(12_000) if row["age"] != "200"]
    assert [json.loads(line)["id"] for line in target.read_text().splitlines()] == wanted


def test_a_pipe_can_be_run_again_and_reads_the_file_anew(tmp_path):
    path = written(tmp_path, b'{"a":1}\n')
    output = MemoryOutputAdapter()
    pipe = Pipe(JSONInputAdapter(path), SyncFifoExecutor(), output)
    assert pipe.run().read_count == 1
    path.write_bytes(b'[{"b":1},{"b":2}]')
    assert pipe.run().read_count == 2
    assert [entry["raw_data"] for entry in output.results] == [{"b": 1}, {"b": 2}]


def test_the_generator_gives_records_one_by_one(tmp_path):
    adapter = JSONInputAdapter(written(tmp_path, b'{"a":1}\n{"a":2}\n'))
    with contextlib.closing(adapter):
        adapter.open()
        assert list(adapter.generator) == [{"raw_data": {"a": 1}, "position": 0}, {"raw_data": {"a": 2}, "position": 1}]
