import json
import subprocess
import sys
from pathlib import Path

import pytest
from synapse_core import PluginDiscovery, RecordingSink, run_plugin
from synapse_core.loading import load_plugin_code

PEOPLE = Path(__file__).parents[1]
DATA = PEOPLE / "data" / "people.csv"
ROWS, BAD = 1000, 10


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def code():
    return load_plugin_code(PEOPLE, "people")


def synapse(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "synapse_cli", *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def json_lines(path):
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def reported(*arguments):
    done = synapse("flow", "run", str(PEOPLE), "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_flow_runs_at_once():
    report = reported()
    assert (report["read_count"], report["success_count"], report["error_count"]) == (ROWS, ROWS - BAD, BAD)
    people = json_lines("artifacts/people/people.jsonl")
    assert people[0].keys() == {"id", "name", "email", "age", "city", "balance", "born", "active", "group"}
    assert all(person["email"] == person["email"].lower() for person in people)
    assert {person["group"] for person in people} == {"adult", "minor"}
    assert any("," in person["city"] for person in people)
    assert any(not person["name"].isascii() for person in people)


def test_failed_records_are_written_with_their_lines_as_they_were_read():
    reported("--executor", "serial")
    lines = DATA.read_text(encoding="utf-8").splitlines()
    errors = json_lines("artifacts/people/errors.jsonl")
    assert len(errors) == BAD
    for error in errors:
        assert lines[error["line"] - 1].startswith(error["raw_data"]["id"] + ",")
        assert error["errors"]


@pytest.mark.parametrize("executor", ["threads", "processes", "asyncio"])
def test_every_executor_of_this_machine_writes_the_same(executor):
    reported("--executor", "serial", "--output", "serial.jsonl")
    reported("--executor", executor, "--output", "other.jsonl")
    assert Path("other.jsonl").read_bytes() == Path("serial.jsonl").read_bytes()


def test_failed_records_are_run_again_when_the_cause_is_mended(here):
    reported("--executor", "serial")
    errors = json_lines("artifacts/people/errors.jsonl")
    for error in errors:
        if error["raw_data"].get("age") == "unknown":
            error["raw_data"]["age"] = "40"
    mended = sum(error["raw_data"].get("age") == "40" for error in errors)
    assert mended
    Path("mended.jsonl").write_text("".join(json.dumps(error) + "\n" for error in errors), encoding="utf-8")
    done = synapse("flow", "retry", str(PEOPLE), "mended.jsonl", "--executor", "serial")
    assert done.returncode == 0, done.stderr
    assert len(json_lines("artifacts/people/people.retried.jsonl")) == mended
    assert len(json_lines("mended.retried.jsonl")) == BAD - mended


def test_the_flow_is_an_action_too():
    sink = RecordingSink()
    result = run_plugin(PEOPLE, "import", {"executor": "serial", "limit": 100}, sink=sink)
    assert result["read_count"] == 100
    assert {event.kind for event in sink.events} == {"progress", "metrics"}


def test_the_same_seed_gives_the_file_that_lies_here():
    result = run_plugin(PEOPLE, "generate", {"rows": ROWS, "file": "people.csv"}, sink=RecordingSink())
    assert (result.rows, result.bad) == (ROWS, BAD)
    assert Path("people.csv").read_bytes() == DATA.read_bytes()


def test_as_many_records_fail_as_were_made_wrong_of_several_kinds():
    made = run_plugin(PEOPLE, "generate", {"rows": 20_000, "file": "many.csv", "bad": 0.03}, sink=RecordingSink())
    assert made.bad == 600
    report = reported("--executor", "serial", "--input", "many.csv")
    assert report["error_count"] == made.bad
    assert len(report["errors_by_type"]) >= 7


def test_texts_are_trimmed_before_the_validation(code):
    entries = [{"raw_data": {"name": " Ada ", "email": "ADA@Example.COM ", "extra": ["x"]}}]
    hook = code.import_entrypoint("people.hooks:Normalise")()
    assert hook.execute(entries, {}) == [{"raw_data": {"name": "Ada", "email": "ada@example.com", "extra": ["x"]}}]


def test_the_age_group_is_added_after_it(code):
    hook = code.import_entrypoint("people.hooks:AddAgeGroup")(adult=21)
    entries = [{"validated_data": {"age": 20}}, {"validated_data": {"age": 21}}]
    assert [entry["validated_data"]["group"] for entry in hook.execute(entries, {})] == ["minor", "adult"]


def test_the_config_names_actions_that_import():
    discovery = PluginDiscovery.from_path(PEOPLE)
    assert discovery.list_actions() == ["generate", "import"]
    assert all(discovery.resolve(name) for name in discovery.list_actions())
    assert discovery.warnings == ()
