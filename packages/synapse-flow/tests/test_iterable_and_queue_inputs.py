"""Records come from iterables and queues as they appear there, and the run ends where those end."""

from __future__ import annotations

import asyncio
import multiprocessing
import queue
import statistics
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pytest
from flow_parts import Person, Upper, people
from pydantic import BaseModel

from synapse_core.errors import ExecutionError, ValidationError
from synapse_flow import (
    BaseAsyncInputAdapter,
    BaseInputAdapter,
    FlowStatus,
    MemoryOutputAdapter,
    MultiProcessingExecutor,
    Pipe,
    QueueOutputAdapter,
    SyncFifoExecutor,
    ThreadExecutor,
)
from synapse_flow.inputs.iterable import IterableInputAdapter
from synapse_flow.inputs.queue import AsyncQueueInputAdapter, QueueInputAdapter

SOON = 20  # seconds; a test that waits so long has failed


@dataclass
class Point:
    x: int
    parts: list[Point] = field(default_factory=list)


class Child(BaseModel):
    x: int
    inner: Child | None = None


class Liar(dict):
    """A mapping that cannot be read."""

    def keys(self):
        raise RuntimeError("no keys")


def run(source: Any, executor: Any = None) -> tuple[list[Any], list[Any]]:
    good, bad = MemoryOutputAdapter(), MemoryOutputAdapter()
    Pipe(source, executor or SyncFifoExecutor(), good, bad).run()
    return [entry["raw_data"] for entry in good.results], bad.results


# -- iterables -----------------------------------------------------------------------------------

ITEMS = [{"x": 1}, Child(x=2, inner=Child(x=3)), Point(4, [Point(5)]), MappingProxyType({"x": 6})]
RECORDS = [{"x": 1}, {"x": 2, "inner": {"x": 3, "inner": None}}, {"x": 4, "parts": [{"x": 5, "parts": []}]}, {"x": 6}]


def one_by_one(items):
    yield from items


async def one_by_one_async(items):
    for item in items:
        await asyncio.sleep(0)
        yield item


@pytest.mark.parametrize("source", [list, tuple, iter, one_by_one, one_by_one_async], ids=lambda each: each.__name__)
@pytest.mark.parametrize("executor", [SyncFifoExecutor, lambda: MultiProcessingExecutor(max_workers=1)])
def test_dicts_models_and_dataclasses_are_records(source, executor):
    assert run(IterableInputAdapter(source(ITEMS)), executor()) == (RECORDS, [])


def test_other_items_fail_alone_with_their_position():
    good, bad = run(IterableInputAdapter([{"x": 1}, 7, None, "text", Point, [{"x": 2}], {"x": 3}]))
    assert good == [{"x": 1}, {"x": 3}]
    assert [entry["position"] for entry in bad] == [1, 2, 3, 4, 5]
    assert bad[0]["errors"] == [{"type": "InputError", "message": "a record is a int; it has to be a dict"}]
    assert bad[0]["raw_data"] == {"value": 7}


def test_entries_keep_their_ids():
    good, bad = MemoryOutputAdapter(), MemoryOutputAdapter()
    entries = [{"id": "a", "raw_data": {"x": 1}}, {"raw_data": {"x": 2}, "id": "b"}]
    Pipe(IterableInputAdapter(entries), SyncFifoExecutor(), good, bad).run()
    assert [(entry["id"], entry["raw_data"]) for entry in good.results] == [("a", {"x": 1}), ("b", {"x": 2})]


def test_many_records_keep_their_order_on_every_kind_of_source():
    rows = people(20_000)
    for source in (rows, iter(rows), one_by_one_async(rows), lambda: one_by_one(rows)):
        output = MemoryOutputAdapter()
        Pipe(IterableInputAdapter(source), ThreadExecutor(max_workers=3), output).run()
        assert [entry["raw_data"] for entry in output.results] == rows


def test_hooks_and_ids_of_the_input_are_used():
    output = MemoryOutputAdapter()
    source = IterableInputAdapter(people(3), id_generator=iter("abc").__next__, pre_hooks=[Upper()])
    Pipe(source, SyncFifoExecutor(Person), output).run()
    assert [(entry["id"], entry["validated_data"]["name"]) for entry in output.results] == [
        ("a", "NAME 0"), ("b", "NAME 1"), ("c", "NAME 2")
    ]  # fmt: skip


@pytest.mark.parametrize(
    "source", [[{"x": 1}], lambda: one_by_one([{"x": 1}]), lambda: one_by_one_async([{"x": 1}]), lambda: [{"x": 1}]]
)
def test_lists_and_functions_can_be_read_again(source):
    output = MemoryOutputAdapter()
    pipe = Pipe(IterableInputAdapter(source), SyncFifoExecutor(), output)
    for _ in range(2):
        pipe.run()
        assert [entry["raw_data"] for entry in output.results] == [{"x": 1}]


@pytest.mark.parametrize("source", [one_by_one, iter, one_by_one_async])
def test_what_can_be_read_once_says_so_the_second_time(source):
    pipe = Pipe(IterableInputAdapter(source([{"x": 1}])), SyncFifoExecutor())
    assert pipe.run().read_count == 1
    with pytest.raises(
        ValidationError, match=r"can be read once, .* give a list, or a function that returns a new one"
    ):
        pipe.run()


@pytest.mark.parametrize("source", ["text", b"bytes", {"x": 1}, 7, None])
def test_what_holds_no_records_is_refused(source):
    with pytest.raises(ValidationError, match=f"cannot be read from a {type(source).__name__}; give an iterable"):
        IterableInputAdapter(source)
    with pytest.raises(ValidationError, match=f"cannot be read from a {type(source).__name__}; give an iterable"):
        Pipe(IterableInputAdapter(lambda: source)).run()


def test_a_coroutine_function_is_refused():
    async def fetch():
        return [{"x": 1}]

    with pytest.raises(ValidationError, match="cannot be read from a coroutine"):
        Pipe(IterableInputAdapter(fetch)).run()


def breaks():
    yield {"x": 1}
    raise OSError("the source is gone")


async def breaks_async():
    yield {"x": 1}
    raise OSError("the source is gone")


@pytest.mark.parametrize("source", [breaks, breaks_async])
def test_an_error_of_the_iterable_ends_the_run_behind_what_came_before(source):
    output = MemoryOutputAdapter()
    pipe = Pipe(IterableInputAdapter(source), SyncFifoExecutor(), output)
    with pytest.raises(OSError, match="the source is gone"):
        pipe.run()
    assert (pipe.report.status, len(output.results)) == (FlowStatus.FAILED, 1)


def test_a_record_is_written_while_the_next_one_is_awaited():
    written: queue.Queue[Any] = queue.Queue()
    seen = threading.Event()

    def trickle():
        yield {"x": 1}
        assert seen.wait(SOON)
        yield {"x": 2}

    pipe = Pipe(IterableInputAdapter(trickle()), SyncFifoExecutor(), QueueOutputAdapter(written))
    report = pipe.start()
    assert written.get(timeout=SOON)["raw_data"] == {"x": 1}
    seen.set()
    assert written.get(timeout=SOON)["raw_data"] == {"x": 2}
    assert report.wait(SOON)


def test_an_async_iterable_that_waits_is_closed_when_the_run_is_aborted():
    closed, started = threading.Event(), threading.Event()

    async def endless():
        try:
            yield {"x": 1}
            started.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    report = Pipe(IterableInputAdapter(endless()), SyncFifoExecutor()).start()
    assert started.wait(SOON)
    report.abort()
    assert report.wait(SOON)
    assert report.status is FlowStatus.CANCELLED
    assert closed.wait(SOON)


def drawn_from(kind, drawn):
    """Return an input of endless records, which notes each that is drawn from it."""

    def endless():
        for number in range(1_000_000):
            drawn.append(number)
            yield {"x": number}

    async def endless_async():
        for record in endless():
            yield record

    class Own(BaseInputAdapter):
        generator = property(lambda self: endless())

    class OwnAsync(BaseAsyncInputAdapter):
        async_generator = property(lambda self: endless_async())

    return {
        "iterator": lambda: IterableInputAdapter(endless()),
        "async iterator": lambda: IterableInputAdapter(endless_async()),
        "own": Own,
        "own async": OwnAsync,
    }[kind]()


KINDS = ["iterator", "async iterator", "own", "own async"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", [1, 100, 5000])
def test_no_more_records_are_drawn_than_the_limit_lets_through(kind, limit):
    drawn: list[int] = []
    for executor in (SyncFifoExecutor(), ThreadExecutor(max_workers=2)):
        drawn.clear()
        report = Pipe(drawn_from(kind, drawn), executor, limit=limit).run()
        assert (report.read_count, len(drawn)) == (limit, limit)


def test_an_iterator_goes_on_behind_the_limit():
    records = iter(people(500))
    good = MemoryOutputAdapter()
    for part in range(5):
        Pipe(IterableInputAdapter(records), SyncFifoExecutor(), good, limit=100).run()
        assert [entry["raw_data"] for entry in good.results] == people(500)[100 * part : 100 * part + 100]


def readers():
    return [each for each in threading.enumerate() if each.name == "synapse-flow-input"]


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_reads_any_more_when_an_aborted_run_closes_its_input(kind):
    before = readers()
    drawn: list[int] = []
    at_close: list[Any] = []
    source = drawn_from(kind, drawn)
    source.close = lambda: at_close.extend([each for each in readers() if each not in before])
    written: queue.Queue[Any] = queue.Queue()
    report = Pipe(source, SyncFifoExecutor(), QueueOutputAdapter(written)).start()
    written.get(timeout=SOON)
    report.abort()
    assert report.wait(SOON)
    assert at_close == []


def test_an_async_input_of_ones_own_that_waits_is_ended_before_it_is_closed():
    seen: list[str] = []
    waits = threading.Event()

    class Waiting(BaseAsyncInputAdapter):
        @property
        async def async_generator(self):
            try:
                yield {"x": 1}
                waits.set()
                await asyncio.Event().wait()
            finally:
                seen.append("ended")

        def close(self):
            seen.append("closed")

    report = Pipe(Waiting(), SyncFifoExecutor()).start()
    assert waits.wait(SOON)
    report.abort()
    assert report.wait(SOON)
    assert seen == ["ended", "closed"]


def test_an_abort_does_not_wait_for_an_iterable_that_blocks():
    blocked, released = threading.Event(), threading.Event()

    def blocks():
        yield {"x": 1}
        blocked.set()
        released.wait()

    report = Pipe(IterableInputAdapter(blocks()), SyncFifoExecutor()).start()
    assert blocked.wait(SOON)
    report.abort()
    assert report.wait(SOON)
    released.set()


# -- queues --------------------------------------------------------------------------------------


def filled(kind: Any, *items: Any) -> Any:
    made = kind()
    for item in items:
        made.put(item)
    return made


@pytest.mark.parametrize("kind", [queue.Queue, queue.SimpleQueue, queue.LifoQueue, multiprocessing.Queue])
def test_a_queue_is_read_until_its_sentinel(kind):
    items = [*ITEMS, None] if kind is not queue.LifoQueue else [None, *reversed(ITEMS)]
    if kind is multiprocessing.Queue:
        items[3] = {"x": 6}  # the view of a mapping goes to no other process
    assert run(QueueInputAdapter(filled(kind, *items))) == (RECORDS, [])


def test_many_records_of_a_queue_keep_their_order():
    rows = people(20_000)
    source: queue.Queue[Any] = queue.Queue(100)
    thread = threading.Thread(target=lambda: [source.put(row) for row in (*rows, None)])
    thread.start()
    assert run(QueueInputAdapter(source), MultiProcessingExecutor(max_workers=2)) == (rows, [])
    thread.join()


def test_items_that_are_no_records_fail_alone():
    good, bad = run(QueueInputAdapter(filled(queue.Queue, {"x": 1}, 7, {"x": 2}, None)))
    assert good == [{"x": 1}, {"x": 2}]
    assert [entry["position"] for entry in bad] == [1]


@pytest.mark.parametrize("sentinel", ["end", 0, b"", object(), ("end",), {"end": True}])
def test_any_sentinel_ends_the_input_and_nothing_behind_it_is_taken(sentinel):
    source = filled(queue.Queue, {"x": 1}, sentinel, {"x": 2})
    good, bad = run(QueueInputAdapter(source, sentinel=sentinel))
    assert (good, bad) == ([{"x": 1}], [])
    assert source.get_nowait() == {"x": 2}


def test_a_sentinel_from_another_process_is_an_equal_one():
    sentinel = "-".join(["the", "end"])
    assert run(QueueInputAdapter(filled(queue.Queue, {"x": 1}, "the-end"), sentinel=sentinel)) == ([{"x": 1}], [])


def test_a_value_that_is_like_the_sentinel_but_of_another_type_is_none():
    _, bad = run(QueueInputAdapter(filled(queue.Queue, False, 0), sentinel=0))
    assert len(bad) == 1


def test_a_record_is_written_within_50_ms_after_it_came_into_the_queue():
    source: queue.Queue[Any] = queue.Queue()
    written: queue.Queue[Any] = queue.Queue()
    report = Pipe(QueueInputAdapter(source), SyncFifoExecutor(Person), QueueOutputAdapter(written)).start()
    times = []
    for row in people(25, bad_every=100):
        began = time.perf_counter()
        source.put(row)
        written.get(timeout=SOON)
        times.append(time.perf_counter() - began)
    source.put(None)
    assert report.wait(SOON, raise_on_error=True)
    assert statistics.median(times) < 0.05


@pytest.mark.parametrize("executor", [SyncFifoExecutor, lambda: ThreadExecutor(max_workers=2)])
def test_an_abort_takes_no_more_than_the_next_chunks_out_of_a_queue(executor):
    source = filled(queue.Queue, *people(50_000))
    written: queue.Queue[Any] = queue.Queue(1)
    report = Pipe(QueueInputAdapter(source), executor(), QueueOutputAdapter(written)).start()
    written.get(timeout=SOON)
    report.abort()
    while not report.wait(0.01):
        while not written.empty():
            written.get()
    assert report.status is FlowStatus.CANCELLED
    assert source.qsize() > 25_000


def test_an_empty_queue_does_not_keep_a_run_from_its_end():
    report = Pipe(QueueInputAdapter(queue.Queue()), SyncFifoExecutor()).start()
    report.abort()
    assert report.wait(SOON)
    assert report.status is FlowStatus.CANCELLED


def test_a_queue_that_was_closed_ends_the_run_with_a_reason():
    source = multiprocessing.Queue()
    source.close()
    source.join_thread()
    with pytest.raises(ExecutionError, match="the queue cannot be read any further"):
        Pipe(QueueInputAdapter(source), SyncFifoExecutor()).run()


# -- queues of an event loop ---------------------------------------------------------------------


def test_an_async_queue_is_read_until_its_sentinel_while_its_loop_runs():
    rows = people(5000)

    async def main() -> list[Any]:
        source: asyncio.Queue[Any] = asyncio.Queue(10)
        output = MemoryOutputAdapter()
        report = Pipe(AsyncQueueInputAdapter(source, sentinel="end"), ThreadExecutor(), output).start()
        for row in (*rows, *ITEMS, "end"):
            await source.put(row)
        assert await report.wait_async(SOON, raise_on_error=True)
        return [entry["raw_data"] for entry in output.results]

    assert asyncio.run(main()) == [*rows, *RECORDS]


def test_a_record_of_an_async_queue_is_written_within_50_ms():
    async def main() -> list[float]:
        source: asyncio.Queue[Any] = asyncio.Queue()
        written: queue.Queue[Any] = queue.Queue()
        report = Pipe(AsyncQueueInputAdapter(source), SyncFifoExecutor(Person), QueueOutputAdapter(written)).start()
        times = []
        for row in people(25, bad_every=100):
            began = time.perf_counter()
            await source.put(row)
            await asyncio.to_thread(written.get, timeout=SOON)
            times.append(time.perf_counter() - began)
        await source.put(None)
        assert await report.wait_async(SOON, raise_on_error=True)
        return times

    assert statistics.median(asyncio.run(main())) < 0.05


def test_a_loop_in_another_thread_can_be_named():
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    source: asyncio.Queue[Any] = asyncio.Queue()
    for row in ({"x": 1}, None):
        asyncio.run_coroutine_threadsafe(source.put(row), loop).result(SOON)
    assert run(AsyncQueueInputAdapter(source, loop=loop)) == ([{"x": 1}], [])
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    with pytest.raises(ExecutionError, match="was closed before the sentinel came"):
        run(AsyncQueueInputAdapter(source, loop=loop))


def test_a_loop_that_ends_too_early_ends_the_run():
    async def main() -> Any:
        return Pipe(AsyncQueueInputAdapter(asyncio.Queue()), SyncFifoExecutor()).start()

    report = asyncio.run(main())
    assert report.wait(SOON)
    assert "was closed before the sentinel came" in str(report.exception)


def test_a_pipe_that_would_hold_up_the_loop_of_its_queue_is_refused():
    async def main() -> None:
        Pipe(AsyncQueueInputAdapter(asyncio.Queue()), SyncFifoExecutor()).run()

    with pytest.raises(ValidationError, match=r"runs in this thread.*start the pipe with start\(\)"):
        asyncio.run(main())
    with pytest.raises(ValidationError, match="make the adapter in a coroutine, or give it loop="):
        Pipe(AsyncQueueInputAdapter(asyncio.Queue()), SyncFifoExecutor()).run()


def test_nothing_is_taken_out_of_an_async_queue_after_the_end():
    async def main() -> int:
        source: asyncio.Queue[Any] = asyncio.Queue()
        adapter = AsyncQueueInputAdapter(source)
        await asyncio.to_thread(adapter.open)
        adapter._answer(Future(), 5)  # finds nothing, and will look again
        adapter.close()
        await source.put({"x": 1})
        passed = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, passed.set)
        await passed.wait()
        return source.qsize()

    assert asyncio.run(main()) == 1
