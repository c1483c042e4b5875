"""`synapse plugin run`: what it prints where, and what it ends with."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def test_the_result_is_data_and_the_rest_is_talk(synapse: Any, plugin: Path) -> None:
    done = synapse("plugin", "run", "reports", "--path", str(plugin))
    assert done.returncode == 0
    assert done.stdout == "printed by the action\n"
    for line in ("epoch loss=0.5", "progress work 1/2 (50%)", "metrics work accuracy=0.9", "dev: for developers"):
        assert line in done.stderr


def test_a_dict_is_printed_as_json(synapse: Any, plugin: Path) -> None:
    done = synapse("plugin", "run", "add", "--path", str(plugin), "--params", '{"left": 2}')
    assert (done.returncode, json.loads(done.stdout)) == (0, {"sum": 3, "scale": {}})


def test_text_is_printed_as_it_is_and_nothing_as_nothing(synapse: Any, plugin: Path) -> None:
    assert synapse("plugin", "run", "text", "--path", str(plugin)).stdout == "just text\n"
    assert synapse("plugin", "run", "nothing", "--path", str(plugin)).stdout == ""


def test_json_holds_one_document_and_nothing_else(synapse: Any, plugin: Path) -> None:
    done = synapse("plugin", "run", "add", "--path", str(plugin), "--params", '{"left": 2}', "--json")
    assert json.loads(done.stdout) == {
        "action": "add",
        "mode": "local",
        "status": "succeeded",
        "result": {"sum": 3, "scale": {}},
    }


def test_what_an_action_prints_does_not_get_into_the_json_document(synapse: Any, plugin: Path) -> None:
    done = synapse("plugin", "run", "reports", "--path", str(plugin), "--json")
    assert json.loads(done.stdout)["status"] == "succeeded"
    assert "printed by the action" in done.stderr


@pytest.mark.parametrize(("action", "shown"), [("odd", "Odd()"), ("unprintable", "Unprintable")])
def test_a_result_that_cannot_be_printed_is_still_a_success(
    synapse: Any, plugin: Path, action: str, shown: str
) -> None:
    done = synapse("plugin", "run", action, "--path", str(plugin))
    assert done.returncode == 0
    assert shown in done.stdout + done.stderr
    assert "note:" in done.stderr


def test_the_plugin_is_found_from_a_folder_inside_it(synapse: Any, plugin: Path) -> None:
    assert synapse("plugin", "run", "text", cwd=plugin / "plugin").stdout == "just text\n"


@pytest.mark.parametrize("code", ["shop", "./shop"])
def test_the_plugin_is_found_by_its_code_or_path(synapse: Any, plugin: Path, code: str) -> None:
    assert synapse("plugin", "run", "text", "--plugin", code).stdout == "just text\n"
    assert synapse("plugin", "run", "text", "-p", code, cwd=plugin.parent).stdout == "just text\n"


# -- params -----------------------------------------------------------------------------------


def test_set_overrides_params_with_dotted_keys_and_yaml_values(synapse: Any, plugin: Path) -> None:
    done = synapse(
        "plugin", "run", "echo", "--path", str(plugin), "--params", '{"a": {"b": 1, "c": 2}, "d": 0}',
        "--set", "a.b=0.5", "--set", "d=[1, two]", "--set", "e.f.g=true", "--set", "h=", "--set", "i=x=y",
    )  # fmt: skip
    assert json.loads(done.stdout) == {
        "a": {"b": 0.5, "c": 2},
        "d": [1, "two"],
        "e": {"f": {"g": True}},
        "h": None,
        "i": "x=y",
    }


def test_params_come_from_a_file_or_from_standard_input(synapse: Any, plugin: Path, tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("left: 2\nright: 3\n")
    for arguments, stdin in ((("--params", f"@{file}"), ""), (("--params", "-"), "left: 2\nright: 3\n")):
        done = synapse("plugin", "run", "add", "--path", str(plugin), *arguments, stdin=stdin)
        assert json.loads(done.stdout)["sum"] == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--params", '{"left": 1 "right": 2}'], "column 12"),
        (["--params", "[1]"], "found a list"),
        (["--params", "@nowhere.yaml"], "nowhere.yaml"),
        (["--set", "left"], "key=value"),
        (["--set", "a=1", "--set", "a.b=2"], "inside a number"),
        (["--set", "a=[1"], "not valid YAML"),
        (["--env", "=1"], "KEY=VALUE"),
        (["--env", "NOT_SET_ANYWHERE"], "not set"),
        (["--input", "{"], "--input is not valid JSON"),
        (["--gpus", "-1"], "0 or more"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_a_mistyped_command_line_is_a_usage_error(synapse: Any, plugin: Path, arguments: list[str], said: str) -> None:
    done = synapse("plugin", "run", "add", "--path", str(plugin), *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_json_that_is_not_valid_is_pointed_at(synapse: Any, plugin: Path) -> None:
    done = synapse("plugin", "run", "add", "--path", str(plugin), "--params", '{"left": 1 "right": 2}')
    lines = done.stderr.splitlines()
    at = next(i for i, line in enumerate(lines) if line.strip() == "^")
    assert lines[at - 1][lines[at].index("^")] == '"'


def test_params_that_fail_name_every_field_and_nothing_has_run(synapse: Any, plugin: Path) -> None:
    done = synapse("plugin", "run", "add", "--path", str(plugin), "--params", '{"left": -1, "right": "x", "rigth": 1}')
    assert done.returncode == 3
    for said in ("left: ", "(given: -1)", "right: ", "(given: 'x')", "rigth: "):
        assert said in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(("action", "hint"), [("add", "--set left=…"), ("infer", "--input JSON")])
def test_missing_params_say_how_to_give_them(synapse: Any, plugin: Path, action: str, hint: str) -> None:
    done = synapse("plugin", "run", action, "--path", str(plugin))
    assert done.returncode == 3
    assert hint in done.stderr


def test_input_and_infer_path_become_params_of_infer(synapse: Any, plugin: Path) -> None:
    given = synapse("plugin", "run", "infer", "--path", str(plugin), "-i", "[1, 2]", "--infer-path", "/predict")
    assert json.loads(given.stdout) == {"input": [1.0, 2.0], "path": "/predict"}
    default = synapse("plugin", "run", "infer", "--path", str(plugin), "--input", "[1]")
    assert json.loads(default.stdout)["path"] == "/"


# -- settings ---------------------------------------------------------------------------------


def test_settings_come_from_the_process_then_the_config_then_the_command_line(synapse: Any, plugin: Path) -> None:
    done = synapse(
        "plugin", "run", "settings", "--path", str(plugin), "--params", '{"keys": ["GREETING", "LAYER", "OUTSIDE", "X"]}',
        "--env", "LAYER=cli", "--env", "X",
        env={"OUTSIDE": "process", "LAYER": "process", "X": "passed-on"},
    )  # fmt: skip
    assert json.loads(done.stdout) == {
        "GREETING": "from-config",
        "LAYER": "cli",
        "OUTSIDE": "process",
        "X": "passed-on",
    }


# -- failures ---------------------------------------------------------------------------------


def test_an_action_that_fails_shows_its_own_traceback(synapse: Any, plugin: Path) -> None:
    done = synapse("plugin", "run", "fail", "--path", str(plugin))
    assert done.returncode == 1
    assert "about to fail" in done.stderr
    assert str(plugin / "plugin" / "actions.py") in done.stderr
    assert "synapse_core" not in done.stderr
    assert done.stderr.strip().endswith("ValueError: the reason")


def test_without_debug_a_failure_is_one_line(synapse: Any, plugin: Path) -> None:
    done = synapse("plugin", "run", "fail", "--path", str(plugin), "--no-debug")
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if "about to fail" not in line] == [
        "error: action 'fail' failed: ValueError: the reason"
    ]


def test_a_failure_in_json_is_a_document_too(synapse: Any, plugin: Path) -> None:
    done = synapse("plugin", "run", "fail", "--path", str(plugin), "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["status"], document["error"]["original_type"]) == (1, "failed", "ValueError")


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("leave", "sys.exit(0)"),
        ("base", "below Exception"),
        ("group", "second"),
        ("mute", "Mute"),
        ("unpicklable", "ValueError"),
    ],
)
def test_whatever_an_action_raises_is_a_failure(synapse: Any, plugin: Path, action: str, said: str) -> None:
    done = synapse("plugin", "run", action, "--path", str(plugin))
    assert done.returncode == 1
    assert said in done.stderr


def test_an_unknown_action_names_the_nearest(synapse: Any, plugin: Path) -> None:
    done = synapse("plugin", "run", "ad", "--path", str(plugin))
    assert done.returncode == 5
    assert "Did you mean 'add'?" in done.stderr


def test_a_module_that_does_not_import_shows_its_traceback_and_spoils_only_itself(synapse: Any, plugin: Path) -> None:
    done = synapse("plugin", "run", "broken", "--path", str(plugin))
    assert done.returncode == 1
    assert f'File "{plugin / "plugin" / "broken.py"}", line 3' in done.stderr
    assert synapse("plugin", "run", "text", "--path", str(plugin)).returncode == 0


def test_a_missing_name_in_a_module_names_the_file(synapse: Any, plugin: Path) -> None:
    done = synapse("plugin", "run", "absent", "--path", str(plugin))
    assert done.returncode == 1
    assert "actions.py has no 'Abscent'" in done.stderr


def test_a_missing_plugin_names_those_below(synapse: Any, plugin: Path) -> None:
    done = synapse("plugin", "run", "text", "--path", str(plugin.parent))
    assert done.returncode == 5
    assert "shop" in done.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "empty"),
        ("code: [unclosed", "config.yaml:1"),
        ("- a\n- b\n", "expected a mapping"),
        ("code: x\nactions:\n  one:\n    entrypoint: a.b:C\n    retries: many\n", "config.yaml:5"),
        ("code: x\nactions: [one]\n", "config.yaml:2"),
    ],
)
def test_a_broken_config_names_file_line_and_what_was_expected(
    synapse: Any, tmp_path: Path, content: str, said: str
) -> None:
    (tmp_path / "config.yaml").write_text(content)
    done = synapse("plugin", "run", "one")
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_near_miss_in_the_config_is_a_warning(synapse: Any, plugin: Path) -> None:
    config = plugin / "config.yaml"
    config.write_text(config.read_text().replace("method: task", "methd: task"))
    done = synapse("plugin", "run", "text", "--path", str(plugin))
    assert done.returncode == 0
    assert "Did you mean 'method'?" in done.stderr


def test_garbage_is_collected_while_an_action_runs(synapse: Any, plugin: Path) -> None:
    (plugin / "plugin" / "collects.py").write_text(
        "import gc\n\n\ndef check(params, ctx):\n    return gc.isenabled()\n"
    )
    (plugin / "config.yaml").write_text("code: shop\nactions: {check: plugin.collects:check}\n")
    assert synapse("plugin", "run", "check", "--path", str(plugin)).stdout == "true\n"


# -- modes ------------------------------------------------------------------------------------


def test_an_unknown_mode_lists_the_known(synapse: Any, plugin: Path) -> None:
    done = synapse("plugin", "run", "text", "--path", str(plugin), "--mode", "locl")
    assert done.returncode == 2
    assert "Did you mean 'local'?" in done.stderr
    assert "remote" in done.stderr


@pytest.mark.parametrize(("mode", "package"), [("pipeline", "'synapse-pipeline[ray]'"), ("remote", "synapse-remote")])
def test_a_mode_that_is_not_installed_says_what_to_install(synapse: Any, plugin: Path, mode: str, package: str) -> None:
    done = synapse("plugin", "run", "text", "--path", str(plugin), "-m", mode)
    assert done.returncode == 2
    assert f"pip install {package}" in done.stderr


@pytest.mark.parametrize(
    ("option", "modes"),
    [
        (["--gpus", "1"], "task"),
        (["--cpus", "0.5"], "task"),
        (["--ray-address", "auto"], "task"),
        (["--host", "http://x"], "remote"),
        (["-t", "secret-token"], "remote"),
        (["--debug-sdk"], "task"),
    ],
)
def test_an_option_of_other_modes_names_them(synapse: Any, plugin: Path, option: list[str], modes: str) -> None:
    done = synapse("plugin", "run", "text", "--path", str(plugin), "--mode", "local", *option)
    assert done.returncode == 2
    assert modes in done.stderr
    assert "secret-token" not in done.stderr + done.stdout


# -- interruption -----------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["waits", "waits_async"])
def test_ctrl_c_runs_the_finally_blocks_and_ends_with_130(plugin: Path, tmp_path: Path, action: str) -> None:
    started, cleaned = tmp_path / "started", tmp_path / "cleaned"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "synapse_cli",
            "plugin",
            "run",
            action,
            "--path",
            str(plugin),
            "--set",
            f"started={started}",
            "--set",
            f"cleaned={cleaned}",
        ],
        stderr=subprocess.PIPE,
        text=True,
        # A background job of a shell ignores Ctrl-C, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not started.exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, talk = process.communicate(timeout=30)
    assert process.returncode == 130
    assert cleaned.exists()
    assert "Traceback" not in talk


def test_a_reader_that_goes_away_is_no_error(plugin: Path) -> None:
    run = f"{sys.executable} -m synapse_cli plugin run echo --path {plugin} --params '{{\"a\": 1}}' | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", run], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# -- things that go wrong around an action ----------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["--set", "d=2024-13-45"],
        ["--params", "@dated.yaml"],
        ["--params", '{"a": ' + "9" * 5000 + "}"],
        ["--set", "a=" + "9" * 5000],
        ["--params", "[" * 100_000],
        ["--set", "a=" + "[" * 5000],
        ["--params", "@~nosuchuser/x"],
        ["--gpus", "nan"],
        ["--gpus", "inf"],
        ["--set", "a[1]=2"],
        ["--set", "[0]=2"],
        ["--set", "a]=2"],
    ],
    ids=lambda arguments: " ".join(arguments)[:24],
)
def test_odd_values_are_usage_errors(synapse: Any, plugin: Path, tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "dated.yaml").write_text("a: 2024-13-45")
    done = synapse("plugin", "run", "echo", "--path", str(plugin), *arguments)
    assert (done.returncode, "Traceback" in done.stderr, done.stdout) == (2, False, "")


def test_a_json_file_is_read_as_json(synapse: Any, plugin: Path, tmp_path: Path) -> None:
    document = '{\n\t"a": 1e-3, "b": "\\ud83d\\ude00", "c": "no"}'
    for name in ("params.json", "params.yaml"):
        (tmp_path / name).write_text(document)
        done = synapse("plugin", "run", "echo", "--path", str(plugin), "--params", f"@{name}")
        assert json.loads(done.stdout) == {"a": 0.001, "b": "😀", "c": "no"}
    done = synapse("plugin", "run", "echo", "--path", str(plugin), "--params", "-", stdin=document)
    assert json.loads(done.stdout)["a"] == 0.001


def test_input_may_be_a_file_too(synapse: Any, plugin: Path, tmp_path: Path) -> None:
    (tmp_path / "numbers.yaml").write_text("[1, 2]")
    done = synapse("plugin", "run", "infer", "--path", str(plugin), "--input", "@numbers.yaml")
    assert json.loads(done.stdout)["input"] == [1.0, 2.0]


def test_set_reaches_into_lists(synapse: Any, plugin: Path) -> None:
    settings = ["--set", "layers[0].width=4", "--set", "layers[1].width=1e3", "--set", "layers[0].bias=true"]
    done = synapse("plugin", "run", "echo", "--path", str(plugin), *settings)
    assert json.loads(done.stdout) == {"layers": [{"width": 4, "bias": True}, {"width": 1000.0}]}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--params", '{"db": "x"}', "--set", "db.password=hunter2"],
        ["--set", "password hunter2"],
        ["--set", "password=[hunter2"],
        ["--params", '{"password": "hunter2",}'],
    ],
)
def test_no_secret_is_shown_in_a_usage_error(synapse: Any, plugin: Path, arguments: list[str]) -> None:
    done = synapse("plugin", "run", "echo", "--path", str(plugin), *arguments)
    assert (done.returncode, "hunter2" in done.stderr) == (2, False)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["plugin", "list", "--path", "nowhere"], 5),
        (["plugin", "show", "zzz"], 5),
        (["plugin", "run", "text", "--params", "{"], 2),
        (["plugin", "run", "text", "--gpus", "1"], 2),
        (["plugin", "run", "broken"], 1),
        (["plugin", "run", "add"], 3),
    ],
)
def test_every_failure_is_a_document_with_json(synapse: Any, plugin: Path, arguments: list[str], code: int) -> None:
    done = synapse(*arguments, "--json", cwd=plugin)
    document = json.loads(done.stdout)
    assert (done.returncode, document["status"]) == (code, "failed")
    assert document["error"]["message"]


STREAMS = {
    "replaces stdout": "sys.stdout = io.StringIO()",
    "redirects stdout to a file": "sys.stdout = open('elsewhere', 'w')",
    "closes stdout": "sys.stdout.close()",
    "closes stderr": "sys.stderr.close()",
    "sets both to None": "sys.stdout = sys.stderr = None",
    "closes the file descriptor": "os.close(1)",
}


@pytest.mark.parametrize("statement", STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["text", "json"])
def test_a_result_is_printed_whatever_the_action_does_to_the_streams(
    synapse: Any, plugin: Path, statement: str, more: list[str]
) -> None:
    code = f"import io, os, sys\n\n\ndef act(params, ctx):\n    {statement}\n    return {{'a': 1}}\n"
    (plugin / "plugin" / "streams.py").write_text(code)
    (plugin / "config.yaml").write_text("code: shop\nactions: {act: plugin.streams:act}\n")
    done = synapse("plugin", "run", "act", "--path", str(plugin), *more)
    document = json.loads(done.stdout)
    assert (done.returncode, document["result"] if more else document) == (0, {"a": 1})


def test_a_thread_left_behind_does_not_get_into_the_document(synapse: Any, plugin: Path) -> None:
    (plugin / "plugin" / "late.py").write_text(
        "import threading\n\n\ndef act(params, ctx):\n"
        "    main = threading.main_thread()\n"
        "    threading.Thread(target=lambda: (main.join(), print('late'))).start()\n"
    )
    (plugin / "config.yaml").write_text("code: shop\nactions: {act: plugin.late:act}\n")
    done = synapse("plugin", "run", "act", "--path", str(plugin), "--json")
    assert json.loads(done.stdout)["status"] == "succeeded"
    assert "late" in done.stderr


@pytest.mark.parametrize(
    "arguments", [["plugin", "run", "text"], ["plugin", "run", "add", "--json"], ["plugin", "list"]]
)
@pytest.mark.parametrize("target", [">/dev/full", ">&-"])
def test_output_that_cannot_be_written_is_a_failure_with_a_reason(
    plugin: Path, arguments: list[str], target: str
) -> None:
    command = f"{sys.executable} -m synapse_cli {' '.join(arguments)} {target}"
    done = subprocess.run(["bash", "-c", command], cwd=plugin, capture_output=True, text=True, check=False)
    assert done.returncode in (1, 3)
    assert "Traceback" not in done.stderr
    assert "cannot be written" in done.stderr or done.returncode == 3


def test_help_for_nobody_is_no_failure(plugin: Path) -> None:
    command = f"{sys.executable} -m synapse_cli --help >&-"
    done = subprocess.run(["bash", "-c", command], cwd=plugin, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_generator_is_refused_because_nothing_of_it_would_run(synapse: Any, plugin: Path) -> None:
    (plugin / "plugin" / "lazy.py").write_text("def act(params, ctx):\n    yield 1\n")
    (plugin / "config.yaml").write_text("code: shop\nactions: {act: plugin.lazy:act}\n")
    done = synapse("plugin", "run", "act", "--path", str(plugin))
    assert (done.returncode, "generator" in done.stderr) == (1, True)


def test_several_plugins_of_one_code_are_an_error_that_lists_them(synapse: Any, plugin: Path) -> None:
    for name in ("a", "b"):
        (plugin.parent / name).mkdir()
        (plugin.parent / name / "config.yaml").write_text("code: same\nactions: {}\n")
    done = synapse("plugin", "run", "x", "-p", "same", cwd=plugin.parent)
    assert done.returncode == 5
    assert str(plugin.parent / "a") in done.stderr
    assert str(plugin.parent / "b") in done.stderr


def test_a_deleted_working_directory_is_a_clear_error(plugin: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f"cd {gone} && rmdir {gone} && {sys.executable} -m synapse_cli plugin list"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, "has been deleted" in done.stderr) == (5, True)
