"""A config file is read whole, kept whole, and its mistakes are one error that names every line."""

import traceback
from pathlib import Path
from typing import Any

import pytest
import yaml

from synapse_core.config import PluginConfig, parse_config
from synapse_core.config_file import find_config_file, iter_plugin_folders, read_config_file
from synapse_core.discovery import PluginDiscovery
from synapse_core.errors import ConfigError, PluginNotFoundError
from synapse_core.model.enums import PackageManager, PluginCategory, RunMethod
from synapse_core.model.resources import Resources

EVERY_KEY = """\
code: my-plugin
name: 내 플러그인 プラグイン
version: 1.10
category: neural_net
description: Does things
readme: README.md
env: {API_KEY: x, DEBUG: "true", N: 3, NESTED: {a: [1]}}
runtime_env: {pip: [torch]}
package_manager: uv
package_manager_options: [--no-cache]
wheels_dir: dist
requires: [other>=1]
tags: [a, b]
tasks: [image.detection]
data_type: image
supported_data_types: [image, video]
smart_tool: {annotation_type: box}
actions:
  train:
    entrypoint: plugin.train:TrainAction
    method: job
    description: Trains
    params_schema: {type: object}
    input_type: dataset
    output_type: [weights, report]
    ui_schema: [{label: Epochs}]
    serve_options: {num_replicas: 1}
    resources: {num_cpus: 2, num_gpus: 0.5, memory: 1000}
    retries: 2
    timeout: 60
    idempotent: true
    supported_data_type: image
  추론: plugin.infer.infer
pipelines: {all: {actions: [train]}}
organisation_note: kept
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Any:
    """Write a config file and return its path."""

    def write(content: str | bytes, name: str = "config.yaml") -> Path:
        file = tmp_path / "folder" / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    return write


def read(file: Path) -> tuple[PluginConfig, list[str]]:
    return parse_config(read_config_file(file))


def problems_of(file: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(file)
    assert caught.value.path == str(file)
    lines = str(caught.value).replace(f"{file}:", "").splitlines()
    assert caught.value.line is None or lines[0].startswith(f"{caught.value.line}:")
    return lines


def test_every_recognised_key_is_read(plugin: Any) -> None:
    config, warnings = read(plugin(EVERY_KEY))
    assert not warnings
    assert (config.code, config.name, config.version) == ("my-plugin", "내 플러그인 プラグイン", "1.10")
    assert config.category is PluginCategory.NEURAL_NET
    assert config.package_manager is PackageManager.UV
    assert config.env == {"API_KEY": "x", "DEBUG": "true", "N": 3, "NESTED": {"a": [1]}}
    assert (config.tags, config.tasks, config.supported_data_types) == (
        ["a", "b"],
        ["image.detection"],
        ["image", "video"],
    )
    train = config.actions["train"]
    assert train.method is RunMethod.JOB
    assert train.resources == Resources(num_cpus=2, num_gpus=0.5, memory=1000)
    assert (train.retries, train.timeout, train.idempotent) == (2, 60, True)
    assert train.output_type == ["weights", "report"]
    assert config.actions["추론"].entrypoint == "plugin.infer.infer"
    assert config.pipelines == {"all": {"actions": ["train"]}}


def test_unknown_keys_are_kept_and_survive_a_round_trip(plugin: Any) -> None:
    discovery = PluginDiscovery.from_path(plugin(EVERY_KEY))
    written = discovery.to_config_dict()
    assert written["organisation_note"] == "kept"
    assert written["actions"]["train"]["supported_data_type"] == "image"
    assert written == {**yaml.safe_load(EVERY_KEY), "version": "1.10"}
    again = PluginDiscovery.from_path(plugin(yaml.safe_dump(written, allow_unicode=True), "again.yaml"))
    assert again.to_config_dict() == written
    assert again.config == discovery.config


def test_the_written_config_is_a_copy(plugin: Any) -> None:
    discovery = PluginDiscovery.from_path(plugin(EVERY_KEY))
    discovery.to_config_dict()["actions"].clear()
    assert discovery.to_config_dict()["actions"]


def test_the_least_config_works_and_the_folder_gives_the_code(plugin: Any) -> None:
    discovery = PluginDiscovery.from_path(plugin("actions: {}"))
    assert (discovery.code, discovery.list_actions()) == ("folder", [])
    assert PluginDiscovery.from_path(plugin("code: other")).code == "other"
    assert PluginDiscovery.from_path(plugin("code: 123")).code == "123"
    assert PluginDiscovery.from_path(plugin("code: ''")).code == "folder"


def test_sections_with_nothing_in_them_are_defaults(plugin: Any) -> None:
    names = [line.partition(":")[0] for line in EVERY_KEY.splitlines() if line[0] not in " #"]
    config, warnings = read(plugin("".join(f"{name}:\n" for name in names)))
    assert not warnings
    assert config == PluginConfig(organisation_note=None)  # type: ignore[call-arg]
    config, _ = read(
        plugin("actions:\n  a:\n  b:\n    retries:\n    idempotent:\n    resources:\n    entrypoint: x:y\n")
    )
    assert (config.actions["a"].entrypoint, config.actions["b"].retries) == (None, 0)


@pytest.mark.parametrize(
    ("content", "line", "told"),
    [
        ("name: x\nactons: {}\n", 2, "'actons' is kept and has no effect. Did you mean 'actions'?"),
        ("name: x\nActions: {}\n", 2, "Did you mean 'actions'?"),
        ("wheels-dir: x\n", 1, "Did you mean 'wheels_dir'?"),
        ("actions:\n  a:\n    entrypoint: x:y\n    methd: job\n", 4, "'actions.a.methd' is kept and has no effect. Did you mean 'method'?"),
        ("actions:\n  a:\n    resources:\n      num_gpu: 1\n", 4, "Did you mean 'num_gpus'?"),
    ],
)  # fmt: skip
def test_a_near_miss_is_a_warning_with_line_and_suggestion(plugin: Any, content: str, line: int, told: str) -> None:
    file = plugin(content)
    _, (warning,) = read(file)
    assert warning.startswith(f"{file}:{line}: unknown key")
    assert told in warning


def test_a_key_that_is_like_no_known_one_is_kept_without_a_word(plugin: Any) -> None:
    config, warnings = read(plugin("x_internal: 1\nactions: {a: {zzz: 2}}"))
    assert not warnings
    assert config.model_extra == {"x_internal": 1}


def test_all_wrong_types_are_one_error_with_a_line_each_in_the_order_of_the_file(plugin: Any) -> None:
    assert problems_of(
        plugin(
            "code: true\n"
            "category: [1]\n"
            "tags: x\n"
            "actions:\n"
            "  train: 5\n"
            "  b:\n"
            "    retries: many\n"
            "    resources:\n"
            "      num_gpus: lots\n"
            "    timeout: -1\n"
            "    input_type: {a: 1}\n"
            "env: [API_KEY=hunter2]\n"
            "package_manager: uvv\n"
        )
    ) == [
        "1: code: Input should be a valid string (found: True)",
        "2: category: Input should be a valid string (found: [1])",
        "3: tags: Input should be a valid list (found: 'x')",
        "5: actions.train: Input should be a mapping (found: 5)",
        "7: actions.b.retries: Input should be a valid integer, unable to parse string as an integer (found: 'many')",
        "9: actions.b.resources.num_gpus: Input should be a valid number, unable to parse string as a number (found: 'lots')",
        "10: actions.b.timeout: Input should be greater than 0 (found: -1)",
        "11: actions.b.input_type: Input should be a valid string or a valid list (found: {'a': 1})",
        "12: env: Input should be a mapping (found: ***)",
        "13: package_manager: Input should be 'pip' or 'uv' (found: 'uvv')",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "line", "told"),
    [
        ("", 1, "the file is empty; expected a mapping"),
        ("# nothing\n", 1, "the file is empty"),
        ("---\n", 1, "the file is empty"),
        ("- a\n", 1, "expected a mapping with the keys 'code' and 'actions', found a list"),
        ("just text", 1, "found a str"),
        ("z: 1\na: 'x\n  b\n", 2, "unexpected end of stream"),
        ("actions:\n\ttrain: x\n", 2, "indented with spaces, and this is a tab"),
        ("a: [1\nb: 2\n", 2, "not valid YAML"),
        ("a: 1\n---\nb: 2\n", 2, "single document"),
        ("x: !include y\n", 1, "could not determine a constructor"),
        ("x: !!python/object:os.system a\n", 1, "could not determine a constructor"),
        ("x: 1\nwhen: 2024-13-45\n", 2, "month must be in 1..12"),
        ("x: 1\ny: !!int abc\n", 2, "invalid literal"),
        ("x: *nowhere\n", 1, "undefined alias"),
        ("x: 1\ny: a\x00b\n", 2, "U+0000 is not allowed"),
        (b"x: 1\ny: \xff\n", 2, "not UTF-8"),
        ("x: 1".encode("utf-16"), 1, "not UTF-8"),
        ("? [a]\n: b\n", 1, "unhashable"),
        ("code: x\non: y\n", 2, "the key True is not a string"),
        ("1: y\n", 1, "the key 1 is not a string"),
        ("code: x\nname: y\ncode: z\n", 3, "the key 'code' is already in line 1"),
        ("actions:\n  a: b\n  'a': c\n", 3, "the key 'a' is already in line 2"),
        ("env: {A: 1, A: 2}\n", 1, "the key 'A' is already in line 1"),
        ("actions:\n  yes: x:y\n", 2, "put the name in quotes"),
        ("actions: [a, b]\n", 1, "actions: Input should be a mapping"),
    ],
)  # fmt: skip
def test_a_broken_file_is_one_error_with_its_line(plugin: Any, content: Any, line: int, told: str) -> None:
    first, *_ = problems_of(plugin(content))
    assert first.startswith(f"{line}:")
    assert told in first


def test_repr_shows_no_settings(plugin: Any) -> None:
    config, _ = read(plugin("env: {STORE: sekret}\nruntime_env: {env_vars: {STORE: sekret}}\n"))
    assert "sekret" not in f"{config!r} {config}"
    assert config.env == {"STORE": "sekret"}


@pytest.mark.parametrize(
    "content",
    [
        "runtime_env: [sekret]\n",
        "runtime_env: {env_vars: {A: x}}\nenv: sekret\n",
        "actions:\n  a:\n    retries: {DATABASE_URL: sekret}\n",
        "actions:\n  a:\n    resources: {num_gpus: {passwords: [sekret]}}\n",
        "version: [https://ann:sekret@example.com]\n",
        "actions:\n  a: [env: {A: sekret}]\n",
        "actions: [{env: {A: sekret}}]\n",
        "tags: {env: {A: sekret}}\n",
    ],
)
def test_a_value_that_may_be_secret_is_not_in_the_error(plugin: Any, content: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(plugin(content))
    assert "sekret" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


@pytest.mark.parametrize("pure_python", [False, True])
@pytest.mark.parametrize(
    "content",
    [
        "DB_PASSWORD: sekret: 1\n",
        "env:\n  A: b: sekret\n",
        "env:\n  # a note\n  A: {x: y}\n  B: [sekret\n",
        "x: {user: ann, password: sekret]}\n",
        "token: *sekret\n",
        "token: !sekret\n",
        "token: !!int sekret\n",
        "token: 'first\n  sekret: x' y: z\n",
        'token: "sekret\n',
        "x: [https://ann:sekret@example.com: b: c\n",
        "runtime_env:\n  env_vars:\n    A: sekret: x\n",
        "password:\n  - sekret: ]\n",
    ],
)
def test_a_line_of_broken_yaml_that_may_be_secret_is_not_shown(
    plugin: Any, monkeypatch: pytest.MonkeyPatch, content: str, pure_python: bool
) -> None:
    if pure_python:  # its errors quote the line, where libyaml's do not
        monkeypatch.setattr("synapse_core.config_file._Loader", yaml.SafeLoader)
    with pytest.raises(ConfigError, match="not valid YAML") as caught:
        read(plugin(content))
    assert "sekret" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.line


def test_any_other_line_of_broken_yaml_is_shown(plugin: Any) -> None:
    assert problems_of(plugin("env:\n  TOKEN: x\nname: a: b\n"))[1:] == ["  name: a: b", "         ^"]


def test_nesting_without_end_is_an_error(plugin: Any) -> None:
    assert "nested too deep" in problems_of(plugin("x: " + "[" * 3000 + "]" * 3000))[0]


def test_all_keys_that_stand_twice_are_named_at_once(plugin: Any) -> None:
    assert len(problems_of(plugin("code: a\ncode: b\nactions:\n  t: x:y\n  t: x:z\n  t: x:w\n"))) == 3


def test_a_byte_order_mark_and_windows_line_ends_are_fine(plugin: Any) -> None:
    config, _ = read(plugin(b"\xef\xbb\xbfcode: x\r\nname: y\r\n"))
    assert (config.code, config.name) == ("x", "y")


def test_anchors_merges_and_overridden_merged_keys_are_fine(plugin: Any) -> None:
    config, warnings = read(
        plugin(
            "base: &base {method: job, retries: 1}\n"
            "actions:\n"
            "  a:\n    <<: *base\n    entrypoint: x:a\n    retries: 5\n"
            "  b: {<<: *base, entrypoint: 'x:b'}\n"
        )
    )
    assert not warnings
    assert [(a.method, a.retries, a.entrypoint) for a in config.actions.values()] == [
        ("job", 5, "x:a"),
        ("job", 1, "x:b"),
    ]


def test_a_mistake_behind_an_alias_has_the_line_where_it_was_written(plugin: Any) -> None:
    lines = problems_of(plugin("actions:\n  a: &a\n    retries: q\n  b:\n    <<: *a\n"))
    assert [line.partition(":")[0] for line in lines] == ["3", "3"]


def test_an_anchor_that_contains_itself_does_not_hang(plugin: Any) -> None:
    config, _ = read(plugin("x: &x {again: *x}"))
    assert config.model_extra is not None


# -- finding it -------------------------------------------------------------------------------


def test_it_is_found_by_its_folder_by_itself_and_by_the_other_suffix(plugin: Any) -> None:
    file = plugin("code: x", "config.yml")
    assert find_config_file(file.parent) == find_config_file(str(file)) == file


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(PluginNotFoundError, match="there is no such file or folder"):
        PluginDiscovery.from_path(tmp_path / "none")


def test_a_folder_without_config_names_the_plugins_below_it_and_no_hidden_ones(plugin: Any, tmp_path: Path) -> None:
    plugin("code: x")
    for hidden in (".venv", ".git/sub", "env", "node_modules"):
        folder = tmp_path / hidden
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text("code: junk")
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    with pytest.raises(PluginNotFoundError, match=r"has no config\.yaml\. Plugins below it: folder$"):
        PluginDiscovery.from_path(tmp_path)
    assert iter_plugin_folders(tmp_path) == [tmp_path / "folder"]


def test_a_folder_called_config_yaml_is_no_config(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").mkdir()
    with pytest.raises(PluginNotFoundError):
        PluginDiscovery.from_path(tmp_path)


@pytest.mark.parametrize("name", ["on", "off", "yes", "no", "true", "null", "~"])
def test_an_action_whose_name_yaml_takes_for_a_value_is_an_error_that_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path / "config.yaml").write_text(f"code: x\nactions:\n  ok: m:f\n  {name}: m:f\n")
    with pytest.raises(ConfigError, match="put the name in quotes"):
        read_config_file(tmp_path)
    (tmp_path / "config.yaml").write_text(f"code: x\nactions:\n  ok: m:f\n  '{name}': m:f\n")
    assert list(read_config_file(tmp_path).data["actions"]) == ["ok", name]
