"""`synapse flow`: what it prints where, what it writes, what it ends with, and how it goes on."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
from flow_plugin import (
    CONFIG,
    ROWS,
    json_lines,
    running,
    synapse,
    wait_for,
    wait_until_gone,
    write_people,
    write_plugin,
)

GATED = (
    CONFIG
    + """\
    pre_hooks:
      - {{entrypoint: shop.hooks:Gate, args: {{folder: {folder}, at: 700}}}}
    executor: {{type: {executor}, chunksize: 50}}
"""
)


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    return write_plugin(tmp_path / "plugins" / "shop")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


# -- run --------------------------------------------------------------------------------------


def test_a_flow_of_a_plugin_runs_and_its_report_is_on_stdout(plugin: Path, here: Path) -> None:
    done = synapse("run", str(plugin), cwd=here)
    assert done.returncode == 0, done.stderr
    first, *table = done.stdout.splitlines()
    assert re.fullmatch(r"people: completed in [\d.]+ s, [\d,]+ records/s", first)
    assert [line.split()[:2] for line in table[:4]] == [
        ["RECORDS", "COUNT"],
        ["read", "1,000"],
        ["written", "900"],
        ["failed", "100"],
    ]
    assert [line.split() for line in table[5:]] == [["ERROR", "COUNT"], ["less_than_equal", "100"]]
    assert done.stderr == ""


def test_an_input_is_below_the_plugin_and_outputs_are_below_the_current_folder(plugin: Path, here: Path) -> None:
    assert synapse("run", str(plugin), cwd=here).returncode == 0
    people, errors = json_lines(here / "out" / "people.jsonl"), json_lines(here / "out" / "errors.jsonl")
    assert len(people) == 900
    assert people[0] == {"id": 0, "name": "name 0", "age": 0}
    assert (errors[0]["position"], errors[0]["line"], errors[0]["raw_data"]["id"]) == (9, 11, "9")
    assert sorted(path.name for path in (here / "out").iterdir()) == ["errors.jsonl", "people.jsonl"]
    assert not (plugin / "out").exists()


def test_json_is_one_document_with_the_report_and_the_places(plugin: Path, here: Path) -> None:
    done = synapse("run", str(plugin), "--json", cwd=here)
    document = json.loads(done.stdout)
    assert (document["flow"], document["status"]) == ("people", "completed")
    assert (document["read_count"], document["success_count"], document["error_count"]) == (1000, 900, 100)
    assert document["errors_by_type"] == {"less_than_equal": 100}
    assert (document["input"], document["output"]) == (str(plugin / "people.csv"), "out/people.jsonl")


def test_options_change_the_run_and_their_places_are_below_the_current_folder(plugin: Path, here: Path) -> None:
    write_people(here / "few.csv", 30)
    done = synapse(
        "run", str(plugin), "--input", "few.csv", "--output", "good.jsonl", "--errors", "bad.jsonl", "--limit", "20",
        "--executor", "threads", "--workers", "2", cwd=here,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [row["id"] for row in json_lines(here / "good.jsonl")] == [i for i in range(20) if i % 10 != 9]
    assert [row["position"] for row in json_lines(here / "bad.jsonl")] == [9, 19]


def test_another_place_of_the_same_kind_keeps_the_arguments(plugin: Path, here: Path) -> None:
    write_plugin(plugin, CONFIG.replace("people.csv", "{type: csv, source: people.csv, delimiter: ';'}"))
    write_people(here / "few.csv", 30, delimiter=";")
    write_people(here / "few.dat", 30, delimiter=";")
    (here / "few.tsv").write_text("id\tname\tage\n1\ta\t3\n")
    for name, count in (("few.csv", 27), ("few.dat", 27), ("few.tsv", 1)):
        done = synapse("run", str(plugin), "--input", name, "--json", cwd=here)
        assert json.loads(done.stdout)["success_count"] == count, done.stderr


def test_failed_records_are_data_unless_asked_otherwise(plugin: Path, here: Path) -> None:
    assert synapse("run", str(plugin), "--limit", "10", cwd=here).returncode == 0
    assert synapse("run", str(plugin), "--limit", "10", "--fail-on-errors", cwd=here).returncode == 1
    assert synapse("run", str(plugin), "--limit", "9", "--fail-on-errors", cwd=here).returncode == 0


def test_what_hooks_print_is_no_data(plugin: Path, here: Path) -> None:
    write_plugin(plugin, CONFIG + "    pre_hooks: [shop.hooks:Prints]\n", rows=3)
    done = synapse("run", str(plugin), "--json", cwd=here)
    assert json.loads(done.stdout)["read_count"] == 3
    assert "printed by a hook" in done.stderr


@pytest.mark.parametrize("executor", ["serial", "threads", "processes", "asyncio"])
def test_every_executor_of_this_machine_writes_the_same(plugin: Path, here: Path, executor: str) -> None:
    write_plugin(plugin, CONFIG + "    pre_hooks: [shop.hooks:Upper]\n")
    done = synapse("run", str(plugin), "--executor", executor, "--workers", "2", cwd=here)
    if executor == "serial":
        assert done.returncode == 3
        assert "the executor 'serial' has no number of workers; those that have one:" in done.stderr
        done = synapse("run", str(plugin), "--executor", executor, cwd=here)
    assert done.returncode == 0, done.stderr
    people = json_lines(here / "out" / "people.jsonl")
    assert [row["id"] for row in people] == [i for i in range(ROWS) if i % 10 != 9]
    assert people[1]["name"] == "NAME 1"


# -- which flow -------------------------------------------------------------------------------

SECOND = CONFIG + CONFIG.partition("flows:\n")[2].replace("people:", "guests:", 1).replace("out/", "guests/")


def test_one_of_several_flows_has_to_be_named(plugin: Path, here: Path) -> None:
    write_plugin(plugin, SECOND)
    done = synapse("run", str(plugin), cwd=here)
    assert (done.returncode, done.stderr) == (
        3,
        "error: plugin 'shop' has several flows; say which with --flow: people, guests\n",
    )
    assert synapse("run", str(plugin), "--flow", "guests", cwd=here).returncode == 0
    assert (here / "guests" / "people.jsonl").exists()
    done = synapse("run", str(plugin), "--flow", "guest", cwd=here)
    assert done.returncode == 5
    assert "has no flow 'guest'. Did you mean 'guests'? Flows: people, guests" in done.stderr


def test_a_mistake_in_another_flow_does_not_block_the_one_that_was_asked_for(plugin: Path, here: Path) -> None:
    write_plugin(plugin, SECOND + "    modell: x\n    limit: -1\n    executor: thrads\n", rows=20)
    assert synapse("run", str(plugin), "--flow", "people", cwd=here).returncode == 0
    for command in ("run", "inspect"):
        done = synapse(command, str(plugin), "--flow", "guests", cwd=here)
        assert done.returncode == 2
        for key in ("modell", "limit", "executor"):
            assert f"flows.guests.{key}: " in done.stderr
    assert "flows.people" not in done.stderr


PIPE = """
from pydantic import BaseModel
from synapse_flow import CSVInputAdapter, JSONOutputAdapter, MultiProcessingExecutor, Pipe

class Person(BaseModel):
    id: int
    age: int

def make():
    return Pipe(CSVInputAdapter("few.csv"), MultiProcessingExecutor(Person, max_workers=1), JSONOutputAdapter("made.jsonl"))

pipe = make()
number = 3

def fails():
    raise RuntimeError("no pipe today")
"""


@pytest.mark.parametrize(
    "target",
    [
        "pipes.py:make",
        "pipes:pipe",
        *(pytest.param(f"{each}:make", marks=pytest.mark.campaign) for each in ("lib/pipes.py", "my-pipes.py")),
    ],
)
def test_a_pipe_in_python_runs_by_module_or_file(here: Path, target: str) -> None:
    write_people(here / "few.csv", 30)
    place = here / (target.partition(":")[0].removesuffix(".py") + ".py")
    place.parent.mkdir(exist_ok=True)
    place.write_text(PIPE)
    done = synapse("run", target, "--limit", "8", cwd=here)
    assert done.returncode == 0, done.stderr
    assert [row["id"] for row in json_lines(here / "made.jsonl")] == list(range(8))


def test_a_file_whose_name_another_module_has_is_run_all_the_same(here: Path) -> None:
    write_people(here / "few.csv", 30)
    (here / "lib").mkdir()
    (here / "lib" / "json.py").write_text(PIPE)
    done = synapse("run", "lib/json.py:pipe", "--limit", "8", "--json", cwd=here)
    assert json.loads(done.stdout)["success_count"] == 8, done.stderr


@pytest.mark.parametrize(
    ("target", "code", "said"),
    [
        ("pipes.py:number", 3, "pipes.py:number is no Pipe: a int"),
        ("pipes.py", 3, "name the pipe in it: pipes.py:pipe"),
        ("pipes.py:pip", 1, "has no 'pip'. Did you mean 'pipe'?"),
        ("pips.py:pipe", 5, "there is no file pips.py. Did you mean 'pipes.py'?"),
        ("pipes:fails", 1, "pipes:fails raised RuntimeError: no pipe today"),
        ("nowhere/plugin", 5, "no plugin at nowhere/plugin"),
    ],
)
def test_a_target_that_is_none_is_told_why(here: Path, target: str, code: int, said: str) -> None:
    write_people(here / "few.csv", 3)
    (here / "pipes.py").write_text(PIPE)
    done = synapse("run", target, cwd=here)
    assert done.returncode == code
    assert said in done.stderr


def test_an_input_that_is_not_there_is_an_error_with_a_document(plugin: Path, here: Path) -> None:
    (plugin / "people.csv").unlink()
    done = synapse("run", str(plugin), "--json", cwd=here)
    document = json.loads(done.stdout)
    assert done.returncode == 5
    assert document["status"] == "failed"
    assert "there is no file" in document["error"]["message"]
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [("--input", "nofile.csv"), ("--input", "nofile.parquet"), ("--input", "no/*.parquet")]
)
def test_an_input_that_is_typed_and_not_there_is_not_found(
    plugin: Path, here: Path, arguments: tuple[str, ...]
) -> None:
    (here / "nul.csv").touch()
    done = synapse("run", str(plugin), *arguments, cwd=here)
    assert done.returncode == 5
    if arguments[1] == "nofile.csv":
        assert done.stderr == f"error: there is no file {here}/nofile.csv. Did you mean 'nul.csv'?\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--executor", "thrads"], 2, "unknown executor 'thrads'. Did you mean 'threads'?"),
        (
            ["--input", "s3://bucket/people.csv"],
            4,
            "s3://bucket/people.csv cannot be opened: Unable to locate credentials",
        ),
        (
            ["--output", "s3://bucket/people.csv"],
            4,
            "s3://bucket/people.csv cannot be written: Unable to locate credentials",
        ),
    ],
)
def test_each_kind_of_mistake_has_its_exit_code(
    plugin: Path, here: Path, arguments: list[str], code: int, said: str
) -> None:
    nothing = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "none", "AWS_SHARED_CREDENTIALS_FILE": "none"}
    done = synapse("run", str(plugin), *arguments, cwd=here, **nothing)
    assert done.returncode == code
    assert said in done.stderr


@pytest.mark.parametrize("target", ["input", "output"])
def test_a_database_that_does_not_answer_is_unreachable(plugin: Path, here: Path, target: str) -> None:
    place = "{type: sql, url: 'postgresql+psycopg://me@127.0.0.1:1/x', table: t}"
    mine = "people.csv" if target == "input" else "out/people.jsonl"
    write_plugin(plugin, CONFIG.replace(f"{target}: {mine}", f"{target}: {place}"))
    done = synapse("run", str(plugin), cwd=here)
    assert (done.returncode, "me@127.0.0.1:1/x cannot be opened: " in done.stderr) == (6, True)


def test_an_output_that_fails_midway_is_taken_back_or_kept_to_go_on_with(plugin: Path, here: Path) -> None:
    write_plugin(plugin, CONFIG + "    post_hooks: [{entrypoint: shop.hooks:Add, args: {field: more}}]\n")
    done = synapse("run", str(plugin), "--output", "people.csv", cwd=here)
    assert done.returncode == 1
    assert "a record has 'more', for which the header has no column" in done.stderr
    assert not (here / "people.csv").exists()


@pytest.mark.parametrize(
    ("option", "place", "said"),
    [
        (
            "--output",
            "sqlite:///people.db",
            "cannot be used just so: 'table' is missing: SQLAlchemyOutputAdapter needs it",
        ),
        ("--output", "people.duckdb", "cannot be used just so: 'table' is missing: DuckDBOutputAdapter needs it"),
        ("--errors", "postgresql://me:hunter22@host/db", "postgresql://me:***@host/db cannot be used just so"),
    ],
)
def test_a_place_that_is_not_enough_is_told_what_is_missing(
    plugin: Path, here: Path, option: str, place: str, said: str
) -> None:
    (here / "pipes.py").write_text(PIPE)
    for target in (str(plugin), "pipes.py:pipe") if option == "--errors" else (str(plugin),):
        done = synapse("run", target, option, place, cwd=here)
        assert done.returncode == 3
        assert said in done.stderr
        assert "hunter22" not in done.stderr


@pytest.mark.parametrize("option", ["--output", "--errors"])
@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("x.pdf", "x.pdf does not say what it is by its suffix .pdf; known ones: .csv, .tsv, .tab, .json, .jsonl,"),
        ("x.pdf.gz", "by its suffix .pdf; known ones: "),
        (
            "-",
            "'-' is no place for records: standard output has the report. Name a file, such as people.jsonl, or a pipe",
        ),
        ("/dev/stdout", "'/dev/stdout' is no place for records"),
    ],
)
def test_a_place_that_means_no_kind_of_file_is_refused(
    plugin: Path, here: Path, option: str, place: str, said: str
) -> None:
    (here / "pipes.py").write_text(PIPE)
    for target in (str(plugin), "pipes.py:pipe"):
        done = synapse("run", target, option, place, cwd=here)
        assert (done.returncode, said in done.stderr) == (3, True), done.stderr
    assert {path.name for path in here.iterdir()} <= {"pipes.py", "__pycache__"}


def test_a_place_without_a_suffix_or_with_that_of_the_flow_is_of_the_flows_kind(plugin: Path, here: Path) -> None:
    write_plugin(plugin, CONFIG.replace("out/people.jsonl", "{type: csv, target: people.dat}"), rows=20)
    for place in ("people", "other.dat"):
        assert synapse("run", str(plugin), "--output", place, cwd=here).returncode == 0
        assert (here / place).read_text().startswith("id,name,age\n0,name 0,0\n")


def test_a_run_without_one_valid_record_says_why(plugin: Path, here: Path) -> None:
    write_plugin(plugin, CONFIG + "    pre_hooks: [shop.hooks:Upper]\n")
    (plugin / "people.csv").write_text("no,name,alter\n1,a,2\n2,b,3\n")
    for more in ([], ["--json"]):
        done = synapse("run", str(plugin), *more, cwd=here)
        assert (done.returncode, done.stderr) == (
            0, "note: no record was valid; fields that no column has: id, age; columns that no field takes: no, alter\n",
        )  # fmt: skip
    (plugin / "people.csv").write_text("id,name,age\n1,a,x\n")
    assert synapse("run", str(plugin), cwd=here).stderr == "note: no record was valid\n"


def test_a_damaged_checkpoint_is_told_once(plugin: Path, here: Path) -> None:
    (here / "out").mkdir()
    (here / "out" / "people.jsonl.checkpoint").write_text("{")
    done = synapse("run", str(plugin), cwd=here)
    assert done.returncode == 2
    assert done.stderr.count("out/people.jsonl.checkpoint is no checkpoint") == 1
    assert synapse("run", str(plugin), "--fresh", cwd=here).returncode == 0


# -- ends and beginnings ----------------------------------------------------------------------


def gated(plugin: Path, here: Path, executor: str) -> None:
    write_plugin(plugin, GATED.format(folder=here, executor=executor))


def uninterrupted(plugin: Path, here: Path) -> tuple[str, str]:
    (here / "go").touch()
    other = here / "whole"
    other.mkdir()
    assert synapse("run", str(plugin), cwd=other).returncode == 0
    return tuple((other / "out" / name).read_text() for name in ("people.jsonl", "errors.jsonl"))  # type: ignore[return-value]


@pytest.mark.parametrize("executor", ["threads", pytest.param("processes", marks=pytest.mark.campaign)])
def test_a_killed_run_goes_on_and_writes_what_an_uninterrupted_one_does(
    plugin: Path, here: Path, executor: str
) -> None:
    gated(plugin, here, executor)
    with running("run", str(plugin), cwd=here) as run:
        wait_for(here / "reached", run.process)
        wait_for(here / "out" / "people.jsonl.checkpoint", run.process)
        run.kill()
    assert not (here / "out" / "people.jsonl").exists()
    (here / "go").touch()
    done = synapse("run", str(plugin), cwd=here)
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(
        r"going on at record (\d+) of an unfinished run \(out/people\.jsonl\.checkpoint; --fresh starts afresh\)\n",
        done.stderr,
    )
    assert found, done.stderr
    assert 0 < int(found[1]) <= 700
    assert f", from record {found[1]} on" in done.stdout.splitlines()[0]
    people, errors = uninterrupted(plugin, here)
    assert (here / "out" / "people.jsonl").read_text() == people
    assert (here / "out" / "errors.jsonl").read_text() == errors
    assert sorted(path.name for path in (here / "out").iterdir()) == ["errors.jsonl", "people.jsonl"]


@pytest.mark.parametrize("executor", [pytest.param("threads", marks=pytest.mark.campaign), "processes", "dask"])
def test_ctrl_c_finishes_what_is_at_work_and_says_how_to_go_on(plugin: Path, here: Path, executor: str) -> None:
    gated(plugin, here, executor)
    with running("run", str(plugin), "--json", cwd=here) as run:
        wait_for(here / "reached", run.process)
        wait_for(here / "out" / "people.jsonl.checkpoint", run.process)
        run.interrupt()
        run.said("stopping; Ctrl-C once more does not wait")
        (here / "go").touch()
        code, out, err = run.end()
    assert code == 130
    assert "Traceback" not in err
    found = re.search(r"the same command goes on at record (\d+) \(out/people.jsonl.checkpoint\); --fresh starts", err)
    assert found, err
    assert json.loads(out)["status"] == "cancelled"
    done = synapse("run", str(plugin), cwd=here)
    assert f"going on at record {found[1]} " in done.stderr
    people, errors = uninterrupted(plugin, here)
    assert (here / "out" / "people.jsonl").read_text() == people
    assert (here / "out" / "errors.jsonl").read_text() == errors


@pytest.mark.parametrize("executor", [pytest.param("threads", marks=pytest.mark.campaign), "processes"])
def test_ctrl_c_twice_does_not_wait_and_leaves_no_process(plugin: Path, here: Path, executor: str) -> None:
    gated(plugin, here, executor)
    with running("run", str(plugin), cwd=here) as run:
        wait_for(here / "reached", run.process)
        wait_for(here / "out" / "people.jsonl.checkpoint", run.process)
        run.interrupt()
        run.said("stopping")
        run.interrupt()
        code, _, err = run.end()  # which waits for the pipes that children have too
        assert (code, err.count("Traceback")) == (130, 0), err
        wait_until_gone(run.process.pid)
    (here / "go").touch()
    assert "going on at record" in synapse("run", str(plugin), cwd=here).stderr


def test_sigterm_finishes_what_is_at_work_and_says_how_to_go_on(plugin: Path, here: Path) -> None:
    gated(plugin, here, "processes")
    with running("run", str(plugin), "--json", cwd=here) as run:
        wait_for(here / "reached", run.process)
        wait_for(here / "out" / "people.jsonl.checkpoint", run.process)
        run.process.terminate()
        run.said("stopping; SIGTERM once more does not wait")
        (here / "go").touch()
        code, out, err = run.end()
    assert (code, "Traceback" in err) == (143, False), err
    found = re.search(r"the same command goes on at record (\d+) \(out/people.jsonl.checkpoint\); --fresh starts", err)
    assert found, err
    assert json.loads(out)["status"] == "cancelled"
    refused = synapse("run", str(plugin), "--limit", "1", cwd=here)
    assert refused.returncode != 0
    assert f"has read {int(found[1]):,} records, and limit 1 was asked for" in refused.stderr
    part = here / "out" / "people.jsonl.partial"
    part.rename(here / "part")
    refused = synapse("run", str(plugin), cwd=here)
    assert "left in people.jsonl.partial is gone; start afresh with --fresh" in refused.stderr
    assert "the same command" not in refused.stderr
    (here / "part").rename(part)
    assert f"going on at record {found[1]} " in synapse("run", str(plugin), cwd=here).stderr


def test_sigterm_twice_does_not_wait_and_leaves_no_process(plugin: Path, here: Path) -> None:
    gated(plugin, here, "processes")
    with running("run", str(plugin), "--json", cwd=here) as run:
        wait_for(here / "reached", run.process)
        wait_for(here / "out" / "people.jsonl.checkpoint", run.process)
        run.process.terminate()
        run.said("stopping")
        run.process.terminate()
        code, out, err = run.end()
        assert (code, "Traceback" in err) == (143, False), err
        assert json.loads(out)["status"] == "cancelled"
        wait_until_gone(run.process.pid)


def test_a_second_run_beside_one_that_goes_on_says_so_and_nothing_else(plugin: Path, here: Path) -> None:
    gated(plugin, here, "threads")
    with running("run", str(plugin), cwd=here) as run:
        wait_for(here / "reached", run.process)
        wait_for(here / "out" / "people.jsonl.checkpoint", run.process)
        second = synapse("run", str(plugin), "--json", cwd=here)
        (here / "go").touch()
        assert run.end()[0] == 0
    assert (second.returncode, second.stderr) == (
        1, "error: another run writes out/people.jsonl now; wait for it, or choose another output\n",
    )  # fmt: skip
    document = json.loads(second.stdout)
    assert (document["status"], document["read_count"], document["success_count"]) == ("failed", 0, 0)
    assert document["resumed_at"] is None
    assert len(json_lines(here / "out" / "people.jsonl")) == 900


def test_fresh_forgets_an_unfinished_run(plugin: Path, here: Path) -> None:
    gated(plugin, here, "threads")
    with running("run", str(plugin), cwd=here) as run:
        wait_for(here / "reached", run.process)
        wait_for(here / "out" / "people.jsonl.checkpoint", run.process)
        run.kill()
    (here / "go").touch()
    done = synapse("run", str(plugin), "--fresh", cwd=here)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json_lines(here / "out" / "people.jsonl")) == 900


def test_fresh_takes_nothing_from_a_run_that_is_at_work(plugin: Path, here: Path) -> None:
    gated(plugin, here, "threads")
    kept = here / "out" / "people.jsonl.checkpoint"
    with running("run", str(plugin), cwd=here) as run:
        wait_for(here / "reached", run.process)
        wait_for(kept, run.process)
        write_people(plugin / "others.csv", 20)
        for more in ((), ("--input", str(plugin / "others.csv"))):
            done = synapse("run", str(plugin), "--fresh", *more, cwd=here)
            assert (done.returncode, done.stdout) == (1, "")
            assert "another run writes out/people.jsonl now; wait for it" in done.stderr
            assert "--fresh" not in done.stderr
        assert kept.exists()
        run.kill()
    (here / "go").touch()
    assert "going on at record" in synapse("run", str(plugin), cwd=here).stderr


def test_an_unfinished_run_of_another_input_is_not_gone_on_with(plugin: Path, here: Path) -> None:
    gated(plugin, here, "threads")
    with running("run", str(plugin), cwd=here) as run:
        wait_for(here / "reached", run.process)
        wait_for(here / "out" / "people.jsonl.checkpoint", run.process)
        run.kill()
    (here / "go").touch()
    write_people(plugin / "people.csv", 20)
    done = synapse("run", str(plugin), cwd=here)
    assert done.returncode == 2
    assert "its input changed since. Start afresh with --fresh" in done.stderr
    assert "goes on" not in done.stderr


def test_a_flow_that_wants_no_checkpoint_has_none(plugin: Path, here: Path) -> None:
    write_plugin(plugin, GATED.format(folder=here, executor="threads") + "    checkpoint: false\n")
    with running("run", str(plugin), cwd=here) as run:
        wait_for(here / "reached", run.process)
        run.interrupt()
        run.said("stopping")
        (here / "go").touch()
        code, _, err = run.end()
    assert code == 130
    assert "nothing was published: outputs appear when they are whole. The same command starts afresh" in err
    assert list((here / "out").iterdir()) == []


def test_an_output_that_cannot_go_on_is_run_without_a_checkpoint(plugin: Path, here: Path) -> None:
    write_plugin(plugin, CONFIG.replace("out/people.jsonl", "out/people.parquet"), rows=20)
    done = synapse("run", str(plugin), cwd=here)
    assert done.returncode == 0, done.stderr


# -- the line on a terminal -------------------------------------------------------------------


def test_a_terminal_has_a_line_that_moves_and_is_gone_at_the_end(plugin: Path, here: Path) -> None:
    import pexpect

    gated(plugin, here, "threads")
    env = {key: value for key, value in os.environ.items() if key not in ("CI", "NO_COLOR")} | {"TERM": "xterm"}
    child = pexpect.spawn(
        sys.executable, ["-m", "synapse_cli", "flow", "run", str(plugin)], cwd=str(here), env=env, encoding="utf-8",
        dimensions=(24, 100), timeout=60,
    )  # fmt: skip
    child.expect(r"\r\x1b\[Kpeople: \d+%, \d+ records, \d+ failed, [\d,]+ records/s")
    (here / "go").touch()
    child.expect(r"\r\x1b\[Kpeople: completed in")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_ctrl_c_on_a_terminal_leaves_a_line_of_its_own(plugin: Path, here: Path) -> None:
    import pexpect

    gated(plugin, here, "processes")
    env = {key: value for key, value in os.environ.items() if key != "CI"} | {"TERM": "xterm"}
    child = pexpect.spawn(
        sys.executable, ["-m", "synapse_cli", "flow", "run", str(plugin)], cwd=str(here), env=env, encoding="utf-8",
        dimensions=(24, 100), timeout=60,
    )  # fmt: skip
    child.expect("records/s")
    child.sendintr()
    child.expect("stopping; Ctrl-C once more does not wait")
    (here / "go").touch()
    child.expect(r"interrupted after [\d,]+ records; the same command goes on at record")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130


# -- inspect ----------------------------------------------------------------------------------


def test_inspect_shows_the_flow_and_its_first_records_and_writes_nothing(plugin: Path, here: Path) -> None:
    write_plugin(
        plugin,
        CONFIG
        + "    pre_hooks: [shop.hooks:Upper]\n    post_hooks: [{entrypoint: shop.hooks:Add, args: {field: x, value: 2}}]\n",
    )
    done = synapse("inspect", str(plugin), "--rows", "10", cwd=here)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "people: Check people."
    table = [line.split()[:2] for line in lines[2:9]]
    assert table == [
        ["input", "CSVInputAdapter"], ["pre-hook", "Upper"], ["model", "Person"], ["post-hook", "Add"],
        ["executor", "SyncFifoExecutor"], ["output", "JSONOutputAdapter"], ["errors", "JSONOutputAdapter"],
    ]  # fmt: skip
    assert ["age", "int", "yes", "age"] in [line.split() for line in lines]
    assert '{"id": 0, "name": "NAME 0", "age": 0, "x": 2}' in done.stdout
    assert lines[-1].split(maxsplit=2) == ["9", "failed", "age: Input should be less than or equal to 150"]
    assert list(here.iterdir()) == []


def test_inspect_as_json(plugin: Path, here: Path) -> None:
    (plugin / "people.csv").write_text("id,name,years\n1,a,2\n")
    document = json.loads(synapse("inspect", str(plugin), "--rows", "0", "--json", cwd=here).stdout)
    assert document["input"]["columns"] == ["id", "name", "years"]
    assert [(each["field"], each["column"]) for each in document["model"]["fields"]] == [
        ("id", "id"), ("name", "name"), ("age", None),
    ]  # fmt: skip
    assert document["unused_columns"] == ["years"]
    assert (document["records"], document["unfinished_at"]) == ([], None)


def test_inspect_says_where_an_unfinished_run_would_go_on(plugin: Path, here: Path) -> None:
    gated(plugin, here, "threads")
    with running("run", str(plugin), cwd=here) as run:
        wait_for(here / "reached", run.process)
        wait_for(here / "out" / "people.jsonl.checkpoint", run.process)
        run.kill()
    done = synapse("inspect", str(plugin), cwd=here)
    assert re.search(r"^unfinished run: goes on at record \d+ \(out/people.jsonl.checkpoint\)$", done.stdout, re.M)
    assert (here / "out" / "people.jsonl.checkpoint").exists()


# -- retry ------------------------------------------------------------------------------------


def test_retry_runs_failed_records_with_their_positions(plugin: Path, here: Path) -> None:
    assert synapse("run", str(plugin), "--limit", "50", cwd=here).returncode == 0
    model = plugin / "shop" / "model.py"
    model.write_text(model.read_text().replace("le=150", "le=250").replace("min_length=1", 'pattern="9$|2$"'))
    lines = (here / "out" / "errors.jsonl").read_text().splitlines()
    lines[2] = lines[2].replace('"name 29"', '"name 28"')
    (here / "out" / "errors.jsonl").write_text("\n".join(lines) + "\n")
    done = synapse("retry", str(plugin), "out/errors.jsonl", cwd=here)
    assert done.returncode == 0, done.stderr
    assert [row["id"] for row in json_lines(here / "out" / "people.retried.jsonl")] == [9, 19, 39, 49]
    (again,) = json_lines(here / "out" / "errors.retried.jsonl")
    assert (again["position"], again["line"], again["raw_data"]["id"]) == (29, 31, "29")
    assert again["errors"][0]["type"] == "string_pattern_mismatch"
    assert "out/people.retried.jsonl" in done.stdout
    assert "out/errors.retried.jsonl" in done.stdout
    assert len(json_lines(here / "out" / "people.jsonl")) == 45


@pytest.mark.parametrize("executor", ["serial", pytest.param("processes", marks=pytest.mark.campaign)])
def test_a_retry_of_a_retry_takes_no_earlier_ones_place(plugin: Path, here: Path, executor: str) -> None:
    write_plugin(plugin, CONFIG + "    pre_hooks: [shop.hooks:Upper]\n")
    assert synapse("run", str(plugin), "--limit", "50", cwd=here).returncode == 0
    for errors in ("out/errors.jsonl", "out/errors.retried.jsonl"):
        done = synapse("retry", str(plugin), errors, "--executor", executor, cwd=here)
        assert done.returncode == 0, done.stderr
    assert {path.name for path in (here / "out").iterdir()} == {
        "people.jsonl", "errors.jsonl", "people.retried.jsonl", "errors.retried.jsonl",
        "people.retried.retried.jsonl", "errors.retried.retried.jsonl",
    }  # fmt: skip
    last = json_lines(here / "out" / "errors.retried.retried.jsonl")
    assert [row["position"] for row in last] == [9, 19, 29, 39, 49]
    assert [row["raw_data"]["name"] for row in last] == [f"name {i}" for i in (9, 19, 29, 39, 49)]


def test_what_could_not_be_read_fails_again_unless_it_is_corrected(plugin: Path, here: Path) -> None:
    (plugin / "people.csv").write_bytes(b"id,name,age\n1,a,2\n2,Andr\xe9,3\n3,c,4,5\n4,d,5\n")
    assert synapse("run", str(plugin), cwd=here).returncode == 0
    synapse("retry", str(plugin), "out/errors.jsonl", cwd=here)
    again = json_lines(here / "out" / "errors.retried.jsonl")
    assert [(row["position"], row["errors"][0]["type"]) for row in again] == [(1, "encoding"), (2, "column_count")]
    rows = json_lines(here / "out" / "errors.jsonl")
    rows[0]["raw_data"]["name"] = "André"
    del rows[0]["errors"]
    (here / "out" / "errors.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    synapse("retry", str(plugin), "out/errors.jsonl", cwd=here)
    assert json_lines(here / "out" / "people.retried.jsonl") == [{"id": 2, "name": "André", "age": 3}]
    assert [row["position"] for row in json_lines(here / "out" / "errors.retried.jsonl")] == [2]


def test_the_limit_of_a_flow_is_none_of_its_retry(plugin: Path, here: Path) -> None:
    assert synapse("run", str(plugin), "--limit", "50", cwd=here).returncode == 0
    write_plugin(plugin, CONFIG + "    limit: 2\n")
    for arguments, count in (([], 5), (["--limit", "3"], 3)):
        done = synapse("retry", str(plugin), "out/errors.jsonl", "--json", *arguments, cwd=here)
        assert json.loads(done.stdout)["read_count"] == count


def test_retry_of_a_pipe_in_python(here: Path) -> None:
    write_people(here / "few.csv", 30)
    (here / "few.csv").write_text((here / "few.csv").read_text().replace("\n3,", "\nthree,"))
    (here / "pipes.py").write_text(PIPE)
    assert synapse("run", "pipes.py:pipe", "--errors", "bad.jsonl.gz", cwd=here).returncode == 0
    done = synapse("retry", "pipes.py:pipe", "bad.jsonl.gz", "--json", cwd=here)
    document = json.loads(done.stdout)
    assert (document["read_count"], document["error_count"]) == (1, 1)
    assert (document["output"], document["errors"]) == ("made.retried.jsonl", "bad.retried.jsonl.gz")


def test_a_file_that_is_none_of_errors_is_told_why(plugin: Path, here: Path) -> None:
    (here / "other.jsonl").write_text('{"id": 1}\n')
    done = synapse("retry", str(plugin), "other.jsonl", cwd=here)
    assert done.returncode == 3
    assert "other.jsonl, line 1, is no failed record: it has no 'raw_data'" in done.stderr
