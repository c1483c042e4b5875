"""A job's log is followed without losing, doubling or reordering a line, whatever breaks; with a cluster made of dicts."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from synapse_core.errors import BackendError, BackendUnreachableError, ExecutionTimeoutError, JobNotFoundError
from synapse_ray.jobs_api.answers import Answer, JobDetails, LostAnswerError
from synapse_ray.jobs_api.entrypoint import side_folder
from synapse_ray.jobs_api.following import follow_log, read_log
from synapse_ray.jobs_api.log_stream import drive, drive_async
from synapse_ray.jobs_api.rest_paths import Request, job_log_name
from synapse_ray.jobs_api.segments import SegmentWriter

JOB = "job-1"
NONCE = "0" * 32
LOG = job_log_name(JOB)


class FakeCluster:
    """A head, a node, and a job whose log grows by some bytes at every request; connections break at random.

    Args:
        folder: Where its files are made.
        log: What the job writes.
        early: What the head writes before the job's node is known.
        elsewhere: Whether the job runs on another node than the head.
        breaks: How likely a request is to break.
        seed: Of everything that is random.
        copies: Whether the job's driver copies its log.
    """

    url = "http://fake"

    def __init__(
        self,
        folder: Path,
        log: bytes,
        *,
        early: bytes = b"",
        elsewhere: bool = False,
        breaks: float = 0.0,
        seed: int = 0,
        copies: bool = True,
        ends: bool = True,
    ) -> None:
        self.random = random.Random(seed)
        self.breaks = breaks
        self.ends = ends
        self.requests = 0
        self._early = early
        self._rest = log
        self._node = "node" if elsewhere else "head"
        self._begun = False
        self._copied = 0
        self._files = {("head", LOG): b""}
        self._folder = folder
        self._writer: SegmentWriter | None = None
        self._copies = copies

    def status(self) -> str:
        if not self._begun:
            return "PENDING"
        return "SUCCEEDED" if self.ends and not self._rest else "RUNNING"

    def info(self) -> JobDetails:
        return JobDetails(self.status(), self._node if self._begun else None, {"synapse_nonce": NONCE}, "", None)

    def grow(self) -> None:
        self.requests += 1
        if self._early:
            self._files["head", LOG] += self._early[:7]
            self._early = self._early[7:]
            return
        if not self._begun:
            self._begun = True
            self._files.setdefault((self._node, LOG), b"")
            if self._copies:
                self._writer = SegmentWriter(self._folder, "log")
            return
        piece = self._rest[: self.random.choice([1, 10, 1000, 30_000])]
        self._rest = self._rest[len(piece) :]
        self._files[self._node, LOG] += piece
        content = self._files[self._node, LOG]
        # The driver copies later than it writes, and a driver that is killed does not copy the end.
        if self._writer is not None and self._rest and self.random.random() < 0.7:
            self._writer.write(content[self._copied :])
            self._copied = len(content)

    def break_perhaps(self, part: float = 1.0) -> None:
        if self.random.random() < self.breaks * part:
            raise LostAnswerError("cut")

    def answer(self, request: Request) -> Answer:
        self.grow()
        self.break_perhaps()
        if request.path.endswith("nodes"):
            nodes = [{"node_id": "head", "is_head_node": True, "state": "ALIVE"}]
            return Answer(200, json.dumps({"data": {"result": {"result": nodes}}}), self.url)
        info = self.info()
        body = {"status": info.status, "driver_node_id": info.node_id, "metadata": info.metadata}
        return Answer(200, json.dumps(body), self.url)

    def content(self, request: Request) -> bytes | None:
        self.grow()
        self.break_perhaps()
        assert request.params is not None
        name = request.params["filename"]
        if name.startswith(side_folder(NONCE)):
            file = self._folder / name.rpartition("/")[2]
            return file.read_bytes() if file.exists() else None
        return self._files.get((request.params["node_id"], name))

    def pieces(self, content: bytes) -> Iterator[bytes]:
        at = 0
        while at < len(content):
            self.break_perhaps(0.2)
            length = self.random.choice([1, 10_000, 100_000, 200_000])
            yield content[at : at + length]
            at += length


class PlainDashboard(FakeCluster):
    def ask(self, request: Request, *, repeat: bool | None = None) -> Answer:
        return self.answer(request)

    def head_id(self, *, repeat: bool | None = None) -> str:
        self.break_perhaps()
        return "head"

    @contextlib.contextmanager
    def open(self, request: Request) -> Iterator[Iterator[bytes] | None]:
        content = self.content(request)
        yield None if content is None else self.pieces(content)


class LoopDashboard(FakeCluster):
    async def ask(self, request: Request) -> Answer:
        return self.answer(request)

    @contextlib.asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[AsyncIterator[bytes] | None]:
        content = self.content(request)

        async def pieces(found: bytes) -> AsyncIterator[bytes]:
            for piece in self.pieces(found):
                yield piece

        yield None if content is None else pieces(content)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_sleep(seconds: float) -> None:
        pass

    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(asyncio, "sleep", no_sleep)


def a_log(seed: int) -> tuple[bytes, list[str]]:
    """Return a log with equal lines, empty ones, long ones and letters of several bytes."""
    draw = random.Random(seed)
    lines = [draw.choice(["", "same", "same", "äöü€" * 50, f"line {n}", "x" * 20_000, "a\rb"]) for n in range(100)]
    lines.append("the end")
    text = "\n".join(lines) + draw.choice(["", "\n"])
    return text.encode(), [f"{line}\n" for line in lines]


@pytest.mark.parametrize("copies", [True, False], ids=["copied", "plain"])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["on-the-head", "elsewhere"])
@pytest.mark.parametrize("seed", range(12))
def test_no_line_is_lost_doubled_or_reordered(tmp_path: Path, seed: int, elsewhere: bool, copies: bool) -> None:
    log, expected = a_log(seed)
    early = b"" if seed % 3 == 0 else b"making the environment\ninstalling\n"
    dashboard = PlainDashboard(tmp_path, log, early=early, elsewhere=elsewhere, breaks=0.1, seed=seed, copies=copies)
    steps = follow_log(JOB, dashboard.info())
    assert list(drive(steps, dashboard, JOB, None)) == early.decode().splitlines(keepends=True) + expected  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(12))
def test_none_is_lost_on_an_event_loop_either(tmp_path: Path, seed: int) -> None:
    log, expected = a_log(seed)
    dashboard = LoopDashboard(tmp_path, log, breaks=0.1, seed=seed, elsewhere=seed % 2 == 0)

    async def follow() -> list[str]:
        steps = follow_log(JOB, dashboard.info())
        return [line async for line in drive_async(steps, dashboard, JOB, None)]  # type: ignore[arg-type]

    assert asyncio.run(follow()) == expected


def test_the_whole_log_is_read_across_cut_connections(tmp_path: Path) -> None:
    log, expected = a_log(3)
    dashboard = PlainDashboard(tmp_path, log, breaks=0.05, seed=3)
    while dashboard.status() != "SUCCEEDED":
        dashboard.grow()
    assert "".join(drive(read_log(JOB, dashboard.info()), dashboard, JOB, None)) == "".join(expected)  # type: ignore[arg-type]


def test_a_log_is_not_read_from_its_beginning_again_and_again(tmp_path: Path) -> None:
    log = b"0123456789\n" * 300_000
    dashboard = PlainDashboard(tmp_path, log)
    sent = 0
    pieces = dashboard.pieces

    def counted(content: bytes) -> Iterator[bytes]:
        nonlocal sent
        for piece in pieces(content):
            sent += len(piece)
            yield piece

    dashboard.pieces = counted  # type: ignore[method-assign]
    steps = follow_log(JOB, dashboard.info())
    assert len("".join(drive(steps, dashboard, JOB, None))) == len(log)  # type: ignore[arg-type]
    # Its own length once at the end, and what lies in the last short file at each of some 400 looks.
    assert sent < 400 * 600_000


def test_a_dashboard_that_stays_away_is_an_error(tmp_path: Path) -> None:
    dashboard = PlainDashboard(tmp_path, b"x", breaks=1.0)
    with pytest.raises(BackendUnreachableError):
        list(drive(follow_log(JOB, dashboard.info()), dashboard, JOB, None))  # type: ignore[arg-type]


def test_time_that_is_over_is_an_error(tmp_path: Path) -> None:
    dashboard = PlainDashboard(tmp_path, b"x\n" * 10, ends=False)
    lines = drive(follow_log(JOB, dashboard.info()), dashboard, JOB, 0.05)  # type: ignore[arg-type]
    with pytest.raises(ExecutionTimeoutError, match="goes on"):
        list(lines)


class LostNodeDashboard(PlainDashboard):
    """One that answers for the head alone, as when the job's node is lost."""

    @contextlib.contextmanager
    def open(self, request: Request) -> Iterator[Iterator[bytes] | None]:
        assert request.params is not None
        if request.params["node_id"] != "head":
            raise BackendError("reading a file of a node: no agent there")
        with super().open(request) as found:
            yield found


def test_the_log_of_a_lost_node_ends_with_a_line_that_says_so(tmp_path: Path) -> None:
    dashboard = LostNodeDashboard(tmp_path, b"", early=b"making it\n", elsewhere=True)
    while dashboard.status() != "SUCCEEDED":
        dashboard.grow()
    lost = "synapse: the rest of the log is on node node, which does not give it: reading a file of a node: no agent there\n"
    for steps in (follow_log(JOB, dashboard.info()), read_log(JOB, dashboard.info())):
        assert list(drive(steps, dashboard, JOB, None)) == ["making it\n", lost]  # type: ignore[arg-type]


def test_a_job_that_is_deleted_meanwhile_is_named(tmp_path: Path) -> None:
    dashboard = PlainDashboard(tmp_path, b"x\n")
    dashboard.answer = lambda request: Answer(404, "Job job-1 does not exist", "")  # type: ignore[method-assign]
    with pytest.raises(JobNotFoundError, match="deleted"):
        list(drive(follow_log(JOB, dashboard.info()), dashboard, JOB, None))  # type: ignore[arg-type]


def test_an_abandoned_stream_closes_what_it_has_open(tmp_path: Path) -> None:
    closed: list[Any] = []

    class Watched(PlainDashboard):
        @contextlib.contextmanager
        def open(self, request: Request) -> Iterator[Iterator[bytes] | None]:
            with super().open(request) as pieces:
                try:
                    yield pieces
                finally:
                    closed.append(request)

    dashboard = Watched(tmp_path, b"line\n" * 100_000, copies=False)
    lines = drive(follow_log(JOB, dashboard.info()), dashboard, JOB, None)  # type: ignore[arg-type]
    assert next(lines) == "line\n"
    before = len(closed)
    lines.close()  # type: ignore[attr-defined]
    assert len(closed) == before + 1
