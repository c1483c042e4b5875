"""The documentation of record flows says what the code does, and runs as written.

Blocks are marked: ```` ```console flow ```` (the output is compared), ```` ```bash flow ```` (the commands have to succeed),
```` ```python run ```` (run with all others, by the neighbour that reads the pages) and ```` ```python objectstore ````.
"""

import importlib
import importlib.util
import inspect
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import synapse_flow
from synapse_core.config_file import read_config_file
from synapse_flow import EntryStatus, EntryTypedDict, FlowReport, FlowStatus, HookPriority
from synapse_flow.actions import FlowAction, FlowParams, run_in
from synapse_flow.adapter_types import ADAPTER_TYPES
from synapse_flow.executors.by_name import EXECUTORS, executor_class
from synapse_flow.executors.registered import EngineExecutor
from synapse_flow.flow_config import ExecutorConfig, FlowConfig, HookConfig, flow_names, parse_flow
from synapse_flow.hooks.base import BaseHook
from synapse_flow.inputs.base import BaseAsyncInputAdapter, BaseInputAdapter
from synapse_flow.outputs.base import BaseAsyncOutputAdapter, BaseOutputAdapter


def _test_docs() -> Any:
    """Load the neighbour that reads the pages: test files are no modules of one another."""
    spec = importlib.util.spec_from_file_location("reading_the_docs", Path(__file__).with_name("test_docs.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


docs = _test_docs()
ROOT, BLOCKS = docs.ROOT, docs.BLOCKS
PAGE = docs.REFERENCE / "flow.md"
FLOW_BLOCKS = [block for block in BLOCKS if block.marks.split()[:1] == ["flow"]]


def of(language: str) -> list[Any]:
    return [pytest.param(block, id=str(block)) for block in FLOW_BLOCKS if block.language == language]


# -- pages that run ---------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a reader is in."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shell(command: str) -> tuple[int, str]:
    """Run a command of a page; return exit code and both streams, as a terminal shows them."""
    words = shlex.split(command, comments=True)
    if words[:2] == ["uv", "run"]:
        words = words[2:]
    program = {"synapse": [sys.executable, "-m", "synapse_cli"], "python": [sys.executable]}
    done = subprocess.run(
        [*program.get(words[0], words[:1]), *words[1:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    return done.returncode, done.stdout


def run_console(block: Any) -> None:
    for command, exit_code, expected in docs.console_runs(block):
        found_code, found = shell(command)
        assert found_code == exit_code, found
        assert docs.same_output(expected, found), f"{block}\n$ {command}\n{found}"


@pytest.mark.parametrize("block", of("console"))
def test_console_blocks_give_the_documented_output(block: Any, here: Path) -> None:
    run_console(block)


@pytest.mark.parametrize("block", of("bash"))
def test_commands_of_bash_blocks_succeed(block: Any, here: Path) -> None:
    if "retry" in block.text:  # which follows a run, on every page
        assert shell("synapse flow run examples/people --executor serial")[0] == 0
    for words in docs.commands(block):
        fewer = ["--set", "rows=2000"] if "generate" in words else []  # a million takes a reader some seconds
        code, found = shell(shlex.join([*words, *fewer]))
        assert code == 0, found


def test_the_tutorial_works_as_written(here: Path) -> None:
    page = ROOT / "docs" / "tutorial" / "first-flow.md"
    docs.write_titled_files(page, here)
    consoles = [block for block in docs.blocks(page) if block.language == "console"]
    assert len(consoles) >= 5
    for block in consoles:
        run_console(block)


def test_the_flow_of_the_tutorial_has_ten_lines() -> None:
    page = ROOT / "docs" / "tutorial" / "first-flow.md"
    flow = next(block for block in docs.blocks(page) if block.title == "flow.py")
    assert len([line for line in flow.text.splitlines() if line]) <= 10


@pytest.mark.parametrize(
    "block", [pytest.param(block, id=str(block)) for block in BLOCKS if block.marks.split()[:1] == ["objectstore"]]
)
def test_blocks_on_object_stores_run_on_one(block: Any) -> None:
    import fsspec

    store = fsspec.filesystem("memory")
    with fsspec.open("memory://bucket/people.csv.gz", "wt", compression="gzip") as file:
        file.write("id,name\n1,Ada\n")
    code = block.text.replace("s3://", "memory://").replace('{"anon": True}', "{}")
    exec(compile(code, str(block), "exec", dont_inherit=True), {"__name__": "__main__"})
    assert fsspec.open("memory://bucket/people.jsonl.gz", "rt", compression="gzip").open().read() == (
        '{"id":"1","name":"Ada"}\n'
    )
    store.rm("/bucket", recursive=True)


PAGES = ["docs/how-to/run-record-flows.md", "docs/tutorial/first-flow.md", "docs/how-to/come-from-zoopipe.md",
         "examples/people/README.md", "packages/synapse-flow/README.md"]  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_the_pages_on_flows_is_run(page: str) -> None:
    """Files, settings and set-up commands are left out."""
    left_out = [
        block
        for block in docs.blocks(ROOT / page)
        if block.marks.split()[:1] not in (["flow"], ["run"], ["objectstore"]) and not block.title
    ]
    if page.endswith("first-flow.md"):
        left_out = [block for block in left_out if block.language != "console"]
    commands = [
        words
        for block in left_out
        if block.language in ("bash", "console")
        for words in docs.commands(block)
        if words and words[0] not in ("uv", "mkdir", "cd", "source")
    ]
    assert commands == []
    assert {block.language for block in left_out} <= {"bash", "yaml", "text"}


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, id=str(block))
        for page in (PAGE, ROOT / "docs" / "how-to" / "run-record-flows.md")
        for block in docs.blocks(page)
        if block.language == "yaml"
    ],
)
def test_described_flows_are_right(block: Any, tmp_path: Path) -> None:
    document = yaml.safe_load(block.text)
    if "actions" in document:
        return
    if "flows" not in document:
        document = {"flows": {"people": document}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"code": "people", **document}))
    file = read_config_file(tmp_path)
    assert [parse_flow(file, name, {"SHOP_DATABASE": "sqlite://"}) for name in flow_names(file)]


# -- the reference ----------------------------------------------------------------------------


def adapters(role: str) -> Iterator[Any]:
    seen = set()
    for kind in ADAPTER_TYPES.values():
        cls = kind.load(role)
        if cls not in seen:
            seen.add(cls)
            yield cls


def from_module(module: str, *names: str) -> list[Any]:
    return [getattr(importlib.import_module(f"synapse_flow.{module}"), name) for name in names]


CLASSES = [
    synapse_flow.Pipe,
    *(executor_class(name) for name in EXECUTORS),
    EngineExecutor,
    *adapters("input"),
    *from_module("inputs.iterable", "IterableInputAdapter"),
    *from_module("inputs.queue", "QueueInputAdapter", "AsyncQueueInputAdapter"),
    *from_module("inputs.retry", "RetryInputAdapter"),
    BaseInputAdapter,
    BaseAsyncInputAdapter,
    *adapters("output"),
    *from_module("outputs.memory", "MemoryOutputAdapter", "GeneratorOutputAdapter", "QueueOutputAdapter"),
    BaseOutputAdapter,
    BaseAsyncOutputAdapter,
    BaseHook,
    *from_module("hooks.builtin", "TimestampHook", "FieldMapperHook"),
    FlowAction,
]


def own_signature(cls: Any) -> str:
    return docs.signature(cls.__init__, cls.__name__)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_class_is_documented_with_its_signature_and_arguments(cls: Any) -> None:
    text = docs.section(PAGE, cls.__name__)
    assert own_signature(cls) in docs.python_lines(text)
    names = [docs.code(row[0])[0].lstrip("*") for row in docs.rows(text.partition("\n| attribute")[0])]
    if cls is not FlowAction:  # which an executor makes
        assert set(names) == set(inspect.signature(cls).parameters)


@pytest.mark.parametrize("cls", [synapse_flow.Pipe, FlowReport, BaseHook], ids=lambda cls: cls.__name__)
def test_every_method_is_documented_with_its_signature(cls: Any) -> None:
    documented = set(docs.python_lines(docs.section(PAGE, cls.__name__)))
    assert {docs.signature(member) for member in docs.public_methods(cls)} <= documented


def test_everything_that_a_report_has_is_documented() -> None:
    text = docs.section(PAGE, "FlowReport")
    documented = {docs.code(row[0])[0] for row in docs.rows(text)}
    attributes = {name for name in vars(FlowReport()) if not name.startswith("_")}
    properties = {name for name, member in vars(FlowReport).items() if isinstance(member, property)}
    assert documented == attributes | properties
    assert {status.name for status in FlowStatus} <= set(docs.code(docs.FENCE.sub("", text)))


def test_entries_are_documented() -> None:
    text = docs.section(PAGE, "Entries")
    assert [docs.code(row[0])[0] for row in docs.rows(text)] == list(EntryTypedDict.__annotations__)
    assert {status.name for status in EntryStatus} <= set(docs.code(text))


def test_priorities_are_documented() -> None:
    text = docs.section(PAGE, "BaseHook")
    assert [f"`{each.name}` ({each.value})" in text for each in HookPriority] == [True] * len(HookPriority)


def test_executors_by_name_are_documented() -> None:
    table = [row for row in docs.rows(docs.section(PAGE, "Executors")) if len(docs.code(row[0])) == 1 and row[1]]
    documented = {
        docs.code(row[0])[0]: docs.code(row[1])[0] for row in table if docs.code(row[1])[:1] and len(row) == 3
    }
    assert {name: documented.get(name) for name in EXECUTORS} == {
        name: executor_class(name).__name__ for name in EXECUTORS
    }


def test_kinds_of_inputs_and_outputs_are_documented() -> None:
    table = docs.rows(docs.section(PAGE, "Inputs and outputs in config.yaml"))
    documented = {docs.code(row[0])[0]: [docs.code(cell) for cell in row[1:]] for row in table}
    assert documented == {
        kind.name: [
            list(kind.suffixes),
            list(dict.fromkeys([kind.place_word("input"), kind.place_word("output")])),
            [kind.load("input").__name__],
            [kind.load("output").__name__],
        ]
        for kind in ADAPTER_TYPES.values()
    }


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("A flow in config.yaml", FlowConfig),
        ("Hooks in config.yaml", HookConfig),
        ("Executors in config.yaml", ExecutorConfig),
    ],
)
def test_every_key_of_a_flow_is_documented_with_its_default(heading: str, model: Any) -> None:
    text = docs.section(PAGE, heading).partition("\n### ")[0]
    documented = {docs.code(row[0])[0]: row[2] for row in docs.rows(text)}
    expected = {}
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = default.type if isinstance(default, ExecutorConfig) else default
        shown = str(shown).lower() if isinstance(shown, bool) else str(shown)
        expected[name] = "(required)" if field.is_required() else "none" if default is None else f"`{shown}`"
    assert documented == expected


def test_params_of_the_action_are_documented() -> None:
    documented = {
        docs.code(row[0])[0]: row[1] for row in docs.rows(docs.section(PAGE, "FlowAction").partition("`FlowParams`")[2])
    }
    expected = {}
    for name, field in FlowParams.model_fields.items():
        expected[name] = "none" if field.default is None else f"`{str(field.default).lower()}`"
    assert documented == expected


def test_run_in_is_documented() -> None:
    assert docs.python_lines(docs.section(PAGE, "run_in")) == [docs.signature(run_in)]


def test_the_report_of_the_command_is_that_of_the_report(here: Path) -> None:
    import json

    code, found = shell("synapse flow run examples/people --executor serial --limit 10 --json")
    assert code == 0
    assert set(json.loads(found)) == {"flow", "target", "input", "output", "errors", *FlowReport().to_dict()}


# -- other tables -----------------------------------------------------------------------------


def test_every_documented_path_of_zoopipe_has_the_same_names() -> None:
    pytest.importorskip("zoopipe")
    checked = 0
    for path, names in docs.rows(docs.prose(ROOT / "docs" / "how-to" / "come-from-zoopipe.md")):
        module = importlib.import_module(docs.code(path)[0])
        assert sorted(docs.code(names)) == sorted(module.__all__)
        for name in docs.code(names):
            assert getattr(module, name).__module__.startswith("synapse_flow.")
            checked += 1
    assert checked > 30


def test_every_module_of_a_flow_is_in_the_architecture() -> None:
    package = ROOT / "packages" / "synapse-flow" / "src" / "synapse_flow"
    text = docs.section(ROOT / "ARCHITECTURE.md", "How a flow runs")
    named = {span.rstrip("/") for row in docs.rows(text) for span in docs.code(row[2])}
    assert [name for name in named if not (package / name).exists()] == []
    assert {path.name for path in package.iterdir() if path.is_dir() and path.name != "__pycache__"} <= named
