from __future__ import annotations

import inspect
import json
import queue
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flow_parts
import pytest
from flow_parts import (
    Adds,
    AsyncAdds,
    Doubles,
    Drops,
    FailsOn,
    FailsOnOnce,
    Journal,
    Keeps,
    KillsWorkerOnce,
    Person,
    Returns,
    Unpicklable,
    Upper,
    people,
)  # fmt: skip
from pydantic import BaseModel, RootModel, model_validator

from synapse_core.errors import ExecutionError, ValidationError
from synapse_flow import (
    AsyncIOExecutor,
    BaseHook,
    BaseInputAdapter,
    CSVInputAdapter,
    EntryStatus,
    FieldMapperHook,
    FlowStatus,
    GeneratorOutputAdapter,
    IterableInputAdapter,
    JSONOutputAdapter,
    MemoryOutputAdapter,
    MultiProcessingExecutor,
    Pipe,
    QueueOutputAdapter,
    SyncFifoExecutor,
    ThreadExecutor,
    TimestampHook,
)  # fmt: skip
from synapse_flow.chunks import Chunk, ChunkResult
from synapse_flow.collecting import RowCollector
from synapse_flow.inputs.row_decoding import RowDecoder
from synapse_flow.outputs.sql import SQLAlchemyOutputAdapter
from synapse_flow.packing import Packing
from synapse_flow.report import FlowReport
from synapse_flow.work import ChunkWork
from synapse_testing.waiting import poll

EXECUTORS = {
    "in order": lambda model=Person: SyncFifoExecutor(model),
    "threads": lambda model=Person: ThreadExecutor(model, max_workers=3),
    "threads, seven at once": lambda model=Person: ThreadExecutor(model, max_workers=3, chunksize=7),
    "asyncio": lambda model=Person: AsyncIOExecutor(model, concurrency=3),
    "processes": lambda model=Person: MultiProcessingExecutor(model, max_workers=2, chunksize=50),
    "processes, lz4": lambda model=Person: MultiProcessingExecutor(model, max_workers=2, compression="lz4"),
}
RAISES = next(
    number for number, line in enumerate(inspect.getsource(flow_parts).splitlines(), 1) if "raise ValueError" in line
)
HERE = ["in order", "threads", "asyncio"]


class Rows(BaseInputAdapter):
    """An input of one's own."""

    def __init__(self, rows, **more):
        super().__init__(**more)
        self.rows = rows

    @property
    def generator(self):
        yield from self.rows


def run(rows, executor, *, pre=(), post=(), **more):
    good, bad = MemoryOutputAdapter(), MemoryOutputAdapter()
    pipe = Pipe(Rows(rows), executor, good, bad, pre_validation_hooks=pre, post_validation_hooks=post, **more)
    return pipe.run(), good.results, bad.results


def ids(entries):
    return [int(entry["raw_data"]["id"]) for entry in entries]


# -- records ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXECUTORS)
def test_every_record_is_written_or_failed_once_and_in_order(name):
    report, good, bad = run(people(1000), EXECUTORS[name]())
    assert report.status is FlowStatus.COMPLETED
    assert (report.read_count, report.success_count, report.error_count) == (1000, 858, 142)
    assert ids(good) == [i for i in range(1000) if i % 7 != 6]
    assert [entry["position"] for entry in bad] == [i for i in range(1000) if i % 7 == 6]
    assert report.errors_by_type == {"less_than_equal": 142}


@pytest.mark.parametrize("name", EXECUTORS)
def test_hooks_and_envelopes_give_the_same_bytes_on_every_executor(name, tmp_path):
    def lines(executor, folder):
        folder.mkdir()
        Pipe(
            Rows(people(300), id_generator=iter(range(10**6)).__next__),
            executor,
            JSONOutputAdapter(folder / "good.jsonl", envelope=True),
            JSONOutputAdapter(folder / "bad.jsonl"),
            pre_validation_hooks=[Upper(), FailsOn(11, 12, 250), Drops()],
            post_validation_hooks=[Adds()],
        ).run()
        return (folder / "good.jsonl").read_text(), (folder / "bad.jsonl").read_text()

    expected = lines(EXECUTORS["in order"](), tmp_path / "expected")
    assert lines(EXECUTORS[name](), tmp_path / "found") == expected
    first = json.loads(expected[0].splitlines()[0])
    assert first["validated_data"] == {
        "id": 0, "name": "NAME 0", "age": 1, "balance": "0.50", "born": "2000-01-02", "twice": 0,
    }  # fmt: skip
    assert (first["id"], first["position"], first["status"]) == (0, 0, "validated")


def test_without_a_model_records_pass_as_they_are(tmp_path):
    report = Pipe(Rows([{"a": 1}, {"b": [1, {"a": 2}]}]), None, JSONOutputAdapter(tmp_path / "out.jsonl")).run()
    assert report.success_count == 2
    assert (tmp_path / "out.jsonl").read_text() == '{"a":1}\n{"b":[1,{"a":2}]}\n'


def test_a_record_that_is_no_dict_fails_alone():
    report, good, bad = run([{"id": 1, "name": "a", "age": 1}, "nonsense", None], SyncFifoExecutor(Person))
    assert (len(good), len(bad)) == (1, 2)
    assert "a record is a str; it has to be a dict" in bad[0]["errors"][0]["message"]
    assert report.errors_by_type == {"InputError": 2}


def test_an_error_line_has_position_raw_data_and_reasons(tmp_path):
    (tmp_path / "in.csv").write_text('id,name,age\n1,a,5\n\n2,"b\nc",200\n3,,x\n')
    pipe = Pipe(
        CSVInputAdapter(tmp_path / "in.csv"),
        SyncFifoExecutor(Person),
        JSONOutputAdapter(tmp_path / "out.jsonl"),
        JSONOutputAdapter(tmp_path / "errors.jsonl"),
    )
    pipe.run()
    first, second = map(json.loads, (tmp_path / "errors.jsonl").read_text().splitlines())
    assert first == {
        "position": 1, "line": 4, "raw_data": {"id": "2", "name": "b\nc", "age": "200"},
        "errors": [{"loc": ["age"], "msg": "Input should be less than or equal to 150", "type": "less_than_equal"}],
    }  # fmt: skip
    assert second["line"] == 6
    assert [each["loc"] for each in second["errors"]] == [["name"], ["age"]]


class Made(BaseModel):
    id: int
    tag: str

    def __init__(self, **data: Any) -> None:
        super().__init__(**{"tag": "made", **data})


@pytest.mark.parametrize("model", [Made, RootModel[dict[str, int]]])
def test_models_that_see_raw_records_need_no_columns(tmp_path, model):
    (tmp_path / "in.csv").write_text("id\n1\n")
    assert Pipe(CSVInputAdapter(tmp_path / "in.csv"), SyncFifoExecutor(model)).run().success_count == 1


@pytest.mark.parametrize(
    ("header", "hint"),
    [("id;age;name", r"delimiter=';'"), ("id\tage", r"delimiter='\\t'"), ("ID,age,name", r"Did you mean 'ID'\?")],
)
def test_a_missing_column_has_a_likely_reason(tmp_path, header, hint):
    (tmp_path / "in.csv").write_text(f"{header}\n")
    with pytest.raises(ValidationError, match=hint):
        Pipe(CSVInputAdapter(tmp_path / "in.csv"), SyncFifoExecutor(Person)).run()


def test_a_column_that_the_model_requires_is_missed_before_anything_is_written(tmp_path):
    (tmp_path / "in.csv").write_text("id,nmae,age\n1,a,5\n")
    pipe = Pipe(
        CSVInputAdapter(tmp_path / "in.csv"), SyncFifoExecutor(Person), JSONOutputAdapter(tmp_path / "out.jsonl")
    )
    with pytest.raises(
        ValidationError, match=r"no column 'name', which Person requires\. Did you mean 'nmae'\? It has: id"
    ):
        pipe.run()
    assert pipe.report.status is FlowStatus.FAILED
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_a_hook_may_make_the_column(tmp_path):
    (tmp_path / "in.csv").write_text("id,nmae,age\n1,a,5\n")
    out = MemoryOutputAdapter()
    pipe = Pipe(
        CSVInputAdapter(tmp_path / "in.csv"), SyncFifoExecutor(Person), out,
        pre_validation_hooks=[FieldMapperHook({"name": "nmae"}), TimestampHook()],
    )  # fmt: skip
    assert pipe.run().success_count == 1
    assert out.results[0]["validated_data"]["name"] == "a"
    assert out.results[0]["metadata"]["processed_at"].tzinfo is not None


# -- hooks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXECUTORS)
def test_a_failing_hook_fails_only_the_entry_that_made_it_fail(name):
    report, good, bad = run(people(200, bad_every=1000), EXECUTORS[name](), pre=[FailsOn(3, 77)], post=[Adds()])
    assert ids(bad) == [3, 77]
    assert bad[0]["errors"] == [{"type": "HookError", "message": f"FailsOn: ValueError: no 3 (flow_parts.py:{RAISES})"}]
    assert all(entry["status"] == EntryStatus.FAILED and entry["validated_data"] is None for entry in bad)
    assert ids(good) == [i for i in range(200) if i not in (3, 77)]
    assert {entry["metadata"]["seen"] for entry in good} == {1}  # what the failed call did is undone
    assert report.errors_by_type == {"HookError": 2}


def test_a_hook_that_may_not_be_called_twice_fails_all_entries_of_its_call():
    _, good, bad = run(
        people(40, bad_every=1000), SyncFifoExecutor(Person), pre=[FailsOnOnce(3)], max_hook_chunk_size=10
    )
    assert ids(bad) == list(range(10))
    assert ids(good) == list(range(10, 40))


def test_failed_entries_skip_the_validation_and_later_hooks():
    report, _, bad = run(people(20), SyncFifoExecutor(Person), pre=[FailsOn(6), FailsOn(6, 7, priority=90)])
    assert {entry["raw_data"]["id"]: [error["type"] for error in entry["errors"]] for entry in bad} == {
        "6": ["HookError"], "7": ["HookError"], "13": ["less_than_equal"],
    }  # fmt: skip
    assert report.error_count == 3


def test_a_failed_record_is_told_as_it_was_read():
    _, _, bad = run(people(7), SyncFifoExecutor(Person), pre=[Upper()])
    assert bad[0]["raw_data"]["name"] == "name 6"


@pytest.mark.parametrize("name", EXECUTORS)
def test_dropped_and_added_entries_are_counted(name):
    report, good, _ = run(people(100, bad_every=1000), EXECUTORS[name](), pre=[Drops(), Doubles()])
    assert (report.read_count, report.added_count) == (100, 50)
    assert (report.success_count, report.filtered_count, report.error_count) == (100, 50, 0)
    assert ids(good) == [i for i in range(0, 100, 2) for _ in range(2)]


def test_an_entry_that_a_hook_made_names_it_and_one_that_was_copied_is_the_same():
    class Copies(BaseHook):
        def execute(self, entries, store):
            return [{**entry, "raw_data": {**entry["raw_data"], "age": 7}} for entry in entries]

    report, good, _ = run(people(6, bad_every=1000), SyncFifoExecutor(Person), pre=[Copies()])
    assert (report.added_count, report.filtered_count) == (0, 0)
    assert {entry["validated_data"]["age"] for entry in good} == {7}
    report, good, bad = run(people(7), SyncFifoExecutor(Person), pre=[Doubles()])
    assert [(entry["position"], entry.get("made_by")) for entry in good[:4]] == [
        (0, None), (0, "Doubles"), (1, None), (1, "Doubles"),
    ]  # fmt: skip
    assert [(entry["position"], entry.get("made_by")) for entry in bad] == [(6, None), (6, "Doubles")]


@pytest.mark.parametrize("count", [1, 2])
def test_the_next_hook_sees_made_entries_whole_however_many_there_are(count):
    report, good, bad = run(people(count), SyncFifoExecutor(Person), pre=[Doubles(), FailsOn(99)])
    assert (report.success_count, bad) == (2 * count, [])
    assert [entry["metadata"] for entry in good] == [{"seen": 1}] * (2 * count)


@pytest.mark.parametrize("name", EXECUTORS)
def test_a_hook_that_returns_none_keeps_all(name):
    assert run(people(30), EXECUTORS[name](), pre=[Keeps()])[0].total_processed == 30


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("text", "Returns: execute returned a str; return a list of entries, or None to keep all"),
        ([1], "Returns: execute returned a list with a int in it; entries are dicts"),
        (
            [{"id": 1, "name": "a"}],
            "Returns: execute returned a dict with the keys 'id', 'name', and an entry needs 'raw_data' with the record "
            "in it. Change the entries that were given and return those, or return {'raw_data': {...}} for a new record",
        ),
    ],
)
def test_what_is_no_list_of_entries_fails_the_entries(value, message):
    report, good, bad = run(people(3), SyncFifoExecutor(Person), pre=[Returns(value)])
    assert (report.error_count, good) == (3, [])
    assert bad[0]["errors"][0]["message"] == message


@pytest.mark.parametrize("name", EXECUTORS)
def test_coroutines_are_hooks_on_every_executor(name):
    _, good, _ = run(people(60, bad_every=1000), EXECUTORS[name](), post=[AsyncAdds()])
    assert [entry["validated_data"]["twice"] for entry in good] == [2 * i for i in range(60)]


@pytest.mark.parametrize("name", EXECUTORS)
def test_hooks_are_set_up_and_torn_down_once_for_each_worker(name, tmp_path):
    journal = tmp_path / "journal"
    run(people(500), EXECUTORS[name](), pre=[Journal(journal)])
    lines = [line.split() for line in journal.read_text().splitlines()]
    workers = {(process, thread) for word, process, thread in lines if word == "setup"}
    set_up = [line for line in lines if line[0] == "setup"]
    torn_down = [line for line in lines if line[0].startswith("teardown")]
    assert len(set_up) == len(torn_down) == len(workers) <= 3
    assert sum(int(line[0].partition(":")[2]) for line in torn_down) == 500


def test_hooks_run_by_priority_those_of_the_input_first():
    order = []

    class Notes(BaseHook):
        def __init__(self, name, priority=50):
            super().__init__(priority)
            self.name = name

        def execute(self, entries, store):
            order.append(self.name)

    source = Rows(people(1), pre_hooks=[Notes("input")])
    output = MemoryOutputAdapter(pre_hooks=[Notes("output"), Notes("output, early", 0)])
    Pipe(source, SyncFifoExecutor(), output, pre_validation_hooks=[Notes("own"), Notes("own, late", 100)]).run()
    assert order == ["output, early", "input", "own", "output", "own, late"]


def test_a_hook_that_hangs_fails_after_its_timeout():
    release = threading.Event()

    class Hangs(BaseHook):
        timeout = 0.05

        def execute(self, entries, store):
            if entries[0]["raw_data"]["id"] == "1":
                release.wait(30)

    _, good, bad = run(people(3), SyncFifoExecutor(Person), pre=[Hangs()], max_hook_chunk_size=1)
    release.set()
    assert ids(good) == [0, 2]
    assert bad[0]["errors"][0]["message"] == "Hangs: took longer than its timeout of 0.05 s"


@pytest.mark.parametrize("method", ["setup", "teardown"])
def test_a_hook_that_cannot_be_set_up_or_torn_down_fails_the_run(method, tmp_path):
    class Breaks(BaseHook):
        pass

    setattr(Breaks, method, lambda self, store: 1 / 0)
    pipe = Pipe(Rows(people(3)), None, JSONOutputAdapter(tmp_path / "out.jsonl"), pre_validation_hooks=[Breaks()])
    with pytest.raises(ExecutionError, match=rf"Breaks\.{method} raised ZeroDivisionError"):
        pipe.run()
    assert list(tmp_path.iterdir()) == []


# -- processes -------------------------------------------------------------------------------


def test_a_model_inside_a_function_goes_to_other_processes():
    class Inner(BaseModel):
        id: int

    report, good, _ = run(people(20), EXECUTORS["processes"](Inner))
    assert report.success_count == 20
    assert good[3]["validated_data"] == {"id": 3}


def test_what_cannot_be_sent_is_named_before_anything_is_written(tmp_path):
    pipe = Pipe(
        Rows(people(3)), EXECUTORS["processes"](), JSONOutputAdapter(tmp_path / "out.jsonl"),
        pre_validation_hooks=[Unpicklable()],
    )  # fmt: skip
    with pytest.raises(ValidationError, match="the hook Unpicklable cannot be sent to another process"):
        pipe.run()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", ["read", "validated"])
def test_a_value_that_packing_does_not_know_fails_its_record(stage):
    class Odd(BaseHook):
        def execute(self, entries, store):
            for entry in entries:
                if entry["raw_data"]["id"] == "2":
                    entry["validated_data"]["odd"] = {1, frozenset(), range(3)}

    rows = people(5)
    if stage == "read":
        rows[2]["odd"] = range(3)
    report, good, bad = run(rows, EXECUTORS["processes"](), post=[Odd()] if stage == "validated" else [])
    assert report.total_processed == 5
    assert ids(good) == [0, 1, 3, 4]
    assert "a value of type builtins.range cannot be sent to another process" in bad[0]["errors"][0]["message"]


class Spans(BaseModel):
    """Makes of some records what packing does not know."""

    n: int

    @model_validator(mode="after")
    def odd(self) -> Any:
        if self.n % 500 == 3:
            self.__dict__["n"] = range(self.n)
        return self


def test_a_value_of_a_model_that_packing_does_not_know_fails_its_record():
    packing = Packing()
    work = ChunkWork(RowDecoder(), Spans, [], [], RowCollector(), RowCollector(), packing=packing)
    rows = [{"n": "x" if n % 400 == 0 else n} for n in range(1, 3001)]
    result = work(Chunk(0, 100, 3000, packing.pack(rows)))
    bad = [n for n in range(1, 3001) if n % 400 == 0 or n % 500 == 3]
    assert [row["n"] for row in packing.unpack(result.good)] == [n for n in range(1, 3001) if n not in bad]
    assert (result.written, result.failed) == (3000 - len(bad), len(bad))
    failed = {row["position"]: json.loads(row["raw_data"]) for row in packing.unpack(result.bad)}
    assert failed == {99 + n: rows[n - 1] for n in bad}


def test_chunks_of_a_slow_model_become_smaller_and_those_of_others_stay():
    sizes = SyncFifoExecutor(Person).sizes(hooks=False)
    rows = sizes.rows
    sizes.learn(ChunkResult(0, 0, rows, seconds=0.5))
    assert sizes.rows == rows
    sizes.learn(ChunkResult(1, rows, rows, seconds=4.0))
    assert sizes.rows == rows // 2


def test_a_worker_that_dies_loses_nothing(tmp_path):
    report, good, _ = run(
        people(400, bad_every=1000), EXECUTORS["processes"](), pre=[KillsWorkerOnce(tmp_path / "died", 123)]
    )
    assert (tmp_path / "died").exists()
    assert ids(good) == list(range(400))
    assert report.read_count == 400


# -- a run -----------------------------------------------------------------------------------


def test_a_run_in_the_background_is_reported_while_it_goes_on():
    source: queue.Queue = queue.Queue()

    class Feed(BaseInputAdapter):
        @property
        def generator(self):
            while (row := source.get()) is not None:
                yield row

    written = threading.Event()

    class Watch(MemoryOutputAdapter):
        def write(self, entry):
            super().write(entry)
            written.set()

    pipe = Pipe(Feed(), SyncFifoExecutor(Person), Watch())
    report = pipe.start()
    assert report.status is FlowStatus.RUNNING
    with pytest.raises(ExecutionError, match="already running"):
        pipe.start()
    source.put(people(1)[0])
    assert written.wait(10)  # before the next record comes
    assert not report.is_finished
    source.put(None)
    assert report.wait(10)
    assert (report.status, report.success_count) == (FlowStatus.COMPLETED, 1)
    source.put(None)
    assert pipe.start().wait(10)  # a finished pipe may start again


def endless() -> Iterator[dict]:
    number = 0
    while True:
        yield {"id": str(number), "name": "x", "age": 1}
        number += 1


@pytest.mark.parametrize("name", HERE)
def test_an_endless_input_is_read_as_far_as_it_is_wanted(name):
    pipe = Pipe(Rows(endless()), EXECUTORS[name]())
    entries = iter(pipe)
    assert [next(entries)["validated_data"]["id"] for _ in range(2500)] == list(range(2500))
    entries.close()
    assert pipe.report.status is FlowStatus.CANCELLED


@pytest.mark.parametrize("name", HERE)
def test_an_aborted_run_leaves_no_output_and_stays_cancelled(name, tmp_path):
    class Some(MemoryOutputAdapter):
        enough = threading.Event()

        def write(self, entry):
            self.enough.set()

    pipe = Pipe(Rows(endless()), EXECUTORS[name](), JSONOutputAdapter(tmp_path / "out.jsonl"), Some(),
                pre_validation_hooks=[FailsOn(5000)])  # fmt: skip
    report = pipe.start()
    assert Some.enough.wait(30)
    report.abort()
    assert report.wait(30)
    assert report.status is FlowStatus.CANCELLED
    assert list(tmp_path.iterdir()) == []


def test_a_pause_reads_nothing_more_until_it_ends():
    pipe = Pipe(Rows(endless()), ThreadExecutor(Person, max_workers=2))
    report = pipe.start()
    while report.success_count < 1000:
        assert not report.wait(0.001)
    report.stop()
    assert report.is_stopped
    before = -1
    while before != report.read_count:
        before = report.read_count
        report.wait(0.1)
    report.continue_()
    while report.read_count == before:
        assert not report.wait(0.001)
    pipe.shutdown()
    assert report.status is FlowStatus.CANCELLED


def test_as_a_context_manager_it_waits_for_the_end_and_aborts_on_an_error():
    with Pipe(Rows(people(10)), SyncFifoExecutor(Person)) as pipe:
        report = pipe.start()
    assert report.status is FlowStatus.COMPLETED
    with Pipe(Rows(people(10)), SyncFifoExecutor(Person)) as pipe:
        pass
    assert pipe.report.success_count == 9
    pipe = Pipe(Rows(endless()), SyncFifoExecutor(Person))

    def breaks():
        with pipe:
            pipe.start()
            raise KeyError("x")

    with pytest.raises(KeyError):
        breaks()
    assert pipe.report.status is FlowStatus.CANCELLED


def test_entries_of_a_generator_output_are_taken_while_the_pipe_runs():
    output = GeneratorOutputAdapter(max_queue_size=5)
    pipe = Pipe(Rows(people(100, bad_every=1000)), SyncFifoExecutor(Person), output)
    report = pipe.start()
    assert ids(output) == list(range(100))
    assert report.wait(10)


def test_a_reader_that_fails_fails_the_run_and_nothing_is_published(tmp_path):
    def rows():
        yield from people(10)
        raise OSError("the line is dead")

    pipe = Pipe(Rows(rows()), SyncFifoExecutor(Person), JSONOutputAdapter(tmp_path / "out.jsonl"))
    report = pipe.run(raise_on_error=False)
    assert report.status is FlowStatus.FAILED
    with pytest.raises(OSError, match="the line is dead"):
        report.wait(raise_on_error=True)
    assert "the line is dead" in report.to_dict()["exception"]
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_fails_fails_the_run():
    class Full(MemoryOutputAdapter):
        def write(self, entry):
            raise OSError(28, "No space left on device")

    pipe = Pipe(Rows(people(10)), SyncFifoExecutor(Person), Full())
    with pytest.raises(OSError, match="No space left"):
        pipe.run()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_told_with_the_name_of_the_output(tmp_path):
    output = tmp_path / "out.jsonl"
    (tmp_path / "out.jsonl.partial").symlink_to("/dev/full")
    pipe = Pipe(Rows(people(10)), SyncFifoExecutor(Person), JSONOutputAdapter(output))
    with pytest.raises(ExecutionError, match=r"out\.jsonl cannot be written: No space left on device"):
        pipe.run()
    assert not output.exists()


def test_two_runs_do_not_write_one_file(tmp_path):
    with Pipe(Rows(endless()), SyncFifoExecutor(Person), JSONOutputAdapter(tmp_path / "out.jsonl")) as first:
        report = first.start()
        while not report.success_count:
            assert not report.wait(0.001)
        second = Pipe(Rows(people(3)), SyncFifoExecutor(Person), JSONOutputAdapter(tmp_path / "out.jsonl"))
        with pytest.raises(ExecutionError, match="another run writes"):
            second.run()
        first.shutdown()
        report.exception = None


def unreadable(why, tmp_path) -> Pipe:
    path = tmp_path / "in.csv"
    if why != "no file":
        path.write_text("id,nmae,age\n1,a,5\n" if why == "no column" else "id,name,age\n1,a,5\n")
    return Pipe(CSVInputAdapter(path), SyncFifoExecutor(Person), checkpoint=tmp_path / "c" if why == "state" else None)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("why", ["no file", "no column", "state"])
def test_an_iteration_ends_where_the_run_fails_before_its_outputs_are_open(why, tmp_path):
    pipe = unreadable(why, tmp_path)
    with pytest.raises(ValidationError, match=r"there is no file|no column 'name'|cannot go on where a run stopped"):
        list(pipe)
    output = GeneratorOutputAdapter()
    pipe.output_adapter = output
    report = pipe.start()
    assert list(output) == []
    assert report.wait(10)
    assert report.status is FlowStatus.FAILED


@pytest.mark.timeout(20)
def test_an_iteration_ends_where_an_adapter_has_not_called_its_base():
    class Odd(Rows):
        def __init__(self):
            self.rows = []

    with pytest.raises(AttributeError, match="pre_hooks"):
        list(Pipe(Odd()))


def test_an_end_is_put_into_the_queue_where_the_run_fails_before_its_outputs_are_open(tmp_path):
    pipe = unreadable("no file", tmp_path)
    entries: queue.Queue = queue.Queue()
    pipe.output_adapter = QueueOutputAdapter(entries, end=None)
    assert pipe.run(raise_on_error=False).status is FlowStatus.FAILED
    assert entries.get_nowait() is None


@pytest.mark.timeout(20)
@pytest.mark.parametrize("end", [{}, {"end": "the end"}])
def test_a_run_whose_queue_nobody_reads_any_more_can_be_aborted(end):
    entries: queue.Queue = queue.Queue(2)
    pipe = Pipe(Rows(endless()), SyncFifoExecutor(Person), QueueOutputAdapter(entries, **end))
    pipe.start()
    assert poll(entries.full, 20)
    pipe.shutdown()
    assert pipe.report.status is FlowStatus.CANCELLED
    assert (entries.queue[-1] == "the end") is bool(end)


@pytest.mark.timeout(20)
def test_a_run_that_is_aborted_while_it_waits_to_put_the_end_is_no_completed_one():
    entries: queue.Queue = queue.Queue(5)
    pipe = Pipe(Rows(people(5, bad_every=9)), SyncFifoExecutor(Person), QueueOutputAdapter(entries, end=None))
    report = pipe.start()
    assert poll(lambda: report.success_count == 5, 20)
    assert not report.wait(0.2)
    pipe.shutdown()
    assert report.status is FlowStatus.CANCELLED
    assert [entry and entry["position"] for entry in entries.queue] == [1, 2, 3, 4, None]


@pytest.mark.timeout(20)
def test_a_run_whose_generator_output_nobody_reads_can_be_aborted():
    pipe = Pipe(Rows(endless()), SyncFifoExecutor(Person), output := GeneratorOutputAdapter(2))
    pipe.start()
    assert poll(output._queue.full, 20)
    pipe.shutdown()
    assert pipe.report.status is FlowStatus.CANCELLED


def test_a_queue_that_knows_no_timeouts_is_an_output_too():
    class Puts:
        def __init__(self):
            self.items = []

        def put(self, item):
            self.items.append(item)

    entries = Puts()
    Pipe(Rows(people(3)), SyncFifoExecutor(Person), QueueOutputAdapter(entries, end=None)).run()
    assert [entry and entry["position"] for entry in entries.items] == [0, 1, 2, None]


def test_nothing_is_published_where_an_output_cannot_be_finished(tmp_path):
    (tmp_path / "errors.jsonl").write_text("of an earlier run\n")
    with sqlite3.connect(tmp_path / "people.db") as database:
        database.execute("CREATE TABLE people (id, name TEXT CHECK (name <> 'name 8'), age, balance, born)")
    pipe = Pipe(
        Rows(people(10)), SyncFifoExecutor(),
        SQLAlchemyOutputAdapter(f"sqlite:///{tmp_path}/people.db", "people"), JSONOutputAdapter(tmp_path / "errors.jsonl"),
    )  # fmt: skip
    with pytest.raises(ExecutionError, match="refuses record 8"):
        pipe.run()
    assert (tmp_path / "errors.jsonl").read_text() == "of an earlier run\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["errors.jsonl", "people.db"]


def test_an_output_that_has_only_close_is_closed_before_files_are_published(tmp_path):
    class Own(MemoryOutputAdapter):
        def close(self):
            raise OSError("no more")

    pipe = Pipe(Rows(people(10)), SyncFifoExecutor(Person), Own(), JSONOutputAdapter(tmp_path / "errors.jsonl"))
    with pytest.raises(OSError, match="no more"):
        pipe.run()
    assert list(tmp_path.iterdir()) == []


def test_a_limit_is_kept_while_chunks_grow():
    for limit in (1, 101, 150, 299, 1000):
        report, good, _ = run(people(5000, bad_every=10**6), SyncFifoExecutor(Person), pre=[Upper()], limit=limit)
        assert report.read_count == len(good) == limit


def test_a_limit_reads_no_more_records():
    for name in HERE:
        report = Pipe(Rows(endless()), EXECUTORS[name](), limit=137).run()
        assert report.read_count == 137


def test_bytes_in_flight_are_bounded_and_nothing_hangs(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("id,name,age\n" + "".join(f"{i},x,1\n" for i in range(5000)))
    for name in EXECUTORS:
        report = Pipe(CSVInputAdapter(path), EXECUTORS[name](), max_bytes_in_flight=500).run()
        assert report.success_count == 5000


def test_the_report_counts_rates_and_what_is_left(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("id,name,age\n" + "".join(f"{i},x,1\n" for i in range(50_000)))
    fractions = []

    class Looks(BaseHook):
        def execute(self, entries, store):
            fractions.append((report.fraction, report.seconds_left))

    pipe = Pipe(CSVInputAdapter(path), SyncFifoExecutor(Person), pre_validation_hooks=[Looks()])
    report = pipe.start()
    assert report.wait(60)
    assert fractions[-1][0] == 1.0
    assert any(0 < fraction < 1 and left > 0 for fraction, left in fractions)
    assert report.items_per_second > 0
    assert report.to_dict()["status"] == "completed"


def test_what_is_left_is_estimated_from_what_this_run_has_read(monkeypatch):
    now, done = 1000.0, 0
    monkeypatch.setattr("synapse_flow.report.monotonic", lambda: now)
    report = FlowReport()
    report._start(lambda: (done, 100))
    report._continue_from({"read_count": 80})
    now, done = 1010.0, 80
    report._count(ChunkResult(0, 80, 1))
    assert report.seconds_left is None
    now, done = 1012.0, 90
    report._count(ChunkResult(1, 81, 1))
    assert report.seconds_left == 2.0
    done = 100
    assert report.seconds_left == 0


def test_a_run_that_is_stopped_before_its_thread_began_pauses(monkeypatch):
    began, begin = threading.Event(), FlowReport._start

    def late(report, done):
        began.wait(10)
        begin(report, done)

    monkeypatch.setattr(FlowReport, "_start", late)
    pipe = Pipe(Rows(people(10)), SyncFifoExecutor(Person))
    report = pipe.start()
    report.stop()
    assert report.is_stopped
    began.set()
    assert not report.wait(0.1)
    assert (report.is_stopped, report.read_count) == (True, 0)
    report.continue_()
    assert report.wait(10)
    assert report.status is FlowStatus.COMPLETED


# -- time and memory -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["in order", "threads", "asyncio", "processes"])
def test_what_trickles_in_is_written_at_once(name):
    """Each record is asked for only when the one before it was written; so nothing may wait for the next."""
    written: queue.Queue[int] = queue.Queue()

    class Output(MemoryOutputAdapter):
        def write(self, entry):
            written.put(int(entry["raw_data"]["id"]))

    def rows():
        for number in range(20):
            yield {"id": str(number), "name": "x", "age": 1}
            assert written.get(timeout=30) == number

    report = Pipe(Rows(rows()), EXECUTORS[name](), Output(), pre_validation_hooks=[Upper()]).run()
    assert report.success_count == 20


def test_the_logger_is_told_of_the_beginning_and_the_end(caplog):
    with caplog.at_level("INFO", "synapse.flow"):
        run(people(10), SyncFifoExecutor(Person))
    assert caplog.messages == [
        "the flow begins",
        "the flow completed: 10 records read, 9 written, 1 failed, 0 filtered",
    ]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: Pipe("people.parquet"),
            r"input_adapter is .*, and no input; .*: ParquetInputAdapter\('people.parquet'\)",
        ),
        (lambda: Pipe("a.tsv"), r"CSVInputAdapter\('a.tsv', delimiter='\\t'\)"),
        (
            lambda: Pipe("postgresql://me:hunter2222@host/db"),
            r"input_adapter is 'postgresql://me:\*\*\*@host/db', and no input; .*: SQLAlchemyInputAdapter\('postgresql://"
            r"me:\*\*\*@host/db', table=\.\.\.\)$",
        ),
        (
            lambda: Pipe(_NONE, output_adapter="https://h/x.jsonl?token=hunter2222"),
            r"is 'https://h/x\.jsonl', and",
        ),
        (lambda: Pipe([{"id": 1}]), r"and no input; wrap it: IterableInputAdapter\(\.\.\.\)"),
        (lambda: Pipe(IterableInputAdapter), r"give an instance, such as IterableInputAdapter\(\.\.\.\)"),
        (lambda: Pipe(None), "and no input; give one, such as CSVInputAdapter"),
        (lambda: Pipe(_NONE, SyncFifoExecutor), r"and no executor; give an instance, such as SyncFifoExecutor\("),
        (lambda: Pipe(_NONE, Person), "and no executor; give an instance"),
        (
            lambda: Pipe(_NONE, output_adapter="o.csv"),
            r"output_adapter is 'o.csv', and no output; .*CSVOutputAdapter\('o.csv'\)",
        ),
        (lambda: Pipe(_NONE, error_output_adapter=3), "error_output_adapter is 3, and no output; give one"),
        (lambda: Pipe(_NONE, limit="3"), "limit is '3'; it has to be a whole number from 0 on"),
        (lambda: SyncFifoExecutor("Person"), r"schema_model is 'Person'; .*such as SyncFifoExecutor\(Person\)"),
        (lambda: SyncFifoExecutor(Person(id=1, name="a", age=1)), "schema_model is .*; it has to be a model itself"),
        (lambda: ThreadExecutor(Person, max_workers="2"), "max_workers is '2'; it has to be a whole number from 1 on"),
        (lambda: JSONOutputAdapter("o.json", indent="2"), "indent is '2'; it has to be a whole number from 0 on"),
    ],
)
def test_what_is_no_part_of_a_pipe_is_told_with_what_to_write(make, said):
    with pytest.raises(ValidationError, match=said) as refused:
        make()
    assert "hunter2222" not in str(refused.value)


_NONE = IterableInputAdapter([])
