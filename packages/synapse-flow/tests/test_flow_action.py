"""Flows as actions: progress, metrics, results, cancelling."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flow_parts import Person, people
from flow_plugin import CONFIG, ROWS, json_lines, write_people, write_plugin

from synapse_core import (
    ExecutionCancelledError,
    ExecutionError,
    PluginDiscovery,
    RecordingSink,
    RuntimeContext,
    ValidationError,
    run_plugin,
)
from synapse_flow import BaseInputAdapter, CSVInputAdapter, JSONOutputAdapter, Pipe, SyncFifoExecutor, ThreadExecutor
from synapse_flow.actions import FlowAction, FlowParams, run_in

ACTION = CONFIG + "actions:\n  import: synapse_flow.actions:FlowAction\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def run(plugin: Path, **params: Any) -> tuple[Any, RecordingSink]:
    sink = RecordingSink()
    return run_plugin(plugin, "import", params, sink=sink), sink


def test_a_flow_is_an_action_of_its_plugin(tmp_path: Path, here: Path) -> None:
    result, sink = run(write_plugin(tmp_path / "shop_one", ACTION.replace("people:", "shop_one:", 1)), flow="shop_one")
    assert (result["status"], result["read_count"], result["success_count"], result["error_count"]) == (
        "completed", ROWS, 900, 100,
    )  # fmt: skip
    assert result["output"] == "out/people.jsonl"
    assert len(json_lines(here / "out" / "people.jsonl")) == 900
    json.dumps(result)
    progress = [event for event in sink.events if event.kind == "progress"]
    assert (progress[-1].step, progress[-1].fraction) == ("shop_one", 1)  # type: ignore[attr-defined]
    metrics = [event for event in sink.events if event.kind == "metrics"][-1]
    assert metrics.step == "shop_one"  # type: ignore[attr-defined]
    assert metrics.values | {"records_per_second": 0} == {  # type: ignore[attr-defined]
        "read": ROWS, "written": 900, "failed": 100, "filtered": 0, "records_per_second": 0,
    }  # fmt: skip


def test_params_change_the_run(tmp_path: Path, here: Path) -> None:
    plugin = write_plugin(tmp_path / "shop_two", ACTION.replace("people:", "shop_two:", 1))
    write_people(here / "few.csv", 40)
    result, sink = run(
        plugin, flow="shop_two", input="few.csv", output="o.jsonl", errors="e.jsonl", limit=20, executor="threads",
        workers=2,
    )  # fmt: skip
    assert (result["read_count"], result["input"]) == (20, str(here / "few.csv"))
    assert len(json_lines(here / "o.jsonl")) == 18
    assert [row["position"] for row in json_lines(here / "e.jsonl")] == [9, 19]
    last = [event for event in sink.events if event.kind == "progress"][-1]
    assert (last.current, last.total) == (20, 20)  # type: ignore[attr-defined]


def test_a_misspelt_param_runs_nothing(tmp_path: Path, here: Path) -> None:
    plugin = write_plugin(tmp_path / "shop_misspelt", ACTION.replace("people:", "shop_misspelt:", 1), rows=20)
    with pytest.raises(ValidationError, match="limt") as refused:
        run(plugin, flow="shop_misspelt", limt=10)
    assert "limit" in str(refused.value)
    assert list(here.iterdir()) == []


def test_failed_records_fail_the_action_where_that_is_asked_for(tmp_path: Path, here: Path) -> None:
    plugin = write_plugin(tmp_path / "shop_three", ACTION.replace("people:", "shop_three:", 1), rows=20)
    with pytest.raises(ExecutionError, match=r"2 of 20 records failed; they are in out/errors\.jsonl"):
        run(plugin, flow="shop_three", fail_on_errors=True)


def test_a_class_of_the_plugins_own_finds_the_plugin_that_it_is_in(tmp_path: Path, here: Path) -> None:
    for name in ("one", "two"):
        plugin = write_plugin(
            tmp_path / name, CONFIG.replace("shop", name) + f"actions:\n  import: {name}.actions:Import\n", rows=30
        )
        (plugin / "shop").rename(plugin / name)
        (plugin / name / "actions.py").write_text(
            "from synapse_flow.actions import FlowAction\nclass Import(FlowAction):\n    flow = 'people'\n"
        )
    for name in ("one", "two"):
        result, _ = run(tmp_path / name)
        assert result["target"] == str(tmp_path / name)


def test_a_flow_that_several_plugins_have_is_asked_for_by_a_class(tmp_path: Path, here: Path) -> None:
    for name in ("same_a", "same_b"):
        plugin = write_plugin(tmp_path / name, ACTION.replace("people:", "same:", 1).replace("shop\n", f"{name}\n"))
        PluginDiscovery.from_path(plugin).get_action_class("import")
        from synapse_core.loading import load_plugin_code

        load_plugin_code(plugin, name)
    with pytest.raises(
        ExecutionError, match=r"several plugins that are loaded here have a flow 'same': same_a, same_b\."
    ):
        run(tmp_path / "same_a", flow="same")


def test_a_flow_that_nobody_has_is_told(tmp_path: Path, here: Path) -> None:
    with pytest.raises(ExecutionError, match="no plugin that is loaded here has a flow 'nobodys'"):
        run(write_plugin(tmp_path / "shop_four", ACTION), flow="nobodys")


def test_wrong_params_are_told_before_anything_runs(tmp_path: Path, here: Path) -> None:
    with pytest.raises(ValidationError, match="limit"):
        run(write_plugin(tmp_path / "shop_five", ACTION), limit=-1)


# -- pipes inside an action ---------------------------------------------------------------------


class Endless(BaseInputAdapter):
    """Records without an end."""

    @property
    def generator(self) -> Any:
        while True:
            yield from people(100)


def test_a_pipe_runs_inside_an_action(tmp_path: Path) -> None:
    sink = RecordingSink()
    source = CSVInputAdapter(write_people(tmp_path / "people.csv", 50))
    pipe = Pipe(source, SyncFifoExecutor(Person), JSONOutputAdapter(tmp_path / "o.jsonl"))
    result = run_in(RuntimeContext(sink=sink), pipe, name="import")
    assert (result["flow"], result["success_count"]) == ("import", 45)
    assert {event.kind for event in sink.events} == {"progress", "metrics"}


def test_a_cancelled_action_stops_its_flow(tmp_path: Path) -> None:
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 2

    pipe = Pipe(Endless(), ThreadExecutor(Person), JSONOutputAdapter(tmp_path / "o.jsonl"))
    with pytest.raises(ExecutionCancelledError, match=r"the flow 'flow' was stopped after [\d,]+ records"):
        run_in(RuntimeContext(sink=RecordingSink(), cancelled=cancelled), pipe)
    assert pipe.report.is_finished
    assert not (tmp_path / "o.jsonl").exists()


def test_a_flow_that_fails_raises_what_made_it_fail(tmp_path: Path) -> None:
    pipe = Pipe(CSVInputAdapter(tmp_path / "nowhere.csv"), SyncFifoExecutor(Person))
    with pytest.raises(ValidationError, match="there is no file"):
        run_in(RuntimeContext(sink=RecordingSink()), pipe)


def test_the_params_of_the_action_are_described() -> None:
    assert FlowAction.params_model is FlowParams
    assert all(field.description for field in FlowParams.model_fields.values())
