"""The conformance suite of record engines."""

from __future__ import annotations

import inspect
import itertools
import os
import threading
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings, strategies

from synapse_core.errors import ExecutionError, WorkerLostError
from synapse_core.ports.engine import RecordEngine
from synapse_testing import engine_work as work
from synapse_testing.conformance.group import rests_on
from synapse_testing.waiting import PATIENCE, poll

__all__ = ["ProcessEngineConformance", "RecordEngineConformance"]

_SOME = [[number, -number] for number in range(40)]

_MISSING = """\
{suite} has no engine to test. Give it one:

    class {suite}(RecordEngineConformance):
        @pytest.fixture
        def engine(self):
            return YourEngine()
"""


class RecordEngineConformance:
    """Every promise of a record engine, one test each. Subclass it and give one ``engine`` fixture.

    Where workers are other processes, `ProcessEngineConformance` has all of it and more.

    Attributes:
        most_in_flight: The most chunks that the engine under test may have taken from the source and not given back.
        patience: Seconds after which something that should happen counts as broken.

    Example:
        ::

            class TestMyEngine(RecordEngineConformance):
                @pytest.fixture
                def engine(self):
                    return MyEngine()
    """

    is_conformance_suite: ClassVar[bool] = True
    capabilities: ClassVar[None] = None
    most_in_flight: ClassVar[int] = 64
    patience: ClassVar[float] = PATIENCE

    @pytest.fixture
    def engine(self) -> Any:
        """The engine under test; every suite gives its own."""
        pytest.fail(_MISSING.format(suite=type(self).__name__), pytrace=False)

    def test_it_is_a_record_engine(self, engine: Any) -> None:
        """It has the methods of the port."""
        assert isinstance(engine, RecordEngine)

    @rests_on("test_it_is_a_record_engine")
    def test_results_come_in_input_order(self, engine: Any) -> None:
        """One result for each chunk, in the order of the chunks."""
        assert list(engine.run(work.doubles, _SOME)) == [work.doubles(chunk) for chunk in _SOME]

    @rests_on("test_results_come_in_input_order")
    def test_without_order_nothing_is_lost_or_doubled(self, engine: Any) -> None:
        """With ``ordered=False`` one result for each chunk, in any order."""
        found = Counter(map(tuple, engine.run(work.doubles, _SOME, ordered=False)))
        assert found == Counter(tuple(work.doubles(chunk)) for chunk in _SOME)

    @rests_on("test_results_come_in_input_order")
    @settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
    @given(chunks=strategies.lists(strategies.lists(strategies.integers(-9, 9), max_size=3), max_size=12))
    def test_any_input_gives_what_a_loop_gives(self, engine: Any, chunks: list[list[int]]) -> None:
        """Equal chunks, empty chunks, no chunk at all: the same as a loop over them."""
        assert list(engine.run(work.doubles, chunks)) == [work.doubles(chunk) for chunk in chunks]

    @rests_on("test_results_come_in_input_order")
    def test_nothing_is_taken_before_the_first_result_is_asked_for(self, engine: Any) -> None:
        """``run`` alone does not touch the source."""
        taken = []

        def counts() -> Iterator[int]:
            taken.append(True)
            yield 0

        results = engine.run(work.FailsAt(None), counts())
        assert not taken
        results.close()
        assert not taken

    @rests_on("test_results_come_in_input_order")
    def test_an_endless_source_is_read_as_results_are_asked_for(self, engine: Any) -> None:
        """A bounded number of chunks is taken from the source and not yet given back."""
        given_back = 0

        def endless() -> Iterator[int]:
            for taken in itertools.count():
                ahead = taken - given_back
                assert ahead <= self.most_in_flight, f"{ahead} chunks taken and not given back"
                yield taken

        results = engine.run(work.FailsAt(None), endless())
        for number in range(3 * self.most_in_flight):
            assert next(results) == number
            given_back += 1
        results.close()

    @rests_on("test_results_come_in_input_order")
    def test_what_is_ready_does_not_wait_for_the_source(self, engine: Any) -> None:
        """A source that has nothing new gives empty chunks, among which a result comes as soon as it is ready."""
        given_back = threading.Event()

        def trickles() -> Generator[list[int]]:
            yield [1]
            for _ in range(round(self.patience / 0.01)):
                if given_back.wait(0.01):
                    return
                yield []
            raise AssertionError("the first result was held back")

        for result in engine.run(work.doubles, trickles()):
            if result == [2]:
                given_back.set()
        assert given_back.is_set()

    @rests_on("test_results_come_in_input_order")
    def test_an_error_comes_at_its_chunks_place(self, engine: Any) -> None:
        """What the work raises is raised where the chunk's result would have been, and ends the run."""
        results = engine.run(work.FailsAt(7), range(20))
        assert [next(results) for _ in range(7)] == list(range(7))
        with pytest.raises(LookupError, match="no chunk 7"):
            next(results)
        assert list(results) == []

    @rests_on("test_results_come_in_input_order")
    def test_an_error_of_the_source_comes_after_what_it_gave(self, engine: Any) -> None:
        """What the source raises is raised to the caller."""

        def breaks() -> Iterator[int]:
            yield from range(3)
            raise LookupError("the source broke")

        found, error = _until_error(engine.run(work.FailsAt(None), breaks()))
        assert isinstance(error, LookupError)
        assert "the source broke" in str(error)
        assert found == list(range(len(found)))

    @rests_on("test_an_error_comes_at_its_chunks_place")
    @pytest.mark.parametrize("end", ["closed", "used up", "failed"])
    def test_the_source_is_closed(self, engine: Any, end: str) -> None:
        """Where the source is a generator, it is closed at the end, by ``close()`` and by an error."""
        source = _closable(20)
        results = engine.run(work.FailsAt(7 if end == "failed" else None), source)
        next(results)
        if end == "closed":
            results.close()
        elif end == "used up":
            assert len(list(results)) == 19
        else:
            with pytest.raises(LookupError):
                list(results)
        assert inspect.getgeneratorstate(source) == inspect.GEN_CLOSED

    @rests_on("test_results_come_in_input_order")
    def test_each_worker_is_entered_once_and_left(self, engine: Any, tmp_path: Path) -> None:
        """Work with ``in_worker`` is entered once in each worker, which calls what that gives, and left at the end."""
        found = list(engine.run(work.Scoped(tmp_path), range(30)))
        assert [chunk for chunk, _ in found] == list(range(30))
        self._all_are_left(tmp_path, {name for _, name in found})

    @rests_on("test_each_worker_is_entered_once_and_left")
    def test_workers_are_left_when_a_run_is_given_up(self, engine: Any, tmp_path: Path) -> None:
        """``close()`` leaves each worker that was entered."""
        results = engine.run(work.Scoped(tmp_path), range(1000))
        _, name = next(results)
        results.close()
        self._all_are_left(tmp_path, {name})

    @rests_on("test_workers_are_left_when_a_run_is_given_up")
    def test_a_worker_is_left_when_its_work_has_ended(self, engine: Any, tmp_path: Path) -> None:
        """Whatever ends the run, a worker finishes each chunk that it has begun before it is left."""
        is_over = threading.Event()

        def opens() -> None:
            poll(lambda: is_over.is_set() or any(tmp_path.glob("begun-*")), self.patience)
            threading.Event().wait(0.6)  # for a run that does not wait to be over before
            (tmp_path / "go").touch()

        opener = threading.Thread(target=opens)
        opener.start()
        results = engine.run(work.TakesLong(0, tmp_path), range(20))
        try:
            assert next(results) == 0
        finally:
            results.close()
            is_over.set()
            opener.join()
        early = [path.read_text() for path in tmp_path.glob("left-early-*")]
        assert early == [], "these chunks were still being worked on"

    @rests_on("test_each_worker_is_entered_once_and_left")
    def test_an_error_of_leaving_is_raised_at_the_end(self, engine: Any, tmp_path: Path) -> None:
        """It comes after all results, of which it costs none."""
        found, error = _until_error(engine.run(work.Scoped(tmp_path, leaving="could not be left"), range(5)))
        assert isinstance(error, (LookupError, ExecutionError))
        assert "could not be left" in str(error)
        assert [chunk for chunk, _ in found] == list(range(5))

    @rests_on("test_results_come_in_input_order")
    def test_two_runs_at_once_do_not_mix(self, engine: Any) -> None:
        """One engine may have several runs, each called from a thread of its own."""
        left, right = engine.run(work.doubles, _SOME), engine.run(work.FailsAt(None), range(40))
        for number, (doubled, same) in enumerate(zip(left, right, strict=True)):
            assert doubled == work.doubles(_SOME[number])
            assert same == number

    @rests_on("test_results_come_in_input_order")
    def test_no_thread_or_process_piles_up(self, engine: Any) -> None:
        """What a run starts ends with it, apart from a pool that stays."""
        list(engine.run(work.doubles, _SOME[:3]))
        before = set(threading.enumerate()), _children()
        for _ in range(3):
            list(engine.run(work.doubles, _SOME[:3]))

        def nothing_new() -> bool:
            return not set(threading.enumerate()) - before[0] and len(_children()) <= len(before[1])

        assert poll(nothing_new, self.patience), [thread.name for thread in threading.enumerate()]

    @rests_on("test_results_come_in_input_order")
    def test_a_slow_chunk_does_not_disturb_the_order(self, engine: Any, tmp_path: Path) -> None:
        """Where chunks are worked on at once, those behind a slow one wait for it to be given back."""
        file = tmp_path / "go"
        threading.Timer(0.3, file.touch).start()
        assert list(engine.run(work.OpensLate(0, file), range(10))) == list(range(10))

    def _all_are_left(self, folder: Path, names: set[str]) -> None:
        def entered_and_left() -> bool:
            entered = {path.name.partition("-")[2] for path in folder.glob("entered-*")}
            left = {path.name.partition("-")[2] for path in folder.glob("left-*")}
            return names <= entered == left

        assert poll(entered_and_left, self.patience), sorted(path.name for path in folder.iterdir())


class ProcessEngineConformance(RecordEngineConformance):
    """Every promise of a record engine whose workers are other processes, which may die.

    Example:
        ::

            class TestMyEngine(ProcessEngineConformance):
                @pytest.fixture
                def engine(self):
                    return MyEngine()
    """

    def test_what_cannot_be_sent_is_an_error(self, engine: Any) -> None:
        """A chunk, a result or an error that no other process can be sent ends the run, and does not hang it."""
        for chunks, wrong in (([threading.Lock()], work.doubles), ([1], work.gives_a_lock)):
            with pytest.raises(Exception, match=r"(?i)pickle|serializ"):
                list(engine.run(wrong, chunks))
        with pytest.raises(ExecutionError, match="SealedError: sealed at 1"):
            list(engine.run(work.raises_sealed, [1]))

    def test_a_worker_that_dies_loses_no_chunk(self, engine: Any, tmp_path: Path) -> None:
        """The chunks of a worker that is killed are worked on again."""
        found = list(engine.run(work.DiesOnce(5, tmp_path / "died"), range(20)))
        assert (tmp_path / "died").exists()
        assert found == list(range(20))

    def test_a_chunk_that_kills_its_workers_is_an_error(self, engine: Any) -> None:
        """After several attempts the run ends with `WorkerLostError`; what came before has been given back."""
        found, error = _until_error(engine.run(work.DiesAt(3), range(10)))
        assert isinstance(error, WorkerLostError)
        assert found == list(range(len(found)))


def _until_error(results: Iterator[Any]) -> tuple[list[Any], BaseException | None]:
    found = []
    try:
        for result in results:
            found.append(result)
    except Exception as error:
        return found, error
    return found, None


def _closable(count: int) -> Generator[int]:
    yield from range(count)


def _children() -> set[str]:
    return {path.name for path in Path("/proc").glob("[0-9]*") if _parent(path) == os.getpid()}


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0
