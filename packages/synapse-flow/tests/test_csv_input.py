"""A CSV file is read as the csv module reads it, wherever it is cut into blocks."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
import tracemalloc
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from flow_parts import Person
from hypothesis import example, given, settings, strategies as st
from pydantic import BaseModel, Field

from synapse_core.errors import ExecutionError, ValidationError
from synapse_flow import (
    CSVInputAdapter,
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

NAMES = ["c0", "c1", "c2"]
WIDTH = len(NAMES)
BEGINNING = Start()
DIALECTS = [
    {"delimiter": ",", "quotechar": '"'},
    {"delimiter": ";", "quotechar": "'"},
    {"delimiter": "\t", "quotechar": '"'},
    {"delimiter": "|", "quotechar": None},
    {"delimiter": "]", "quotechar": "C"},
    {"delimiter": "§", "quotechar": "«"},
    {"delimiter": ",", "quotechar": '"', "escapechar": "\\"},
    {"delimiter": ",", "quotechar": None, "escapechar": "\\"},
    {"delimiter": ",", "quotechar": '"', "skipinitialspace": True},
]
ENCODINGS = ["utf-8", "latin-1", "cp1252", "utf-16", "utf-32-be", "shift_jis", "mac-arabic", "cp1125"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv") / "table.csv"


# -- what the csv module makes of a text ---------------------------------------------------------


def reader_of(lines: Any, dialect: dict[str, Any], **more: Any) -> Any:
    quoting = csv.QUOTE_MINIMAL if dialect["quotechar"] else csv.QUOTE_NONE
    return csv.reader(lines, **dialect, quoting=quoting, **more)


def expected(text: str, dialect: dict[str, Any]) -> list[tuple[list[str], int]] | None:
    """Return each row with the line where it begins; None where the last one goes on behind the end."""
    lines = list(io.StringIO(text, newline=""))
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += "\n"
    rows, line = [], 1
    reader = reader_of(iter([*lines, "end"]), dialect)
    for row in reader:
        rows.append((row, line))
        line = reader.line_num + 1
    if rows.pop()[0] != ["end"]:
        return None
    return [(row, line) for row, line in rows if row]


def found(
    path: Path, rows: int, size: int, read: int, start: Start = BEGINNING, **options: Any
) -> list[tuple[Any, ...]]:
    """Return raw data, problems and line of each record, and the cursor behind its block.

    Args:
        rows: Records in a block, at most.
        size: Bytes in a block, at most.
        read: Bytes that are read at once.
    """
    adapter = CSVInputAdapter(path, **options)
    records = []
    with pytest.MonkeyPatch.context() as patch, contextlib.closing(adapter):
        patch.setattr(blocks, "_READ", read)
        patch.setattr(chunks, "_VALUES_AT_ONCE", 2 * WIDTH)
        patch.setattr(chunks, "_FEWEST_AT_ONCE", 1)
        adapter.open()
        decoder = adapter.decoder()
        for block in adapter.blocks(ChunkSizes(rows, most=rows, fixed=True, most_bytes=size), start):
            assert 0 < block.count <= rows
            assert len(block.payload) <= size or block.count == 1
            decoded = joined_records(decoder.decode(Chunk(0, 0, block.count, block.payload, block.line)))
            assert len(decoded.raws) == block.count
            for index, raw in enumerate(decoded.raws):
                kinds = [each["type"] for each in decoded.problems.get(index, [])]
                cursor = block.cursor if index == block.count - 1 else None
                records.append((raw, kinds, decoded.line_of(index), cursor))
    return records


def as_record(row: list[str], names: list[str]) -> tuple[dict[str, Any], list[str]]:
    raw: dict[str, Any] = dict(zip(names, row, strict=False))
    if len(row) > len(names):
        raw[""] = row[len(names) :]
    return raw, [] if len(row) == len(names) else ["column_count"]


def check(path: Path, text: str, dialect: dict[str, Any], cuts: tuple[int, int, int], encoding: str = "utf-8") -> None:
    """Read a text in small pieces, and again from behind each block, and compare."""
    path.write_bytes(text.encode(encoding))
    options = {**dialect, "encoding": encoding, "fieldnames": NAMES}
    wanted = expected(text, dialect)
    if wanted is None:
        with pytest.raises(ExecutionError, match="never closed"):
            found(path, *cuts, **options)
        return
    records = found(path, *cuts, **options)
    assert [each[:3] for each in records] == [(*as_record(row, NAMES), line) for row, line in wanted]
    for position, (*_, cursor) in enumerate(records, 1):
        if cursor is not None:
            rest = found(path, *cuts, Start(position, cursor), **options)
            assert [each[:3] for each in rest] == [each[:3] for each in records[position:]]


cuts = st.tuples(st.integers(1, 6), st.integers(1, 60), st.integers(1, 50))


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Return a text that is full of a dialect's own marks."""
    dialect = draw(st.sampled_from(DIALECTS))
    marks = [mark for mark in dialect.values() if isinstance(mark, str)]
    parts = [*marks, *marks, "a", "b", " ", "é", "\0", "\n", "\r", "\r\n", "long" * 9]
    return "".join(draw(st.lists(st.sampled_from(parts), max_size=50))), dialect


@settings(max_examples=300)
@given(texts(), cuts)
@example(("\\\na", DIALECTS[7]), (1, 1, 1))
@example(("\\\na\\", DIALECTS[7]), (1, 1, 1))
def test_any_text_is_read_as_the_csv_module_reads_it(file, text_and_dialect, cuts):
    check(file, *text_and_dialect, cuts)


@pytest.mark.parametrize("dialect", [DIALECTS[0], DIALECTS[6]])
def test_a_text_is_read_the_same_wherever_it_is_cut(file, dialect):
    text = 'a,"b"\r\n"c,"\r\n"d\r\n""e",f\r\n\r\ng,h\ri,"j"\r\rk,"l\n\nm"\n\n"n",o"o\n,\r\n"p",\\q'
    for rows in (1, 2, 9):
        for size in range(1, len(text) + 2):
            for read in (1, 2, 3, 100):
                check(file, text, dialect, (rows, size, read))


fields = st.one_of(
    st.text(max_size=8),
    st.text(st.sampled_from("a,;|]C'\"\\\n\r \t§«"), max_size=8),
    st.sampled_from(["", "\n", "\r\n", '"', '""', "x" * 70, "line\n" * 12, " ", "\0"]),
)


@settings(max_examples=300)
@given(
    st.lists(st.lists(fields.filter(lambda text: text.isprintable() or "\n" in text), min_size=WIDTH, max_size=WIDTH)),
    st.sampled_from([each for each in DIALECTS if each["quotechar"]]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    cuts,
)
def test_any_table_that_was_written_as_csv_comes_back(file, table, dialect, end, quoting, cuts):
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, **dialect, lineterminator=end, quoting=quoting)
    writer.writerows(table)
    check(file, stream.getvalue(), dialect, cuts)


@settings(max_examples=200)
@given(st.text(st.sampled_from('ab,"\n\r é'), max_size=60), st.sampled_from(ENCODINGS), cuts)
def test_any_encoding_is_cut_where_its_lines_end(file, text, encoding, cuts):
    if encoding in ("shift_jis", "mac-arabic", "cp1125"):
        text = text.replace("é", {"shift_jis": "表", "mac-arabic": "س", "cp1125": "Ж"}[encoding])
    check(file, text, DIALECTS[0], cuts, encoding)


@pytest.mark.parametrize("quote", [b'"', b"\xa2"])
def test_an_encoding_with_two_bytes_for_a_quote_is_cut_at_neither(file, quote):
    file.write_bytes(b"a," + quote + b"b\nc" + quote + b",d\ne,f,g\n")
    records = found(file, 5, 100, 100, encoding="mac-arabic", fieldnames=NAMES)
    assert [list(each[0].values()) for each in records] == [["a", "b\nc", "d"], ["e", "f", "g"]]


broken = st.sampled_from([b"a", b"b", b"\xff", b"\xe2\x82\xac", b"\xe2\x82", b'"x\n\xc3"', b",", b"\n", b"\r\n"])


@settings(max_examples=200)
@given(st.lists(broken), cuts)
def test_only_rows_with_bytes_that_are_no_text_fail(file, parts, cuts):
    data = b"".join(parts)
    file.write_bytes(data)
    rows = expected(data.decode("utf-8", "surrogateescape"), DIALECTS[0])
    assert rows is not None
    for (raw, kinds, line, _), (row, begins) in zip(found(file, *cuts, fieldnames=NAMES), rows, strict=True):
        is_text = not any("\udc80" <= char <= "\udcff" for char in "".join(row))
        assert line == begins
        assert kinds == as_record(row, NAMES)[1] + ([] if is_text else ["encoding"])
        legible = [field.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") for field in row]
        assert raw == as_record(legible, NAMES)[0]


# -- whole files through a pipe ------------------------------------------------------------------


def run(path: Path, model: Any = None, **options: Any) -> tuple[Any, list[Any], list[Any]]:
    good, bad = MemoryOutputAdapter(), MemoryOutputAdapter()
    report = Pipe(CSVInputAdapter(path, **options), SyncFifoExecutor(model), good, bad).run()
    return report, [entry["raw_data"] for entry in good.results], bad.results


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "table.csv"
    path.write_bytes(data)
    return path


def test_a_file_of_megabytes_is_read_whole_with_its_quotes_and_lines(tmp_path):
    table = [[str(i), f'name "{i}",\nof {"line" * (i % 50)}', "x" * (i % 7)] for i in range(40_000)]
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([NAMES, *table])
    path = written(tmp_path, stream.getvalue().encode())
    report, good, bad = run(path)
    assert (report.read_count, bad) == (40_000, [])
    assert [list(raw.values()) for raw in good] == table


@pytest.mark.parametrize("data", [b"", b"\n\n", b"a,b", b"a,b\n", b"a,b\r\n\r\n", b"\xef\xbb\xbfa,b\n"])
def test_a_file_without_rows_gives_no_records(tmp_path, data):
    report, good, bad = run(written(tmp_path, data))
    assert (report.status, report.read_count, good, bad) == (FlowStatus.COMPLETED, 0, [], [])


@pytest.mark.parametrize(
    "data",
    [b"a,b\n1,2\n3,4", b"a,b\n1,2\n3,4\n", b"a,b\r\n1,2\r\n\r\n3,4\r\n", b"a,b\r1,2\r3,4\r", b"a,b\n1,2\r\n3,4\r",
     b"\xef\xbb\xbfa,b\n1,2\n3,4\n", b"\n\na,b\n\n1,2\n\n\n3,4\n\n"],
)  # fmt: skip
def test_line_ends_blank_lines_and_marks_make_no_difference(tmp_path, data):
    assert run(written(tmp_path, data))[1] == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


def test_misfit_rows_fail_alone_with_their_lines(tmp_path):
    path = written(tmp_path, b'a,b\n1,2\n"1\n2",\n3\n\n4,5,6,7\n8,9\n')
    report, good, bad = run(path)
    assert good == [{"a": "1", "b": "2"}, {"a": "1\n2", "b": ""}, {"a": "8", "b": "9"}]
    assert [(entry["position"], entry["line"]) for entry in bad] == [(2, 5), (3, 7)]
    assert [entry["raw_data"] for entry in bad] == [{"a": "3"}, {"a": "4", "b": "5", "": ["6", "7"]}]
    assert "1 fields, and the header 2 ('b' missing)" in bad[0]["errors"][0]["message"]
    assert report.errors_by_type == {"column_count": 2}


def test_each_failed_row_of_a_long_chunk_is_told_with_its_place_and_data(tmp_path):
    def row(number: int) -> str:
        if number % 97 == 0:
            return f"{number}\n"
        if number % 89 == 0:
            return f"{number},\udcff\n"
        return f'{number},"two\nlines"\n' if number % 7 == 0 else f"{number},x\n"

    class Row(BaseModel):
        a: int = Field(multiple_of=2)
        b: str

    rows = [row(number) for number in range(1, 5001)]
    path = written(tmp_path, "".join(["a,b\n", *rows]).encode("utf-8", "surrogateescape"))
    begins = [2, *accumulate((text.count("\n") for text in rows), initial=2)][1:]
    output, errors = JSONOutputAdapter(tmp_path / "good.jsonl"), MemoryOutputAdapter()
    report, bad = Pipe(CSVInputAdapter(path), SyncFifoExecutor(Row), output, errors).run(), errors.results
    numbers = [n for n in range(1, 5001) if n % 2 or n % 97 == 0 or n % 89 == 0]
    assert report.success_count + len(numbers) == 5000
    assert [entry["position"] + 1 for entry in bad] == numbers
    assert [entry["line"] for entry in bad] == [begins[number - 1] for number in numbers]
    assert [int(entry["raw_data"]["a"]) for entry in bad] == numbers
    good = [json.loads(line) for line in (tmp_path / "good.jsonl").read_text().splitlines()]
    assert [row["a"] for row in good] == sorted({*range(1, 5001)} - {*numbers})


def test_a_wrong_encoding_fails_the_rows_that_show_it(tmp_path):
    data = "id,name,age\n1,Zoé,3\n2,Bob,4\n".encode("latin-1")
    report, _, bad = run(written(tmp_path, data), Person)
    assert (report.success_count, report.error_count) == (1, 1)
    assert bad[0]["raw_data"]["name"] == "Zo\\xe9"
    assert "name: byte 0xe9 is not utf-8" in bad[0]["errors"][0]["message"]
    assert run(written(tmp_path, data), Person, encoding="latin-1")[0].success_count == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("näme,b\n".encode("latin-1"), "byte 0xe4 at 1; name the file's encoding with encoding="),
        ("a,b\n1,2\n".encode("utf-16"), "encoding='utf-16' reads that"),
        ("a,b\n1,2\n".encode("utf-16-le"), "NUL characters, as text in UTF-16 does"),
        (b"\x1f\x8b\x08\x00\x00", "compression='gzip' reads that"),
        (b"a,b,a\n", "names 'a' more than once"),
    ],
)
def test_a_header_that_is_none_is_refused_with_what_to_do(tmp_path, data, message):
    with pytest.raises(ValidationError, match=message):
        run(written(tmp_path, data))


def test_fieldnames_and_skipped_lines_take_the_place_of_a_header(tmp_path):
    path = written(tmp_path, b"# made today\r\n# by hand\r\nx,y\r\n1,2\r\n")
    assert run(path, skip_rows=2)[1] == [{"x": "1", "y": "2"}]
    assert run(path, skip_rows=3, fieldnames=["a", "b"])[1] == [{"a": "1", "b": "2"}]
    assert run(path, skip_rows=9)[1] == []
    with pytest.raises(ValidationError, match="fieldnames= names 'a' more than once"):
        CSVInputAdapter(path, fieldnames=["a", "a"])


@pytest.mark.parametrize(
    "options",
    [{"delimiter": ""}, {"delimiter": ",,"}, {"delimiter": "\n"}, {"delimiter": '"'}, {"quotechar": "\r"},
     {"escapechar": ","}, {"delimiter": " ", "skipinitialspace": True}, {"delimiter": None}],
)  # fmt: skip
def test_marks_that_cannot_be_told_apart_are_refused(tmp_path, options):
    with pytest.raises(ValidationError, match="make no CSV dialect"):
        CSVInputAdapter(tmp_path / "table.csv", **options)


def test_an_unknown_encoding_is_refused(tmp_path):
    for name in ("utf-9", "rot13", "hex"):
        with pytest.raises(ValidationError, match=f"no encoding '{name}'"):
            CSVInputAdapter(tmp_path / "table.csv", encoding=name)


def test_nul_characters_are_text(tmp_path):
    assert run(written(tmp_path, b"a,b\n\0,2\0\n"))[1] == [{"a": "\0", "b": "2\0"}]


def test_a_field_of_megabytes_with_line_ends_is_one_field(tmp_path):
    field = 'a "quoted" line\n' * 330_000
    assert len(field) > 5_000_000
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([["a", "b"], ["1", "2"], ["3", field], ["4", "5"]])
    path = written(tmp_path, stream.getvalue().encode())
    assert run(path)[1] == [{"a": "1", "b": "2"}, {"a": "3", "b": field}, {"a": "4", "b": "5"}]


def test_rows_are_the_same_where_pythons_patterns_are_of_no_use(tmp_path, monkeypatch):
    monkeypatch.setattr("synapse_flow.inputs.csv_dialect._RE_IS_WRONG", True)  # as in Python before 3.11.5
    rows = [[str(number), 'a "quoted"\nline' if number % 3 else "plain", 'b"c'] for number in range(5000)]
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([["a", "b", "c"], *rows])
    assert run(written(tmp_path, stream.getvalue().encode()))[1] == [dict(zip("abc", row, strict=True)) for row in rows]


def test_a_quote_that_is_never_closed_is_named_and_publishes_nothing(tmp_path):
    path = written(tmp_path, b'a,b\n1,2\n3,"4\n5,6\n')
    target = tmp_path / "out.jsonl"
    pipe = Pipe(CSVInputAdapter(path), SyncFifoExecutor(), JSONOutputAdapter(target))
    with pytest.raises(ExecutionError, match=r"ends inside a quoted field: the quote in the record b'3,\"4"):
        pipe.run()
    assert list(tmp_path.iterdir()) == [path]


def test_an_open_quote_in_a_large_file_ends_at_the_longest_record(tmp_path):
    path = written(tmp_path, b'a,b\n1,"2\n' + b"3,4\n" * 2_000_000)
    with pytest.raises(ExecutionError, match="begins in line 2 is longer than 1,000,000 bytes; a quote that is never"):
        run(path, max_record_bytes=1_000_000)


@pytest.mark.parametrize("most", [9, 10, 11])
def test_the_longest_record_is_a_matter_of_its_own_length(tmp_path, most):
    path = written(tmp_path, b"a,b\n" + b"1,2\n" * 1000 + b'"x\nyz",5\r\n' + b"1,2\n" * 1000)
    if most >= 10:
        assert run(path, max_record_bytes=most)[0].success_count == 2001
    else:
        with pytest.raises(ExecutionError, match="in line 1002 is longer than 9 bytes"):
            run(path, max_record_bytes=most)


def test_memory_is_that_of_some_blocks(tmp_path):
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.write(b"a,b,c\n")
        for _ in range(60):
            file.write(b'some text,"quoted, text",12345\n' * 20_000)
    adapter = CSVInputAdapter(path)
    adapter.open()
    sizes = ChunkSizes(4000, most=4000, fixed=True)
    tracemalloc.start()
    count = sum(block.count for block in adapter.blocks(sizes, Start()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    adapter.close()
    assert count == 1_200_000
    assert peak < 8_000_000 < path.stat().st_size


def test_a_pipe_can_be_run_again_and_reads_the_file_anew(tmp_path):
    path = written(tmp_path, b"a\n1\n")
    output = MemoryOutputAdapter()
    pipe = Pipe(CSVInputAdapter(path), SyncFifoExecutor(), output)
    assert pipe.run().read_count == 1
    path.write_bytes(b"b\n1\n2\n")
    assert pipe.run().read_count == 2
    assert [entry["raw_data"] for entry in output.results] == [{"b": "1"}, {"b": "2"}]


def test_processes_read_the_same_as_this_one(tmp_path):
    rows = "".join(f'{i},"name\n{i}",{i % 200}\n' for i in range(20_000))
    path = written(tmp_path, f"id,name,age\n{rows}".encode())
    lines = []
    for name, executor in (
        ("one", SyncFifoExecutor(Person)),
        ("two", MultiProcessingExecutor(Person, max_workers=2)),
    ):
        targets = [tmp_path / f"{name}.jsonl", tmp_path / f"{name}.errors.jsonl"]
        Pipe(CSVInputAdapter(path), executor, *map(JSONOutputAdapter, targets)).run()
        lines.append([target.read_bytes() for target in targets])
    assert lines[0] == lines[1]
    assert lines[0][1].count(b"\n") == 4900


def test_the_limit_on_fields_of_the_process_is_only_raised(tmp_path):
    csv.field_size_limit(sys.maxsize)
    try:
        run(written(tmp_path, b"a\n1\n"))
        assert csv.field_size_limit() == sys.maxsize
    finally:
        csv.field_size_limit(131_072)
