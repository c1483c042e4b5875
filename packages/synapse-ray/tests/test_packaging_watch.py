"""A watched folder is read again only where it was edited."""

import os
import threading
import time
import timeit
from pathlib import Path

import pytest

from synapse_ray.packaging import (
    FolderWatch,
    PackagingError,
    pack,
    package as package_module,
    walking,
    watch as watch_module,
)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose bytes were read."""
    read: list[str] = []
    real = package_module._read
    monkeypatch.setattr(
        package_module, "_read", lambda folder, path, sink=None: (read.append(path), real(folder, path, sink))[1]
    )
    return read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        (tmp_path / name).write_text("1")
        age(tmp_path / name)
    return tmp_path


def age(file: Path) -> None:
    """Make a file one that nobody has written to of late."""
    os.utime(file, (1_000_000_000, 1_000_000_000))


def test_it_gives_what_pack_gives(folder: Path, clock: Clock) -> None:
    (folder / "c.log").touch()
    assert FolderWatch(folder, extra_excludes=["*.log"], clock=clock).current() == pack(
        folder, extra_excludes=["*.log"]
    )


def test_an_edit_is_seen_after_a_second_and_no_sooner(folder: Path, clock: Clock) -> None:
    watch = FolderWatch(folder, clock=clock)
    first = watch.current()
    (folder / "a").write_text("22")
    clock.now += 0.99
    assert watch.current() is first
    clock.now += 0.02
    assert watch.current().digest == pack(folder).digest != first.digest


def test_nothing_is_looked_at_within_the_second(folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = FolderWatch(folder, clock=clock)
    first = watch.current()
    monkeypatch.setattr(watch_module, "walk", lambda *_: pytest.fail("looked"))
    clock.now += 0.99
    assert watch.current() is first


def test_what_was_not_touched_is_not_read_again(folder: Path, clock: Clock, reads: list[str]) -> None:
    watch = FolderWatch(folder, clock=clock)
    first = watch.current()
    assert reads == ["a", "b"]
    clock.now += 2
    assert watch.current() is first
    assert reads == ["a", "b"]


def test_only_the_edited_file_is_read_again(folder: Path, clock: Clock, reads: list[str]) -> None:
    watch = FolderWatch(folder, clock=clock)
    watch.current()
    (folder / "b").write_text("22")
    clock.now += 2
    assert watch.current().digest == pack(folder).digest
    assert reads == ["a", "b", "b", "a", "b"]  # the last two are those of pack


def test_touching_gives_the_same_object(folder: Path, clock: Clock, reads: list[str]) -> None:
    watch = FolderWatch(folder, clock=clock)
    first = watch.current()
    os.utime(folder / "a", (1_000_000_001, 1_000_000_001))
    clock.now += 2
    assert watch.current() is first
    assert reads == ["a", "b", "a"]
    clock.now += 2
    assert watch.current() is first
    assert reads == ["a", "b", "a"]


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "c").touch(),
        lambda root: (root / "a").unlink(),
        lambda root: (root / "a").rename(root / "z"),
        lambda root: (root / "a").chmod(0o755),
        lambda root: (root / ".gitignore").write_text("a\n"),
    ],
    ids=["add", "remove", "rename", "executable", "ignore"],
)
def test_every_kind_of_change_is_seen(folder: Path, clock: Clock, change: object) -> None:
    watch = FolderWatch(folder, clock=clock)
    first = watch.current()
    change(folder)  # type: ignore[operator]
    clock.now += 2
    assert watch.current().digest == pack(folder).digest != first.digest


def test_a_second_edit_within_one_tick_of_the_file_system_is_seen(
    folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of two writes within a tick of its clock, of the same length, the file's status shows one.
    now = time.time_ns()
    real = walking.found_file
    monkeypatch.setattr(
        walking, "found_file", lambda path, status: real(path, status)._replace(mtime_ns=now, ctime_ns=now)
    )
    watch = FolderWatch(folder, clock=clock)
    first = watch.current()
    (folder / "a").write_text("2")
    clock.now += 2
    assert watch.current().digest == pack(folder).digest != first.digest


def test_a_failed_look_is_repeated_by_the_next_call(folder: Path, clock: Clock) -> None:
    watch = FolderWatch(folder, clock=clock)
    first = watch.current()
    (folder / "broken").symlink_to("broken")
    clock.now += 2
    for _ in range(2):
        with pytest.raises(PackagingError, match="broken is a link"):
            watch.current()
    (folder / "broken").unlink()
    assert watch.current() is first


def test_a_file_that_is_gone_before_it_is_read_does_not_fail_the_look(
    folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "swap").touch()
    real = watch_module.walk

    def walk(*args: object) -> object:
        found = real(*args)  # type: ignore[arg-type]
        (folder / "swap").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(watch_module, "walk", walk)
    assert [file.path for file in FolderWatch(folder, clock=clock).current().files] == ["a", "b"]


def test_many_threads_get_one_object_from_one_look(folder: Path, clock: Clock, reads: list[str]) -> None:
    watch = FolderWatch(folder, clock=clock)
    start, found = threading.Barrier(8), []

    def ask() -> None:
        start.wait()
        found.append(watch.current())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({id(package) for package in found}) == 1
    assert reads == ["a", "b"]


def test_a_fresh_answer_costs_next_to_nothing(folder: Path) -> None:
    watch = FolderWatch(folder)
    watch.current()
    # Far below a look at the folder, on a slow machine too; the aim is 2 µs.
    assert min(timeit.repeat(watch.current, number=1000, repeat=20)) / 1000 < 10e-6
