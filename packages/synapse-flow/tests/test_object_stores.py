"""Flows read from object stores and write to them, and nothing is under a name there before it is whole."""

from __future__ import annotations

import gc
import gzip
import json
import re
import socket
import threading
import uuid
from collections.abc import Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from typing import Any

import fsspec
import pytest
import s3fs
import zstandard
from flow_parts import FailsOn, Person, people
from moto.server import ThreadedMotoServer

from synapse_core.errors import BackendUnreachableError, ExecutionError, ValidationError
from synapse_flow import (
    BaseHook,
    CSVInputAdapter,
    FlowStatus,
    JSONOutputAdapter,
    MemoryOutputAdapter,
    MultiProcessingExecutor,
    Pipe,
    SyncFifoExecutor,
)
from synapse_flow.failures import PlaceNotFoundError
from synapse_flow.inputs.excel import ExcelInputAdapter
from synapse_flow.inputs.iterable import IterableInputAdapter
from synapse_flow.inputs.json import JSONInputAdapter
from synapse_flow.outputs.csv import CSVOutputAdapter
from synapse_flow.outputs.excel import ExcelOutputAdapter

SECRET = "the-secret-of-the-store"
PART = 5 << 20  # bytes; the least that the store takes as a part of an object


@pytest.fixture(scope="module")
def options() -> Iterator[dict[str, Any]]:
    """The storage options of a server of its own."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield {"key": "somebody", "secret": SECRET, "client_kwargs": {"endpoint_url": f"http://{host}:{port}"}}
    server.stop()


@pytest.fixture
def store(options: dict[str, Any]) -> Any:
    """The file system, with a new bucket as its `bucket`."""
    fs = fsspec.filesystem("s3", **options)
    fs.bucket = f"bucket-{uuid.uuid4()}"
    fs.mkdir(fs.bucket)
    return fs


def names(store: Any) -> list[str]:
    store.invalidate_cache()
    return sorted(name.partition("/")[2] for name in store.find(store.bucket))


def uploads(store: Any) -> list[Any]:
    """Return uploads that were begun and are neither complete nor aborted; they cost money."""
    for file in [each for each in gc.get_objects() if type(each) is s3fs.core.S3File]:
        file.__del__()  # as Python does when it frees one, at some time
    return store.call_s3("list_multipart_uploads", Bucket=store.bucket).get("Uploads", [])


def table(count: int) -> bytes:
    """Return people as CSV, with quotes and line ends in fields."""
    lines = [f'{row["id"]},"{row["name"]},\n""x""",{row["age"]},{row["balance"]}\r\n' for row in people(count)]
    return "".join(["id,name,age,balance\r\n", *lines]).encode()


def packed(data: bytes, suffix: str) -> bytes:
    return {"": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}[suffix](data)


def unpacked(data: bytes, suffix: str) -> bytes:
    if suffix == ".zst":
        return zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read()
    return gzip.decompress(data) if suffix == ".gz" else data


def ids(lines: bytes) -> list[int]:
    return [json.loads(line)["id"] for line in lines.splitlines()]


GOOD = [i for i in range(10_000) if i % 7 != 6]


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize("executor", [SyncFifoExecutor, MultiProcessingExecutor])
def test_csv_comes_from_a_store_and_json_lines_go_to_it(store, options, suffix, executor):
    source, target, errors = (
        f"s3://{store.bucket}/{name}{suffix}" for name in ("in/people.csv", "out/people.jsonl", "out/errors.jsonl")
    )
    store.pipe(source, packed(table(10_000), suffix))
    report = Pipe(
        CSVInputAdapter(source, storage_options=options),
        executor(Person),
        JSONOutputAdapter(target, storage_options=options),
        JSONOutputAdapter(errors, storage_options=options),
    ).run()
    assert (report.success_count, report.error_count) == (8572, 1428)
    assert ids(unpacked(store.cat(target), suffix)) == GOOD
    failed = [json.loads(line) for line in unpacked(store.cat(errors), suffix).splitlines()]
    assert [row["position"] for row in failed] == [i for i in range(10_000) if i % 7 == 6]
    assert [row["line"] for row in failed] == [2 + 2 * i for i in range(10_000) if i % 7 == 6]


def test_every_other_format_goes_to_a_store_and_comes_back(store, options):
    more = {"storage_options": options}
    last: Any = IterableInputAdapter(people(500))
    for output, source in (
        (CSVOutputAdapter, CSVInputAdapter), (ExcelOutputAdapter, ExcelInputAdapter),
        (JSONOutputAdapter, JSONInputAdapter),
    ):  # fmt: skip
        name = f"s3://{store.bucket}/{output.__name__}.json"
        assert Pipe(last, SyncFifoExecutor(Person), output(name, **more)).run().success_count in (429, 500)
        last = source(name, **more)
    memory = MemoryOutputAdapter()
    Pipe(last, SyncFifoExecutor(Person), memory).run()
    wanted = [Person(**row).model_dump() for row in people(500) if row["age"] != "200"]
    assert [entry["validated_data"] for entry in memory.results] == wanted


def test_an_object_of_many_parts_is_whole(store, options):
    target = f"s3://{store.bucket}/large.jsonl"
    rows = [{"id": i, "text": "x" * 1000} for i in range(15_000)]
    output = JSONOutputAdapter(target, storage_options={**options, "default_block_size": PART})
    Pipe(IterableInputAdapter(rows), SyncFifoExecutor(), output).run()
    assert store.info(target)["size"] > 2 * PART
    assert ids(store.cat(target)) == list(range(15_000))
    assert re.search("-[2-9]", store.info(target)["ETag"])  # the mark of an object of several parts


class Stops(BaseHook):
    """Tells that it has seen a record, and holds it until it may go on."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.seen, self.go = at, threading.Event(), threading.Event()

    def execute(self, entries, store):
        if any(int(entry["raw_data"]["id"]) >= self.at for entry in entries):
            self.seen.set()
            assert self.go.wait(20)


def breaks():
    yield from ({"id": i, "text": "x" * 1000} for i in range(12_000))
    raise OSError("the source is gone")


@pytest.mark.parametrize("old", [None, b"the old one"])
def test_nothing_is_under_the_name_when_a_flow_fails(store, options, old):
    target = f"s3://{store.bucket}/out.jsonl"
    if old:
        store.pipe(target, old)
    output = JSONOutputAdapter(target, storage_options={**options, "default_block_size": PART})
    with pytest.raises(OSError, match="the source is gone"):
        Pipe(IterableInputAdapter(breaks), SyncFifoExecutor(), output).run()
    assert names(store) == (["out.jsonl"] if old else [])
    assert old is None or store.cat(target) == old
    assert uploads(store) == []


@pytest.mark.parametrize("count", [100, 12_000])
def test_nothing_is_under_the_name_when_a_flow_is_aborted(store, options, count):
    target = f"s3://{store.bucket}/out.jsonl"
    hook = Stops(count - 1)
    rows = ({"id": i, "text": "x" * 1000} for i in range(count))
    output = JSONOutputAdapter(target, storage_options={**options, "default_block_size": PART})
    pipe = Pipe(IterableInputAdapter(rows), SyncFifoExecutor(), output, pre_validation_hooks=[hook])
    report = pipe.start()
    assert hook.seen.wait(60)
    report.abort()
    hook.go.set()
    assert report.wait(20)
    assert report.status is FlowStatus.CANCELLED
    del pipe, output
    assert names(store) == []
    assert uploads(store) == []


def test_an_object_appears_even_where_nothing_is_written(store, options):
    target = f"s3://{store.bucket}/out.jsonl"
    Pipe(IterableInputAdapter([]), SyncFifoExecutor(), JSONOutputAdapter(target, storage_options=options)).run()
    assert store.cat(target) == b""


def test_errors_of_records_are_no_failure(store, options):
    target = f"s3://{store.bucket}/out.csv"
    hooks = [FailsOn(3)]
    output = CSVOutputAdapter(target, storage_options=options)
    Pipe(IterableInputAdapter(people(5)), SyncFifoExecutor(Person), output, pre_validation_hooks=hooks).run()
    assert store.cat(target).count(b"\n") == 5


def test_a_replaced_object_is_read_anew(store, options):
    source = f"s3://{store.bucket}/in.csv"
    pipe = Pipe(CSVInputAdapter(source, storage_options=options), SyncFifoExecutor())
    for count in (5, 900):
        store.ls(store.bucket)  # which it remembers
        store.call_s3("put_object", Bucket=store.bucket, Key="in.csv", Body=table(count))  # as others do
        assert pipe.run().read_count == count


def test_what_a_killed_run_wrote_to_a_store_is_not_taken_for_kept(store, options, tmp_path):
    source = tmp_path / "in.csv"
    source.write_bytes(table(12_000))
    target = f"s3://{store.bucket}/out.csv"

    class Breaks(CSVOutputAdapter):
        chunks = 0

        def write_chunk(self, collected):
            self.chunks += 1
            if self.chunks == 3:
                raise ExecutionError("no space left")
            super().write_chunk(collected)

    for output, message in (
        (Breaks, "no space left|cannot go on where a run stopped"),
        (CSVOutputAdapter, "was not kept; start afresh|cannot go on where a run stopped"),
    ):
        pipe = Pipe(
            CSVInputAdapter(source), SyncFifoExecutor(Person), output(target, storage_options=options),
            checkpoint=tmp_path / "state",
        )  # fmt: skip
        with pytest.raises((ExecutionError, ValidationError), match=message):
            pipe.run()
    assert names(store) == []


# -- what goes wrong -----------------------------------------------------------------------------


def unused_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def test_a_missing_object_or_bucket_is_named(store, options):
    for name in (f"s3://{store.bucket}/nothing.csv", "s3://no-such-bucket/in.csv"):
        with pytest.raises(ValidationError, match=f"there is no file {name}"):
            Pipe(CSVInputAdapter(name, storage_options=options), SyncFifoExecutor()).run()
    output = JSONOutputAdapter("s3://no-such-bucket/out.jsonl", storage_options=options)
    with pytest.raises(ExecutionError, match=r"s3://no-such-bucket/out\.jsonl cannot be written: .*bucket"):
        Pipe(IterableInputAdapter(people(3)), SyncFifoExecutor(), output).run()


def test_a_store_that_nobody_answers_at_is_named_without_its_secrets(options):
    address = f"http://127.0.0.1:{unused_port()}"
    more = {**options, "client_kwargs": {"endpoint_url": address}, "config_kwargs": {"retries": {"max_attempts": 0}}}
    with pytest.raises(BackendUnreachableError, match=r"s3://bucket/in\.csv cannot be opened: ") as reading:
        Pipe(CSVInputAdapter("s3://bucket/in.csv", storage_options=more), SyncFifoExecutor()).run()
    output = JSONOutputAdapter("s3://bucket/out.jsonl", storage_options=more)
    with pytest.raises(BackendUnreachableError, match=r"s3://bucket/out\.jsonl cannot be written: ") as writing:
        Pipe(IterableInputAdapter(people(3)), SyncFifoExecutor(), output).run()
    assert SECRET not in f"{reading.value} {writing.value}"


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "host.invalid"])
def test_a_server_that_does_not_answer_is_no_missing_file(host):
    url = f"http://{host.format(port=unused_port())}/in.csv"
    with pytest.raises(BackendUnreachableError, match=rf"{url} cannot be opened: "):
        Pipe(CSVInputAdapter(url), SyncFifoExecutor()).run()


def test_a_missing_file_is_one_also_while_another_error_is_handled():
    try:
        raise ConnectionRefusedError("the warehouse does not answer")
    except ConnectionError:
        with pytest.raises(PlaceNotFoundError, match=r"there is no file gone\.csv"):
            Pipe(CSVInputAdapter("gone.csv"), SyncFifoExecutor()).run()


def test_a_file_that_a_server_does_not_have_is_a_missing_one(tmp_path):
    with HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with pytest.raises(PlaceNotFoundError, match="there is no file http://"):
                Pipe(CSVInputAdapter(f"http://127.0.0.1:{server.server_port}/gone.csv"), SyncFifoExecutor()).run()
        finally:
            server.shutdown()
            thread.join()


def test_a_password_in_a_url_is_shown_nowhere(tmp_path):
    url = f"ftp://ann:{SECRET}@127.0.0.1:{unused_port()}/in.csv"
    pipe = Pipe(CSVInputAdapter(url), SyncFifoExecutor())
    with pytest.raises(BackendUnreachableError, match=r"ftp://ann:\*\*\*@127\.0\.0\.1") as raised:
        pipe.run()
    assert SECRET not in str(raised.value)
    assert SECRET not in json.dumps(pipe.report.to_dict())
    output = CSVOutputAdapter(f"https://ann:{SECRET}@example.invalid/out.csv?token={SECRET}")
    assert output.path == "https://ann:***@example.invalid/out.csv"


class LoudFileSystem(fsspec.AbstractFileSystem):
    """A file system whose errors tell what it was given."""

    protocol = "loud"

    def __init__(self, password: str, **more: Any) -> None:
        super().__init__(**more)
        self.password = password

    def info(self, path: str, **more: Any) -> Any:
        raise RuntimeError(f"ann cannot log in with {self.password!r}")

    def _open(self, path: str, mode: str = "rb", **more: Any) -> Any:
        raise OSError(13, f"ann cannot log in with {self.password!r}")


def test_a_password_in_the_error_of_a_file_system_is_hidden():
    fsspec.register_implementation("loud", LoudFileSystem, clobber=True)
    more = {"storage_options": {"password": SECRET}}
    with pytest.raises(ExecutionError, match=r"loud://in\.csv cannot be opened: ann cannot log in with '\*\*\*'$"):
        Pipe(CSVInputAdapter("loud://in.csv", **more), SyncFifoExecutor()).run()
    with pytest.raises(ExecutionError, match=r"loud://out\.csv cannot be written: ann cannot log in with '\*\*\*'$"):
        Pipe(IterableInputAdapter(people(3)), SyncFifoExecutor(), CSVOutputAdapter("loud://out.csv", **more)).run()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nowhere://bucket/in.csv", {}, "no file system can be made of nowhere://bucket/in.csv: Protocol not known"),
        ("memory://in.csv", {"wrong": 1}, r"there is no file|no file system can be made of memory://in\.csv"),
    ],
)
def test_a_place_that_does_not_exist_is_refused(name, options, message):
    with pytest.raises(ValidationError, match=message):
        Pipe(CSVInputAdapter(name, storage_options=options), SyncFifoExecutor()).run()


@pytest.mark.parametrize("old", [None, b"the old one"])
def test_other_places_have_the_file_beside_its_name_until_it_is_whole(old):
    fs = fsspec.filesystem("memory")
    folder = f"/{uuid.uuid4()}"
    target = f"memory:/{folder}/out.jsonl"
    if old:
        fs.pipe(target, old)
    output = JSONOutputAdapter(target)
    output.open()
    output.write({"validated_data": {"a": 1}})
    assert fs.exists(target) is bool(old)
    output.discard()
    assert fs.find(folder) == ([f"{folder}/out.jsonl"] if old else [])
    output.open()
    output.write({"validated_data": {"a": 1}})
    output.close()
    assert fs.find(folder) == [f"{folder}/out.jsonl"]
    assert fs.cat(target) == b'{"a":1}\n'
