"""The other commands, and commands and backends of other packages."""

import json
import os
import sys
import textwrap
from pathlib import Path
from typing import Any

import pexpect
import pytest

from synapse_cli.kit import print_json


def write_distribution(folder: Path, name: str, module: str, code: str, **more: str) -> dict[str, str]:
    """Write an installed distribution with one backend entry point; returns the environment that has it."""
    metadata = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text(f"[synapse.backends]\n{name} = {module}\n")
    for file, text in {f"{module}.py": code, **{f"{key}.py": value for key, value in more.items()}}.items():
        (folder / file).write_text(textwrap.dedent(text))
    return {"PYTHONPATH": str(folder)}


# -- list -------------------------------------------------------------------------------------


def test_list_shows_the_actions_and_imports_no_plugin_code(synapse: Any, plugin: Path) -> None:
    (plugin / "plugin" / "actions.py").write_text("raise SystemExit('imported')")
    done = synapse("plugin", "list", "--path", str(plugin))
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].split() == ["ACTION", "METHOD", "ENTRYPOINT", "DESCRIPTION"]
    assert done.stdout.splitlines()[1].split(maxsplit=3) == [
        "add",
        "task",
        "plugin.actions:AddAction",
        "Add two numbers.",
    ]


def test_list_in_json_is_a_list_of_plugins(synapse: Any, plugin: Path) -> None:
    (document,) = json.loads(synapse("plugin", "list", "--path", str(plugin), "--json").stdout)
    assert (document["code"], document["path"]) == ("shop", str(plugin))
    assert document["actions"][1] == {
        "name": "echo",
        "entrypoint": "plugin.actions:echo",
        "method": None,
        "description": None,
    }


def test_list_above_several_plugins_shows_them_all_and_skips_environments(synapse: Any, plugin: Path) -> None:
    for place in ("other", ".hidden", "env", "node_modules/x"):
        folder = plugin.parent / place
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(f"code: {folder.name.strip('.')}\nactions: {{go: a.b:C}}\n")
    (plugin.parent / "env" / "pyvenv.cfg").touch()
    done = synapse("plugin", "list", "--json", cwd=plugin.parent)
    assert [document["code"] for document in json.loads(done.stdout)] == ["other", "shop"]


@pytest.mark.parametrize("content", ["actions: [1]", "actions: {a: 3}", "", "a: [", "[]"])
def test_list_of_a_broken_config_is_a_clear_error(synapse: Any, tmp_path: Path, content: str) -> None:
    (tmp_path / "config.yaml").write_text(content)
    done = synapse("plugin", "list")
    assert done.returncode == 2
    assert "config.yaml" in done.stderr
    assert "Traceback" not in done.stderr


# -- show -------------------------------------------------------------------------------------


def test_show_is_a_table_of_params(synapse: Any, plugin: Path) -> None:
    rows = synapse("plugin", "show", "add", "--path", str(plugin)).stdout.splitlines()
    left = next(row for row in rows if row.startswith("left"))
    assert (
        left.split(maxsplit=4) == ["left", "integer", "(required)", ">=", "0   The left one"] or "The left one" in left
    )
    assert any(row.split()[:3] == ["right", "integer", "1"] for row in rows)


def test_show_in_json_is_the_json_schema(synapse: Any, plugin: Path) -> None:
    schema = json.loads(synapse("plugin", "show", "add", "--path", str(plugin), "--json").stdout)
    assert schema["required"] == ["left"]
    assert schema["properties"]["left"]["minimum"] == 0


def test_show_of_an_action_without_a_model_says_so(synapse: Any, plugin: Path) -> None:
    assert "no params model" in synapse("plugin", "show", "echo", "--path", str(plugin)).stdout


def test_show_of_an_unknown_action_is_not_found(synapse: Any, plugin: Path) -> None:
    done = synapse("plugin", "show", "ad", "--path", str(plugin))
    assert (done.returncode, "Did you mean 'add'?" in done.stderr) == (5, True)


# -- executors --------------------------------------------------------------------------------


def test_executors_shows_what_is_installed_and_what_is_not(synapse: Any) -> None:
    done = synapse("executors")
    assert "local" in done.stdout
    assert "synapse-local" in done.stdout
    assert "pip install synapse-remote" in done.stderr


def test_executors_in_json_have_capabilities_and_errors(synapse: Any) -> None:
    local = next(row for row in json.loads(synapse("executors", "--json").stdout) if row["name"] == "local")
    assert local["package"] == "synapse-local"
    assert local["error"] is None
    assert "returns_result" in local["capabilities"]


BROKEN = {
    "does not import": "raise RuntimeError('half installed')",
    "exits at import": "import sys; sys.exit(3)",
    "hook fails": """
        from synapse_core import hookimpl
        @hookimpl
        def synapse_executors():
            return 1 / 0
        """,
    "wrong item": """
        from synapse_core import hookimpl
        @hookimpl
        def synapse_executors():
            return ["x"]
        """,
}


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(code, id=name, marks=pytest.mark.campaign if name in ("wrong item", "does not import") else ())
        for name, code in BROKEN.items()
    ],
)
def test_a_broken_backend_breaks_neither_help_nor_local_and_is_a_row_with_its_error(
    synapse: Any, plugin: Path, tmp_path: Path, code: str
) -> None:
    env = write_distribution(tmp_path / "site", "acme-broken", "acme_plugin", code)
    assert synapse("--help", env=env).returncode == 0
    assert synapse("plugin", "run", "text", "--path", str(plugin), env=env).stdout == "just text\n"
    rows = json.loads(synapse("executors", "--json", env=env).stdout)
    assert [row["package"] for row in rows if row["error"]] == ["acme-broken"]


ACME = """
from synapse_core import Capabilities, CommandDescription, ExecutorDescription, hookimpl

@hookimpl
def synapse_executors():
    return [ExecutorDescription(name="acme", target="acme_engine:AcmeExecutor", aliases=("a2",), help="elsewhere",
                                capabilities=Capabilities(returns_result=True), options=("env", "num_gpus"))]

@hookimpl
def synapse_commands():
    return [CommandDescription(name="acme", target="acme_commands:acme", help="Greets from Acme.", aliases=("ac",)),
            CommandDescription(name="acme-broken", target="acme_commands:nothing", help="Is broken.")]
"""
ACME_ENGINE = """
class AcmeExecutor:
    def __init__(self, env=None, num_gpus=0):
        self.gpus = num_gpus
    def execute(self, action, params, **kwargs):
        return {"ran": action.name, "gpus": self.gpus}
"""
ACME_COMMANDS = """
import click
from synapse_cli.kit import json_option, print_data, print_json
from synapse_core import AuthenticationError

@click.command()
@click.option("--fail", is_flag=True)
@json_option
def acme(fail, as_json):
    if fail:
        raise AuthenticationError("no token; set ACME_TOKEN")
    print_json({"hello": "acme"}) if as_json else print_data("hello from acme")
"""


@pytest.fixture
def acme(tmp_path: Path) -> dict[str, str]:
    return write_distribution(
        tmp_path / "site", "acme", "acme_plugin", ACME, acme_engine=ACME_ENGINE, acme_commands=ACME_COMMANDS
    )


@pytest.mark.parametrize("mode", ["acme", "a2"])
def test_an_executor_of_another_package_is_a_mode(synapse: Any, plugin: Path, acme: dict[str, str], mode: str) -> None:
    done = synapse("plugin", "run", "add", "--path", str(plugin), "--mode", mode, "--gpus", "2", env=acme)
    assert json.loads(done.stdout) == {"ran": "add", "gpus": 2}


def test_a_command_of_another_package_is_in_the_help_and_runs(synapse: Any, acme: dict[str, str]) -> None:
    assert "Greets from Acme." in synapse("--help", env=acme).stdout
    assert synapse("acme", env=acme).stdout == "hello from acme\n"
    assert synapse("ac", env=acme).stdout == "hello from acme\n"
    assert json.loads(synapse("acme", "--json", env=acme).stdout) == {"hello": "acme"}


def test_an_error_of_another_packages_command_has_its_exit_code(synapse: Any, acme: dict[str, str]) -> None:
    done = synapse("acme", "--fail", env=acme)
    assert (done.returncode, "set ACME_TOKEN" in done.stderr) == (4, True)


def test_a_command_that_does_not_load_says_where_it_comes_from(synapse: Any, acme: dict[str, str]) -> None:
    done = synapse("acme-broken", env=acme)
    assert done.returncode == 2
    assert "acme_commands:nothing" in done.stderr


def test_installing_and_removing_a_package_is_noticed(synapse: Any, tmp_path: Path) -> None:
    site = tmp_path / "site"
    env = write_distribution(site, "acme", "acme_plugin", ACME)
    assert "Greets from Acme." in synapse("--help", env=env).stdout
    (site / "acme_plugin.py").write_text(ACME.replace("Greets from Acme.", "Greets differently."))
    assert "Greets differently." in synapse("--help", env=env).stdout
    for file in (site / "acme-1.2.dist-info").iterdir():
        file.unlink()
    (site / "acme-1.2.dist-info").rmdir()
    assert "acme" not in synapse("--help", env=env).stdout


# -- the rest ---------------------------------------------------------------------------------


def test_version_is_that_of_the_package(synapse: Any) -> None:
    from importlib.metadata import version

    assert synapse("--version").stdout == f"synapse {version('synapse-cli')}\n"


def test_an_unknown_command_names_the_nearest(synapse: Any) -> None:
    done = synapse("plugn")
    assert (done.returncode, "Did you mean 'plugin'?" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("synapse plugin run a", {"add", "absent"}),
        ("synapse plugin show wa", {"waits", "waits_async"}),
        ("synapse plugin run add --mode lo", {"local"}),
        ("synapse pl", {"plugin"}),
        ("synapse plugin li", {"list"}),
    ],
)
def test_the_shell_completes_names(synapse: Any, plugin: Path, words: str, offered: set[str]) -> None:
    done = synapse(
        cwd=plugin,
        env={
            "_SYNAPSE_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        },
    )
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == offered


def test_completion_without_a_plugin_offers_nothing_and_says_nothing(synapse: Any, tmp_path: Path) -> None:
    words = "synapse plugin run a"
    done = synapse(env={"_SYNAPSE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "3"})
    assert (done.stdout.strip(), done.stderr) == ("", "")


# -- several packages under one name ----------------------------------------------------------

TWICE = """
from synapse_core import CommandDescription, ExecutorDescription, hookimpl

@hookimpl
def synapse_executors():
    return [ExecutorDescription(name="twice", target="x:Y", options=())]

@hookimpl
def synapse_commands():
    return [CommandDescription(name="greet", target="x:y", help="Greets.")]
"""


@pytest.fixture
def twice(tmp_path: Path) -> dict[str, str]:
    folders = [
        write_distribution(tmp_path / name, name, f"{name}_plugin", TWICE)["PYTHONPATH"] for name in ("one", "two")
    ]
    return {"PYTHONPATH": ":".join(folders)}


def test_a_mode_registered_twice_is_refused_naming_both_and_harms_no_other(
    synapse: Any, plugin: Path, twice: dict[str, str]
) -> None:
    done = synapse("plugin", "run", "text", "--path", str(plugin), "--mode", "twice", env=twice)
    assert done.returncode == 2
    assert "one 1.2 and two 1.2" in done.stderr
    assert synapse("plugin", "run", "text", "--path", str(plugin), env=twice).stdout == "just text\n"


def test_on_a_terminal_the_mode_is_asked_for_with_local_first(plugin: Path, twice: dict[str, str]) -> None:
    clean = {key: value for key, value in os.environ.items() if key not in ("CI", "NO_COLOR")}
    child = pexpect.spawn(
        sys.executable, ["-m", "synapse_cli", "plugin", "run", "text", "--path", str(plugin)],
        env={**clean, **twice, "TERM": "xterm"}, encoding="utf-8", timeout=20, dimensions=(24, 80),
    )  # fmt: skip
    child.expect("local .*in this process")
    child.expect(r"Where to run\?.*\[local\]: ")
    child.sendline("")
    child.expect("just text")


def test_a_command_registered_twice_is_refused_naming_both(synapse: Any, twice: dict[str, str]) -> None:
    assert "refused: registered by one 1.2 and two 1.2" in synapse("--help", env=twice).stdout
    done = synapse("greet", env=twice)
    assert (done.returncode, "one 1.2 and two 1.2" in done.stderr) == (2, True)


def test_settings_for_a_mode_without_any_are_a_usage_error(synapse: Any, plugin: Path, tmp_path: Path) -> None:
    code = TWICE.replace('"twice"', '"plain"')
    env = write_distribution(tmp_path / "site", "plain", "plain_plugin", code)
    given = synapse("plugin", "run", "text", "--path", str(plugin), "--mode", "plain", "--env", "A=1", env=env)
    assert (given.returncode, "--env has no meaning with mode 'plain'" in given.stderr) == (2, True)
    configured = synapse("plugin", "run", "text", "--path", str(plugin), "--mode", "plain", env=env)
    assert (configured.returncode, "GREETING" in configured.stderr) == (2, True)


@pytest.mark.parametrize(("env", "colored"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_errors_are_colored_on_a_terminal_unless_that_is_unwanted(
    tmp_path: Path, env: dict[str, str], colored: bool
) -> None:
    clean = {key: value for key, value in os.environ.items() if key not in ("CI", "NO_COLOR")}
    child = pexpect.spawn(
        sys.executable, ["-m", "synapse_cli", "plugin", "run", "text", "--path", str(tmp_path), "--mode", "local"],
        env={**clean, **env, "TERM": "xterm"}, encoding="utf-8", timeout=20,
    )  # fmt: skip
    child.expect(pexpect.EOF)
    assert ("\x1b[31m" in str(child.before)) is colored


def test_what_a_backend_prints_at_import_is_talk(synapse: Any, tmp_path: Path) -> None:
    env = write_distribution(tmp_path / "site", "chatty", "chatty_plugin", "print('hello from chatty')")
    done = synapse("executors", "--json", env=env)
    assert json.loads(done.stdout)
    assert "hello from chatty" in done.stderr


def test_a_command_that_does_not_load_spoils_completion_of_no_other(synapse: Any, acme: dict[str, str]) -> None:
    words = {"_SYNAPSE_COMPLETE": "bash_complete", "COMP_WORDS": "synapse ", "COMP_CWORD": "1"}
    offered = {line.partition(",")[2] for line in synapse(env={**acme, **words}).stdout.splitlines()}
    assert {"acme", "acme-broken", "plugin", "executors"} <= offered


def test_an_executor_that_fails_by_itself_is_said_to_be_at_fault(synapse: Any, plugin: Path, tmp_path: Path) -> None:
    engine = ACME_ENGINE.replace("return {", "raise KeyError({").replace("self.gpus}", "self.gpus})")
    env = write_distribution(tmp_path / "site", "acme", "acme_plugin", ACME, acme_engine=engine, acme_commands="")
    done = synapse("plugin", "run", "text", "--path", str(plugin), "-m", "acme", "--json", env=env)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["message"].startswith("mode 'acme' failed by itself: KeyError")


def test_half_a_character_in_a_document_is_an_escape(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"status": "succeeded", "result": "r\ud800"}
    print_json(document)
    shown = capsys.readouterr().out
    assert json.loads(shown) == document
    assert "\\ud800" in shown
