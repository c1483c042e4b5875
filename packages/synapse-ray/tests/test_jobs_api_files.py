"""The file format of params and results, the row of files that grows, and the work that travels in a package."""

import datetime
import errno
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from synapse_core.errors import ExecutionError
from synapse_core.model.outcome import Outcome
from synapse_core.model.tagged import PlainData
from synapse_core.model.type_names import loaded_type
from synapse_ray.action_spec import ActionSpec
from synapse_ray.jobs_api.event_file import EventFile
from synapse_ray.jobs_api.result_files import BrokenFileError, open_file, outcome_file
from synapse_ray.jobs_api.segments import SegmentReader, SegmentWriter
from synapse_ray.jobs_api.work import DriverWork, pack_work, unpack_work
from synapse_ray.worker import WorkerSettings
from synapse_testing.values import VALUES, make_value, same_value

LONG = 200_000


class Report(BaseModel):
    """A model with a long part."""

    name: str
    blob: bytes


@dataclass(frozen=True)
class Frozen:
    """A dataclass that refuses changes."""

    blob: bytearray
    note: str


def in_pieces(content: bytes, length: int) -> Iterator[bytes]:
    for start in range(0, len(content), length):
        yield content[start : start + length]


def round_trip(value: Any, length: int = 7919) -> Any:
    content = b"".join(outcome_file(None, value))
    return open_file(in_pieces(content, length)).unwrap(loaded_type)


@pytest.mark.parametrize("name", VALUES)
def test_every_value_comes_back(name: str) -> None:
    assert same_value(round_trip(make_value(name)), make_value(name))


@pytest.mark.parametrize("length", [1, 13, 65536, 10**9])
def test_long_parts_come_back_however_the_bytes_arrive(length: int) -> None:
    if length == 1:
        value: Any = {"a": b"x" * 70_000}
    else:
        value = {"a": b"x" * LONG, "b": [bytearray(b"y" * LONG), ("é" * LONG, 1)], "c": "short", "d": b"z" * 100_000}
    assert round_trip(value, length) == value


def test_arrays_come_back_in_their_order_and_type() -> None:
    numpy = pytest.importorskip("numpy")
    arrays = {
        "c": numpy.arange(100_000, dtype="<f8").reshape(100, 1000),
        "f": numpy.asfortranarray(numpy.arange(100_000, dtype="<i4").reshape(100, 1000)),
        "strided": numpy.arange(200_000, dtype="<i8")[::2],
        "dates": numpy.arange(20_000).astype("datetime64[s]"),
        "bool": numpy.ones(100_000, dtype=bool),
    }
    found = round_trip(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert (found[name] == array).all()
    assert found["f"].flags.f_contiguous


def test_long_parts_inside_objects_come_back_and_the_objects_are_left_alone() -> None:
    report, frozen = Report(name="a", blob=b"r" * LONG), Frozen(bytearray(b"f" * LONG), "n")
    found = round_trip([report, {"deep": frozen}])
    assert found == [report, {"deep": frozen}]
    assert type(found[0]) is Report
    assert type(found[1]["deep"].blob) is bytearray
    assert report.blob == b"r" * LONG


def test_a_long_text_is_not_written_as_data() -> None:
    header, *rest = list(outcome_file(None, {"t": "é" * LONG}))[1:]
    assert len(header) < 1000
    assert sum(len(piece) for piece in rest) == 2 * LONG


def test_what_only_looks_like_a_part_stays_what_it_is() -> None:
    forged = PlainData({"part": 0}, type_name="synapse-part:0000000000000000")
    found = round_trip([forged, b"x" * LONG])
    assert found[0] == {"part": 0}
    assert type(found[0]) is PlainData


def test_an_error_comes_back() -> None:
    outcome = Outcome.of_error(ExecutionError("it broke", original_type="OvenError"))
    with pytest.raises(ExecutionError, match="it broke"):
        open_file([b"".join(outcome_file(outcome, None))]).unwrap(loaded_type)


def test_a_result_without_a_form_is_described_with_its_long_parts() -> None:
    found = round_trip({"blob": b"x" * LONG, "lock": __import__("threading").Lock()})
    assert isinstance(found, PlainData)
    assert found.type_name == "builtins:dict"


@pytest.mark.parametrize("damage", ["cut", "header", "part", "other"])
def test_a_damaged_file_is_refused(damage: str) -> None:
    content = bytearray(b"".join(outcome_file(None, b"x" * LONG)))
    if damage == "cut":
        content = content[:-1]
    elif damage == "header":
        content[60] ^= 1
    elif damage == "part":
        content[-10] ^= 1
    else:
        content = bytearray(b"<html>not this</html>" * 10)
    with pytest.raises(BrokenFileError):
        open_file([bytes(content)])


def test_work_comes_back() -> None:
    when = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)
    params = {"blob": b"p" * LONG, "when": when}
    settings = WorkerSettings({"A": 1, "B": ["x"], "C": {"d": None}}, {"TOKEN": "secret"})
    work = DriverWork(
        "job-1", ActionSpec("train", "plugin.train:Train", "digits"), ("plain", params), settings, "s3://x"
    )
    assert unpack_work(pack_work(work)) == work


# -- the row of files ---------------------------------------------------------------------------


def read_all(reader: SegmentReader, folder: Path) -> bytes:
    found = []
    while True:
        file = folder / reader.wanted()
        found += reader.feed(file.read_bytes() if file.exists() else None)
        if not reader.behind:
            return b"".join(found)


def test_a_row_is_read_as_it_grows(tmp_path: Path) -> None:
    writer, reader = SegmentWriter(tmp_path, "log"), SegmentReader("log")
    assert read_all(reader, tmp_path) == b""
    for text in (b"one", b"two\n", b"x" * 3_000_000, b"end"):
        writer.write(text)
        assert read_all(reader, tmp_path) == text
    assert not reader.ended
    writer.close()
    assert read_all(reader, tmp_path) == b""
    assert reader.ended
    assert len(list(tmp_path.iterdir())) > 1


def test_a_row_is_read_whole_by_one_who_comes_late(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, "log")
    written = hashlib.sha256()
    for number in range(50):
        piece = str(number).encode() * 60_000
        writer.write(piece)
        written.update(piece)
    writer.close()
    reader = SegmentReader("log")
    assert hashlib.sha256(read_all(reader, tmp_path)).digest() == written.digest()
    assert reader.ended


def test_half_a_frame_is_left_for_the_next_look() -> None:
    reader = SegmentReader("log")
    assert reader.feed(b"0000") == []
    assert reader.feed(b"00000003\nab") == []
    assert reader.feed(b"00000003\nabc00000001\nd") == [b"abc", b"d"]
    assert reader.feed(b"00000003\nabc00000001\ndffffffff\n") == []
    assert reader.wanted() == "log.1"


def test_what_a_full_disk_does_not_take_is_dropped_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, reader = SegmentWriter(tmp_path, "log"), SegmentReader("log")
    write, is_full = os.write, True

    def written(file: int, data: bytes) -> int:
        if not is_full:
            return write(file, data)
        if len(data) < 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[: len(data) // 2])

    writer.write(b"before\n")
    monkeypatch.setattr(os, "write", written)
    assert writer.write(b"lost\n") == 0
    is_full = False
    assert writer.write(b"after\n") == 6
    writer.close()
    assert read_all(reader, tmp_path) == b"before\nafter\n"
    assert reader.ended


def test_a_row_that_was_cut_off_in_the_middle_ends_there() -> None:
    reader = SegmentReader("log")
    assert reader.feed(b"00000003\nabc\0\0\0\0\0\0\0\0\0\0\0\0") == [b"abc"]
    assert reader.ended


# -- reports ------------------------------------------------------------------------------------


def test_printed_lines_become_one_report_and_stay_in_their_place(tmp_path: Path) -> None:
    events = EventFile(SegmentWriter(tmp_path, "events"), holds=True)

    def prints(text: str, stream: str = "stdout") -> None:
        events.write({"kind": "output", "job_id": "j", "time": 0.0, "stream": stream, "text": text})

    for text in ("a\n", "b\n"):
        prints(text)
    events.write({"kind": "message", "message": "between"})
    prints("c\n")
    prints("d\n", "stderr")
    reader = SegmentReader("events")
    assert len(read_all(reader, tmp_path).splitlines()) == 3
    events.flush()
    assert len(read_all(reader, tmp_path).splitlines()) == 1
    events.close()
    lines = [json.loads(line) for line in read_all(SegmentReader("events"), tmp_path).splitlines()]
    assert [line.get("text", line.get("message")) for line in lines] == ["a\nb\n", "between", "c\n", "d\n"]
