"""No run destroys a device, a link, or what it reads, and no file is open to more people than before."""

from __future__ import annotations

import io
import json
import os
import queue
import socket
import stat
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from flow_parts import Person, people

from synapse_core.errors import ExecutionError, ValidationError
from synapse_flow import (
    ArrowOutputAdapter,
    BaseOutputAdapter,
    CSVInputAdapter,
    CSVOutputAdapter,
    DuckDBInputAdapter,
    DuckDBOutputAdapter,
    ExcelOutputAdapter,
    FlowStatus,
    IterableInputAdapter,
    JSONInputAdapter,
    JSONOutputAdapter,
    ParquetInputAdapter,
    ParquetOutputAdapter,
    Pipe,
    QueueOutputAdapter,
    RetryInputAdapter,
    SQLAlchemyInputAdapter,
    SQLAlchemyOutputAdapter,
    SyncFifoExecutor,
)
from synapse_flow.flow import Flow
from synapse_flow.flow_running import FlowRun, default_checkpoint
from synapse_flow.places import file_of
from synapse_flow.publication import Publication

ROWS = people(2000)
GOOD = [row for row in ROWS if row["age"] != "200"]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="devices, links and modes of POSIX")


def piped(output: Any, errors: Any = None, **options: Any) -> Pipe:
    return Pipe(IterableInputAdapter(ROWS), SyncFifoExecutor(Person), output, errors, **options)


def null(path: Path) -> Path:
    """Make a null device of one's own, so that the system's is in no danger."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        with path.open("wb"):
            return path
    except OSError as error:
        pytest.skip(f"no devices can be made here: {error}")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def reading(opened: Callable[[], Any]) -> Iterator[list[bytes]]:
    """Read from what is opened, in a thread, and give what was read at the end."""
    parts: list[bytes] = []

    def read() -> None:
        with opened() as file:
            while part := file.read(5000):
                parts.append(part)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    yield parts
    thread.join(20)
    assert not thread.is_alive()


# -- what is no regular file ---------------------------------------------------------------------


def test_the_null_device_stays_one(tmp_path):
    nowhere = null(tmp_path / "null")
    for output in (
        JSONOutputAdapter(nowhere), CSVOutputAdapter(nowhere), ParquetOutputAdapter(nowhere), ExcelOutputAdapter(nowhere),
        ArrowOutputAdapter(nowhere, format="arrow"),
    ):  # fmt: skip
        assert piped(output, JSONOutputAdapter(nowhere)).run().success_count == len(GOOD)
        assert stat.S_ISCHR(nowhere.lstat().st_mode)
        assert mode(nowhere) & 0o200
    assert os.listdir(tmp_path) == ["null"]


@pytest.mark.parametrize("end", ["discard", "keep", "close"])
def test_no_end_of_a_run_removes_a_device_or_a_link_to_one(tmp_path, end):
    nowhere = null(tmp_path / "null")
    (tmp_path / "link").symlink_to(nowhere)
    for path in (nowhere, tmp_path / "link"):
        output = JSONOutputAdapter(path)
        output.open()
        output.write({"validated_data": {"a": 1}})
        output.abandon()
        getattr(output, end)()
    assert stat.S_ISCHR(nowhere.lstat().st_mode)
    assert (tmp_path / "link").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link", "null"]


def test_a_failed_run_leaves_a_device_alone(tmp_path):
    nowhere = null(tmp_path / "null")

    class Breaks(JSONOutputAdapter):
        def finish(self) -> None:
            raise ExecutionError("no space left")

    with pytest.raises(ExecutionError, match="no space left"):
        piped(Breaks(nowhere)).run()
    assert stat.S_ISCHR(nowhere.lstat().st_mode)


def records_of(data: bytes, suffix: str) -> list[Any]:
    if suffix == ".jsonl":
        return [json.loads(line)["id"] for line in data.splitlines()]
    if suffix == ".parquet":
        return pq.read_table(pa.BufferReader(data)).column("id").to_pylist()
    sheet = openpyxl.load_workbook(io.BytesIO(data), read_only=True).worksheets[0]
    return [row[0] for row in list(sheet.iter_rows(values_only=True))[1:]]


OUTPUTS = {".jsonl": JSONOutputAdapter, ".parquet": ParquetOutputAdapter, ".xlsx": ExcelOutputAdapter}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("suffix", OUTPUTS)
def test_a_fifo_is_written_to_in_every_format_and_stays(tmp_path, suffix):
    path = tmp_path / f"fifo{suffix}"
    os.mkfifo(path)
    with reading(lambda: path.open("rb")) as parts:
        piped(OUTPUTS[suffix](path)).run()
    assert records_of(b"".join(parts), suffix) == [int(row["id"]) for row in GOOD]
    assert stat.S_ISFIFO(path.lstat().st_mode)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.timeout(60)
def test_a_socket_is_written_to_and_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as listens:
        listens.bind("socket")
        listens.listen()
        with reading(lambda: listens.accept()[0].makefile("rb")) as parts:
            piped(JSONOutputAdapter("socket")).run()
    assert records_of(b"".join(parts), ".jsonl") == [int(row["id"]) for row in GOOD]
    assert stat.S_ISSOCK(Path("socket").lstat().st_mode)


@pytest.mark.timeout(60)
def test_a_run_that_nobody_reads_the_fifo_of_can_be_aborted(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    for opened in (False, True):  # by a reader, who takes nothing
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK) if opened else None
        pipe = piped(JSONOutputAdapter(path))
        report = pipe.start()
        assert not report.wait(0.2)
        pipe.shutdown()
        assert report.status is FlowStatus.CANCELLED
        if reader is not None:
            os.close(reader)
    assert stat.S_ISFIFO(path.lstat().st_mode)


@pytest.mark.parametrize("link", [False, True])
def test_an_open_file_is_written_behind_what_is_in_it(tmp_path, link):
    path, name = tmp_path / "redirected", tmp_path / "stdout"
    with path.open("wb", buffering=0) as file:
        place = Path(f"/proc/self/fd/{file.fileno()}")
        if not place.exists():
            pytest.skip("no /proc here")
        if link:
            name.symlink_to(place)
            place = name
        file.write(b"before\n")
        piped(JSONOutputAdapter(place)).run()
        file.write(b"behind\n")
    first, *lines, last = path.read_bytes().splitlines()
    assert (first, last, len(lines)) == (b"before", b"behind", len(GOOD))


def test_what_is_written_directly_takes_no_checkpoint_but_the_null_device_does(tmp_path):
    fifo, nowhere, state = tmp_path / "fifo", null(tmp_path / "null"), tmp_path / "state"
    os.mkfifo(fifo)
    assert [JSONOutputAdapter(each).resumable for each in (fifo, nowhere, tmp_path / "out")] == [False, True, True]
    assert default_checkpoint(piped(JSONOutputAdapter(fifo))) is None
    with pytest.raises(ValidationError, match=r"cannot go on where a run stopped; leave checkpoint= out"):
        piped(JSONOutputAdapter(fifo), checkpoint=state).run()
    errors = tmp_path / "errors.jsonl"
    assert default_checkpoint(piped(JSONOutputAdapter(nowhere))) is None  # not beside a device
    assert default_checkpoint(piped(JSONOutputAdapter(nowhere), JSONOutputAdapter(errors))) == Path(
        f"{errors}.checkpoint"
    )
    assert file_of(JSONOutputAdapter(nowhere)) is None
    source = tmp_path / "in.csv"
    source.write_text("id,name,age\n" + "".join(f"{i},x,{i % 200}\n" for i in range(2000)))

    def run(output: BaseOutputAdapter) -> Pipe:
        return Pipe(
            CSVInputAdapter(source), SyncFifoExecutor(Person), output, JSONOutputAdapter(errors), checkpoint=state,
            max_bytes_in_flight=2000,
        )  # fmt: skip

    first = run(JSONOutputAdapter(nowhere))
    report = first.start()
    while not report.success_count:
        assert not report.wait(0.001)
    first.shutdown()
    if report.status is FlowStatus.CANCELLED:
        assert state.exists()
    assert run(JSONOutputAdapter(nowhere)).run().read_count == 2000
    assert len(errors.read_bytes().splitlines()) == 490
    assert stat.S_ISCHR(nowhere.lstat().st_mode)


# -- links ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("adapter", OUTPUTS.values())
def test_a_link_stays_and_the_file_that_it_leads_to_is_replaced(tmp_path, there, adapter):
    real, link = tmp_path / "real" / "file", tmp_path / "links" / "link"
    real.parent.mkdir()
    link.parent.mkdir()
    link.symlink_to("../real/file")
    if there:
        real.write_bytes(b"old")
    output = ParquetOutputAdapter(link) if adapter is ParquetOutputAdapter else adapter(link)
    output.open()
    assert (tmp_path / "real" / "file.partial").exists()
    output.discard()
    assert os.listdir(real.parent) == (["file"] if there else [])
    piped(output).run()
    assert os.readlink(link) == "../real/file"
    assert real.stat().st_size > 100
    assert (os.listdir(real.parent), os.listdir(link.parent)) == (["file"], ["link"])


def test_links_that_lead_to_each_other_are_refused(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(ExecutionError, match=r"a cannot be written: its links lead to each other"):
        piped(JSONOutputAdapter(tmp_path / "a")).run()
    assert (tmp_path / "a").is_symlink()


def test_what_comes_to_be_there_meanwhile_is_not_replaced(tmp_path):
    file = Publication(tmp_path / "out")
    file.open()
    file.write(b"x")
    os.mkfifo(tmp_path / "out")
    with pytest.raises(ExecutionError, match=r"out cannot be written: something that is no file"):
        file.publish()
    file.discard()
    assert stat.S_ISFIFO((tmp_path / "out").lstat().st_mode)
    assert os.listdir(tmp_path) == ["out"]


# -- one file twice ------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def ways(pipe: Callable[[], Pipe]) -> Iterator[Callable[[], Any]]:
    yield lambda: pipe().run()
    yield lambda: pipe().start().wait(20, raise_on_error=True)
    yield lambda: list(pipe())
    yield lambda: FlowRun(Flow("flow", "flow", pipe()), fresh=True).go(lambda _: None).wait(raise_on_error=True)


def refused(pipe: Callable[[], Pipe], match: str, *kept: Path) -> None:
    before = [path.read_bytes() for path in kept]
    for way in ways(pipe):
        with pytest.raises(ValidationError, match=match):
            way()
        assert [path.read_bytes() for path in kept] == before
        assert not [each for path in kept for each in path.parent.glob("*.partial") if each not in kept]


def test_an_input_is_no_output(source, tmp_path, monkeypatch):
    (tmp_path / "soft.jsonl").symlink_to(source)
    (tmp_path / "hard.jsonl").hardlink_to(source)
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    for place in (
        source,
        "../in.jsonl",
        f"file://{source}",
        f"local://{source}",
        tmp_path / "soft.jsonl",
        "../hard.jsonl",
    ):
        out, other = JSONOutputAdapter(place), JSONOutputAdapter(tmp_path / "other.jsonl")

        def pipe(*outputs: Any, **options: Any) -> Pipe:
            return Pipe(JSONInputAdapter(source), SyncFifoExecutor(Person), *outputs, **options)

        match = (
            r"the input.* and the {}.* are one file.*: the run would write over what it reads. Name another place for"
        )
        refused(lambda pipe=pipe, out=out: pipe(out), match.format("output") + " the output", source)
        refused(lambda pipe=pipe, out=out, other=other: pipe(other, out), match.format("output of errors"), source)
        if "://" not in str(place):
            refused(
                lambda pipe=pipe, place=place, other=other: pipe(other, checkpoint=place),
                match.format("checkpoint"),
                source,
            )


def test_the_unfinished_part_of_an_output_is_no_input(tmp_path):
    part = tmp_path / "out.jsonl.partial"
    part.write_text('{"id": "1", "name": "x", "age": "3"}\n')

    def pipe() -> Pipe:
        return Pipe(JSONInputAdapter(part), SyncFifoExecutor(Person), JSONOutputAdapter(tmp_path / "out.jsonl"))

    refused(pipe, r"the input and the unfinished output are one file, .*out\.jsonl\.partial: the run would", part)


def test_two_outputs_are_two_files(source, tmp_path):
    place = tmp_path / "out.jsonl"

    def pipe(output: Any, errors: Any, **options: Any) -> Pipe:
        return Pipe(JSONInputAdapter(source), SyncFifoExecutor(Person), output, errors, **options)

    match = r"the output and the output of errors are one file, .*: one would write over the other. Name another place"
    refused(lambda: pipe(JSONOutputAdapter(place), JSONOutputAdapter(place)), match, source)
    refused(lambda: pipe(ParquetOutputAdapter(place), ExcelOutputAdapter(place)), match, source)
    same = CSVOutputAdapter(place)
    refused(lambda: pipe(same, same), match, source)
    match = "the output and the checkpoint are one file"
    refused(lambda: pipe(JSONOutputAdapter(place), None, checkpoint=place), match, source)
    assert os.listdir(tmp_path) == ["in.jsonl"]


def test_the_errors_that_are_run_again_are_no_output(tmp_path):
    errors = tmp_path / "errors.jsonl"
    piped(None, JSONOutputAdapter(errors)).run()

    def pipe() -> Pipe:
        return Pipe(RetryInputAdapter(errors), SyncFifoExecutor(Person), None, JSONOutputAdapter(errors))

    refused(
        pipe, r"the file of errors that is run again and the output of errors are one file, .*errors\.jsonl", errors
    )


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("meant", ["folder", "folder/*.parquet", "folder/**/*.parquet", ["folder/a.parquet", "folder"]])
def test_an_output_is_none_of_several_inputs(tmp_path, monkeypatch, meant, there):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "folder"
    folder.mkdir()
    pq.write_table(pa.table({"a": [1]}), folder / "a.parquet")
    target = folder / ("a.parquet" if there else "new.parquet")
    match = r"the output .* is one of the files that the input folder.* means: a later run would read it"
    refused(lambda: Pipe(ParquetInputAdapter(meant), None, ParquetOutputAdapter(target)), match, folder / "a.parquet")
    for harmless in (folder / "_done.jsonl", folder / "b.jsonl", tmp_path / "b.parquet", "folders.parquet"):
        Pipe(ParquetInputAdapter(meant), None, JSONOutputAdapter(harmless)).run()


def test_a_link_to_one_of_several_inputs_is_no_output(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    pq.write_table(pa.table({"a": [1]}), folder / "a.parquet")
    (tmp_path / "hard.parquet").hardlink_to(folder / "a.parquet")

    def pipe() -> Pipe:
        return Pipe(ParquetInputAdapter(folder), None, ParquetOutputAdapter(tmp_path / "hard.parquet"))

    refused(pipe, "the input .*a.parquet and the output .*hard.parquet are one file", folder / "a.parquet")


def test_urls_of_one_object_are_one_place():
    fs, folder = fsspec.filesystem("memory"), f"/{uuid.uuid4()}"
    fs.pipe(f"{folder}/in.jsonl", b'{"id": 1, "name": "x", "age": 3}\n')
    for source, target in (
        (f"memory:/{folder}/in.jsonl", f"memory://{folder}/in.jsonl"),
        (f"simplecache::memory:/{folder}/in.jsonl", f"memory:/{folder}/in.jsonl"),
    ):
        pipe = Pipe(JSONInputAdapter(source), SyncFifoExecutor(Person), JSONOutputAdapter(target))
        with pytest.raises(ValidationError, match=r"the input.* and the output.* are one file"):
            pipe.run()
    assert fs.find(folder) == [f"{folder}/in.jsonl"]
    Pipe(
        JSONInputAdapter(f"memory:/{folder}/in.jsonl"), SyncFifoExecutor(Person),
        JSONOutputAdapter(f"memory:/{folder}/out.jsonl"),
    ).run()  # fmt: skip


def test_one_name_in_two_stores_is_two_places():
    def pipe(endpoint: str) -> Pipe:
        options = {"key": "a", "secret": "b", "client_kwargs": {"endpoint_url": endpoint}}
        return Pipe(
            JSONInputAdapter("s3://bucket/a.jsonl", storage_options=options),
            None,
            JSONOutputAdapter("s3a://bucket/a.jsonl", storage_options={"endpoint_url": "http://one.invalid"}),
        )

    pytest.importorskip("s3fs")
    pipe("http://two.invalid").check_places()
    with pytest.raises(ValidationError, match="are one file"):
        pipe("http://one.invalid").check_places()


def test_a_database_may_be_read_and_written_by_its_adapters_and_by_nothing_else(tmp_path):
    url, file = f"sqlite:///{tmp_path}/db", tmp_path / "db"
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE a (id INTEGER PRIMARY KEY)"))
        connection.execute(sa.text("INSERT INTO a VALUES (1), (2)"))
    engine.dispose()

    def source() -> SQLAlchemyInputAdapter:
        return SQLAlchemyInputAdapter(url, table="a", key="id")

    assert Pipe(source(), None, SQLAlchemyOutputAdapter(url, "b")).run().success_count == 2
    refused(lambda: Pipe(source(), None, JSONOutputAdapter(file)), "the input and the output are one file", file)
    duck = tmp_path / "duck.db"
    assert Pipe(source(), None, DuckDBOutputAdapter(duck, "a")).run().success_count == 2
    again = DuckDBInputAdapter(duck, table="a", read_only=False)
    assert Pipe(again, None, DuckDBOutputAdapter(duck, "b")).run().success_count == 2
    refused(lambda: Pipe(again, None, CSVOutputAdapter(duck)), "the input and the output are one file", duck)


def test_a_pipe_runs_twice_and_a_place_without_a_file_is_none(source, tmp_path):
    pipe = Pipe(
        JSONInputAdapter(source), SyncFifoExecutor(Person), JSONOutputAdapter(tmp_path / "a"), CSVOutputAdapter(tmp_path / "b"),
        checkpoint=tmp_path / "c",
    )  # fmt: skip
    for _ in range(2):
        assert pipe.run().success_count == len(GOOD)


def test_whoever_waits_for_entries_learns_that_a_run_was_refused(source, tmp_path):
    entries: queue.Queue[Any] = queue.Queue()
    pipe = Pipe(JSONInputAdapter(source), None, QueueOutputAdapter(entries, end=None), JSONOutputAdapter(source))
    assert pipe.run(raise_on_error=False).status is FlowStatus.FAILED
    assert entries.get_nowait() is None


# -- modes ---------------------------------------------------------------------------------------


@pytest.fixture
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("usual_umask")
@pytest.mark.parametrize("wanted", [0o600, 0o640, 0o664, 0o444])
@pytest.mark.parametrize("adapter", OUTPUTS.values())
def test_a_file_has_the_mode_of_the_one_that_it_replaces_from_its_beginning(tmp_path, adapter, wanted):
    path, part = tmp_path / "out", tmp_path / "out.partial"
    modes = []

    class Looks(adapter):
        def write_chunk(self, collected: Any) -> None:
            modes.append(mode(part))
            super().write_chunk(collected)

    def output() -> Any:
        return Looks(path)

    piped(output()).run()
    assert (mode(path), set(modes)) == (0o644, {0o644})
    path.chmod(wanted)
    modes.clear()
    for _ in range(2):
        piped(output()).run()
        assert (mode(path), set(modes)) == (wanted, {wanted | 0o200})
    part.touch(0o644)  # left by a run that was killed
    piped(output()).run()
    assert (mode(path), set(modes)) == (wanted, {wanted | 0o200})


@pytest.mark.usefixtures("usual_umask")
def test_a_part_is_never_readable_by_others_not_even_before_it_has_its_mode(tmp_path, monkeypatch):
    path, seen = tmp_path / "out", []
    path.touch(0o600)
    fchmod = os.fchmod
    monkeypatch.setattr(
        os, "fchmod", lambda file, wanted: (seen.append(mode(tmp_path / "out.partial")), fchmod(file, wanted))
    )
    path.chmod(0o660)
    piped(JSONOutputAdapter(path)).run()
    assert seen == [0o600]
    assert mode(path) == 0o660


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_a_file_keeps_its_owner(tmp_path):
    path = tmp_path / "out"
    path.touch(0o600)
    os.chown(path, 1234, 2345)
    piped(JSONOutputAdapter(path)).run()
    assert (path.stat().st_uid, path.stat().st_gid, mode(path)) == (1234, 2345, 0o600)


# -- what cannot be written ----------------------------------------------------------------------


def test_a_place_to_read_from_only_says_which_can_be_written():
    for adapter in (JSONOutputAdapter, ParquetOutputAdapter, ExcelOutputAdapter):
        with pytest.raises(ValidationError) as found:
            piped(adapter("https://host.invalid/out?token=secret")).run()
        assert str(found.value) == (
            "https://host.invalid/out cannot be written: https:// is to read from only. Name a path, or the URL of a "
            "store that takes files: s3://, gs://, abfs://, sftp://, …"
        )


@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize("adapter", OUTPUTS.values())
def test_a_folder_and_a_place_below_a_file_are_named_whatever_else_there_is(tmp_path, adapter, checkpoint):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for place, message in (
        ("folder", "folder cannot be written: it is a folder; name a file in it"),
        ("file/out", r"out cannot be written: .*/file is a file, and no folder that something can be written to"),
        ("file/deep/out", r"out cannot be written: .*/file is a file, and no folder that something can be written to"),
    ):
        state = Path(f"{tmp_path / place}.checkpoint") if checkpoint else None
        with pytest.raises(ExecutionError, match=message):
            piped(adapter(tmp_path / place), checkpoint=state).run()
        if state is not None:
            report = FlowRun(Flow("flow", "flow", piped(adapter(tmp_path / place), checkpoint=state)), fresh=True).go(
                print
            )
            with pytest.raises(ExecutionError, match=message):
                report.wait(raise_on_error=True)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]
