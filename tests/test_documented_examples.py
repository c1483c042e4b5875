"""Every example of the documents on local execution makes the same calls here, and its results are looked at."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TRAIN = """
from pydantic import BaseModel

from synapse_sdk.plugins.action import BaseAction


class TrainParams(BaseModel):
    epochs: int = 1
    batch_size: int = 16
    sample_size: int | None = None


class TrainAction(BaseAction[TrainParams]):
    def execute(self):
        # Progress display (immediate console output)
        for epoch in range(self.params.epochs):
            self.ctx.set_progress(epoch + 1, self.params.epochs)
            self.ctx.log('epoch_complete', {'epoch': epoch, 'loss': 0.1})

        # Record metrics (second argument is step name)
        self.ctx.set_metrics({'final_loss': 0.05}, 'training')

        return {
            'status': 'done',
            'epochs': self.params.epochs,
            'batch_size': self.params.batch_size,
            'job_id': self.ctx.job_id,
            'api_key': self.ctx.env.get('API_KEY'),
            'debug': self.ctx.env.get_bool('DEBUG'),
        }


class InferenceAction(BaseAction):
    def execute(self):
        return self.params
"""

CONFIG = """
code: {code}
name: My Plugin

env:
  API_KEY: your-api-key
  DEBUG: "true"
  BATCH_SIZE: "32"
  LEARNING_RATE: "0.001"

actions:
  train:
    entrypoint: {entrypoint}.TrainAction
  inference:
    entrypoint: {entrypoint}.InferenceAction
"""


@pytest.fixture
def plugin_path(tmp_path: Path) -> Path:
    """A plugin folder, '/path/to/plugin' in the documents."""
    folder = tmp_path / "path" / "to" / "plugin"
    (folder / "plugin").mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG.format(code="my-plugin", entrypoint="plugin.train"))
    (folder / "plugin" / "train.py").write_text(TRAIN)
    return folder


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The importable packages that the documents speak of: my_plugins.yolov8, my_plugin."""
    for package in ("my_plugins/yolov8", "my_plugin"):
        folder = tmp_path / "site" / package
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("from .train import InferenceAction, TrainAction\n")
        (folder / "train.py").write_text(TRAIN)
        (folder / "actions.py").write_text(TRAIN)
    code, entrypoint = "yolov8", "my_plugins.yolov8.train"
    (tmp_path / "site/my_plugins/yolov8/config.yaml").write_text(CONFIG.format(code=code, entrypoint=entrypoint))
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("my_plugin", "my_plugins")]:
        monkeypatch.delitem(sys.modules, name)
    importlib.invalidate_caches()


# -- local-execution: LocalExecutor -----------------------------------------------------------


@pytest.mark.usefixtures("packages")
def test_local_executor_basic_usage_and_custom_environment() -> None:
    from my_plugin.actions import TrainAction  # type: ignore[import-not-found]

    from synapse_sdk.plugins.executors.local import LocalExecutor

    executor = LocalExecutor()
    result = executor.execute(TrainAction, {"epochs": 10})
    assert (result["status"], result["epochs"]) == ("done", 10)

    executor = LocalExecutor(env={"API_KEY": "xxx", "DEBUG": "true"}, job_id="train-001")
    result = executor.execute(TrainAction, {"epochs": 10, "batch_size": 32})
    assert (result["batch_size"], result["job_id"], result["api_key"], result["debug"]) == (
        32,
        "train-001",
        "xxx",
        True,
    )


@pytest.mark.usefixtures("packages")
def test_local_executor_errors() -> None:
    from my_plugin.actions import TrainAction

    from synapse_sdk.plugins.errors import ExecutionError, PluginError, ValidationError
    from synapse_sdk.plugins.executors.local import LocalExecutor

    with pytest.raises(ValidationError):
        LocalExecutor().execute(TrainAction, {"epochs": "many"})

    def fails(params: Any, ctx: Any) -> None:
        raise RuntimeError("boom")

    with pytest.raises(ExecutionError) as caught:
        LocalExecutor().execute(fails, {})
    assert isinstance(caught.value, PluginError)


# -- local-execution: run_plugin --------------------------------------------------------------


@pytest.mark.usefixtures("packages")
def test_run_plugin_by_module_folder_and_config_file(plugin_path: Path) -> None:
    from synapse_sdk.plugins.runner import run_plugin

    for plugin in ("my_plugins.yolov8", str(plugin_path), str(plugin_path / "config.yaml")):
        result = run_plugin(plugin, "train", {"epochs": 10})
        assert (result["epochs"], result["api_key"]) == (10, "your-api-key")


@pytest.mark.usefixtures("packages")
def test_run_plugin_with_an_environment_as_dict_and_as_object() -> None:
    from synapse_sdk.plugins.context import PluginEnvironment
    from synapse_sdk.plugins.runner import run_plugin

    result = run_plugin("my_plugins.yolov8", "train", {"epochs": 10}, env={"API_KEY": "xxx", "DEBUG": "true"})
    assert result["api_key"] == "xxx"

    env = PluginEnvironment({"API_KEY": "xxx", "BATCH_SIZE": "64"})
    result = run_plugin("my_plugins.yolov8", "train", {"epochs": 10}, env=env)
    assert result["api_key"] == "xxx"


@pytest.mark.usefixtures("packages")
def test_run_plugin_with_an_explicit_class_skips_discovery() -> None:
    from my_plugin.train import TrainAction  # type: ignore[import-not-found]

    from synapse_sdk.plugins.runner import run_plugin

    result = run_plugin("yolov8", "train", {"epochs": 10}, action_cls=TrainAction)
    assert result["epochs"] == 10


@pytest.mark.usefixtures("packages")
def test_run_plugin_with_a_small_dataset_and_in_debug_mode() -> None:
    from synapse_sdk.plugins.runner import run_plugin

    assert run_plugin("my_plugin", "train", {"epochs": 1, "batch_size": 4, "sample_size": 100})["batch_size"] == 4
    assert run_plugin("my_plugin", "train", {"epochs": 1}, env={"DEBUG": "true"})["debug"] is True


def test_switching_the_mode_is_a_word(plugin_path: Path) -> None:
    from synapse_sdk.plugins.runner import run_plugin

    assert run_plugin(str(plugin_path), "train", {"epochs": 1}, mode="local")["status"] == "done"


# -- local-execution: PluginEnvironment -------------------------------------------------------


def test_environment_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from synapse_sdk.plugins.context import PluginEnvironment

    monkeypatch.setenv("MYAPP_SIZE", "3")
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text('API_KEY = "from-file"\nBATCH_SIZE = 64\n')

    assert PluginEnvironment.from_environ().get("MYAPP_SIZE") == "3"
    assert PluginEnvironment.from_environ(prefix="MYAPP_").to_dict() == {"SIZE": "3"}
    assert PluginEnvironment.from_file("config.toml").get("BATCH_SIZE") == 64
    assert PluginEnvironment({"API_KEY": "xxx", "DEBUG": True}).get("DEBUG") is True


def test_environment_typed_accessors(monkeypatch: pytest.MonkeyPatch) -> None:
    from synapse_sdk.plugins.context import PluginEnvironment

    for name in ("BATCH_SIZE", "DEBUG", "LEARNING_RATE", "TAGS", "API_KEY"):
        monkeypatch.delenv(name, raising=False)
    env = PluginEnvironment.from_environ()
    assert env.get_str("API_KEY") is None
    assert env.get_int("BATCH_SIZE", default=32) == 32
    assert env.get_bool("DEBUG", default=False) is False
    assert env.get_float("LEARNING_RATE", default=0.001) == 0.001
    assert env.get_list("TAGS", default=[]) == []

    for key, value in {
        "API_KEY": "k",
        "BATCH_SIZE": "64",
        "DEBUG": "yes",
        "LEARNING_RATE": "0.1",
        "TAGS": "a, b",
    }.items():
        monkeypatch.setenv(key, value)
    env = PluginEnvironment.from_environ()
    assert env.get_str("API_KEY") == "k"
    assert env.get_int("BATCH_SIZE", default=32) == 64
    assert env.get_bool("DEBUG", default=False) is True
    assert env.get_float("LEARNING_RATE", default=0.001) == 0.1
    assert env.get_list("TAGS", default=[]) == ["a", "b"]


def test_environment_merge_lets_the_later_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from synapse_sdk.plugins.context import PluginEnvironment

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEBUG", "from-environ")
    monkeypatch.setenv("ONLY_BASE", "1")
    Path("config.toml").write_text('DEBUG = "from-file"\nONLY_FILE = 2\n')
    base_env = PluginEnvironment.from_environ()
    config_env = PluginEnvironment.from_file("config.toml")
    override_env = PluginEnvironment({"DEBUG": "true"})

    merged = PluginEnvironment.merge(base_env, config_env, override_env)
    assert (merged["DEBUG"], merged["ONLY_BASE"], merged["ONLY_FILE"]) == ("true", "1", 2)


# -- local-execution: debug mode --------------------------------------------------------------


def test_console_logging_shows_progress_logs_and_metrics(plugin_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from synapse_sdk.plugins.runner import run_plugin

    run_plugin(str(plugin_path), "train", {"epochs": 2})
    shown = capsys.readouterr().err
    for line in ("epoch_complete epoch=1 loss=0.1", "progress 2/2 (100%)", "metrics training final_loss=0.05"):
        assert line in shown


# -- plugin-execution -------------------------------------------------------------------------


def test_run_plugin_with_keywords_and_the_enum(plugin_path: Path) -> None:
    from synapse_sdk.plugins.runner import ExecutionMode, run_plugin

    result = run_plugin(
        plugin_code=str(plugin_path),
        action="train",
        params={"epochs": 100},
        mode=ExecutionMode.LOCAL,
    )
    assert result["epochs"] == 100
    assert run_plugin(plugin=str(plugin_path), action="train")["epochs"] == 1


@pytest.mark.usefixtures("packages")
def test_discovery_from_path_and_from_module(plugin_path: Path) -> None:
    import my_plugin

    from synapse_sdk.plugins.discovery import PluginDiscovery

    for discovery in (PluginDiscovery.from_path(str(plugin_path)), PluginDiscovery.from_module(my_plugin)):
        assert sorted(discovery.list_actions()) == ["inference", "train"]
        action_cls = discovery.get_action_class("train")
        assert action_cls.__name__ == "TrainAction"
        assert discovery.get_action_config("train").entrypoint.endswith("TrainAction")
        params_model = discovery.get_action_params_model("train")
        assert params_model is not None
        assert params_model.__name__ == "TrainParams"


def test_direct_executor_usage(plugin_path: Path) -> None:
    from synapse_sdk.plugins.discovery import PluginDiscovery
    from synapse_sdk.plugins.executors.local import LocalExecutor

    discovery = PluginDiscovery.from_path(str(plugin_path))
    action_cls = discovery.get_action_class("train")

    executor = LocalExecutor()
    assert executor.execute(action_cls, {"epochs": 100})["epochs"] == 100


# -- executors --------------------------------------------------------------------------------


def test_sequential_execution(plugin_path: Path) -> None:
    from synapse_sdk.plugins.discovery import PluginDiscovery
    from synapse_sdk.plugins.executors.local import LocalExecutor

    action_cls = PluginDiscovery.from_path(plugin_path).get_action_class("train")
    params_list = [{"epochs": n} for n in (1, 2, 3)]
    executor = LocalExecutor()

    results = []
    for params in params_list:
        result = executor.execute(action_cls, params)
        results.append(result)
    assert [result["epochs"] for result in results] == [1, 2, 3]


def test_the_local_executor_takes_a_callable_too() -> None:
    from synapse_sdk.plugins.executors.local import LocalExecutor

    def double(params: dict[str, Any], ctx: Any) -> Any:
        return params["n"] * 2

    assert LocalExecutor().execute(double, {"n": 4}) == 8


def test_the_local_executor_implements_the_protocol() -> None:
    from synapse_sdk.plugins.executors import ExecutorProtocol
    from synapse_sdk.plugins.executors.local import LocalExecutor

    assert isinstance(LocalExecutor(), ExecutorProtocol)


# -- the command line of local-execution ------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["train"],
        ["train", "--params", '{"epochs": 10, "batch_size": 32}'],
        ["train", "--mode", "local"],
        ["train", "--mode", "local", "--params", '{"epochs": 5}'],
        ["train", "--mode", "local", "--params", '{"epochs": 1}'],
    ],
)
def test_the_documented_commands_run(
    arguments: list[str], plugin_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main: ModuleType = importlib.import_module("synapse_cli.main")
    monkeypatch.chdir(plugin_path)
    with pytest.raises(SystemExit) as ended:
        main.main(["plugin", "run", *arguments])
    assert ended.value.code == 0
    assert '"status": "done"' in capsys.readouterr().out
    monkeypatch.chdir(plugin_path.parent)
    with pytest.raises(SystemExit) as ended:
        main.main(["plugin", "run", *arguments, "--path", str(plugin_path)])
    assert ended.value.code == 0


@pytest.mark.parametrize(
    ("arguments", "install"),
    [
        (["train", "--mode", "remote"], "pip install synapse-remote"),
    ],
)
def test_the_documented_commands_of_missing_backends_say_what_to_install(
    arguments: list[str],
    install: str,
    plugin_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    main: ModuleType = importlib.import_module("synapse_cli.main")
    monkeypatch.chdir(plugin_path)
    with pytest.raises(SystemExit) as ended:
        main.main(["plugin", "run", *arguments])
    assert ended.value.code == 2
    assert install in capsys.readouterr().err


def test_the_environment_example_of_config_yaml(plugin_path: Path) -> None:
    from synapse_sdk.plugins.discovery import PluginDiscovery

    assert PluginDiscovery.from_path(plugin_path).config.env == {
        "API_KEY": "your-api-key",
        "DEBUG": "true",
        "BATCH_SIZE": "32",
        "LEARNING_RATE": "0.001",
    }
