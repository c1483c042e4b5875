"""What a job leaves behind is let go of however it ends, and a full disk is said; without a cluster."""

import asyncio
import errno
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from synapse_core.model.status import JobStatus
from synapse_ray.keeper import watch as watching
from synapse_ray.keeper.actor import Keeper
from synapse_ray.keeper.files import JobFiles
from synapse_ray.keeper.records import About
from synapse_ray.keeper.store import JobStore
from synapse_ray.keeper.watch import Watch

ABOUT = About("train", keep_for=60.0, submitter="host:1", parcel="work-of-a")


class Cluster:
    """The parts of Ray that the keeper's watch asks: actors by name, and parcels."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.death: str | None = None
        self.worker: Any = None
        self.dropped: list[str] = []
        self.killed: list[Any] = []
        self.refuses = 0
        monkeypatch.setattr(watching, "death_of_actor", lambda name: self.death)
        monkeypatch.setattr(watching, "_worker", lambda job_id, nonce: self.worker)
        monkeypatch.setattr(watching, "end_actor", self.killed.append)
        monkeypatch.setattr(watching, "drop_parcel", self.drop)

    def drop(self, name: str) -> None:
        if self.refuses:
            self.refuses -= 1
            raise ConnectionError("the control store is just being restarted")
        self.dropped.append(name)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    return JobStore(tmp_path / "jobs.sqlite")


@pytest.fixture
def watch(store: JobStore, tmp_path: Path) -> Watch:
    return Watch(store, JobFiles(tmp_path / "jobs"), lambda job_id: None)


def look(watch: Watch, *, tidy: bool = False) -> None:
    async def scene() -> None:
        await watch._look()
        if tidy:
            await watch._tidy()
        await watch.clean()

    asyncio.run(scene())


class TestParcels:
    def test_one_of_a_job_that_goes_on_is_kept(self, watch: Watch, store: JobStore, cluster: Cluster) -> None:
        store.take("a", "n1", ABOUT)
        look(watch)
        assert cluster.dropped == []

    def test_it_is_dropped_when_the_worker_died_with_the_last_keeper(
        self, watch: Watch, store: JobStore, cluster: Cluster
    ) -> None:
        store.take("a", "n1", ABOUT)
        cluster.death = "the node died"
        look(watch)
        assert store.status("a") == "FAILED"
        assert cluster.dropped == ["work-of-a"]

    def test_it_is_dropped_when_no_worker_ever_came(
        self, watch: Watch, store: JobStore, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.take("a", "n1", ABOUT)
        monkeypatch.setattr(watching, "_LEASE_SECONDS", -1.0)
        look(watch)
        assert store.status("a") == "FAILED"
        assert store.was_given_up("a", "n1")
        assert cluster.dropped == ["work-of-a"]

    @pytest.mark.parametrize("end", ["finish", "fail", "cancel", "delete", "withdraw", "expire"])
    def test_it_is_dropped_by_the_next_keeper_however_the_job_had_ended(
        self, watch: Watch, store: JobStore, cluster: Cluster, end: str
    ) -> None:
        store.take("a", "n1", ABOUT._replace(keep_for=0.0))
        if end == "finish":
            store.start("a", "n1", "life")
            store.finish("a", "life", JobStatus.SUCCEEDED, b"", 0)
        elif end == "cancel":
            store.cancel("a", "call", b"")
        elif end == "withdraw":
            store.withdraw("a", "n1")
        else:
            store.fail("a", "n1", b"")
        if end == "delete":
            store.delete("a", "call")
        if end == "expire":
            assert store.expire(time.time() + 11) == ["n1"]
        look(watch, tidy=True)
        assert cluster.dropped == ["work-of-a"]
        look(watch)
        assert cluster.dropped == ["work-of-a"]  # once

    def test_one_that_could_not_be_dropped_is_dropped_later(
        self, watch: Watch, store: JobStore, cluster: Cluster
    ) -> None:
        store.take("a", "n1", ABOUT)
        store.fail("a", "n1", b"")
        cluster.refuses = 1
        with pytest.raises(ConnectionError):
            look(watch)
        look(watch)
        assert cluster.dropped == ["work-of-a"]

    def test_one_whose_upload_was_killed_is_dropped_after_an_hour(self, store: JobStore) -> None:
        assert store.expect("a", "n1", "work-of-a")
        assert store.idle_parcels(time.time()) == {}
        assert store.idle_parcels(time.time() + 3601) == {"n1": "work-of-a"}
        store.take("a", "n1", ABOUT)
        assert store.idle_parcels(time.time() + 3601) == {}

    def test_none_is_uploaded_for_an_id_that_is_taken(self, store: JobStore) -> None:
        store.take("a", "n1", ABOUT)
        assert not store.expect("a", "n2", "work-of-another")
        assert store.expect("a", "n1", "work-of-a")  # the same call repeated


class TestWorkersThatAreNotWanted:
    def test_one_that_ends_by_itself_is_left_alone(self, watch: Watch, store: JobStore, cluster: Cluster) -> None:
        cluster.worker = object()
        for job_id in ("finished", "stopped", "given-up"):
            store.take(job_id, f"n-{job_id}", ABOUT)
        for job_id in ("finished", "stopped"):
            store.start(job_id, f"n-{job_id}", f"life-{job_id}")
        store.finish("finished", "life-finished", JobStatus.SUCCEEDED, b"", 0)
        store.cancel("stopped", "call", b"")
        store.fail("given-up", "n-given-up", b"")
        assert {row["job_id"] for row in store.unwanted_since(0.0)} == {"stopped", "given-up"}
        assert [store.may_work(i, f"n-{i}") for i in ("finished", "stopped", "given-up")] == [True, False, False]
        look(watch, tidy=True)
        assert len(cluster.killed) == 2

    def test_whoever_hands_one_over_too_late_hears_it(self, cluster: Cluster, tmp_path: Path) -> None:
        async def scene(keeper: Keeper) -> list[Any]:
            await keeper.take("late", "n1", tuple(ABOUT))
            await keeper.take("in-time", "n2", tuple(ABOUT))
            keeper._store.fail("late", "n1", b"")
            waiting = asyncio.Event()
            worker = type("Worker", (), {"is_done": type("Method", (), {"remote": staticmethod(waiting.wait)})})
            return [await keeper.watch(job_id, nonce, "train", [worker]) for job_id, nonce in
                    (("late", "n1"), ("in-time", "n2"))]  # fmt: skip

        assert in_keeper(tmp_path, scene) == [False, True]
        assert len(cluster.killed) == 1

    def test_withdrawing_what_has_begun_stops_it(self, cluster: Cluster, tmp_path: Path) -> None:
        async def scene(keeper: Keeper) -> list[Any]:
            for nonce in ("n1", "n2"):
                await keeper.take(f"job-{nonce}", nonce, tuple(ABOUT))
            await keeper.start("job-n2", "n2", "life")
            return [
                await keeper.withdraw("job-n1", "n1"),
                await keeper.withdraw("job-n2", "another submission's"),
                await keeper.status("job-n2"),
                await keeper.withdraw("job-n2", "n2"),
                await keeper.status("job-n1"),
                await keeper.status("job-n2"),
            ]

        assert in_keeper(tmp_path, scene) == [True, False, "RUNNING", False, "UNKNOWN", "STOPPED"]


class TestFullDisk:
    def test_the_end_of_a_job_is_recorded_though_its_last_lines_cannot_be(
        self, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = JobFiles._write

        def fill(self: JobFiles, path: Path, offset: int, data: bytes, **options: Any) -> None:
            if len(data) > 1000:
                write(self, path, offset, data[:500], **options)
                raise OSError(errno.ENOSPC, "No space left on device")
            write(self, path, offset, data, **options)

        async def scene(keeper: Keeper) -> list[Any]:
            await keeper.take("a", "n1", tuple(ABOUT))
            await keeper.start("a", "n1", "life")
            await keeper.append("a", "n1", "life", 0, b"first\n")
            recorded = await keeper.finish("a", "n1", "life", True, b"reply", 0, 6, b"x" * 10_000 + b"\n")
            return [recorded, await keeper.status("a"), await keeper.read_log("a", 0, 10_000, 0)]

        monkeypatch.setattr(JobFiles, "_write", fill)
        recorded, status, (log, ended) = in_keeper(tmp_path, scene)
        assert (recorded, status, ended) == (True, "SUCCEEDED", True)
        first, last = log.splitlines()
        assert first == b"first"
        assert b"log cut off: OSError: [Errno 28] No space left on device" in last


def in_keeper(tmp_path: Path, scene: Callable[[Keeper], Awaitable[list[Any]]]) -> list[Any]:
    async def run() -> list[Any]:
        keeper = Keeper(str(tmp_path / "home"))
        keeper._watching.cancel()
        return await scene(keeper)

    return asyncio.run(run())
