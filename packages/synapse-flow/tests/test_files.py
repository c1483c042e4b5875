"""Files are read whole or not at all, and appear under their name when they are whole."""

from __future__ import annotations

import gzip
import os
import resource
import struct
import threading
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings, strategies as st

from synapse_core.errors import ConfigError, ExecutionError, ValidationError
from synapse_flow import CSVInputAdapter, JSONOutputAdapter, MemoryOutputAdapter, Pipe, SyncFifoExecutor
from synapse_flow.compression import compressed
from synapse_flow.failures import DamagedInputError
from synapse_flow.flow import Flow
from synapse_flow.flow_running import FlowRun
from synapse_flow.flow_texts import how_to_go_on
from synapse_flow.publication import Publication
from synapse_flow.source_file import SourceFile

SUFFIXES = {"gzip": ".gz", "zstd": ".zst", None: ""}
TABLE = b"id,name\r\n" + b"".join(b"%d,%d\r\n" % (i, i * 7919 % 10007) for i in range(3000))
SKIPPABLE = struct.pack("<II", 0x184D2A50, 5) + b"aside"


def read_all(path: Path, size: int = 1000, offset: int = 0, compression: str | None = "infer") -> bytes:
    file = SourceFile(path, compression)
    file.open(offset)
    parts = []
    try:
        while part := file.read(size):
            assert len(part) <= size
            parts.append(part)
    finally:
        file.close()
    return b"".join(parts)


# -- reading -------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(
    st.lists(st.binary(max_size=50) | st.sampled_from([b"x" * 300_000, os.urandom(40_000)]), max_size=4),
    st.sampled_from(["gzip", "zstd", None]),
    st.sampled_from([1, 7, 1000, 1 << 20]),
    st.integers(0, 100),
)
def test_parts_one_behind_the_other_are_read_as_one(tmp_path_factory, parts, compression, size, offset):
    path = tmp_path_factory.getbasetemp() / f"parts{SUFFIXES[compression]}"
    path.write_bytes(b"".join(compressed(part, compression) for part in parts))
    size = max(size, sum(map(len, parts)) // 2000)
    assert read_all(path, size) == b"".join(parts)
    if offset <= sum(map(len, parts)):
        assert read_all(path, size, offset) == b"".join(parts)[offset:]


def test_what_others_put_between_frames_is_left_out(tmp_path):
    path = tmp_path / "in.zst"
    frames = [SKIPPABLE, compressed(b"one ", "zstd"), SKIPPABLE, compressed(b"", "zstd"), compressed(b"two", "zstd")]
    path.write_bytes(b"".join(frames))
    assert read_all(path) == b"one two"


def cut(data: bytes) -> list[bytes]:
    return [data[:size] for size in (1, 3, 5, 9, 17, len(data) // 2, len(data) - 9, len(data) - 5, len(data) - 1)]


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_file_that_is_cut_off_ends_the_run_wherever_it_is_cut(tmp_path, compression):
    source, target = tmp_path / f"in.csv{SUFFIXES[compression]}", tmp_path / "out.jsonl"
    whole = compressed(TABLE, compression)
    for data in [*cut(whole), *(whole + part for part in cut(whole))]:
        source.write_bytes(data)
        pipe = Pipe(CSVInputAdapter(source), SyncFifoExecutor(), JSONOutputAdapter(target))
        with pytest.raises(ExecutionError, match=f"in the middle of its {compression} data|is no whole {compression}"):
            pipe.run()
        assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_damaged_file_says_to_start_afresh_and_takes_nothing_from_another_run(tmp_path, compression):
    source, checkpoint = tmp_path / f"in.csv{SUFFIXES[compression]}", tmp_path / "checkpoint"
    rows = b"".join(b"%d,%s\n" % (i, os.urandom(20).hex().encode()) for i in range(20_000))
    whole = compressed(b"id,name\n" + rows, compression)
    source.write_bytes(whole[:-100])

    def run(fresh=False):
        pipe = Pipe(
            CSVInputAdapter(source), SyncFifoExecutor(), JSONOutputAdapter(tmp_path / "o"), checkpoint=checkpoint
        )
        run = FlowRun(Flow("flow", "flow", pipe), fresh=fresh)
        run.go(lambda _: None)
        return run

    broken = run()
    assert isinstance(broken.report.exception, DamagedInputError)
    assert broken.report.success_count > 0
    assert how_to_go_on(broken) == "when the input is whole, --fresh starts afresh"
    kept = checkpoint.read_bytes()
    source.write_bytes(whole[:30])
    assert isinstance(run().report.exception, DamagedInputError)
    assert checkpoint.read_bytes() == kept
    source.write_bytes(whole)
    assert isinstance(run().report.exception, ConfigError)
    assert run(fresh=True).report.read_count == 20_000


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_file_that_is_damaged_or_goes_on_with_something_else_ends_the_run(tmp_path, compression):
    source = tmp_path / f"in.csv{SUFFIXES[compression]}"
    whole = compressed(TABLE, compression)
    middle = len(whole) // 2
    for data in (TABLE, whole + b"more", whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]):
        source.write_bytes(data)
        with pytest.raises(ExecutionError, match=f"in.csv{SUFFIXES[compression]} is no whole {compression} file"):
            Pipe(CSVInputAdapter(source), SyncFifoExecutor(), MemoryOutputAdapter()).run()


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_file_that_became_shorter_is_not_waited_for(tmp_path, suffix):
    path = tmp_path / f"in{suffix}"
    path.write_bytes(gzip.compress(b"12345") if suffix == ".gz" else compressed(b"12345", "zstd"))
    assert read_all(path, offset=5) == b""
    with pytest.raises(ExecutionError, match="is 3 bytes shorter than it was"):
        read_all(path, offset=8)


def test_the_compression_is_told_by_the_suffix_or_by_name(tmp_path):
    path = tmp_path / "in.gz"
    path.write_bytes(b"plain")
    assert read_all(path, compression=None) == b"plain"
    other = tmp_path / "in.bin"
    other.write_bytes(zstandard.ZstdCompressor().compress(b"data"))
    assert read_all(other, compression="zstd") == b"data"
    with pytest.raises(ValidationError, match="compression is 'zip'; it may be 'infer', 'gzip', 'zstd' or None"):
        SourceFile(path, "zip")


def test_a_folder_or_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ValidationError, match="cannot be read: Is a directory"):
        read_all(tmp_path)
    (tmp_path / "people.csv").touch()
    with pytest.raises(ValidationError, match=r"there is no file .*peple\.csv\. Did you mean 'people\.csv'\?"):
        read_all(tmp_path / "peple.csv")


def test_a_changed_file_is_not_the_file_of_a_run_that_goes_on(tmp_path):
    source, state = tmp_path / "in.csv", tmp_path / "state"
    source.write_bytes(TABLE)

    class Breaks(JSONOutputAdapter):
        def close(self):
            raise ExecutionError("no space left")

    def pipe(output):
        return Pipe(CSVInputAdapter(source), SyncFifoExecutor(), output(tmp_path / "out.jsonl"), checkpoint=state)

    with pytest.raises(ExecutionError, match="no space left"):
        pipe(Breaks).run()
    source.write_bytes(TABLE + b"1,1\r\n")
    with pytest.raises(ConfigError, match=r"its input (and outputs )?changed since"):
        pipe(JSONOutputAdapter).run()


# -- writing -------------------------------------------------------------------------------------


def test_a_file_appears_when_it_is_published_and_replaces_the_old_one(tmp_path):
    path = tmp_path / "deep" / "out"
    for text in (b"first", b"second"):
        file = Publication(path)
        file.open()
        file.write(text[:2])
        file.write(text[2:])
        assert not path.exists() or path.read_bytes() == b"first"
        file.publish()
        assert path.read_bytes() == text
    assert list(path.parent.iterdir()) == [path]


def test_a_part_is_gone_on_with_or_taken_away(tmp_path):
    path = tmp_path / "out"
    file = Publication(path)
    file.open()
    file.write(b"one, and what was not committed")
    file.keep()
    file.open(3)
    file.write(b" two")
    file.publish()
    assert path.read_bytes() == b"one two"
    file.open()
    file.write(b"three")
    file.discard()
    assert path.read_bytes() == b"one two"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(
        ExecutionError, match=r"out cannot be written: what an unfinished run has left in out\.partial is gone"
    ):
        file.open(3)


def test_a_part_that_became_shorter_is_refused(tmp_path):
    file = Publication(tmp_path / "out")
    (tmp_path / "out.partial").write_bytes(b"12")
    with pytest.raises(ExecutionError, match=r"out\.partial is shorter than what was committed"):
        file.open(3)
    file.open()  # it does not stay locked
    file.discard()


def test_a_whole_part_may_have_been_published_already(tmp_path):
    path, file = tmp_path / "out", Publication(tmp_path / "out")
    for text in (b"whole", b""):
        file.open()
        file.write(text)
        file.flush()
        assert not path.exists()
        file.keep()
        file.open(len(text), whole=True)
        file.publish()
        assert path.read_bytes() == text
        file.open(len(text), whole=True)
        file.publish()
        assert path.read_bytes() == text
        path.write_bytes(b"another")
        with pytest.raises(ExecutionError, match=r"what an earlier run has finished was replaced since; start afresh"):
            file.open(len(text), whole=True)
        path.unlink()
    assert list(tmp_path.iterdir()) == []


def test_two_runs_do_not_write_one_file(tmp_path):
    first, second = Publication(tmp_path / "out"), Publication(tmp_path / "out")
    first.open()
    first.write(b"first")
    with pytest.raises(ExecutionError, match=r"another run writes .*out now; wait for it, or choose another output"):
        second.open()
    first.publish()
    assert (tmp_path / "out").read_bytes() == b"first"


def test_a_run_that_begins_while_another_publishes_spoils_nothing(tmp_path):
    path, text = tmp_path / "out", b"whole" * 1000
    ended, refused = threading.Event(), []

    def begin_and_give_up() -> None:
        while not ended.is_set():
            other = Publication(path)
            try:
                other.open()
            except ExecutionError:
                refused.append(1)
            else:
                other.discard()

    thread = threading.Thread(target=begin_and_give_up)
    thread.start()
    try:
        published = 0
        while published < 300:
            file = Publication(path)
            try:
                file.open()
            except ExecutionError:
                continue
            file.write(text)
            file.publish()
            published += 1
            assert path.read_bytes() == text
    finally:
        ended.set()
        thread.join()
    assert refused


def test_what_cannot_be_written_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ExecutionError, match="folder cannot be written: it is a folder"):
        Publication(tmp_path / "folder").open()
    with pytest.raises(ExecutionError, match=r"out cannot be written: .*file is a file, and no folder"):
        Publication(tmp_path / "file" / "out").open()


def test_a_full_disk_ends_the_run_and_leaves_nothing(tmp_path):
    source, target = tmp_path / "in.csv", tmp_path / "out.jsonl"
    source.write_bytes(TABLE)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(ExecutionError, match=r"out\.jsonl cannot be written: File too large"):
            Pipe(CSVInputAdapter(source), SyncFifoExecutor(), JSONOutputAdapter(target)).run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == [source]
