"""Flows in config.yaml: what they may say, and what is said of those that are wrong."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from flow_parts import Person
from flow_plugin import CONFIG, write_people, write_plugin

from synapse_core import ConfigError, EngineDescription, PluginDiscovery, ValidationError
from synapse_core.plugins.registry import Registry
from synapse_core.plugins.rows import Row
from synapse_flow import (
    AsyncIOExecutor,
    CSVInputAdapter,
    DaskExecutor,
    DuckDBInputAdapter,
    ExcelInputAdapter,
    IterableInputAdapter,
    JSONInputAdapter,
    JSONOutputAdapter,
    MemoryOutputAdapter,
    MultiProcessingExecutor,
    ParquetInputAdapter,
    Pipe,
    RayExecutor,
    RetryInputAdapter,
    SQLAlchemyInputAdapter,
    SyncFifoExecutor,
    ThreadExecutor,
)
from synapse_flow.adapter_types import ADAPTER_TYPES, place_name, type_by_place
from synapse_flow.executors import by_name, registered
from synapse_flow.executors.by_name import executor_class, make_executor
from synapse_flow.executors.registered import EngineExecutor
from synapse_flow.flow import Flow, FlowChanges
from synapse_flow.flow_loading import load_flow
from synapse_flow.flow_running import default_checkpoint
from synapse_flow.flow_texts import report_rows, run_document
from synapse_flow.places import place_of, shown_place
from synapse_flow.python_flow import load_python_flow
from synapse_flow.retrying import retried_places
from synapse_flow.urls import shown_url


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where outputs go


def loaded(folder: Path, config: str = CONFIG, changes: FlowChanges | None = None, name: str | None = None) -> Flow:
    write_plugin(folder, config, rows=20)
    return load_flow(PluginDiscovery.from_path(folder), name, changes or FlowChanges())


def problems(folder: Path, flow: str) -> list[str]:
    """Return what is said of a flow, without the file's folder."""
    write_plugin(folder, f"code: shop\nflows:\n  people:\n{flow}", rows=3)
    with pytest.raises(ConfigError) as refused:
        load_flow(PluginDiscovery.from_path(folder))
    return str(refused.value).replace(f"{folder}/", "").splitlines()


# -- what a flow may say ----------------------------------------------------------------------


def test_the_short_form_is_a_pipe(tmp_path: Path) -> None:
    flow = loaded(tmp_path)
    assert (flow.name, flow.description) == ("people", "Check people.")
    pipe = flow.pipe
    assert isinstance(pipe.input_adapter, CSVInputAdapter)
    assert isinstance(pipe.output_adapter, JSONOutputAdapter)
    assert isinstance(pipe.executor, SyncFifoExecutor)
    assert pipe.executor.schema_model.__name__ == "Person"
    assert pipe.run().success_count == 18


def test_every_key_of_a_flow_has_its_effect(tmp_path: Path) -> None:
    pipe = loaded(
        tmp_path,
        CONFIG
        + """\
    pre_hooks: [shop.hooks:Upper, shop.hooks:upper]
    post_hooks:
      - entrypoint: shop.hooks.Add
        args: {field: group, value: 7, priority: 10}
    executor: {type: processes, max_workers: 2, chunksize: 30, compression: lz4}
    limit: 10
    max_bytes_in_flight: 1000
    max_hook_chunk_size: 5
""",
    ).pipe
    assert [type(hook).__name__ for hook in pipe.pre_validation_hooks] == ["Upper", "Upper"]
    assert [(hook.priority, hook.value) for hook in pipe.post_validation_hooks] == [(10, 7)]  # type: ignore[attr-defined]
    executor = pipe.executor
    assert isinstance(executor, MultiProcessingExecutor)
    assert (executor.max_workers, executor.chunksize, executor.compression) == (2, 30, "lz4")
    assert (pipe.limit, pipe.max_bytes_in_flight, pipe.max_hook_chunk_size) == (10, 1000, 5)


def test_a_flow_needs_an_input_only(tmp_path: Path) -> None:
    pipe = loaded(tmp_path, "code: shop\nflows:\n  count:\n    input: people.csv\n").pipe
    assert pipe.run().success_count == 20


def test_arguments_of_an_adapter_are_those_of_its_class(tmp_path: Path) -> None:
    config = """
code: shop
flows:
  people:
    input: {type: csv, source: people.txt, delimiter: ";", encoding: latin-1, id_generator: uuid:uuid4}
    output: {target: out.json, indent: 2, envelope: true}
"""
    write_plugin(tmp_path, config)
    (tmp_path / "people.txt").write_bytes("id;name\n1;André\n".encode("latin-1"))
    pipe = load_flow(PluginDiscovery.from_path(tmp_path)).pipe
    pipe.output_adapter = output = MemoryOutputAdapter()
    pipe.run()
    (entry,) = output.results
    assert entry["raw_data"] == {"id": "1", "name": "André"}
    assert type(entry["id"]).__name__ == "UUID"


def test_a_relative_input_is_below_the_plugin_and_others_are_taken_as_they_are(tmp_path: Path) -> None:
    for given, expected in (
        ("people.csv", str(tmp_path / "people.csv")),
        ("/data/people.csv", "/data/people.csv"),
        ("s3://bucket/people.csv", "s3://bucket/people.csv"),
    ):
        flow = loaded(tmp_path, CONFIG.replace("people.csv", given))
        assert flow.source == expected
        assert place_of(flow.pipe.output_adapter) == "out/people.jsonl"


def test_settings_stand_for_themselves_in_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOW_FILE", "people")
    config = CONFIG.replace("input: people.csv", "input: ${FLOW_FILE}.csv").replace("out/people", "${OUT}/people")
    flow = loaded(tmp_path, config + "env: {OUT: elsewhere}\n")
    assert flow.source == str(tmp_path / "people.csv")
    assert place_of(flow.pipe.output_adapter) == "elsewhere/people.jsonl"


def test_texts_are_taken_for_what_they_stand_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ROWS": "1", "NO": "false", "WORKERS": "3", "INDENT": "2"}.items():
        monkeypatch.setenv(name, value)
    config = CONFIG.replace(
        "input: people.csv",
        "input: {source: people.csv, skip_rows: '${ROWS}', fieldnames: [id, name, age], skipinitialspace: '${NO}'}",
    )
    config = config.replace(
        "output: out/people.jsonl", "output: {target: out/people.json, indent: '${INDENT}', envelope: 'no'}"
    )
    config += "    executor: {type: threads, max_workers: '${WORKERS}', ordered: 'yes'}\n"
    config += "    post_hooks: [{entrypoint: shop.hooks:Add, args: {field: x, value: '7'}}]\n"
    pipe = loaded(tmp_path, config).pipe
    executor: Any = pipe.executor
    assert (executor.max_workers, executor.ordered) == (3, True)
    report = pipe.run()
    assert (report.read_count, report.error_count) == (20, 2)
    text = (tmp_path / "out" / "people.json").read_text()
    assert text.startswith('[\n{\n  "id": 0,')
    assert json.loads(text)[0] == {"id": 0, "name": "name 0", "age": 0, "x": 7}


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("input: {source: people.csv, skip_rows: true}", "input.skip_rows: Input should be a valid integer"),
        ("input: {source: people.csv, skip_rows: '-1'}", "skip_rows is -1; it has to be a whole number from 0 on"),
        ("input: {source: people.csv, skip_rows: two}", "input.skip_rows: Input should be a valid integer"),
        (
            "input: people.csv\n    executor: {type: threads, ordered: perhaps}",
            "executor.ordered: Input should be a valid boolean",
        ),
        (
            "input: people.csv\n    executor: {type: threads, max_workers: '0'}",
            "executor.max_workers: it has to be a whole number from 1",
        ),
        ("input: {source: people.csv, id_generator: 'shop.model:Persn'}", "has no 'Persn'. Did you mean 'Person'?"),
        ("input: {source: people.csv, id_generator: 'uuid:uuid44'}", "has no 'uuid44'. Did you mean 'uuid4'?"),
        (
            "input: people.csv\n    output: {target: o.jsonl, id_generator: 'uuid:uuid4'}",
            "output.id_generator: unknown here",
        ),
    ],
)
def test_texts_that_stand_for_nothing_that_fits_are_told(tmp_path: Path, part: str, said: str) -> None:
    assert said in "\n".join(problems(tmp_path, f"    {part}\n"))


def test_a_setting_that_is_not_set_is_said_with_its_key(tmp_path: Path) -> None:
    assert problems(tmp_path, "    input: {type: csv, source: '${xyz}/x.csv'}\n") == [
        "config.yaml:4: flows.people.input.source: xyz is not set; set it in the environment, or below 'env' "
        "(found: '${xyz}/x.csv')"
    ]


def test_a_setting_that_another_flow_needs_is_not_needed(tmp_path: Path) -> None:
    config = CONFIG + "  others:\n    input: ${xyz}/people.csv\n    limit: many\n"
    assert loaded(tmp_path, config, name="people").name == "people"
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, config, name="others")
    assert [each in str(refused.value) for each in ("xyz is not set", "flows.others.limit")] == [True, True]


# -- what is wrong ----------------------------------------------------------------------------


def test_all_problems_are_said_at_once_with_line_key_and_what_is_known(tmp_path: Path) -> None:
    said = problems(
        tmp_path,
        """\
    model: shop.model
    input:
      source: people.csv
      delimeter: ";"
      skip_rows: many
    output: people.doc
    pre_hooks: [shop.hooks:Upper, nothing]
    executor: {type: processes, workers: 4}
""",
    )
    found = {line.partition(": ")[2].partition(": ")[0]: line for line in said}
    assert list(found) == [
        "flows.people.input.delimeter",
        "flows.people.input.skip_rows",
        "flows.people.output",
        "flows.people.pre_hooks.1",
        "flows.people.executor.workers",
    ]
    assert "unknown here. Did you mean 'delimiter'? CSVInputAdapter takes: source, delimiter," in said[0]
    assert "Input should be a valid integer" in said[1]
    assert "people.doc does not say what it is by its suffix; write type: … Types: csv, tsv, json," in said[2]
    assert "entrypoint 'nothing' is not of the form 'package.module:Name'" in said[3]
    assert "MultiProcessingExecutor takes: max_workers, chunksize, compression," in said[4]
    assert [line.split(":")[1] for line in said] == ["7", "8", "9", "10", "11"]


def test_what_a_part_says_is_checked_where_others_have_the_wrong_shape(tmp_path: Path) -> None:
    said = problems(
        tmp_path,
        """\
    modell: x.y:Z
    model: nothing
    input: {type: jsnl, source: people.csv}
    output: 3
    errors: {target: 7}
    pre_hooks:
      - entrypoint: nothing
      - {arg: 3, entrypoint: 7}
    executor: {type: thrads, max_workers: 0}
""",
    )
    assert [line.split(": ")[1].removeprefix("flows.people.") for line in said] == [
        "modell", "model", "input.type", "output", "errors.target", "pre_hooks.0", "pre_hooks.1.entrypoint",
        "pre_hooks.1.arg", "executor.type",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("flow", "said"),
    [
        ("    input: people.csv\n    modell: x.y:Z\n",
         "config.yaml:5: flows.people.modell: unknown key. Did you mean 'model'? Keys: description, model, input,"),
        ("    model: shop.model:Person\n", "config.yaml:3: flows.people.input: Field required"),
        ("    input: {type: cvs, source: people.csv}\n",
         "flows.people.input.type: unknown type 'cvs'. Did you mean 'csv'? Types: csv, tsv,"),
        ("    input: {type: csv}\n", "flows.people.input: 'source' is missing: CSVInputAdapter needs it"),
        ("    input: people.csv\n    executor: proceses\n",
         "flows.people.executor: unknown executor 'proceses'. Did you mean 'processes'? Executors: asyncio, dask,"),
        ("    input: people.csv\n    limit: -1\n", "flows.people.limit: Input should be greater than or equal to 0"),
        ("    input: people.csv\n    pre_hooks: {a: b}\n", "flows.people.pre_hooks: Input should be a valid list"),
        ("    input: people.csv\n    pre_hooks: [{entrypoint: shop.hooks:Add, arg: {}}]\n",
         "flows.people.pre_hooks.0.arg: unknown key. Did you mean 'args'? Keys: entrypoint, args"),
        ("    3\n", "flows.people: Input should be a mapping (found: 3)"),
        ("    input: 3\n", "flows.people.input: Input should be a text or a mapping (found: 3)"),
        ("    input: people.csv\n    post_hooks: [shop.hooks:Upper, 3]\n",
         "flows.people.post_hooks.1: Input should be a text or a mapping (found: 3)"),
        ("    input: people.csv\n    errors: {target: 7}\n", "flows.people.errors.target: Input should be a text (found: 7)"),
        ("    input: people.csv\n    executor: {type: processes, max_workers: 0}\n",
         "config.yaml:5: flows.people.executor.max_workers: it has to be a whole number from 1 on (found: 0)"),
        ("    input: people.csv\n    executor: {type: asyncio, concurrency: -1}\n", "flows.people.executor.concurrency: it has"),
        ("    input: people.csv\n    executor: {type: processes, compression: lz5}\n", "config.yaml:5: flows.people.executor"),
    ],
)  # fmt: skip
def test_each_mistake_is_told_in_a_line(tmp_path: Path, flow: str, said: str) -> None:
    (line,) = problems(tmp_path, flow)
    assert said in line


@pytest.mark.parametrize(
    ("flow", "said"),
    [
        ("    model: shop.model:Persom\n",
         "flows.people.model: entrypoint 'shop.model:Persom': {folder}/shop/model.py has no 'Persom'. Did you mean 'Person'?"),
        ("    model: shop.hooks:upper\n", "flows.people.model: it is a Upper; it has to be a pydantic model"),
        ("    pre_hooks: [shop.hooks:not_a_hook]\n",
         "flows.people.pre_hooks.0: shop.hooks:not_a_hook is no hook: it has no execute(entries, store)"),
        ("    pre_hooks: [shop.hooks:Add]\n", "flows.people.pre_hooks.0.args: 'field' is missing: Add needs it"),
        ("    pre_hooks: [{entrypoint: shop.hooks:Add, args: {field: x, value: many}}]\n",
         "flows.people.pre_hooks.0.args.value: Input should be a valid integer"),
        ("    pre_hooks: [{entrypoint: shop.hooks:upper, args: {a: 1}}]\n",
         "flows.people.pre_hooks.0.args: shop.hooks:upper is a hook already, and takes no args; name its class"),
        ("    pre_hooks: [{entrypoint: shop.hooks:Gate, args: {folder: 3, at: x}}]\n", "pre_hooks.0.args.folder"),
    ],
)  # fmt: skip
def test_code_that_does_not_fit_is_told_with_its_key(tmp_path: Path, flow: str, said: str) -> None:
    assert said.format(folder=tmp_path) in "\n".join(problems(tmp_path, "    input: people.csv\n" + flow)).replace(
        "shop/model.py", f"{tmp_path}/shop/model.py"
    )


def test_problems_of_model_and_hooks_are_said_together(tmp_path: Path) -> None:
    said = problems(
        tmp_path,
        "    input: people.csv\n    model: shop.nowhere:X\n    post_hooks: [shop.hooks:None_, shop.hooks:Add]\n",
    )
    assert [line.split(": ")[1] for line in said if line.startswith("config.yaml")] == [
        "flows.people.model",
        "flows.people.post_hooks.0",
        "flows.people.post_hooks.1.args",
    ]


def test_a_hook_that_cannot_be_made_is_told_with_the_reason(tmp_path: Path) -> None:
    write_plugin(tmp_path, CONFIG + "    pre_hooks: [shop.broken:Broken]\n")
    (tmp_path / "shop" / "broken.py").write_text(
        "class Broken:\n    def __init__(self):\n        raise OSError('no model file')\n"
        "    def execute(self, entries, store): ...\n"
    )
    with pytest.raises(ConfigError, match=r"pre_hooks\.0: Broken cannot be made: OSError: no model file"):
        load_flow(PluginDiscovery.from_path(tmp_path))


def test_no_message_shows_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE", "postgresql://me:hunter2222@host/db")
    for place in ("postgresql://me:hunter2222@host/db", "${DATABASE}"):
        said = problems(tmp_path, f"    input: {{type: sql, url: '{place}', tabel: people}}\n")
        assert said
        assert "hunter2222" not in "\n".join(said)
    monkeypatch.setenv("EXPORT", "ftp://me:hunter2222@host/export")  # whose suffix does not say what it is
    said = problems(tmp_path, "    input: ${EXPORT}\n")
    assert "ftp://me:***@host/export does not say what it is by its suffix" in "\n".join(said)
    assert "hunter2222" not in "\n".join(said)
    bare = CONFIG.replace("    output: out/people.jsonl\n", "")
    with pytest.raises(
        ValidationError, match=r"ftp://me:\*\*\*@host/export does not say what it is by its suffix"
    ) as refused:
        loaded(tmp_path, bare, FlowChanges(output="ftp://me:hunter2222@host/export"))
    assert "hunter2222" not in str(refused.value)


def test_no_report_shows_the_password_of_an_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = CONFIG.replace("input: people.csv", "input: {type: sql, url: '${DATABASE}', table: people}")
    for url in ("postgresql+psycopg://me:a/hunter2222@host/db", "postgresql+psycopg://host/db?password=hunter2222"):
        monkeypatch.setenv("DATABASE", url)
        flow = loaded(tmp_path, config)
        said = json.dumps([run_document(flow, flow.pipe.report), list(report_rows(flow, flow.pipe.report))])
        assert "hunter2222" not in said
        assert "host/db" in said


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ftp://me:hunter2222@host/a.csv", "ftp://me:***@host/a.csv"),
        ("postgresql://me:a/hunter2222@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:12/hunter2222@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("postgresql://me:hunter@2222@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:hunter?2222@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:hunter::2222@host/db", "postgresql://me:***@host/db"),
        ("sftp://me@corp.com:hunter2222@host/a.csv", "sftp://me@corp.com:***@host/a.csv"),
        ("redis://:hunter2222@host/0", "redis://:***@host/0"),
        ("postgresql://host/db?password=hunter2222", "postgresql://host/db"),
        ("https://host/a.csv?sv=1&sig=hunter2222", "https://host/a.csv"),
        ("https://host:8443/a@b.csv?sig=hunter2222", "https://host:8443/a@b.csv"),
        ("https://host:8443/a.csv?mail=a@b.c&sig=hunter2222", "https://host:8443/a.csv"),
        ("zip://a.csv::ftp://me:hunter2222@host/a.zip", "zip://a.csv::ftp://me:***@host/a.zip"),
        ("simplecache::https://host/a.csv?sig=hunter2222", "simplecache::https://host/a.csv"),
        ("md:shop?motherduck_token=hunter2222", "md:shop"),
        ("sqlite:///a:b@c.db", "sqlite:///a:b@c.db"),
        ("s3://bucket/a:b@c.csv", "s3://bucket/a:b@c.csv"),
        ("postgresql://me@host:5432/db", "postgresql://me@host:5432/db"),
        ("folder/a?b:c@d.csv", "folder/a?b:c@d.csv"),
    ],
)
def test_a_place_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert shown_url(url) == shown


@pytest.mark.parametrize(
    ("adapter", "place"),
    [
        (lambda: CSVInputAdapter("a.csv"), "a.csv"),
        (lambda: JSONInputAdapter("https://host/a.jsonl?sig=hunter2222"), "https://host/a.jsonl"),
        (lambda: ExcelInputAdapter("a.xlsx"), "a.xlsx"),
        (lambda: ParquetInputAdapter("a.parquet"), "a.parquet"),
        (lambda: ParquetInputAdapter(["a.parquet", "b.parquet"]), "a.parquet and 1 more"),
        (lambda: RetryInputAdapter("errors.jsonl"), "errors.jsonl"),
        (
            lambda: SQLAlchemyInputAdapter("postgresql+psycopg://h/d?password=hunter2222", table="t"),
            "postgresql+psycopg://h/d",
        ),
        (lambda: DuckDBInputAdapter("a.duckdb", table="t"), "a.duckdb"),
        (lambda: IterableInputAdapter([]), None),
    ],
)
def test_each_input_says_where_it_reads(adapter: Any, place: str | None) -> None:
    made = adapter()
    assert place_of(made) == place
    assert shown_place(made, "https://host/known?sig=hunter2222") == (place or "https://host/known")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("code: shop\n", "there are no flows. Describe one below 'flows', such as"),
        ("code: shop\nflow:\n  people: {input: x.csv}\n", "there are no flows. Did you mean 'flow'?"),
        ("code: shop\nflows: [a]\n", "config.yaml:2: flows: Input should be a mapping of names to flows"),
    ],
)
def test_a_plugin_without_flows_is_told_how_to_describe_one(tmp_path: Path, config: str, said: str) -> None:
    write_plugin(tmp_path, config)
    with pytest.raises(ConfigError) as refused:
        load_flow(PluginDiscovery.from_path(tmp_path))
    assert said in str(refused.value)


def test_checking_flows_imports_none_of_the_plugins_code(tmp_path: Path) -> None:
    write_plugin(tmp_path, CONFIG.replace("input: people.csv", "input: people.doc"))
    (tmp_path / "shop" / "model.py").write_text("raise AssertionError('imported')\n")
    with pytest.raises(ConfigError, match="suffix"):
        load_flow(PluginDiscovery.from_path(tmp_path))


# -- kinds ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ADAPTER_TYPES.values(), ids=list(ADAPTER_TYPES))
@pytest.mark.parametrize("role", ["input", "output"])
def test_every_kind_has_its_classes_which_take_its_arguments(kind: Any, role: str) -> None:
    cls = kind.load(role)
    assert place_name(cls)
    assert kind.arguments.keys() <= set(inspect.signature(cls).parameters)


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("people.csv", "csv"),
        ("data/people.CSV.gz", "csv"),
        ("s3://bucket/people.jsonl.zst?versionId=3", "jsonl"),
        ("people.ndjson", "jsonl"),
        ("people.json", "json"),
        ("people.tsv", "tsv"),
        ("people.parquet", "parquet"),
        ("people.feather", "arrow"),
        ("people.xlsx", "xlsx"),
        ("people.duckdb", "duckdb"),
        ("sqlite:///people.db", "sql"),
        ("postgresql+psycopg://me@host/db", "sql"),
        ("https://host/people.csv", "csv"),
        ("people", None),
        ("people.gz", None),
        ("a.csv/people", None),
    ],
)
def test_a_place_says_by_its_suffix_what_it_is(place: str, kind: str | None) -> None:
    found = type_by_place(place)
    assert (None if found is None else found.name) == kind


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("serial", SyncFifoExecutor), ("sync_fifo", SyncFifoExecutor), ("threads", ThreadExecutor),
        ("processes", MultiProcessingExecutor), ("multiprocessing", MultiProcessingExecutor),
        ("asyncio", AsyncIOExecutor), ("dask", DaskExecutor), ("ray", RayExecutor),
    ],
)  # fmt: skip
def test_executors_by_name(name: str, cls: type) -> None:
    assert executor_class(name) is cls


# -- an engine of another package ---------------------------------------------------------------


class TurnsEngine:
    """An engine of somebody else's."""

    def __init__(self, size: int = 1, workers: int = 1) -> None:
        self.size = size
        self.workers = workers

    def run(self, work: Any, chunks: Any, *, ordered: bool = True) -> Any:
        from synapse_core.engines import worker_scope

        with worker_scope(work) as apply:
            for chunk in chunks:
                yield apply(chunk)


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> None:
    target = f"{TurnsEngine.__module__}:{TurnsEngine.__qualname__}"
    importlib.import_module(TurnsEngine.__module__)
    row = Row("turns", "synapse_engines", "acme", "1", EngineDescription(name="turns", target=target))
    for module in (by_name, registered):
        monkeypatch.setattr(module, "Registry", lambda: Registry([*Registry().rows(), row]))


@pytest.mark.usefixtures("turns")
def test_any_engine_that_is_registered_is_an_executor(tmp_path: Path) -> None:
    flow = loaded(tmp_path, CONFIG + "    executor: {type: turns, size: 3}\n    pre_hooks: [shop.hooks:Upper]\n")
    executor = flow.pipe.executor
    assert isinstance(executor, EngineExecutor)
    assert (executor.engine_name, executor.options, executor.crosses) == ("turns", {"size": 3}, True)
    flow.pipe.output_adapter = output = MemoryOutputAdapter()
    assert flow.pipe.run().success_count == 18
    assert output.results[0]["raw_data"]["name"] == "NAME 0"


@pytest.mark.usefixtures("turns")
def test_workers_and_texts_reach_an_engine_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIZE", "3")
    config = CONFIG + "    executor: {type: turns, size: '${SIZE}', chunksize: '5', ordered: 'false', crosses: 'no'}\n"
    executor: Any = loaded(tmp_path, config, FlowChanges(workers=2)).pipe.executor
    made = executor.engine()
    assert (made.size, made.workers) == (3, 2)
    assert (executor.chunksize, executor.ordered, executor.crosses) == (5, False, False)
    wrong = CONFIG + "    executor: {type: turns, size: many, sise: 3}\n"
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, wrong)
    assert "config.yaml:10: flows.people.executor.size: Input should be a valid integer" in str(refused.value)
    assert "flows.people.executor.sise: unknown here. Did you mean 'size'?" in str(refused.value)


@pytest.mark.usefixtures("turns")
def test_an_engine_of_this_process_need_not_pack(tmp_path: Path) -> None:
    executor = EngineExecutor("turns", crosses=False)
    assert executor.packing is None
    assert EngineExecutor("turns").packing is not None
    source = CSVInputAdapter(write_people(tmp_path / "people.csv", 20))
    assert Pipe(source, EngineExecutor("turns", Person, crosses=False)).run().error_count == 2


@pytest.mark.usefixtures("turns")
def test_an_argument_that_an_engine_does_not_take_is_told() -> None:
    with pytest.raises(ValidationError, match=r"the engine 'turns' cannot be made: .*colour"):
        EngineExecutor("turns", colour="red").engine()


@pytest.mark.usefixtures("turns")
def test_workers_are_what_an_executor_calls_them() -> None:
    assert make_executor("processes", None, {}, 3).engine_options()["max_workers"] == 3
    assert make_executor("asyncio", None, {}, 3).engine_options()["concurrency"] == 3
    with pytest.raises(ValidationError, match="'ray' has no number of workers; those that have one: asyncio,"):
        make_executor("ray", None, {}, 3)


# -- pipes in Python, changed --------------------------------------------------------------------

PIPES = """
from synapse_flow import *
from synapse_flow.executors.registered import EngineExecutor

source = CSVInputAdapter("people.csv")
ray = Pipe(source, RayExecutor(address="ray://prod", max_inflight=7))
processes = Pipe(source, MultiProcessingExecutor(chunksize=1000))
turns = Pipe(source, EngineExecutor("turns", turns=5))
hooks = [TimestampHook()], [FieldMapperHook({"a": "b"})]
hooked = Pipe(source, None, JSONOutputAdapter("o.jsonl", pre_hooks=hooks[0], post_hooks=hooks[1]))
tsv = Pipe(source, None, CSVOutputAdapter("o.tsv", delimiter="\t"), JSONOutputAdapter("e.jsonl"))
semicolons = Pipe(source, None, CSVOutputAdapter("o.csv", delimiter=";"))
whole = Pipe(source, None, None, JSONOutputAdapter("e.jsonl", envelope=True))
"""


def changed(folder: Path, name: str, **changes: Any) -> Pipe:
    (folder / "some_pipes.py").write_text(PIPES)
    sys.modules.pop("some_pipes", None)
    try:
        return load_python_flow(f"{folder / 'some_pipes.py'}:{name}", FlowChanges(**changes)).pipe
    finally:
        sys.path.remove(str(folder))


@pytest.mark.usefixtures("turns")
def test_the_same_executor_of_a_pipe_keeps_its_arguments(tmp_path: Path) -> None:
    executor: Any = changed(tmp_path, "ray", executor="ray").executor
    assert (executor.address, executor.max_inflight) == ("ray://prod", 7)
    executor = changed(tmp_path, "processes", executor="process", workers=3).executor
    assert (executor.chunksize, executor.max_workers) == (1000, 3)
    executor = changed(tmp_path, "turns", executor="turns", workers=2).executor
    assert executor.engine_options() == {"turns": 5, "workers": 2}
    executor = changed(tmp_path, "ray", executor="dask").executor
    assert (type(executor), executor.address) == (DaskExecutor, None)


@pytest.mark.parametrize("place", ["other.jsonl", "other.csv"])
def test_another_output_of_a_pipe_keeps_the_hooks(tmp_path: Path, place: str) -> None:
    output = changed(tmp_path, "hooked", output=place).output_adapter
    assert output is not None
    assert place_of(output) == place
    hooks = [type(hook).__name__ for hook in (*output.pre_hooks, *output.post_hooks)]
    assert hooks == ["TimestampHook", "FieldMapperHook"]


def test_options_of_an_output_are_not_lost_at_another_place(tmp_path: Path) -> None:
    for name, changes in (("semicolons", {"output": "other.csv"}), ("whole", {"errors": "other.jsonl"})):
        with pytest.raises(ValidationError, match=r"Adapter has options, which .*other.* would lose") as refused:
            changed(tmp_path, name, **changes)
        assert "config.yaml, where they are kept" in str(refused.value)
    assert place_of(changed(tmp_path, "semicolons", output="other.jsonl").output_adapter) == "other.jsonl"
    pipe = changed(tmp_path, "tsv", output="other.tsv", errors="others.jsonl")
    assert [place_of(pipe.output_adapter), place_of(pipe.error_output_adapter)] == ["other.tsv", "others.jsonl"]


# -- checkpoints and retries --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "errors", "expected"),
    [
        ("o.jsonl", "e.jsonl", "o.jsonl.checkpoint"),
        ("o.jsonl", None, "o.jsonl.checkpoint"),
        (None, "e.jsonl", "e.jsonl.checkpoint"),
        (None, None, None),
        ("s3://bucket/o.jsonl", "e.jsonl", None),
        ("o.jsonl", "s3://bucket/e.jsonl", None),
    ],
)
def test_a_checkpoint_lies_beside_outputs_of_this_machine(
    output: str | None, errors: str | None, expected: str | None
) -> None:
    adapters = [None if place is None else JSONOutputAdapter(place) for place in (output, errors)]
    pipe = Pipe(CSVInputAdapter("people.csv"), None, *adapters)
    assert default_checkpoint(pipe) == (None if expected is None else Path(expected))


def test_outputs_that_cannot_go_on_have_no_checkpoint() -> None:
    source, output = CSVInputAdapter("people.csv"), JSONOutputAdapter("o.jsonl")
    assert default_checkpoint(Pipe(source, None, output, MemoryOutputAdapter())) is None
    assert default_checkpoint(Pipe(source, ThreadExecutor(ordered=False), output)) is None


@pytest.mark.parametrize(
    ("output", "errors", "expected"),
    [
        ("o.jsonl", "e.jsonl", ("o.retried.jsonl", "e.retried.jsonl")),
        ("a.b/o.csv.gz", "s3://x/e.jsonl.zst", ("a.b/o.retried.csv.gz", "s3://x/e.retried.jsonl.zst")),
        ("o.jsonl", "e.retried.jsonl", ("o.retried.retried.jsonl", "e.retried.retried.jsonl")),
        (None, "e.jsonl", (None, "e.retried.jsonl")),
    ],
)
def test_places_of_a_retry(output: str | None, errors: str, expected: tuple[str | None, str]) -> None:
    assert retried_places(output, errors) == expected


# -- what travels to other machines -------------------------------------------------------------

OPENS = """
import sys, pickle
model, hook = pickle.load(open(sys.argv[1], "rb"))
print(model.model_validate({"id": 1, "name": "a", "age": 2}), hook.execute([{"raw_data": {"name": "a"}}], {}))
"""


def opened_elsewhere(parts: Any, folder: Path) -> str:
    """Return what a process says that has neither the plugin nor what this one has cached of it."""
    (folder / "parts").write_bytes(cloudpickle.dumps(parts))
    done = subprocess.run(
        [sys.executable, "-c", OPENS, str(folder / "parts")], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "SYNAPSE_CACHE_DIR": str(folder / "cache")},
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.parametrize(("executor", "by_value"), [("ray", True), ("processes", False)])
def test_a_plugins_code_travels_along_where_machines_do_not_have_it(
    tmp_path: Path, executor: str, by_value: bool
) -> None:
    folder, elsewhere = tmp_path / f"plugin_{executor}", tmp_path / "elsewhere"
    elsewhere.mkdir()
    config = CONFIG.replace("code: shop", f"code: {executor}") + "    pre_hooks: [shop.hooks:Upper]\n"
    flow = loaded(folder, config + f"    executor: {executor}\n")
    parts = (flow.pipe.executor.schema_model, flow.pipe.pre_validation_hooks[0])
    shutil.rmtree(folder)
    said = opened_elsewhere(parts, elsewhere)
    assert (said == "id=1 name='a' age=2 [{'raw_data': {'name': 'A'}}]\n") is by_value, said


MODELS = """
from pydantic import BaseModel, field_validator
from sent_rules_{name} import checked

class Person(BaseModel):
    id: int
    name: str
    age: int

    @field_validator("age")
    @classmethod
    def check(cls, value):
        return checked(value)
"""
SENT = """
from sent_models_{name} import Person
from synapse_flow import *

class Upper(BaseHook):
    def execute(self, entries, store):
        return [{{"raw_data": {{"name": entry["raw_data"]["name"].upper()}}}} for entry in entries]

pipe = Pipe(CSVInputAdapter("people.csv"), SyncFifoExecutor(Person), pre_validation_hooks=[Upper(), TimestampHook()])
"""


@pytest.mark.parametrize(("executor", "by_value"), [("ray", True), ("processes", False)])
def test_the_modules_of_a_pipe_travel_along_with_the_executor_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: str, by_value: bool
) -> None:
    folder, elsewhere = tmp_path / "code", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / f"sent_rules_{executor}.py").write_text("def checked(value):\n    return value\n")
    (folder / f"sent_models_{executor}.py").write_text(MODELS.format(name=executor))
    (folder / f"sent_{executor}.py").write_text(SENT.format(name=executor))
    monkeypatch.syspath_prepend(str(folder))
    for target in (f"sent_{executor}:pipe", f"{folder}/sent_{executor}.py:pipe"):
        pipe = load_python_flow(target, FlowChanges(executor=executor)).pipe
        parts = (pipe.executor.schema_model, pipe.pre_validation_hooks[0])
        said = opened_elsewhere(parts, elsewhere)
        assert (said == "id=1 name='a' age=2 [{'raw_data': {'name': 'A'}}]\n") is by_value, said
    timestamps = cloudpickle.dumps(pipe.pre_validation_hooks[1])
    assert b"TimestampHook" in timestamps
    assert len(timestamps) < 500  # by its name: what is installed is there too
