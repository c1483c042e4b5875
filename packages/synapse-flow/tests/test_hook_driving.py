"""Hooks are called one at a time, in time, and on their own worker, whatever else runs beside them."""

from __future__ import annotations

import asyncio
import re
import threading
import time

import pytest

from synapse_flow import (
    AsyncIOExecutor,
    BaseHook,
    BaseOutputAdapter,
    FlowStatus,
    IterableInputAdapter,
    MemoryOutputAdapter,
    Pipe,
    SyncFifoExecutor,
    ThreadExecutor,
)
from synapse_flow.hooks.base import HookStore
from synapse_flow.hooks.driving import HookDriver
from synapse_flow.hooks.steps import Call

EXECUTORS = {
    "in order": SyncFifoExecutor,
    "threads": lambda: ThreadExecutor(max_workers=2),
    "asyncio": lambda: AsyncIOExecutor(concurrency=4, chunksize=1),
}


def run(count, executor, *hooks, **more):
    good, bad = MemoryOutputAdapter(), MemoryOutputAdapter()
    rows = IterableInputAdapter([{"id": number} for number in range(count)])
    report = Pipe(rows, executor, good, bad, pre_validation_hooks=hooks, max_hook_chunk_size=1, **more).run()
    return report, [number_of(entry) for entry in good.results], bad.results


def number_of(entry):
    return entry["raw_data"]["id"]


def message_of(entry):
    return entry["errors"][0]["message"]


class Awaits(BaseHook):
    """Lets the others have their turn."""

    async def execute(self, entries, store):
        await asyncio.sleep(0)


def is_free(store: HookStore) -> bool:
    """Return whether another thread gets the store within a moment."""
    got = threading.Event()

    def take():
        with store.lock():
            got.set()

    threading.Thread(target=take, daemon=True).start()
    return got.wait(0.2)


@pytest.mark.parametrize("name", EXECUTORS)
def test_a_coroutine_that_takes_too_long_fails_its_own_entries_and_is_ended(name):
    ended = []

    class Hangs(BaseHook):
        timeout = 0.1

        async def execute(self, entries, store):
            if number_of(entries[0]) == 1:
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.append(number_of(entries[0]))

    report, good, bad = run(5, EXECUTORS[name](), Hangs())
    assert report.status is FlowStatus.COMPLETED
    assert good == [0, 2, 3, 4]
    assert [message_of(entry) for entry in bad] == ["Hangs: took longer than its timeout of 0.1 s"]
    assert ended == [1]


@pytest.mark.parametrize("name", EXECUTORS)
def test_a_function_that_returns_an_awaitable_has_one_timeout_for_both(name):
    class Hangs(BaseHook):
        timeout = 0.1

        def execute(self, entries, store):
            return self._wait(entries)

        async def _wait(self, entries):
            if number_of(entries[0]) == 1:
                await asyncio.Event().wait()
            return entries

    report, good, bad = run(4, EXECUTORS[name](), Hangs(), Awaits())
    assert report.status is FlowStatus.COMPLETED
    assert good == [0, 2, 3]
    assert [message_of(entry) for entry in bad] == ["Hangs: took longer than its timeout of 0.1 s"]


@pytest.mark.parametrize("name", EXECUTORS)
@pytest.mark.parametrize("text", ["the service said nothing", ""])
def test_a_timeout_of_the_hooks_own_is_told_from_the_drivers(name, text):
    class GivesUp(BaseHook):
        timeout = 30.0

        async def execute(self, entries, store):
            raise TimeoutError(text)

    _, _, bad = run(1, EXECUTORS[name](), GivesUp())
    told = f"TimeoutError: {text}" if text else "TimeoutError"
    assert re.fullmatch(rf"GivesUp: {told} \(test_hook_driving\.py:\d+\)", message_of(bad[0]))


@pytest.mark.parametrize("beside", [[], [Awaits()]], ids=["alone", "beside a coroutine"])
@pytest.mark.parametrize("name", EXECUTORS)
def test_a_function_that_hangs_fails_its_own_entries_and_holds_up_nobody(name, beside):
    release = threading.Event()

    class Hangs(BaseHook):
        timeout = 0.3

        def execute(self, entries, store):
            if number_of(entries[0]) == 1:
                release.wait(30)

    class Counts(BaseHook):
        timeout = 0.3

        def execute(self, entries, store):
            store["count"] = store.get("count", 0) + 1

    try:
        report, good, bad = run(8, EXECUTORS[name](), Hangs(), Counts(), *beside)
    finally:
        release.set()
    assert report.status is FlowStatus.COMPLETED
    assert good == [0, 2, 3, 4, 5, 6, 7]
    assert [message_of(entry) for entry in bad] == ["Hangs: took longer than its timeout of 0.3 s"]


def test_a_coroutine_gets_the_store_from_a_function_that_hangs():
    release = threading.Event()
    began = threading.Event()

    class Hangs(BaseHook):
        timeout = 0.2

        def execute(self, entries, store):
            if number_of(entries[0]) == 1:
                began.set()
                release.wait(30)

    class Holds(BaseHook):
        async def execute(self, entries, store):
            if number_of(entries[0]) == 0:
                await asyncio.to_thread(began.wait, 30)
                with store.lock():  # blocks the loop, on which the timeout is noticed
                    store["held"] = True

    try:
        report, good, _ = run(3, AsyncIOExecutor(concurrency=3, chunksize=1), Hangs(), Holds())
    finally:
        release.set()
    assert report.status is FlowStatus.COMPLETED
    assert good == [0, 2]


@pytest.mark.parametrize("drive", ["execute", "execute_async"])
def test_a_function_with_a_timeout_holds_the_store_while_it_runs(drive):
    class Looks(BaseHook):
        timeout = 30.0

        def execute(self, entries, store):
            with store.lock():  # its own thread may have it twice
                return is_free(store)

    driver = HookDriver([Looks()])
    assert execute(driver, drive) is False
    assert is_free(driver.store)


@pytest.mark.parametrize("drive", ["execute", "execute_async"])
def test_the_time_for_a_call_begins_when_it_has_the_store(drive):
    class Quick(BaseHook):
        timeout = 0.2

        def execute(self, entries, store):
            return "in time"

    driver, held, waited = HookDriver([Quick()]), threading.Event(), threading.Event()

    def hold():
        with driver.store.lock():
            held.set()
            waited.wait(0.6)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    assert execute(driver, drive) == "in time"
    thread.join()


@pytest.mark.parametrize("drive", ["execute", "execute_async"])
def test_a_call_that_is_given_up_frees_the_store_and_does_not_take_it_again(drive):
    release, over = threading.Event(), threading.Event()

    class Hangs(BaseHook):
        timeout = 0.1

        def execute(self, entries, store):
            release.wait(30)

        def teardown(self, store):
            over.set()

    driver = HookDriver([Hangs()])
    with pytest.raises(TimeoutError, match=r"took longer than its timeout of 0\.1 s"):
        execute(driver, drive)
    assert is_free(driver.store)
    with driver.store.lock():
        release.set()
        next(thread for thread in threading.enumerate() if thread.name == "synapse-hook").join(30)
        assert not is_free(driver.store)
    assert is_free(driver.store)


def execute(driver, name):
    call = Call(driver.hooks[0], [])
    return driver.execute(call) if name == "execute" else asyncio.run(driver.execute_async(call))


def test_functions_run_at_once_on_the_threads_of_an_event_loop():
    meet = threading.Barrier(3, timeout=60)
    workers = []

    class Meets(BaseHook):
        def setup(self, store):
            store["thread"] = threading.get_ident()
            workers.append(store.thread)

        def execute(self, entries, store):
            assert store.thread == threading.get_ident()
            time.sleep(0.01)  # shorter calls are put together, and the last ones would not be enough for three to meet
            meet.wait()

        def teardown(self, store):
            assert store.thread == threading.get_ident()
            workers.remove(store.thread)

    report, good, _ = run(30, AsyncIOExecutor(concurrency=3, chunksize=1), Meets())
    assert report.status is FlowStatus.COMPLETED
    assert good == list(range(30))
    assert workers == []


def test_awaitables_of_functions_run_on_the_loop_of_their_thread():
    class Returns(BaseHook):
        def execute(self, entries, store):
            return self._later(entries, store, threading.get_ident())

        async def _later(self, entries, store, thread):
            await asyncio.sleep(0)
            assert threading.get_ident() == thread
            assert store.setdefault("loop", asyncio.get_running_loop()) is asyncio.get_running_loop()
            return entries

    report, good, bad = run(40, AsyncIOExecutor(concurrency=4, chunksize=1), Returns())
    assert report.status is FlowStatus.COMPLETED
    assert bad == []
    assert good == list(range(40))


def test_hooks_are_torn_down_after_the_calls_that_have_begun():
    began, go = threading.Event(), threading.Event()
    told = []

    class Works(BaseHook):
        def execute(self, entries, store):
            if number_of(entries[0]) > 0:
                began.set()
                go.wait(30)
                told.append("worked")

        def teardown(self, store):
            told.append("torn down")

    class WaitsForIt(BaseHook):
        async def execute(self, entries, store):
            while not began.is_set():  # or the first chunk might be written before another one is at work
                await asyncio.sleep(0.01)

    class Breaks(BaseOutputAdapter):
        def write(self, item):
            threading.Timer(0.3, go.set).start()
            raise OSError("the disk is full")

    report = Pipe(
        IterableInputAdapter({"id": number} for number in range(6)),
        AsyncIOExecutor(concurrency=2, chunksize=1),
        Breaks(),
        pre_validation_hooks=[Works(), WaitsForIt()],
    ).run(raise_on_error=False)
    assert report.status is FlowStatus.FAILED
    assert told == ["worked", "torn down"]
