"""Record engines that break one promise each; `breaks` names it, and the suite has to fail exactly there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any, ClassVar

from synapse_core.engines import closing, in_window, worker_scope
from synapse_testing import InlineEngine

BROKEN: dict[str, tuple[type, str]] = {}


def breaks(promise: str) -> Callable[[type], type]:
    """Note an engine, and the promise that it breaks."""

    def note(kind: type) -> type:
        BROKEN[kind.__name__] = (kind, promise)
        return kind

    return note


@breaks("test_it_is_a_record_engine")
class HasNoRun:
    """Offers another method."""


@breaks("test_results_come_in_input_order")
class GivesPairsBackwards(InlineEngine):
    """Takes two chunks at a time, and gives back the second one first."""

    def run(self, work: Any, chunks: Iterable[Any], *, ordered: bool = True) -> Generator[Any]:
        held: list[Any] = []
        for result in super().run(work, chunks):
            held.insert(0, result)
            if len(held) == 2:
                yield from held
                held = []
        yield from held


@breaks("test_without_order_nothing_is_lost_or_doubled")
class DoublesWithoutOrder(InlineEngine):
    """Works on the first chunk again where nobody sees it by the order."""

    def run(self, work: Any, chunks: Iterable[Any], *, ordered: bool = True) -> Generator[Any]:
        for number, result in enumerate(super().run(work, chunks)):
            yield result
            if not ordered and number == 0:
                yield result


@breaks("test_any_input_gives_what_a_loop_gives")
class SkipsEmptyChunks(InlineEngine):
    """Leaves out what is empty."""

    def run(self, work: Any, chunks: Iterable[Any], *, ordered: bool = True) -> Generator[Any]:
        for result in super().run(work, chunks):
            if result != []:
                yield result


@breaks("test_nothing_is_taken_before_the_first_result_is_asked_for")
class TakesAtOnce(InlineEngine):
    """Takes the first chunk when it is called."""

    def run(self, work: Any, chunks: Iterable[Any], *, ordered: bool = True) -> Generator[Any]:
        source = iter(chunks)
        try:
            first = [next(source)]
        except StopIteration:
            first = []

        def rest() -> Generator[Any]:
            try:
                yield from first
                yield from source
            finally:
                if isinstance(source, Generator):
                    source.close()

        return super().run(work, rest())


@breaks("test_an_endless_source_is_read_as_results_are_asked_for")
class ReadsFarAhead(InlineEngine):
    """Takes a hundred chunks before it gives anything back."""

    def run(self, work: Any, chunks: Iterable[Any], *, ordered: bool = True) -> Generator[Any]:
        with closing(chunks) as source, worker_scope(work) as apply:
            held: list[Any] = []
            for chunk in source:
                held.append(chunk)
                if len(held) == 100 or chunk == []:
                    yield from map(apply, held)
                    held = []
            yield from map(apply, held)


@breaks("test_what_is_ready_does_not_wait_for_the_source")
class HoldsOneBack(InlineEngine):
    """Gives back a result when the next chunk but ten has come."""

    def run(self, work: Any, chunks: Iterable[Any], *, ordered: bool = True) -> Generator[Any]:
        held: list[Any] = []
        results = super().run(work, chunks)
        try:
            for result in results:
                held.append(result)
                if len(held) > 10 and result != []:
                    yield held.pop(0)
        except LookupError:
            yield from held
            raise
        finally:
            results.close()
        yield from held


@breaks("test_an_error_comes_at_its_chunks_place")
class LosesErrors(InlineEngine):
    """Ends where the work raises."""

    def run(self, work: Any, chunks: Iterable[Any], *, ordered: bool = True) -> Generator[Any]:
        with closing(chunks) as source, worker_scope(work) as apply:
            for chunk in source:
                try:
                    result = apply(chunk)
                except LookupError:
                    return
                yield result


@breaks("test_an_error_of_the_source_comes_after_what_it_gave")
class LosesErrorsOfTheSource(InlineEngine):
    """Takes an error of the source for its end."""

    def run(self, work: Any, chunks: Iterable[Any], *, ordered: bool = True) -> Generator[Any]:
        with closing(chunks) as source, worker_scope(work) as apply:
            while True:
                try:
                    chunk = next(source)
                except (StopIteration, LookupError):
                    return
                yield apply(chunk)


@breaks("test_the_source_is_closed")
class LeavesTheSourceOpen(InlineEngine):
    """Keeps the source, and so it is not closed."""

    kept: ClassVar[list[Any]] = []

    def run(self, work: Any, chunks: Iterable[Any], *, ordered: bool = True) -> Generator[Any]:
        source = iter(chunks)
        self.kept.append(source)
        yield from super().run(work, iter(lambda: next(source, None), None))


@breaks("test_each_worker_is_entered_once_and_left")
class EntersForEachChunk(InlineEngine):
    """Enters the scope of the work for each chunk."""

    def run(self, work: Any, chunks: Iterable[Any], *, ordered: bool = True) -> Generator[Any]:
        with closing(chunks) as source:
            for chunk in source:
                with worker_scope(work) as apply:
                    yield apply(chunk)


@breaks("test_workers_are_left_when_a_run_is_given_up")
class IsNotLeftWhenGivenUp(InlineEngine):
    """Leaves the scope of the work only at the end of the source."""

    kept: ClassVar[list[Any]] = []

    def run(self, work: Any, chunks: Iterable[Any], *, ordered: bool = True) -> Generator[Any]:
        stack = ExitStack()
        self.kept.append(stack)
        with closing(chunks) as source:
            apply = stack.enter_context(worker_scope(work))
            for chunk in source:
                yield apply(chunk)
        stack.close()


@breaks("test_a_worker_is_left_when_its_work_has_ended")
class LeavesWhileItWorks(InlineEngine):
    """Takes what has started for cancelled, and leaves the scope of the work before its threads have ended."""

    def run(self, work: Any, chunks: Iterable[Any], *, ordered: bool = True) -> Generator[Any]:
        with ThreadPoolExecutor(2) as pool, worker_scope(work) as apply:

            def submit(chunk: Any) -> Future[Any]:
                future = pool.submit(apply, chunk)
                future.cancel = lambda: True  # type: ignore[method-assign]
                return future

            yield from in_window(submit, chunks, limit=4, ordered=ordered)


@breaks("test_an_error_of_leaving_is_raised_at_the_end")
class HidesErrorsOfLeaving(InlineEngine):
    """Says nothing of what leaving the scope raises."""

    def run(self, work: Any, chunks: Iterable[Any], *, ordered: bool = True) -> Generator[Any]:
        stack = ExitStack()
        with closing(chunks) as source:
            apply = stack.enter_context(worker_scope(work))
            try:
                for chunk in source:
                    yield apply(chunk)
            finally:
                with suppress(LookupError):
                    stack.close()


@breaks("test_two_runs_at_once_do_not_mix")
class MixesRuns(InlineEngine):
    """Keeps the work of the last run."""

    def run(self, work: Any, chunks: Iterable[Any], *, ordered: bool = True) -> Generator[Any]:
        with worker_scope(work) as self._apply:
            yield from super().run(lambda chunk: self._apply(chunk), chunks)


@breaks("test_no_thread_or_process_piles_up")
class LeavesAThread(InlineEngine):
    """Starts a thread for each run, which stays."""

    def run(self, work: Any, chunks: Iterable[Any], *, ordered: bool = True) -> Generator[Any]:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        yield from super().run(work, chunks)
