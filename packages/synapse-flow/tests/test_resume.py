from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from flow_parts import Person, people
from pydantic import BaseModel, ConfigDict, Field, create_model

from synapse_core.errors import ConfigError, ExecutionError, ValidationError
from synapse_flow import (
    BaseHook,
    BaseInputAdapter,
    CSVInputAdapter,
    FlowStatus,
    JSONOutputAdapter,
    MemoryOutputAdapter,
    Pipe,
    SyncFifoExecutor,
    ThreadExecutor,
)  # fmt: skip
from synapse_flow.checkpoint import Checkpoint, Commit
from synapse_flow.failures import OutputTakenError
from synapse_flow.flow import Flow
from synapse_flow.flow_running import FlowRun
from synapse_flow.identity import identity_of_model, identity_of_part

ROWS = 6000
IN_FLIGHT = {
    "in-order": 1,
    "threads": 4,
    "processes": 4,
    "forks": 5,
    "dask": 20,
    "ray": 20,
}  # chunks read and not yet written
CROSSING = ("processes", "forks", "dask", "ray")  # whose kills are counted
PROCESS = Path(__file__).with_name("flow_process.py")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "in.csv"
    with path.open("w") as file:
        file.write("id,name,age,balance\n")
        for i in range(ROWS):
            name = f'"name\n{i}"' if i % 50 == 0 else f"name {i}"
            file.write(f"{i},{name},{'200' if i % 7 == 6 else i % 100},{i}.50\n")
    return path


@pytest.fixture(scope="module")
def undisturbed(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "in.csv").symlink_to(table)
    flow(folder, "in-order").communicate(timeout=120)
    return outputs(folder)


def flow(folder: Path, name: str, seconds: float = 0.0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(PROCESS), str(folder), name, str(seconds)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def outputs(folder: Path) -> tuple[bytes, bytes]:
    import gzip

    return gzip.decompress((folder / "good.jsonl.gz").read_bytes()), (folder / "bad.json").read_bytes()


def descendants(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            child = int(stat.parent.name)
            found += [child, *descendants(child)]
    return found


def until_it_works(folder: Path, process: subprocess.Popen[str], begun: int = 0) -> None:
    """Wait until there is something to go on with, and more than so many chunks were begun, those of earlier runs.

    A run that goes on where all was committed only publishes, and ends.
    """
    while not (folder / "checkpoint").exists() or len(_begun(folder)) <= begun:
        if process.poll() is not None:
            assert begun, process.communicate()
            assert process.returncode == 0, process.communicate()
            return
        time.sleep(0.002)


def _trial(folder: Path, name: str, rng: random.Random, left: list[int]) -> tuple[int, int, int]:
    """Kill a flow at random instants, parent or worker, until one comes through.

    Returns:
        Kills of the parent (whose processes come into `left`), kills of workers, and chunks at most that were begun and not committed at such a kill.
    """
    parents = workers = again = 0
    for _ in range(50):
        begun = len(_begun(folder))
        process = flow(folder, name, 0.15 if name != "in-order" else 0.05)
        until_it_works(folder, process, begun)
        time.sleep(rng.uniform(0, 0.3))
        children = descendants(process.pid)
        wanted = [pid for pid in children if _is_worker(_command(pid), name)]
        if wanted and rng.random() < 0.7:
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(wanted), signal.SIGKILL)
                workers += 1
            time.sleep(rng.uniform(0, 0.3))
        if parents < 3:
            process.kill()
        out, err = process.communicate(timeout=120)
        if process.returncode == -signal.SIGKILL:
            parents += 1
            until_gone(children, agents=False)
            left += children
            if not (folder / "checkpoint").exists():  # all was done, but for its end
                return parents, workers, again
            committed = json.loads((folder / "checkpoint").read_text())["position"]
            again = max(again, len({position for position in _begun(folder)[begun:] if position >= committed}))
            continue
        assert process.returncode == 0, err
        resumed, read, good, bad = next(line.split()[1:] for line in out.splitlines() if line.startswith("report "))
        assert int(read) == ROWS == int(good) + int(bad)
        assert (resumed != "None") == (parents > 0)
        return parents, workers, again
    raise AssertionError("no run came through")


def _begun(folder: Path) -> list[int]:
    """Return where the chunks begin that workers have begun, in the order in which they did."""
    journal = folder / "journal"
    return [int(line.split()[0]) for line in journal.read_text().splitlines()] if journal.exists() else []


def until_gone(pids: list[int], *, agents: bool = True) -> None:
    """Wait until processes have noticed that nobody wants them any more.

    Args:
        pids: Of all processes of runs that were killed.
        agents: Also those of Ray's own, which take a minute: they tell a dead cluster first.
    """
    deadline = time.monotonic() + 120
    while alive := [pid for pid in pids if (command := _command(pid)) and (agents or "Agent" not in command)]:
        assert time.monotonic() < deadline, f"still there: {[(pid, _command(pid)) for pid in alive]}"
        time.sleep(0.01)


def _is_worker(command: str, name: str) -> bool:
    if name == "ray":
        return command.startswith("ray::EngineWorker")
    return PROCESS.name in command if name == "forks" else "spawn_main" in command


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().rstrip("\0")
    except OSError:
        return ""


@pytest.mark.parametrize("name", ["in-order", "processes", "forks"])
def test_a_killed_flow_goes_on_and_its_output_is_that_of_an_undisturbed_one(name, table, undisturbed, tmp_path):
    seed = random.randrange(2**32)
    print("seed", seed)
    (tmp_path / "in.csv").symlink_to(table)
    parents, workers, again = _trial(tmp_path, name, random.Random(seed), [])
    print(f"{parents} kills of the parent, {workers} of workers, {again} chunks read again at most")
    assert again <= IN_FLIGHT[name]
    assert outputs(tmp_path) == undisturbed
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"in.csv", "good.jsonl.gz", "bad.json", "journal"}


@pytest.mark.campaign
@pytest.mark.kills
@pytest.mark.ray
@pytest.mark.timeout(3600)
def test_many_kills_of_workers_and_parents(table, undisturbed, tmp_path):
    rng = random.Random(seed := random.randrange(2**32))
    wanted = int(os.environ.get("SYNAPSE_KILLS", "100"))
    kills: Counter[str] = Counter()
    most: Counter[str] = Counter()
    number = 0
    left: list[int] = []
    while sum(kills[f"{each}, {who}"] for each in CROSSING for who in ("parent", "worker")) < wanted:
        name = (*CROSSING, *CROSSING, "in-order", "threads")[number % 10]
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "in.csv").symlink_to(table)
        parents, workers, again = _trial(folder, name, rng, left)
        assert outputs(folder) == undisturbed, f"seed {seed}, trial {number}, {name}"
        assert again <= IN_FLIGHT[name], f"seed {seed}, trial {number}, {name}"
        most[name] = max(most[name], again)
        kills[f"{name}, parent"] += parents
        kills[f"{name}, worker"] += workers
        number += 1
    until_gone(left)
    print(f"seed {seed}: {dict(kills)}; chunks read again at most: {dict(most)}")


def test_what_is_committed_is_not_read_again(table, tmp_path):
    (tmp_path / "in.csv").symlink_to(table)
    process = flow(tmp_path, "in-order", 0.05)
    until_it_works(tmp_path, process)
    time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    committed = json.loads((tmp_path / "checkpoint").read_text())["position"]
    before = [int(line.split()[0]) for line in (tmp_path / "journal").read_text().splitlines()]
    flow(tmp_path, "in-order", 0.05).communicate(timeout=120)
    after = [int(line.split()[0]) for line in (tmp_path / "journal").read_text().splitlines()][len(before) :]
    assert min(after) == committed
    assert len([position for position in before if position >= committed]) <= 1  # at most the chunk that was in work


# -- in one process --------------------------------------------------------------------------


def interrupted(tmp_path, path, **more):
    """Run a flow until it is aborted, and return what makes the same pipe again."""
    bad = Gate()

    def pipe(errors=None):
        return Pipe(
            CSVInputAdapter(path), SyncFifoExecutor(Person), JSONOutputAdapter(tmp_path / "good.json"),
            errors or JSONOutputAdapter(tmp_path / "bad.jsonl"), checkpoint=tmp_path / "checkpoint",
            max_bytes_in_flight=2000, **more,
        )  # fmt: skip

    first = pipe(bad)
    report = first.start()
    bad.reached.wait(60)
    report.abort()
    bad.go.set()
    report.wait()
    return pipe, report, bad


class Gate(JSONOutputAdapter):
    """An output that waits at its third chunk."""

    def __init__(self):
        super().__init__("/dev/null")
        self.reached, self.go, self.chunks = threading.Event(), threading.Event(), 0

    path = property(lambda self: "bad.jsonl")  # type: ignore[assignment]

    def open(self):
        pass

    def write_chunk(self, collected):
        self.chunks += 1
        if self.chunks == 3:
            self.reached.set()
            self.go.wait(60)

    def state(self):
        return {"offset": 0, "empty": True}

    keep = discard = close = open


def without_gate(tmp_path):
    """Make the checkpoint of an interrupted flow that of one without the gate."""
    path = str(tmp_path / "bad.jsonl")
    state = identity_of_part(JSONOutputAdapter(path))["state"]
    edited(tmp_path / "checkpoint", "identity.outputs.1", {"place": path, "state": state})


def edited(checkpoint, where, value):
    """Put a value into a checkpoint by hand."""
    commit = json.loads(checkpoint.read_text())
    *keys, last = [int(key) if key.isdecimal() else key for key in where.split(".")]
    inner = commit
    for key in keys:
        inner = inner[key]
    inner[last] = value
    checkpoint.write_text(json.dumps(commit))


def test_an_aborted_run_with_a_checkpoint_keeps_what_it_has(table, tmp_path):
    _, report, _ = interrupted(tmp_path, table)
    assert report.status is FlowStatus.CANCELLED
    commit = json.loads((tmp_path / "checkpoint").read_text())
    assert commit["position"] == report.read_count < ROWS
    assert (tmp_path / "good.json.partial").stat().st_size == commit["output"]["offset"]
    assert not (tmp_path / "good.json").exists()


@pytest.mark.parametrize("change", ["input", "model", "hooks", "outputs"])
def test_an_unfinished_run_of_another_flow_is_not_continued(change, table, tmp_path):
    path = tmp_path / "in.csv"
    path.write_bytes(table.read_bytes())
    interrupted(tmp_path, path)
    without_gate(tmp_path)
    from flow_parts import Keeps, Nothing

    if change == "input":
        path.write_bytes(table.read_bytes() + b"1,x,1,1\n")
    pipe = Pipe(
        CSVInputAdapter(path), SyncFifoExecutor(Nothing if change == "model" else Person),
        JSONOutputAdapter(tmp_path / ("other.json" if change == "outputs" else "good.json")),
        JSONOutputAdapter(tmp_path / "bad.jsonl"), [Keeps()] if change == "hooks" else [],
        checkpoint=tmp_path / "checkpoint",
    )  # fmt: skip
    with pytest.raises(ConfigError, match=rf"of another flow: its {change} changed since\. Start afresh"):
        pipe.run()
    assert (tmp_path / "checkpoint").exists()


def by_hundreds(model):
    executor = SyncFifoExecutor(model)
    executor.chunksize = 100
    return executor


class Marks(BaseHook):
    """Has arguments, and counts in this process what it sees."""

    def __init__(self, *words, secret="", lock=None):
        super().__init__()
        self.words, self.secret, self.lock, self.seen = set(words), secret, lock, 0

    def execute(self, entries, store):
        self.seen += len(entries)


class Older(BaseModel):
    id: int
    name: str = Field(min_length=1)
    age: int = Field(ge=0, le=150)


Older.__qualname__ = Older.__name__ = "Person"


@pytest.mark.parametrize(
    ("change", "model", "hooks", "reader", "writer"),
    [
        ("model", Older, [Marks("a", "b")], {}, {}),
        ("hooks", Person, [Marks("a", "c")], {}, {}),
        ("hooks", Person, [], {}, {}),
        ("input", Person, [Marks("a", "b")], {"quotechar": "'"}, {}),
        ("outputs", Person, [Marks("a", "b")], {}, {"indent": 2}),
        (None, Person, [Marks("b", "a")], {}, {}),
    ],
)
def test_an_unfinished_run_is_continued_by_the_same_model_hooks_and_options(
    change, model, hooks, reader, writer, tmp_path
):
    (tmp_path / "in.csv").write_text("id,name,age\n" + "".join(f"{i},x,1\n" for i in range(1000)))

    def pipe(model, hooks, reader, writer):
        return Pipe(
            CSVInputAdapter(tmp_path / "in.csv", **reader), by_hundreds(model),
            JSONOutputAdapter(tmp_path / "good.json", **writer), pre_validation_hooks=hooks,
            checkpoint=tmp_path / "checkpoint",
        )  # fmt: skip

    killed(pipe(Person, [Marks("a", "b", lock=threading.Lock())], {}, {}), Checkpoint, "save", 3)
    for hook in hooks:
        hook.lock = threading.Lock()
    if change is None:
        assert 0 < pipe(model, hooks, reader, writer).run().resumed_at < 1000
        return
    with pytest.raises(ConfigError, match=rf"of another flow: its {change} changed since\. Start afresh"):
        pipe(model, hooks, reader, writer).run()


def test_what_a_run_has_made_of_its_hooks_spoils_no_later_one_of_this_process(tmp_path):
    (tmp_path / "in.csv").write_text("id,name,age\n" + "".join(f"{i},x,1\n" for i in range(1000)))
    hook = Marks("a")

    class Stops(JSONOutputAdapter):
        left = 3

        def write_chunk(self, collected):
            self.left -= 1
            if not self.left:
                raise ExecutionError("no more")
            super().write_chunk(collected)

    output = Stops(tmp_path / "good.json")
    pipe = Pipe(CSVInputAdapter(tmp_path / "in.csv"), by_hundreds(Person), output,
                pre_validation_hooks=[hook], checkpoint=tmp_path / "checkpoint")  # fmt: skip
    assert 0 < pipe.run(raise_on_error=False).read_count < hook.seen < 1000
    hook.words.add("b")
    with pytest.raises(ConfigError, match="its hooks changed since"):
        pipe.run()
    hook.words.remove("b")
    assert pipe.run().read_count == 1000
    assert len(json.loads((tmp_path / "good.json").read_text())) == 1000


IDENTITIES = """
import json, sys
sys.path.insert(0, sys.argv[1])
from test_resume import Marks, Sets
from flow_parts import Loose, Person, Unpicklable
from synapse_flow.identity import identity_of_model, identity_of_part
hooks = [Marks(*"abcdefgh", secret="hunter22", lock=object()), Unpicklable()]
print(json.dumps([identity_of_model(each) for each in (Person, Loose, Sets)] + [identity_of_part(each) for each in hooks]))
"""


class Sets(BaseModel):
    """Has defaults without an order, and a field that JSON knows nothing of."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    tags: set[str] = {"a", "b", "c", "d", "e"}
    lock: threading.Event | None = None
    call: Callable[[], int] = lambda: 3


def test_identities_are_those_of_another_process_and_hold_no_secret_or_address():
    texts = {
        subprocess.run(
            [sys.executable, "-c", IDENTITIES, str(Path(__file__).parent)], env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(texts) == 1
    (text,) = texts
    assert "hunter22" not in text
    assert "0x" not in text
    assert json.loads(text)[3]["class"] == "test_resume.Marks"


def test_models_are_told_apart_by_fields_types_constraints_and_settings():
    def model(default=1, config=None, **field):
        return create_model("Person", __config__=config, name=(str, Field(default, **field)))

    different = [
        model(), model(2), model(min_length=1), model(alias="other"), model(serialization_alias="other"),
        model(config=ConfigDict(str_to_lower=True)), create_model("Person", name=(int, 1)),
    ]  # fmt: skip
    assert len({json.dumps(identity_of_model(each)) for each in different}) == len(different)
    assert identity_of_model(model()) == identity_of_model(model(description="What it is.", title="A title"))
    assert identity_of_model(object()) == identity_of_model(object())


@pytest.mark.parametrize(
    ("where", "value", "why"),
    [
        ("position", "x", "'position' is 'x', and no whole number from 0 on"),
        ("position", -1, "'position' is -1"),
        ("position", True, "'position' is True"),
        ("position", 7, r"'position' is 7, and \d+ records were read"),
        ("ids", None, "'ids' is None"),
        ("publishing", "yes", "'publishing' is 'yes', and neither true nor false"),
        ("identity", [], r"'identity' is \[\], and no object"),
        ("counts", 3, "'counts' is 3"),
        ("counts.read_count", "x", "'read_count' in 'counts' is 'x'"),
        ("counts.wait", 1, "'counts' has 'wait', which is none"),
        ("counts.errors_by_type", {"a": "b"}, "'errors_by_type' in 'counts' is"),
        ("other", 1, "it has 'other' too"),
        ("cursor", "x", "CSVInputAdapter cannot go on at 'x'"),
        ("cursor", ["x", 1], r"CSVInputAdapter cannot go on at \['x', 1\]"),
        ("output", "x", "JSONOutputAdapter cannot go on at 'x'"),
        ("output.offset", "x", "JSONOutputAdapter cannot go on at"),
    ],
)
def test_a_checkpoint_that_was_edited_is_none(where, value, why, tmp_path):
    (tmp_path / "in.csv").write_text("id,name,age\n" + "".join(f"{i},x,1\n" for i in range(1000)))

    def pipe():
        return Pipe(CSVInputAdapter(tmp_path / "in.csv"), by_hundreds(Person),
                    JSONOutputAdapter(tmp_path / "good.json"), pre_validation_hooks=[Marks()],
                    checkpoint=tmp_path / "checkpoint")  # fmt: skip

    killed(pipe(), Checkpoint, "save", 3)
    edited(tmp_path / "checkpoint", where, value)
    with pytest.raises(ConfigError, match=rf"checkpoint is no checkpoint: .*{why}.* Remove it to start afresh"):
        pipe().run()


def test_a_checkpoint_of_the_older_form_is_refused(tmp_path):
    (tmp_path / "c").write_text(json.dumps({"version": 1, "position": 3}))
    with pytest.raises(ConfigError, match=r"is no checkpoint of this version\. Remove it to start afresh"):
        Checkpoint(tmp_path / "c").load()


# -- ends of processes at chosen instants ----------------------------------------------------


def killed(pipe: Pipe, target, name: str, at: int, when=lambda *_: True, after: bool = False) -> None:
    """Run a pipe in a child that ends hard at a call of a method, before what it does or after it."""
    if not (child := os.fork()):
        calls, method = 0, getattr(target, name)

        def ends(*arguments):
            nonlocal calls
            calls += when(*arguments)
            if calls == at and when(*arguments) and not after:
                os._exit(9)
            found = method(*arguments)
            if calls == at and when(*arguments):
                os._exit(9)
            return found

        try:
            setattr(target, name, ends)
            pipe.run()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def is_part(path: Path, *_) -> bool:
    return path.suffix == ".partial"


PUBLISHING = {
    "before the first is published": (Path, "replace", 1, is_part, False),
    "between the two": (Path, "replace", 1, is_part, True),
    "behind both": (Path, "replace", 2, is_part, True),
    "while it forgets": (Checkpoint, "remove", 1, lambda *_: True, False),
}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("rows", [0, 500])
@pytest.mark.parametrize("when", PUBLISHING)
def test_a_run_that_was_killed_while_it_published_comes_to_its_end(when, rows, old, tmp_path):
    (tmp_path / "in.csv").write_text("id,name,age\n" + "".join(f"{i},x,{i % 200}\n" for i in range(rows)))

    def pipe():
        return Pipe(
            CSVInputAdapter(tmp_path / "in.csv"), SyncFifoExecutor(Person), JSONOutputAdapter(tmp_path / "good.json"),
            JSONOutputAdapter(tmp_path / "bad.jsonl"), checkpoint=tmp_path / "checkpoint", max_bytes_in_flight=2000,
        )  # fmt: skip

    def files():
        return (tmp_path / "good.json").read_bytes(), (tmp_path / "bad.jsonl").read_bytes()

    first = pipe().run()
    expected = files()
    for name in () if old else ("good.json", "bad.jsonl"):
        (tmp_path / name).unlink()
    target, method, at, what, after = PUBLISHING[when]
    killed(pipe(), target, method, at, what, after)
    report = pipe().run()
    assert files() == expected
    assert (report.read_count, report.success_count) == (rows, first.success_count)
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv", "good.json", "bad.jsonl"}


def test_a_published_file_that_was_taken_away_is_told(tmp_path):
    (tmp_path / "in.csv").write_text("id,name,age\n1,a,1\n")

    def pipe():
        return Pipe(
            CSVInputAdapter(tmp_path / "in.csv"), SyncFifoExecutor(Person), JSONOutputAdapter(tmp_path / "good.jsonl"),
            checkpoint=tmp_path / "checkpoint",
        )  # fmt: skip

    killed(pipe(), Checkpoint, "remove", 1)
    (tmp_path / "good.jsonl").unlink()
    with pytest.raises(ExecutionError, match=r"an earlier run has finished it, and it is gone.*--fresh"):
        pipe().run()


def test_a_fresh_run_that_another_output_is_refused_to_leaves_nothing_that_cannot_be_gone_on_with(table, tmp_path):
    def pipe():
        outputs = [JSONOutputAdapter(tmp_path / name) for name in ("good.jsonl", "bad.jsonl")]
        return Pipe(CSVInputAdapter(table), SyncFifoExecutor(Person), *outputs, checkpoint=tmp_path / "checkpoint")

    killed(pipe(), Checkpoint, "save", 3)
    other = JSONOutputAdapter(tmp_path / "bad.jsonl")
    other.open()
    refused = FlowRun(Flow("flow", "flow", pipe()), fresh=True).go(lambda _: None)
    other.discard()
    assert isinstance(refused.exception, OutputTakenError)
    assert not (tmp_path / "checkpoint").exists()
    assert pipe().run().resumed_at is None


def test_what_a_fresh_run_has_committed_is_gone_on_with_by_the_same_checkpoint(tmp_path):
    checkpoint = Checkpoint(tmp_path / "checkpoint")
    old, new = (Commit(position, None, None, None, {"read_count": position}, {}) for position in (7, 3))
    checkpoint.save(old)
    checkpoint.start_afresh()
    assert checkpoint.load() is None
    assert Checkpoint(checkpoint.path).load() == old
    checkpoint.save(new)
    assert checkpoint.load() == new


def test_ids_are_not_given_twice_by_a_run_that_goes_on(tmp_path):
    (tmp_path / "in.csv").write_text("id,name,age\n" + "".join(f"{i},x,1\n" for i in range(1000)))

    def pipe():
        return Pipe(
            CSVInputAdapter(tmp_path / "in.csv", id_generator=count().__next__),
            ThreadExecutor(Person, max_workers=2, chunksize=50),
            JSONOutputAdapter(tmp_path / "good.jsonl", envelope=True), checkpoint=tmp_path / "checkpoint",
        )  # fmt: skip

    killed(pipe(), Checkpoint, "save", 5)
    report = pipe().run()
    assert 0 < report.resumed_at < 1000
    ids = [json.loads(line)["id"] for line in (tmp_path / "good.jsonl").read_text().splitlines()]
    assert ids == list(range(1000))


def test_the_input_is_identified_once_and_may_be_removed_while_it_is_read(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("id,name,age\n" + "".join(f"{i},x,1\n" for i in range(1000)))
    asked = []

    class Source(CSVInputAdapter):
        def identity(self):
            asked.append(1)
            return super().identity()

    class Removes(BaseHook):
        def execute(self, entries, store):
            path.unlink(missing_ok=True)

    pipe = Pipe(Source(path), SyncFifoExecutor(Person), pre_validation_hooks=[Removes()], checkpoint=tmp_path / "c",
                max_bytes_in_flight=2000)  # fmt: skip
    assert pipe.run().read_count == 1000
    assert asked == [1]


def test_a_file_that_was_replaced_while_it_was_read_is_not_gone_on_with(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("id,name,age\n" + "".join(f"{i},x,1\n" for i in range(1000)))

    replaced = tmp_path / "before"

    class Replaces(BaseHook):
        def execute(self, entries, store):
            if not replaced.exists():
                path.rename(replaced)
                path.write_text("id,name,age\n" + "".join(f"{i},another,1\n" for i in range(1000)))

    def pipe():
        return Pipe(CSVInputAdapter(path), SyncFifoExecutor(Person), pre_validation_hooks=[Replaces()],
                    checkpoint=tmp_path / "c", max_bytes_in_flight=2000)  # fmt: skip

    killed(pipe(), Checkpoint, "save", 3)
    with pytest.raises(ConfigError, match="its input changed since"):
        pipe().run()


def test_a_checkpoint_is_whole_however_little_is_written_at_a_time(tmp_path, monkeypatch):
    checkpoint, commit = (
        Checkpoint(tmp_path / "c"),
        Commit(3, [1, 2], None, None, {"read_count": 3}, {"input": "x" * 100}),
    )
    write = os.write
    monkeypatch.setattr("os.write", lambda descriptor, data: write(descriptor, bytes(data)[:7]))
    checkpoint.save(commit)
    monkeypatch.undo()
    assert checkpoint.load() == commit


def test_a_checkpoint_that_cannot_be_written_is_told_with_its_name(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ExecutionError, match=r"the checkpoint .*file/c cannot be written: "):
        Checkpoint(tmp_path / "file" / "c").save(Commit(0, None, None, None, {}, {}))


def test_a_damaged_checkpoint_is_told(tmp_path):
    (tmp_path / "checkpoint").write_text("{")
    (tmp_path / "in.csv").write_text("id,name,age\n1,a,1\n")
    pipe = Pipe(CSVInputAdapter(tmp_path / "in.csv"), SyncFifoExecutor(Person), checkpoint=tmp_path / "checkpoint")
    with pytest.raises(ConfigError, match=r"is no checkpoint: .* Remove it to start afresh"):
        pipe.run()


def test_a_part_that_is_gone_is_told(table, tmp_path):
    pipe, _, _ = interrupted(tmp_path, table)
    (tmp_path / "good.json.partial").write_bytes(b"")
    without_gate(tmp_path)
    with pytest.raises(ExecutionError, match="shorter than what was committed"):
        pipe().run()


def test_what_cannot_be_continued_takes_no_checkpoint(tmp_path):
    class Rows(BaseInputAdapter):
        generator = property(lambda self: iter(people(3)))

    with pytest.raises(ValidationError, match="MemoryOutputAdapter cannot go on where a run stopped"):
        Pipe(Rows(), SyncFifoExecutor(Person), MemoryOutputAdapter(), checkpoint=tmp_path / "c").run()
    with pytest.raises(ValidationError, match="needs the order of the input"):
        Pipe(Rows(), ThreadExecutor(Person, ordered=False), checkpoint=tmp_path / "c").run()
