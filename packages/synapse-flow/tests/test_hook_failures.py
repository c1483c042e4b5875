"""What is told of hooks that fail, of what they return, and of what is no hook."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import hook_failure_parts
import pytest
from flow_parts import KillsWorkerAt, Person, Upper, people
from hook_failure_parts import (
    Leaves,
    LeavesAnObject,
    LeavesAtTheEnds,
    LeavesFromATaskOfItsOwn,
    LeavesLater,
    Misspells,
    Optional,
    Parses,
    Unwraps,
    Waits,
)

from synapse_core import ExecutionError, ValidationError, WorkerLostError
from synapse_flow import (
    AsyncIOExecutor,
    BaseHook,
    IterableInputAdapter,
    JSONOutputAdapter,
    MemoryOutputAdapter,
    MultiProcessingExecutor,
    Pipe,
    SyncFifoExecutor,
    ThreadExecutor,
)

EXECUTORS = {
    "in order": lambda model=None: SyncFifoExecutor(model),
    "threads": lambda model=None: ThreadExecutor(model, max_workers=2),
    "asyncio": lambda model=None: AsyncIOExecutor(model, concurrency=4),
    "processes": lambda model=None: MultiProcessingExecutor(model, max_workers=1),
}


def run(rows: list[Any], executor: Any, *, pre: Any = (), post: Any = ()) -> Any:
    good, bad = MemoryOutputAdapter(), MemoryOutputAdapter()
    pipe = Pipe(IterableInputAdapter(rows), executor, good, bad, pre_validation_hooks=pre, post_validation_hooks=post)
    return pipe.run(), good.results, bad.results


def messages(bad: list[Any]) -> list[str]:
    return [error["message"] for entry in bad for error in entry["errors"]]


def line_of(comment: str, module: Any = hook_failure_parts) -> int:
    lines = Path(module.__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith("# " + comment))


@pytest.mark.parametrize("hook", [Leaves, LeavesLater, LeavesFromATaskOfItsOwn])
@pytest.mark.parametrize("name", EXECUTORS)
def test_a_hook_that_ends_the_program_ends_the_run_and_is_named(name: str, hook: Any) -> None:
    with pytest.raises(
        ExecutionError, match=rf"^{hook.__name__} ended the run: SystemExit: 4 \(hook_failure_parts\.py:\d+\)"
    ):
        run(people(50), EXECUTORS[name](), post=[hook(SystemExit)])


@pytest.mark.parametrize("hook", [Leaves, LeavesLater])
@pytest.mark.parametrize("name", EXECUTORS)
def test_an_interrupt_in_a_hook_ends_the_run(name: str, hook: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(people(50), EXECUTORS[name](), pre=[hook(KeyboardInterrupt)])


@pytest.mark.parametrize("method", ["setup", "teardown"])
@pytest.mark.parametrize("name", EXECUTORS)
def test_a_hook_may_not_end_the_program_before_or_after_its_work_either(name: str, method: str) -> None:
    with pytest.raises(ExecutionError, match=rf"LeavesAtTheEnds\.{method} raised SystemExit: 5"):
        run(people(50), EXECUTORS[name](), post=[LeavesAtTheEnds(method)])


@pytest.mark.parametrize("name", EXECUTORS)
def test_a_value_that_has_no_json_form_is_named_with_its_record_and_field(name: str, tmp_path: Path) -> None:
    for envelope in (False, True):
        output = JSONOutputAdapter(tmp_path / "out.jsonl", envelope=envelope)
        pipe = Pipe(
            IterableInputAdapter(people(50)), EXECUTORS[name](Person), output,
            post_validation_hooks=[LeavesAnObject()],
        )  # fmt: skip
        with pytest.raises(
            ExecutionError,
            match=r"the record at position 7 cannot be written as JSON, because of its field 'name', of type object: ",
        ):
            pipe.run()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", EXECUTORS)
@pytest.mark.parametrize(
    ("hook", "told", "comment"),
    [
        (Misspells(), "Misspells: KeyError: 'agee'", "line of the mistake"),
        (Parses(), "Parses: JSONDecodeError: Expecting property name", "line of the parse"),
        (Waits(), "Waits: RuntimeError", "line of the task"),
    ],
)
def test_what_a_hook_raised_is_told_with_its_type_and_its_line(name: str, hook: Any, told: str, comment: str) -> None:
    _, _, bad = run(people(2), EXECUTORS[name](), pre=[hook])
    assert len(bad) == 2
    for message in messages(bad):
        assert message.startswith(told)
        assert message.endswith(f" (hook_failure_parts.py:{line_of(comment)})")


def test_a_place_in_an_installed_package_is_none_of_the_users_code() -> None:
    package: dict[str, Any] = {}
    exec(compile("def get(row):\n    return row['url']", "/venv/lib/site-packages/package/get.py", "exec"), package)

    class Gets(BaseHook):
        def execute(self, entries: Any, store: Any) -> Any:
            package["get"](entries[0]["raw_data"])  # line of the call

    _, _, bad = run(people(1), SyncFifoExecutor(), pre=[Gets()])
    line = line_of("line of the call", sys.modules[__name__])
    assert messages(bad) == [f"Gets: KeyError: 'url' (test_hook_failures.py:{line})"]


@pytest.mark.parametrize("method", ["setup", "teardown"])
def test_what_setup_raised_is_told_with_its_line(method: str) -> None:
    class Breaks(BaseHook):
        pass

    def breaks(self: Any, store: Any) -> None:
        raise OSError("no disk")  # line of the method

    setattr(Breaks, method, breaks)
    line = line_of("line of the method", sys.modules[__name__])
    with pytest.raises(Exception, match=rf"Breaks\.{method} raised OSError: no disk \(test_hook_failures\.py:{line}\)"):
        run(people(2), SyncFifoExecutor(), pre=[Breaks()])


# -- what hooks return -----------------------------------------------------------------------


class UnwrapsOne(BaseHook):
    def execute(self, entries: Any, store: Any) -> Any:
        return [entry["raw_data"] if entry["raw_data"]["id"] == "3" else entry for entry in entries]


@pytest.mark.parametrize("name", EXECUTORS)
@pytest.mark.parametrize("when", ["pre", "post"])
@pytest.mark.parametrize("model", [Optional, None])
def test_records_that_a_hook_returns_instead_of_entries_are_not_lost(name: str, when: Any, model: Any) -> None:
    report, good, bad = run(people(5), EXECUTORS[name](model), **{when: [Unwraps()]})
    assert (good, report.error_count, report.filtered_count, report.added_count) == ([], 5, 0, 0)
    assert [entry["raw_data"] for entry in bad] == people(5)
    assert [entry["position"] for entry in bad] == list(range(5))
    for message in messages(bad):
        assert re.match(r"Unwraps: execute returned a dict with the keys 'id', .* an entry needs 'raw_data' ", message)


def test_only_the_call_with_a_record_instead_of_an_entry_fails() -> None:
    report, good, bad = run(people(6), SyncFifoExecutor(Person), pre=[UnwrapsOne()])
    assert [entry["raw_data"]["id"] for entry in bad] == ["3"]
    assert [entry["position"] for entry in good] == [0, 1, 2, 4, 5]
    assert report.filtered_count == report.added_count == 0


class Makes(BaseHook):
    """Returns an entry of its own in place of each."""

    def __init__(self, **entry: Any) -> None:
        super().__init__()
        self.entry = entry

    def execute(self, entries: Any, store: Any) -> Any:
        return [dict(self.entry) for _ in entries]


@pytest.mark.parametrize(
    ("when", "entry"),
    [
        ("pre", {"raw_data": {"id": 7}}),
        ("post", {"raw_data": {}, "validated_data": {"id": 7, "name": None}}),
        ("post", {"validated_data": {"id": 7, "name": None}}),
    ],
)
def test_entries_that_hooks_make_need_no_more_than_their_record(when: Any, entry: Any) -> None:
    report, good, _ = run(people(2), SyncFifoExecutor(Optional), **{when: [Makes(**entry)]})
    assert (report.filtered_count, report.added_count) == (2, 2)
    assert [entry["validated_data"] for entry in good] == [{"id": 7, "name": None}] * 2


# -- what is no hook -------------------------------------------------------------------------


def clean(entries: Any, store: Any) -> Any:
    return entries


class Nearly:
    def execute(self, entries: Any, store: Any) -> Any:
        return entries


class Duck(Nearly):
    def setup(self, store: Any) -> None:
        pass

    teardown = setup


@pytest.mark.parametrize(
    ("hook", "told"),
    [
        (
            clean,
            r"<function clean at .*> is a function, and no hook\. A hook is an object with execute\(entries, store\)",
        ),
        ("clean", "'clean' is a str, and no hook"),
        (Upper, r"is a class; give an instance, such as Upper\(\)"),
        (Nearly(), "has no setup and no teardown"),
    ],
)
def test_what_is_no_hook_is_refused_before_anything_is_written(hook: Any, told: str, tmp_path: Path) -> None:
    for where in ({"pre_validation_hooks": [hook]}, {"post_validation_hooks": [hook]}):
        output = JSONOutputAdapter(tmp_path / "out.jsonl")
        with pytest.raises(ValidationError, match=told):
            Pipe(IterableInputAdapter(people(3)), SyncFifoExecutor(), output, **where).run()
        with pytest.raises(ValidationError, match=told):
            Pipe(IterableInputAdapter(people(3), pre_hooks=[hook]), SyncFifoExecutor(), output).run()
    assert list(tmp_path.iterdir()) == []


def test_what_has_the_methods_of_a_hook_is_one() -> None:
    report, _, _ = run(people(3), SyncFifoExecutor(), pre=[Duck()])
    assert report.success_count == 3


# -- workers that die ------------------------------------------------------------------------


def test_records_on_which_workers_die_are_named() -> None:
    executor = MultiProcessingExecutor(Person, max_workers=1, chunksize=10)
    with pytest.raises(WorkerLostError, match=r"same chunk(.|\n)*at positions (\d+) to (\d+) of the input") as told:
        run(people(100, bad_every=1000), executor, pre=[KillsWorkerAt(35)])
    found = re.search(r"positions (\d+) to (\d+)", str(told.value))
    assert found is not None
    assert int(found[1]) <= 35 <= int(found[2]) < 99
