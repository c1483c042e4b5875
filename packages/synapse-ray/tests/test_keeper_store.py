"""What the keeper writes down survives its death, and a repeated call changes nothing."""

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from synapse_core.model.status import JobStatus
from synapse_ray.keeper.bell import Bell
from synapse_ray.keeper.files import JobFiles
from synapse_ray.keeper.log_lines import LogLines, reports_of
from synapse_ray.keeper.records import About, actor_name
from synapse_ray.keeper.store import JobStore
from synapse_ray.keeper.worker_link import LogSender, log_line
from synapse_ray.names import check_job_id

ABOUT = About("train", keep_for=60.0, submitter="host:1")


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    return JobStore(tmp_path / "jobs.sqlite")


@pytest.fixture
def files(tmp_path: Path) -> JobFiles:
    return JobFiles(tmp_path / "jobs")


class TestStore:
    def test_an_id_is_taken_once(self, store: JobStore) -> None:
        assert store.take("a", "n1", ABOUT)
        assert not store.take("a", "n2", ABOUT)
        assert store.nonce("a") == "n1"

    def test_a_repeated_take_does_not_refuse_itself(self, store: JobStore) -> None:
        assert [store.take("a", "n1", ABOUT) for _ in range(2)] == [True, True]

    def test_what_was_acknowledged_is_there_for_the_next_keeper(self, store: JobStore, tmp_path: Path) -> None:
        store.take("a", "n1", ABOUT)
        store.start("a", "n1", "life")
        store.finish("a", "life", JobStatus.SUCCEEDED, b"reply", 0)
        assert JobStore(tmp_path / "jobs.sqlite").outcome("a") == ("SUCCEEDED", b"reply", 0)

    def test_an_unknown_id_is_unknown(self, store: JobStore) -> None:
        assert store.status("a") == "UNKNOWN"
        assert store.outcome("a").status == "UNKNOWN"
        assert store.cancel("a", "call", b"") is None
        assert store.delete("a", "call") is None

    def test_a_withdrawn_id_is_free(self, store: JobStore) -> None:
        store.take("a", "n1", ABOUT)
        assert store.withdraw("a", "n1")
        assert store.take("a", "n2", ABOUT)

    def test_an_id_whose_work_has_begun_is_not_withdrawn(self, store: JobStore) -> None:
        store.take("a", "n1", ABOUT)
        store.start("a", "n1", "life")
        assert not store.withdraw("a", "n1")

    def test_a_repeated_start_is_one_attempt(self, store: JobStore) -> None:
        store.take("a", "n1", ABOUT)
        assert [store.start("a", "n1", "life") for _ in range(2)] == [True, True]
        assert store.jobs(1)[0]["attempts"] == 1

    def test_only_the_last_worker_process_may_finish(self, store: JobStore) -> None:
        store.take("a", "n1", ABOUT)
        store.start("a", "n1", "first")
        store.start("a", "n1", "second")
        assert not store.finish("a", "first", JobStatus.SUCCEEDED, b"stale", 0)
        assert store.finish("a", "second", JobStatus.SUCCEEDED, b"fresh", 0)
        assert store.outcome("a").reply == b"fresh"

    def test_a_repeated_finish_is_acknowledged(self, store: JobStore) -> None:
        store.take("a", "n1", ABOUT)
        store.start("a", "n1", "life")
        assert [store.finish("a", "life", JobStatus.FAILED, b"", 0) for _ in range(2)] == [True, True]

    def test_a_cancelled_job_neither_starts_nor_finishes_nor_fails(self, store: JobStore) -> None:
        store.take("a", "n1", ABOUT)
        store.start("a", "n1", "life")
        assert store.cancel("a", "call", b"stopped") is True
        assert not store.start("a", "n1", "other")
        assert not store.finish("a", "life", JobStatus.SUCCEEDED, b"late", 0)
        assert not store.fail("a", "n1", b"late")
        assert store.outcome("a") == ("STOPPED", b"stopped", 0)

    def test_a_repeated_cancel_says_the_same(self, store: JobStore) -> None:
        store.take("a", "n1", ABOUT)
        assert [store.cancel("a", "call", b"") for _ in range(2)] == [True, True]
        assert store.cancel("a", "another call", b"") is False

    def test_only_a_job_that_has_ended_is_deleted(self, store: JobStore) -> None:
        store.take("a", "n1", ABOUT)
        assert store.delete("a", "call 1") == "PENDING"
        assert store.status("a") == "PENDING"
        store.fail("a", "n1", b"")
        assert store.delete("a", "call 2") == "FAILED"
        assert store.status("a") == "UNKNOWN"

    def test_a_repeated_delete_does_not_delete_the_next_job_of_that_id(self, store: JobStore) -> None:
        store.take("a", "n1", ABOUT)
        store.fail("a", "n1", b"")
        store.delete("a", "call")
        store.take("a", "n2", ABOUT)
        store.fail("a", "n2", b"")
        assert store.delete("a", "call") == ""
        assert store.nonce("a") == "n2"

    def test_jobs_expire_after_their_own_time(self, store: JobStore) -> None:
        for job_id, keep_for in (("short", 1.0), ("long", 100.0), ("running", 0.0)):
            store.take(job_id, f"n-{job_id}", ABOUT._replace(keep_for=keep_for))
        for job_id in ("short", "long"):
            store.fail(job_id, f"n-{job_id}", b"")
        assert store.expire(time.time() + 9) == []
        assert store.expire(time.time() + 11) == ["n-short"]
        assert {row["job_id"] for row in store.jobs(10)} == {"long", "running"}


class TestFiles:
    def test_a_repeated_write_changes_nothing(self, files: JobFiles) -> None:
        for _ in range(2):
            files.write_log("n", 0, b"one\n")
            files.write_log("n", 4, b"two\n")
        assert files.read_log("n", 0, 1000) == b"one\ntwo\n"

    def test_a_log_is_read_in_whole_lines_however_long(self, files: JobFiles) -> None:
        line = b"x" * 1000 + b"\n"
        files.write_log("n", 0, line * 3)
        assert files.read_log("n", 0, 10) == line
        assert files.read_log("n", len(line), 2500) == line * 2

    def test_a_line_that_was_cut_off_is_not_shown_and_written_over(self, files: JobFiles) -> None:
        files.write_log("n", 0, b"whole\ncut o")
        assert files.read_log("n", 0, 1000) == b"whole\n"
        assert files.end_of_log("n") == 6
        files.write_log("n", 6, b"new\n")
        assert files.read_log("n", 0, 1000) == b"whole\nnew\n"

    def test_the_last_lines_cut_off_what_a_failed_write_left_behind_them(self, files: JobFiles) -> None:
        files.write_log("n", 0, b"one\n" + b"half of a batch\n" * 10)
        files.write_log("n", 4, b"last\n", is_last=True)
        assert files.read_log("n", 0, 1000) == b"one\nlast\n"

    def test_the_end_of_a_log_is_found_behind_a_long_line(self, files: JobFiles) -> None:
        files.write_log("n", 0, b"a\n" + b"x" * 200_000)
        assert files.end_of_log("n") == 2
        files.write_log("m", 0, b"x" * 200_000)
        assert files.end_of_log("m") == 0
        assert files.end_of_log("nobody") == 0

    def test_a_result_is_kept_once_all_of_it_is_there(self, files: JobFiles) -> None:
        files.write_result("n", "life", 0, b"abc")
        assert not files.keep_result("n", "life", 6)
        files.write_result("n", "life", 3, b"def")
        assert files.keep_result("n", "life", 6)
        assert files.keep_result("n", "life", 6)
        assert files.read_result("n", 2, 3) == b"cde"

    def test_folders_that_nobody_has_are_removed(self, files: JobFiles, tmp_path: Path) -> None:
        files.write_log("old", 0, b"x\n")
        files.write_log("new", 0, b"x\n")
        files.remove_others({"new"})
        assert os.listdir(tmp_path / "jobs") == ["new"]

    def test_nobody_else_may_read_them(self, files: JobFiles, tmp_path: Path) -> None:
        files.write_log("n", 0, b"x\n")
        assert (tmp_path / "jobs" / "n" / "log").stat().st_mode & 0o077 == 0


class TestBell:
    def test_everybody_who_waits_is_woken(self) -> None:
        async def scene() -> float:
            bell = Bell()
            waits = [asyncio.ensure_future(bell.wait("a", 60)) for _ in range(3)]
            other = asyncio.ensure_future(bell.wait("b", 60))
            await asyncio.sleep(0)
            bell.ring("a")
            began = time.monotonic()
            await asyncio.gather(*waits)
            assert not other.done()
            other.cancel()
            return time.monotonic() - began

        assert asyncio.run(scene()) < 5

    def test_a_wait_ends_by_itself_and_leaves_nothing(self) -> None:
        bell = Bell()
        asyncio.run(bell.wait("a", 0.01))
        assert not bell._waiting


class TestLogLines:
    def lines(self, *texts: tuple[str, str]) -> list[str]:
        lines = LogLines()
        found = [
            line
            for stream, text in texts
            for line in lines.feed({"kind": "output", "stream": stream, "text": text, "job_id": "j", "time": 0.0})
        ]
        return found + list(lines.finish())

    def test_every_line_has_one_newline(self) -> None:
        assert self.lines(("stdout", "a\nb\n")) == ["a\n", "b\n"]

    def test_a_line_in_pieces_is_one_line(self) -> None:
        assert self.lines(("stdout", "a"), ("stdout", "b"), ("stdout", "\nc\n")) == ["ab\n", "c\n"]

    def test_the_other_stream_ends_a_line(self) -> None:
        assert self.lines(("stdout", "a"), ("stderr", "b\n")) == ["a\n", "b\n"]

    def test_only_a_newline_ends_a_line(self) -> None:
        assert self.lines(("stdout", "50%\r100%\u2028\x0b\n")) == ["50%\r100%\u2028\x0b\n"]

    def test_reports_have_their_job_again(self) -> None:
        line = log_line({"kind": "output", "job_id": "a", "time": 0.0, "stream": "stdout", "text": "é\ud800\n"})
        assert b"job_id" not in line
        (report,) = reports_of(line, "b")
        assert report["job_id"] == "b"
        assert report["text"] == "é\ud800\n"


class TestLogSender:
    def test_reports_arrive_in_order_at_their_places(self) -> None:
        log = bytearray()

        def send(offset: int, lines: bytes) -> bool:
            assert offset == len(log)
            log.extend(lines)
            return True

        sender = LogSender(send, 0)
        for number in range(20_000):
            sender.emit(_output(f"{number}\n"))
        offset, rest = sender.close()
        assert offset == len(log)
        assert [r["text"] for r in reports_of(bytes(log) + rest, "j")] == [f"{n}\n" for n in range(20_000)]

    def test_the_first_report_is_sent_at_once(self) -> None:
        sent = threading.Event()
        sender = LogSender(lambda offset, lines: sent.set() or True, 0)
        sender.emit(_output("a\n"))
        assert sent.wait(5)
        sender.close()

    def test_who_reports_too_much_waits(self) -> None:
        go_on = threading.Event()
        sender = LogSender(lambda offset, lines: go_on.wait(60), 0)
        done = threading.Event()

        def report() -> None:
            for _ in range(10):
                sender.emit(_output("x" * 2**20))
            done.set()

        threading.Thread(target=report, daemon=True).start()
        assert not done.wait(0.3)
        go_on.set()
        assert done.wait(30)
        sender.close()

    def test_a_worker_that_is_not_wanted_is_not_held_up(self) -> None:
        sender = LogSender(lambda offset, lines: False, 0)
        for _ in range(10):
            sender.emit(_output("x" * 2**20))
        assert sender.close()[1] == b""

    def test_a_log_that_cannot_be_written_says_so_in_its_last_line(self) -> None:
        failed = threading.Event()

        def send(offset: int, lines: bytes) -> bool:
            failed.set()
            raise OSError(28, "No space left on device")

        sender = LogSender(send, 7)
        sender.emit(_output("lost\n"))
        assert failed.wait(5)
        offset, rest = sender.close()
        (report,) = reports_of(rest, "j")
        assert (offset, report["text"]) == (7, "log cut off: OSError: [Errno 28] No space left on device\n")

    def test_no_line_of_a_log_is_large(self) -> None:
        batches: list[bytes] = []
        sender = LogSender(lambda offset, lines: batches.append(lines) or True, 0)
        sender.emit(_output("y" * 10**6 + "\n"))
        _, rest = sender.close()
        log = b"".join(batches) + rest
        assert max(map(len, log.split(b"\n"))) < 200_000
        assert "".join(r["text"] for r in reports_of(log, "j")) == "y" * 10**6 + "\n"


@pytest.mark.parametrize("job_id", ["a", "job-1", "2024:run+1@x.y=z_", "x" * 128])
def test_job_ids_that_are_allowed(job_id: str) -> None:
    assert check_job_id(job_id) == job_id
    assert job_id in actor_name(job_id, "0123456789")


@pytest.mark.parametrize("job_id", ["", " ", "-a", "a b", "a/b", "../a", "é", "a\n", "x" * 129])
def test_job_ids_that_are_refused(job_id: str) -> None:
    with pytest.raises(ValueError, match="job id"):
        check_job_id(job_id)


def _output(text: str) -> dict[str, Any]:
    return {"kind": "output", "job_id": "j", "time": 0.0, "stream": "stdout", "text": text}
