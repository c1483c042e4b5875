"""The engines of this machine keep every promise of a record engine."""

import asyncio
import contextlib
import gc
import logging
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from synapse_core.errors import BackendError, ValidationError
from synapse_core.plugins.registry import registry
from synapse_local.engines import event_loop
from synapse_local.engines.event_loop import AsyncEngine
from synapse_local.engines.processes import ProcessEngine
from synapse_local.engines.serial import SerialEngine
from synapse_local.engines.threads import ThreadEngine
from synapse_testing.conformance.engine import ProcessEngineConformance, RecordEngineConformance
from synapse_testing.engine import InlineEngine


class TestInlineEngine(RecordEngineConformance):
    @pytest.fixture
    def engine(self) -> InlineEngine:
        return InlineEngine()


class TestSerialEngine(RecordEngineConformance):
    most_in_flight = 1

    @pytest.fixture
    def engine(self) -> SerialEngine:
        return SerialEngine()


class TestThreadEngine(RecordEngineConformance):
    most_in_flight = 6

    @pytest.fixture
    def engine(self) -> ThreadEngine:
        return ThreadEngine(3)


class TestProcessEngine(ProcessEngineConformance):
    most_in_flight = 4

    @pytest.fixture
    def engine(self) -> ProcessEngine:
        return ProcessEngine(2)


class TestAsyncEngine(RecordEngineConformance):
    most_in_flight = 6

    @pytest.fixture
    def engine(self) -> AsyncEngine:
        return AsyncEngine(3)


# -- what is special to one of them -------------------------------------------------------------


async def doubles_later(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def thread_of(number: int) -> tuple[int, str]:
    return number, threading.current_thread().name


class Waits:
    """Work that returns when as many tasks as `most` have met; with fewer at once it would never end."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._here = 0
        self._all = asyncio.Event()

    async def __call__(self, number: int) -> int:
        self._here += 1
        if self._here == self._most:
            self._all.set()
        await asyncio.wait_for(self._all.wait(), 30)
        return number


class Meets:
    """Work of which each worker has a thread's scope, and that goes on when three workers have met."""

    def __init__(self) -> None:
        self.entered: list[int] = []
        self._barrier = threading.Barrier(3, timeout=10)

    @contextlib.contextmanager
    def in_worker(self) -> Iterator[Any]:
        thread = threading.get_ident()
        self.entered.append(thread)
        yield lambda number: (self._barrier.wait(), number, thread == threading.get_ident())[1:]
        assert thread == threading.get_ident()
        self.entered.remove(thread)


class AsyncScopeOfFunctions:
    """Work of a scope of the loop, which is called in threads; it says what was still at work when it was left."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.go = threading.Event()
        self.seen: list[str] = []

    @contextlib.asynccontextmanager
    async def in_worker(self) -> AsyncIterator[Any]:
        yield self._work
        self.seen.append("left")

    def _work(self, number: int) -> int:
        if number:
            self.began.set()
            self.go.wait(30)
            self.seen.append("worked")
        else:
            self.began.wait(30)  # or its result might be given back before another chunk is asked for
        return number


class AsyncScope:
    """Work whose workers are entered and left by `async with`."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    @contextlib.asynccontextmanager
    async def in_worker(self) -> AsyncIterator[Any]:
        self.seen.append("entered")
        yield doubles_later
        self.seen.append("left")


def test_coroutines_run_on_the_loop_and_other_work_beside_it() -> None:
    assert list(AsyncEngine(3).run(doubles_later, range(5))) == [0, 2, 4, 6, 8]
    names = {name for _, name in AsyncEngine(3).run(thread_of, range(5))}
    assert "synapse-engine-loop" not in names


def test_as_many_tasks_as_asked_for_are_at_work_at_once() -> None:
    assert list(AsyncEngine(20).run(Waits(20), range(20))) == list(range(20))


def test_a_worker_may_be_entered_asynchronously() -> None:
    work = AsyncScope()
    assert list(AsyncEngine(2).run(work, range(3))) == [0, 2, 4]  # type: ignore[arg-type]
    assert work.seen == ["entered", "left"]


def test_threads_beside_a_loop_have_a_scope_each_and_work_at_once() -> None:
    work = Meets()
    found = list(AsyncEngine(3).run(work, range(9)))  # type: ignore[arg-type]
    assert found == [(number, True) for number in range(9)]
    assert work.entered == []


def test_what_a_function_returns_is_awaited_on_the_loop() -> None:
    assert list(AsyncEngine(3).run(lambda number: doubles_later(number), range(5))) == [0, 2, 4, 6, 8]


def test_a_scope_of_the_loop_is_left_when_its_threads_have_ended() -> None:
    work = AsyncScopeOfFunctions()
    results = AsyncEngine(2).run(work, range(9))  # type: ignore[arg-type]
    assert next(results) == 0
    assert work.began.wait(30)
    threading.Timer(0.3, work.go.set).start()
    results.close()
    assert work.seen[-1] == "left"
    assert set(work.seen[:-1]) == {"worked"}


def test_a_loop_of_the_callers_is_used_and_left_open() -> None:
    loop = asyncio.new_event_loop()
    try:
        for _ in range(2):
            assert list(AsyncEngine(2, loop=loop).run(doubles_later, range(3))) == [0, 2, 4]
        assert not loop.is_closed()
        running = threading.Thread(target=loop.run_forever)
        running.start()
        assert list(AsyncEngine(2, loop=loop).run(doubles_later, range(3))) == [0, 2, 4]
        loop.call_soon_threadsafe(loop.stop)
        running.join()
    finally:
        loop.close()


def test_a_loop_that_would_wait_for_itself_is_refused() -> None:
    async def calls() -> None:
        list(AsyncEngine(2, loop=asyncio.get_running_loop()).run(doubles_later, range(3)))

    with pytest.raises(BackendError, match=r"asyncio\.to_thread"):
        asyncio.run(calls())


@pytest.mark.parametrize("engine", [ThreadEngine, ProcessEngine])
@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "2"])
def test_a_number_of_workers_is_a_whole_number_from_one_on(engine: Any, wrong: Any) -> None:
    for name in ("max_workers", "max_inflight"):
        with pytest.raises(ValidationError, match=rf"{name} is .*whole number from 1 on"):
            engine(**{name: wrong})


@pytest.mark.parametrize("engine", [ThreadEngine(3), AsyncEngine(2, max_workers=3)])
def test_threads_work_at_once(engine: Any) -> None:
    barrier = threading.Barrier(3, timeout=30)
    assert sorted(engine.run(lambda number: number + 0 * barrier.wait(), range(9))) == list(range(9))


def test_a_script_without_a_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(
        "import multiprocessing\nfrom synapse_local import ProcessEngine\n"
        "multiprocessing.set_start_method('spawn', force=True)\nprint(list(ProcessEngine(2).run(abs, [1])))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "WorkerLostError: no process of the engine could begin" in done.stderr
    assert '`if __name__ == "__main__":`' in done.stderr


def test_engines_are_found_by_their_names() -> None:
    names = {"serial": SerialEngine, "threads": ThreadEngine, "processes": ProcessEngine, "asyncio": AsyncEngine}
    for name, engine in names.items():
        assert registry.load(registry.find_engine(name)) is engine


class Leaves:
    """Work that leaves behind tasks which end as programs do, some of them in the turn in which the loop is stopped."""

    async def __call__(self, chunk: int) -> int:
        for turns in range(8):
            self.tasks = asyncio.create_task(self._leave(turns))
        return chunk

    async def _leave(self, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        raise SystemExit(turns)


def test_tasks_that_end_the_program_do_not_keep_a_loop_from_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL + 1, "asyncio")  # which tells of tasks that nobody has asked
    for _ in range(50):
        assert list(AsyncEngine(3).run(Leaves(), range(5))) == list(range(5))
    gc.collect()


def test_a_loop_is_stopped_also_where_a_program_is_ended_in_the_same_turn() -> None:
    def leave() -> None:
        raise SystemExit

    def hold_up(loop: asyncio.AbstractEventLoop) -> None:
        begun.set()
        time.sleep(0.1)  # in which the loop is told to stop
        loop.call_soon(leave)

    begun = threading.Event()
    with event_loop._running(None) as loop:
        loop.call_soon_threadsafe(hold_up, loop)
        begun.wait()
    assert loop.is_closed()


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_work_that_ends_the_program_ends_the_run_and_not_the_loop(error: type[BaseException]) -> None:
    async def leaves(chunk: int) -> int:
        if chunk == 3:
            raise error(chunk)
        return chunk

    def leaves_in_a_thread(chunk: int) -> int:
        return asyncio.run(leaves(chunk))

    async def other() -> str:
        return "alive"

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        for engine in (AsyncEngine(3), AsyncEngine(3, loop=loop)):
            for work in (leaves, leaves_in_a_thread):
                with pytest.raises(error):
                    list(engine.run(work, range(9)))
        assert asyncio.run_coroutine_threadsafe(other(), loop).result(10) == "alive"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
