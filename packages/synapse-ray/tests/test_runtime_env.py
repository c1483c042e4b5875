"""Ray's runtime_env from what an executor was given."""

import copy
import json
import types
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from ray.runtime_env import RuntimeEnv

from synapse_core import ConfigError, PackageManager
from synapse_ray.requirements import WORKING_DIR
from synapse_ray.runtime_env import (
    BuiltRuntimeEnv,
    RuntimeEnvRequest,
    build_runtime_env,
    local_py_modules,
    local_working_dir,
)

URI = "gcs://synapse_0.zip"
WHEEL = "six-1.0-py3-none-any.whl"


def build(runtime_env: Any = None, *, package_uri: str | None = None, **request: Any) -> BuiltRuntimeEnv:
    built = build_runtime_env(RuntimeEnvRequest(runtime_env, **request), package_uri=package_uri)
    # Ray itself takes whatever comes out.
    RuntimeEnv(
        **{key: value for key, value in built.runtime_env.items() if key not in ("conda", "image_uri", "py_modules")}
    )
    return built


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    root = tmp_path / "plugin"
    (root / "wheels").mkdir(parents=True)
    (root / "wheels" / WHEEL).touch()
    (root / "requirements.txt").write_text("--no-index\nnumpy\n")
    return root


def bare(lines: list[str]) -> list[str]:
    return [line.partition("  # ")[0] for line in lines]


def test_nothing_gives_nothing() -> None:
    assert build() == BuiltRuntimeEnv({}, {})


# -- what is installed ------------------------------------------------------------------------


def test_requirements_and_wheels_of_the_plugin_are_found(plugin: Path) -> None:
    built = build(working_dir=plugin, package_uri=URI)
    assert built.runtime_env["working_dir"] == URI
    assert bare(built.runtime_env["pip"]["packages"]) == ["--no-index", "numpy", f"{WORKING_DIR}/wheels/{WHEEL}"]
    assert set(built.runtime_env) == {"working_dir", "pip"}
    assert built.travelling == (f"wheels/{WHEEL}",)


def test_another_requirements_file_and_another_folder_of_wheels_take_their_place(plugin: Path, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("attrs\n")
    built = build(working_dir=plugin, package_uri=URI, requirements_file=tmp_path / "other.txt", wheels_dir="none")
    assert built.runtime_env["pip"]["packages"] == ["attrs"]


def test_a_requirements_file_serves_without_a_working_dir(tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("attrs\n")
    assert build(requirements_file=tmp_path / "other.txt").runtime_env["pip"]["packages"] == ["attrs"]
    with pytest.raises(ConfigError, match=r"the requirements file .*none\.txt cannot be read"):
        build(requirements_file=tmp_path / "none.txt")


@pytest.mark.parametrize("manager", ["pip", "uv"])
@pytest.mark.parametrize("form", [lambda lines: lines, lambda lines: {"packages": lines}], ids=["list", "dict"])
def test_the_plugin_s_requirements_join_those_of_runtime_env_under_its_manager(
    plugin: Path, manager: str, form: Any
) -> None:
    built = build(
        {manager: form(["torch==2.0.0", "numpy"])}, working_dir=plugin, package_uri=URI, package_manager="pip"
    )
    found = built.runtime_env[manager]["packages"]
    assert bare(found) == ["--no-index", "torch==2.0.0", "numpy", f"{WORKING_DIR}/wheels/{WHEEL}"]
    assert {"pip", "uv"} & set(built.runtime_env) == {manager}


@pytest.mark.parametrize("manager", ["pip", "uv"])
@pytest.mark.parametrize(
    "form", [str, lambda path: path, lambda path: {"packages": str(path)}], ids=["str", "Path", "dict"]
)
def test_a_path_in_runtime_env_is_a_requirements_file(tmp_path: Path, manager: str, form: Any) -> None:
    (tmp_path / "mine.txt").write_text("attrs\n")
    assert build({manager: form(tmp_path / "mine.txt")}).runtime_env[manager]["packages"] == ["attrs"]


@pytest.mark.parametrize("manager", ["uv", PackageManager.UV])
def test_the_package_manager_counts_where_runtime_env_names_none(plugin: Path, manager: str) -> None:
    assert "uv" in build(working_dir=plugin, package_uri=URI, package_manager=manager).runtime_env


def test_naming_both_managers_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"names both 'pip' and 'uv'"):
        build({"pip": ["a"], "uv": ["b"]})
    assert build({"pip": ["a"], "uv": None}).runtime_env["pip"]["packages"] == ["a"]


def test_an_unknown_manager_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"package_manager: expected one of 'pip', 'uv', found 'conda'"):
        build(package_manager="conda")


@pytest.mark.parametrize("value", [[], {"packages": []}, {"pip_check": True}, None])
def test_where_nothing_is_installed_no_environment_is_made(tmp_path: Path, value: object) -> None:
    (tmp_path / "requirements.txt").write_text("# nothing\n--no-index\n")
    built = build({"pip": value}, working_dir=tmp_path, package_uri=URI, package_manager_options=["-v"])
    assert built == BuiltRuntimeEnv({"working_dir": URI}, {})


def test_other_settings_of_the_manager_stay() -> None:
    built = build({"pip": {"packages": ["a"], "pip_check": True, "pip_version": "==24.0"}})
    assert built.runtime_env["pip"] == {
        "packages": ["a"], "pip_check": True, "pip_version": "==24.0", "pip_install_options": ["--upgrade"],
    }  # fmt: skip


def test_a_wheel_that_the_requirements_name_is_installed_once(plugin: Path) -> None:
    (plugin / "requirements.txt").write_text(f"./wheels/{WHEEL}[extra]\n")
    built = build(working_dir=plugin, package_uri=URI)
    assert bare(built.runtime_env["pip"]["packages"]) == [f"{WORKING_DIR}/wheels/{WHEEL}[extra]"]


@pytest.mark.parametrize("key", ["conda", "container", "image_uri"])
def test_an_environment_of_its_own_and_found_requirements_are_told_apart(plugin: Path, key: str) -> None:
    with pytest.raises(
        ConfigError,
        match=rf"runtime_env\['{key}'\] brings its own environment.*asks for numpy, .*six.*empty requirements_file",
    ):
        build({key: "x"}, working_dir=plugin, package_uri=URI)
    (plugin / "empty.txt").touch()
    request = RuntimeEnvRequest({key: "x"}, plugin, requirements_file=plugin / "empty.txt", wheels_dir="none")
    assert build_runtime_env(request, package_uri=URI).runtime_env == {key: "x", "working_dir": URI}


def test_conda_beside_pip_is_ray_s_to_judge() -> None:
    assert set(build({"conda": "x", "pip": ["a"]}).runtime_env) == {"conda", "pip"}


# -- options ----------------------------------------------------------------------------------


def options(manager: str, given: Any = None, **settings: Any) -> list[str]:
    built = build({manager: {"packages": ["a"], **settings}}, package_manager_options=given)
    found: list[str] = built.runtime_env[manager][f"{'uv_' if manager == 'uv' else ''}pip_install_options"]
    return found


def test_the_documented_defaults() -> None:
    assert options("pip") == ["--upgrade"]
    assert options("uv") == ["--no-cache"]


@pytest.mark.parametrize("manager", ["pip", "uv"])
def test_given_options_stand_alone(manager: str) -> None:
    assert options(manager, ["--no-deps", "--retries", "3"]) == ["--no-deps", "--retries", "3"]
    assert options(manager, []) == []
    assert options(manager, ("-qq",)) == ["-qq"]


def test_options_in_runtime_env_stand_alone_too_and_come_first() -> None:
    assert options("pip", pip_install_options=["--pre"]) == ["--pre"]
    assert options("uv", ["--no-deps"], uv_pip_install_options=["--strict"]) == ["--strict", "--no-deps"]


@pytest.mark.parametrize(
    "leaving",
    [["--system"], ["--user"], ["--break-system-packages"], ["--target", "/x"], ["--target=/x"], ["-t", "/x"], ["-t/x"],
     ["--prefix", "/x"], ["--root=/x"], ["--python", "3.11"], ["--python=3.11"], ["-p", "3.11"], ["--target /x"], ["--target"]],
)  # fmt: skip
@pytest.mark.parametrize("manager", ["pip", "uv"])
def test_options_that_would_leave_the_environment_are_dropped(manager: str, leaving: list[str]) -> None:
    if leaving == ["--target"]:
        assert options(manager, ["--no-deps", *leaving]) == ["--no-deps"]
    else:
        assert options(manager, ["--no-deps", *leaving, "--pre"]) == ["--no-deps", "--pre"]


def test_the_documented_example_with_system_stays_in_the_environment() -> None:
    assert options("uv", ["--no-cache", "--system"]) == ["--no-cache"]


def test_an_option_and_its_value_may_be_one_text() -> None:
    assert options("pip", ["--retries 3", "--global-option=a b"]) == ["--retries", "3", "--global-option=a b"]


def test_options_that_name_files_become_lines_that_find_them(tmp_path: Path) -> None:
    (tmp_path / "limits.txt").write_text("a<2\n")
    (tmp_path / "more.txt").write_text("b\n")
    built = build(
        {"uv": ["a"]}, working_dir=tmp_path, package_uri=URI,
        package_manager_options=["-c", "limits.txt", "--requirement=more.txt", "--no-deps"],
    )  # fmt: skip
    assert built.runtime_env["uv"]["uv_pip_install_options"] == ["--no-deps"]
    assert bare(built.runtime_env["uv"]["packages"]) == [f"-c {WORKING_DIR}/limits.txt", "a", "b"]


@pytest.mark.parametrize("given", ["--no-deps", {"--no-deps": True}, 3])
def test_options_are_a_list(given: object) -> None:
    with pytest.raises(ConfigError, match=r"package_manager_options: expected a list such as"):
        options("pip", given)
    with pytest.raises(ConfigError, match=r"package_manager_options\[1\]: expected text, found a int"):
        options("pip", ["--retries", 3])


# -- passwords --------------------------------------------------------------------------------

PASSWORD_URL = "https://user:hunter2@index.example/simple"


@pytest.mark.parametrize(
    ("runtime_env", "given", "where"),
    [
        ({"pip": ["a"]}, ["--index-url", PASSWORD_URL], r"package_manager_options"),
        ({"uv": ["a"]}, [f"--index-url={PASSWORD_URL}"], r"package_manager_options"),
        ({"uv": ["a"]}, ["-f", PASSWORD_URL], r"package_manager_options"),
        ({"pip": {"packages": ["a"], "pip_install_options": ["-i", PASSWORD_URL]}}, None, r"\['pip'\]\['pip_install_options'\]"),
        ({"pip": ["a", f"b @ {PASSWORD_URL}"]}, None, r"runtime_env\['pip'\]\[1\]"),
        ({"uv": {"packages": [f"--index-url {PASSWORD_URL}", "a"]}}, None, r"\['uv'\]\['packages'\]\[0\]"),
        ({"conda": {"dependencies": ["x", {"pip": [f"--index-url {PASSWORD_URL}"]}]}}, None, r"\['dependencies'\]\[1\]\['pip'\]\[0\]"),
        ({"working_dir": "https://me:hunter2@git.example/main.zip"}, None, r"runtime_env\['working_dir'\]"),
        ({"py_modules": ["https://me:hunter2@git.example/main.zip"]}, None, r"\['py_modules'\]\[0\]"),
        ({"container": {"run_options": ["--env=X=ghp_hunter2hunter2hunter2hunter2hunter2hunt"]}}, None, r"\['run_options'\]\[0\]"),
    ],
)  # fmt: skip
def test_a_password_is_refused_and_not_shown(runtime_env: Any, given: Any, where: str) -> None:
    with pytest.raises(ConfigError, match=rf"{where}.*Ray shows.*pip\.conf.*netrc.*keyring") as caught:
        build(runtime_env, package_manager_options=given)
    assert "hunter2" not in str(caught.value)


# -- folders ----------------------------------------------------------------------------------


def test_the_working_dir_is_the_package(plugin: Path) -> None:
    assert local_working_dir(RuntimeEnvRequest(working_dir=plugin)) == plugin
    assert local_working_dir(RuntimeEnvRequest({"working_dir": str(plugin)})) == plugin
    assert local_working_dir(RuntimeEnvRequest({"working_dir": plugin}, working_dir=plugin)) == plugin
    assert build({"working_dir": str(plugin)}, package_uri=URI).runtime_env["working_dir"] == URI
    assert local_working_dir(RuntimeEnvRequest()) is None


def test_a_folder_named_in_two_ways_is_one(plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (plugin.parent / "link").symlink_to(plugin)
    monkeypatch.chdir(plugin.parent)
    assert (
        local_working_dir(RuntimeEnvRequest({"working_dir": "plugin"}, working_dir=plugin.parent / "link")) is not None
    )


def test_a_relative_folder_and_the_home_folder_are_made_absolute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local_working_dir(RuntimeEnvRequest(working_dir=Path("x"))) == tmp_path / "x"
    assert local_working_dir(RuntimeEnvRequest(working_dir="~/x")) == tmp_path / "x"


@pytest.mark.parametrize("inner", ["/somewhere/else", "s3://bucket/code.zip"])
def test_two_different_working_dirs_are_an_error_that_names_both(plugin: Path, inner: str) -> None:
    request = RuntimeEnvRequest({"working_dir": inner}, working_dir=plugin)
    for ask in (lambda: local_working_dir(request), lambda: build_runtime_env(request, package_uri=URI)):
        with pytest.raises(ConfigError, match=rf"named twice: working_dir='{plugin}' and runtime_env.*='{inner}'"):
            ask()


@pytest.mark.parametrize(
    "request_of", [lambda uri: {"runtime_env": {"working_dir": uri}}, lambda uri: {"working_dir": uri}]
)
def test_an_address_stays_as_it_is(request_of: Any) -> None:
    request = RuntimeEnvRequest(**request_of("https://example.com/code.zip"))
    assert local_working_dir(request) is None
    assert build_runtime_env(request, package_uri=None).runtime_env == {"working_dir": "https://example.com/code.zip"}


def test_excludes_have_been_applied_once_there_is_a_package(plugin: Path) -> None:
    assert "excludes" not in build({"excludes": ["*.pt"]}, working_dir=plugin, package_uri=URI).runtime_env
    assert build({"excludes": ["*.pt"]}).runtime_env == {"excludes": ["*.pt"]}


def test_local_modules_are_found_and_replaced_by_their_packages(tmp_path: Path) -> None:
    module = types.ModuleType("single")
    module.__file__ = str(tmp_path / "single.py")
    package = types.ModuleType("package")
    package.__path__ = [str(tmp_path / "package")]
    given = {"py_modules": [str(tmp_path / "a"), "s3://bucket/b.zip", tmp_path / "c", module, package]}
    expected = [tmp_path / name for name in ("a", "c", "single.py", "package")]
    assert local_py_modules(given) == expected
    uris = [f"gcs://{index}.zip" for index in range(4)]
    built = build_runtime_env(RuntimeEnvRequest(given), package_uri=None, py_module_uris=uris)
    assert built.runtime_env["py_modules"] == ["gcs://0.zip", "s3://bucket/b.zip", *uris[1:]]
    left = build_runtime_env(RuntimeEnvRequest(given), package_uri=None).runtime_env["py_modules"]
    assert left == [str(expected[0]), "s3://bucket/b.zip", *map(str, expected[1:])]
    with pytest.raises(ValueError, match="1 addresses for 4 local modules"):
        build_runtime_env(RuntimeEnvRequest(given), package_uri=None, py_module_uris=uris[:1])
    assert local_py_modules(None) == local_py_modules({}) == []


# -- variables --------------------------------------------------------------------------------


def test_secrets_go_another_way_and_the_rest_stays() -> None:
    built = build(
        {"env_vars": {"CUDA_VISIBLE_DEVICES": "0,1", "HF_TOKEN": "x", "DB": "postgres://u:hunter2@h/d", "N": "1"}}
    )
    # The last one lets older Ray keep the first.
    kept = {"CUDA_VISIBLE_DEVICES": "0,1", "N": "1", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    assert built.runtime_env == {"env_vars": kept}
    assert built.secrets == {"HF_TOKEN": "x", "DB": "postgres://u:hunter2@h/d"}
    assert "hunter2" not in repr(built)


def test_where_all_are_secrets_ray_gets_no_variables() -> None:
    assert build({"env_vars": {"API_KEY": "x"}}) == BuiltRuntimeEnv({}, {"API_KEY": "x"})


def test_numbers_are_texts_in_the_environment() -> None:
    built = build({"env_vars": {"A": 1, "B": 0.5, "C": True, "TOKEN": 7}})
    assert (built.runtime_env["env_vars"], built.secrets) == ({"A": "1", "B": "0.5", "C": "True"}, {"TOKEN": "7"})


def test_every_wrong_variable_is_named_without_its_value() -> None:
    with pytest.raises(ConfigError) as caught:
        build({"env_vars": {"GOOD": "1", "NONE": None, "TOKEN": ["hunter2"], 3: "x"}})
    assert str(caught.value).splitlines() == [
        "runtime_env['env_vars']['NONE'] is None; leave the variable out, or set it to ''",
        "runtime_env['env_vars']['TOKEN']: expected text or a number, found a list",
        "runtime_env['env_vars']: the name of a variable is a text, found 3",
    ]


@given(st.dictionaries(st.text("ABC_TOKENPASSWORD", min_size=1), st.text(max_size=5) | st.integers() | st.booleans()))
def test_every_variable_arrives_by_exactly_one_way(env_vars: dict[str, Any]) -> None:
    built = build_runtime_env(RuntimeEnvRequest({"env_vars": env_vars}), package_uri=None)
    shown = built.runtime_env.get("env_vars", {})
    assert shown.keys().isdisjoint(built.secrets)
    assert {**shown, **built.secrets} == {key: str(value) for key, value in env_vars.items()}


# -- the caller's own dict --------------------------------------------------------------------


def test_the_caller_s_dicts_are_not_changed_however_often_they_are_used(plugin: Path) -> None:
    given = {
        "pip": {"packages": ["torch"], "pip_install_options": ["--system"]},
        "env_vars": {"TOKEN": "x", "A": 1},
        "config": {"setup_timeout_seconds": 5, "inner": [1, {"x": 2}]},
        "excludes": ["*.pt"],
    }
    before = copy.deepcopy(given)
    request = RuntimeEnvRequest(given, working_dir=plugin)
    first = build_runtime_env(request, package_uri=URI)
    assert build_runtime_env(request, package_uri=URI) == first
    first.runtime_env["config"]["inner"][1]["x"] = 3
    first.runtime_env["pip"]["packages"].clear()
    assert given == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2), max_leaves=5
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["config", "nsight", "my_plugin", "worker_process_setup_hook"]), JSON))
def test_unknown_keys_reach_ray_as_they_are(given: dict[str, Any]) -> None:
    assert build_runtime_env(RuntimeEnvRequest(given), package_uri=None).runtime_env == given


def test_a_runtime_env_of_ray_s_own_class_is_taken() -> None:
    built = build(RuntimeEnv(pip=["attrs"], env_vars={"A": "1"}))
    assert built.runtime_env["pip"]["packages"] == ["attrs"]
    assert json.loads(json.dumps(built.runtime_env))["env_vars"] == {"A": "1"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["pip"], "runtime_env: expected a dict, found a list"),
        ({"pip": 3}, r"runtime_env\['pip'\]: expected a list of requirements or the path .*, found a int"),
        ({"uv": {"packages": b"x"}}, r"runtime_env\['uv'\]\['packages'\]: expected a list .*, found a bytes"),
        ({"pip": [3]}, r"runtime_env\['pip'\]\[0\]: expected a requirement as text, found a int"),
        ({"env_vars": ["A=1"]}, r"runtime_env\['env_vars'\]: expected a dict, found a list"),
        ({"working_dir": 3}, r"runtime_env\['working_dir'\]: expected a path or an address, found a int"),
        ({"py_modules": "x"}, r"runtime_env\['py_modules'\]: expected a list, found a str"),
        ({"py_modules": [3]}, r"runtime_env\['py_modules'\]: expected paths, addresses or modules, found a int"),
    ],
)
def test_a_wrong_type_is_named(given: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_runtime_env(RuntimeEnvRequest(given), package_uri=None)
