"""`run_plugin` finds the plugin however it is named, and gives the action its settings in the documented order."""

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from synapse_core.actions import BaseAction
from synapse_core.discovery import PluginDiscovery
from synapse_core.environment import PluginEnvironment
from synapse_core.errors import (
    ActionLoadError,
    ActionNotFoundError,
    CapabilityError,
    ExecutionError,
    PluginNotFoundError,
    UnknownBackendError,
    ValidationError,
)
from synapse_core.model.references import ActionReference, PluginReference
from synapse_core.plugins.descriptions import ExecutorDescription
from synapse_core.plugins.registry import registry
from synapse_core.plugins.rows import Row
from synapse_core.runner import ExecutionMode, discover, prepare_run, run_plugin

CONFIG = """\
code: runner-plugin
env: {SHARED: config, ONLY_CONFIG: 5, TYPED: true}
actions:
  train: {entrypoint: 'plugin.train:TrainAction'}
  settings: plugin.train.settings
"""
TRAIN = """
from pydantic import BaseModel
from synapse_core import BaseAction
class Params(BaseModel):
    epochs: int
class TrainAction(BaseAction[Params]):
    def execute(self):
        return {"epochs": self.params.epochs, "job_id": self.ctx.job_id}
def settings(params, ctx):
    return {name: ctx.env.get(name) for name in params["names"]}
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "plugins" / "yolo"
    (folder / "plugin").mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "plugin" / "train.py").write_text(TRAIN)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize(
    "name",
    [str, Path, lambda folder: f"{folder}/", lambda folder: folder / "config.yaml", lambda folder: "plugins/yolo",
     lambda folder: "./plugins/yolo/config.yaml", lambda folder: "plugins.yolo", PluginDiscovery.from_path],
)  # fmt: skip
def test_a_plugin_is_found_by_every_name_it_has(plugin: Path, name: Any) -> None:
    assert run_plugin(name(plugin), "train", {"epochs": 2})["epochs"] == 2
    assert run_plugin(plugin=name(plugin), action="train", params={"epochs": 3})["epochs"] == 3


def test_the_plugin_in_the_working_directory_needs_no_path(plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(plugin)
    assert discover(".").code == "runner-plugin"
    assert discover("config.yaml").code == "runner-plugin"


def test_a_module_is_found_by_name_and_as_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runner_module").mkdir()
    (tmp_path / "runner_module" / "__init__.py").write_text(TRAIN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)  # a folder of that name is here, and has no config
    try:
        assert run_plugin("runner_module", "train", {"epochs": 1})["epochs"] == 1
        assert run_plugin(sys.modules["runner_module"], "train", {"epochs": 1})["epochs"] == 1
    finally:
        del sys.modules["runner_module"]


def test_what_is_no_plugin_says_where_was_looked(plugin: Path, tmp_path: Path) -> None:
    with pytest.raises(PluginNotFoundError, match="neither a folder here"):
        run_plugin("no_such_plugin_at_all", "train")
    with pytest.raises(PluginNotFoundError, match="there is no such file or folder"):
        run_plugin("./nowhere", "train")
    with pytest.raises(PluginNotFoundError, match=r"has no config\.yaml\. Plugins below it: yolo"):
        run_plugin("plugins", "train")


def test_mistakes_are_the_documented_errors(plugin: Path) -> None:
    with pytest.raises(ActionNotFoundError, match="Did you mean 'train'"):
        run_plugin(plugin, "trian", {})
    with pytest.raises(ValidationError, match="epochs: Field required"):
        run_plugin(plugin, "train")
    with pytest.raises(ValidationError):
        run_plugin(plugin, "train", [])  # type: ignore[arg-type]
    with pytest.raises(ExecutionError, match="action 'settings' failed: KeyError: 'names'"):
        run_plugin(plugin, "settings")
    with pytest.raises(TypeError, match="needs a plugin and the name of an action"):
        run_plugin(plugin)
    with pytest.raises(TypeError, match="needs a plugin"):
        run_plugin(action="train")


def test_an_unknown_mode_is_an_error_before_anything_is_looked_for() -> None:
    with pytest.raises(
        UnknownBackendError, match=r"unknown mode 'lcoal'\. Did you mean 'local'\? Known modes: .*local"
    ):
        run_plugin("no_such_plugin", "train", mode="lcoal")


@pytest.mark.parametrize("mode", [ExecutionMode.LOCAL, "local", "LOCAL"])
def test_a_mode_is_a_word_or_an_enum(plugin: Path, mode: Any) -> None:
    assert run_plugin(plugin, "train", {"epochs": 1}, mode=mode)["epochs"] == 1


def test_an_unknown_argument_of_the_executor_names_the_nearest(plugin: Path) -> None:
    with pytest.raises(TypeError, match=r"LocalExecutor has no argument 'jobid'\. Did you mean 'job_id'\?"):
        run_plugin(plugin, "train", {"epochs": 1}, jobid="x")


def test_the_job_id_reaches_the_action_and_there_is_always_one(plugin: Path) -> None:
    assert run_plugin(plugin, "train", {"epochs": 1}, job_id="train-001")["job_id"] == "train-001"
    assert run_plugin(plugin, "train", {"epochs": 1})["job_id"]


NAMES = ["ONLY_OS", "SHARED", "ONLY_CONFIG", "TYPED", "ONLY_CALL"]


@pytest.mark.parametrize("wrap", [dict, PluginEnvironment])
def test_settings_come_from_os_environ_below_the_config_below_the_call(
    plugin: Path, monkeypatch: pytest.MonkeyPatch, wrap: Any
) -> None:
    monkeypatch.setenv("ONLY_OS", "os")
    monkeypatch.setenv("SHARED", "os")
    monkeypatch.setenv("ONLY_CONFIG", "os")
    before = dict(os.environ)
    plain = run_plugin(plugin, "settings", {"names": NAMES})
    called = run_plugin(plugin, "settings", {"names": NAMES}, env=wrap({"SHARED": "call", "ONLY_CALL": 1.5}))
    assert plain == {"ONLY_OS": "os", "SHARED": "config", "ONLY_CONFIG": 5, "TYPED": True, "ONLY_CALL": None}
    assert called == {"ONLY_OS": "os", "SHARED": "call", "ONLY_CONFIG": 5, "TYPED": True, "ONLY_CALL": 1.5}
    assert dict(os.environ) == before


class Params(BaseModel):
    n: int


class Own(BaseAction[Params]):
    def execute(self) -> int:
        return self.params.n


def test_an_action_that_is_given_skips_discovery() -> None:
    assert run_plugin("ignored", "ignored", {"n": 1}, action_cls=Own) == 1
    assert run_plugin(action_cls=lambda params, ctx: params["n"], params={"n": 2}) == 2


def test_params_may_be_an_instance_of_the_model() -> None:
    assert run_plugin(action_cls=Own, params=Params(n=3)) == 3  # type: ignore[arg-type]


RECORDING_EXECUTOR = """
made = []


class Executor:
    def __init__(self, **arguments):
        self.arguments = arguments
        made.append(self)

    def execute(self, action, params, **kwargs):
        self.action, self.params = action, params
        return "executed"

    def submit(self, action, params):
        self.action, self.params = action, params
        return "job-1"
"""


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Register an executor that keeps what it is given; returns a function that registers it and a list of those made."""
    (tmp_path / "recording_executor.py").write_text(RECORDING_EXECUTOR)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "recording_executor", raising=False)

    def register(**facts: Any) -> list[Any]:
        description = ExecutorDescription(name="elsewhere", target="recording_executor:Executor", **facts)
        monkeypatch.setattr(registry, "_rows", [Row("elsewhere", "synapse_executors", "acme", "1", description)])
        made: list[Any] = importlib.import_module("recording_executor").made
        return made

    return register


def test_an_executor_is_given_the_plugins_settings_that_it_takes_below_those_of_the_call(
    plugin: Path, elsewhere: Any
) -> None:
    (plugin / "config.yaml").write_text(
        CONFIG.replace("train: {", "train: {resources: {num_gpus: 0.5, memory: 1000}, ")
        + "package_manager: uv\nruntime_env: {pip: [x]}\n"
    )
    made = elsewhere(options=("env", "working_dir", "num_gpus", "package_manager", "runtime_env"))
    run_plugin(plugin, "train", {"epochs": 1}, mode="elsewhere")
    assert made[-1].arguments == {
        "env": {"SHARED": "config", "ONLY_CONFIG": 5, "TYPED": True},
        "working_dir": plugin,
        "num_gpus": 0.5,
        "package_manager": "uv",
        "runtime_env": {"pip": ["x"]},
    }
    given = {"SHARED": "call"}
    run_plugin(plugin, "train", {"epochs": 1}, mode="elsewhere", env=given, num_gpus=2, working_dir="mine")
    arguments = made[-1].arguments
    assert (arguments["env"]["SHARED"], arguments["num_gpus"], arguments["working_dir"]) == ("call", 2, "mine")
    assert given == {"SHARED": "call"}


def test_settings_that_an_executor_cannot_pass_on_are_refused_by_name(plugin: Path, elsewhere: Any) -> None:
    elsewhere(options=())
    with pytest.raises(CapabilityError, match="ONLY_CONFIG"):
        run_plugin(plugin, "train", {"epochs": 1}, mode="elsewhere")


def test_an_executor_learns_where_the_action_comes_from(plugin: Path, elsewhere: Any) -> None:
    made = elsewhere(options=("env",), run_with="submit")
    assert run_plugin(plugin, "train", {"epochs": 1}, mode="elsewhere") == "job-1"
    action = made[-1].action
    assert (action.name, action.entrypoint) == ("train", "plugin.train:TrainAction")
    assert action.plugin == PluginReference("runner-plugin", str(plugin))


def test_where_the_code_is_elsewhere_its_name_is_enough(plugin: Path, elsewhere: Any) -> None:
    (plugin / "plugin" / "train.py").write_text("import something_that_only_the_worker_has")
    made = elsewhere(options=("env",), needs="reference")
    run_plugin(plugin, "train", {"epochs": 1}, mode="elsewhere")
    reference = PluginReference("runner-plugin", str(plugin))
    assert made[-1].action == ActionReference("train", reference, "plugin.train:TrainAction")
    run_plugin("not_here_at_all", "train", {"epochs": 1}, mode="elsewhere")
    assert made[-1].action == ActionReference("train", PluginReference("not_here_at_all"))
    with pytest.raises(ActionNotFoundError):
        run_plugin(plugin, "trian", {}, mode="elsewhere")


def test_where_the_code_is_needed_its_name_is_not_enough(plugin: Path, elsewhere: Any) -> None:
    (plugin / "plugin" / "train.py").write_text("import something_that_only_the_worker_has")
    elsewhere(options=("env",))
    with pytest.raises(ActionLoadError, match="something_that_only_the_worker_has"):
        run_plugin(plugin, "train", {"epochs": 1}, mode="elsewhere")
    with pytest.raises(PluginNotFoundError):
        run_plugin("not_here_at_all", "train", {"epochs": 1}, mode="elsewhere")


def test_a_run_can_be_prepared_and_started_later(plugin: Path, elsewhere: Any) -> None:
    made = elsewhere(run_with="submit")
    prepared = prepare_run(plugin, "train", {"epochs": 2}, mode="elsewhere")
    assert prepared.executor is made[0]
    assert not hasattr(made[0], "action")
    assert prepared.start() == "job-1"
    assert made[0].action is prepared.target
