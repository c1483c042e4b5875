"""A plugin is found, listed and described without importing its code; one bad action spoils only itself."""

import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from synapse_core.actions import BaseAction
from synapse_core.config_file import ConfigWarning
from synapse_core.context import RuntimeContext
from synapse_core.discovery import PluginDiscovery
from synapse_core.errors import ActionLoadError, ActionNotFoundError, ConfigError, ExecutionError, PluginNotFoundError
from synapse_core.execution import run_action
from synapse_core.model.enums import RunMethod

CONFIG = """\
code: shop
actions:
  train:
    entrypoint: plugin.train:TrainAction
    method: job
    input_type: stated
    idempotent: true
  infer: plugin.infer.infer
  broken: plugin.broken:X
  missing: plugin.train:Nope
  number: plugin.train:number
  empty:
"""
TRAIN = """
from pathlib import Path
Path(__file__).with_name("imported").touch()
from pydantic import BaseModel
from synapse_core import BaseAction
class Params(BaseModel):
    epochs: int = 1
class Result(BaseModel):
    loss: float = 0
class TrainAction(BaseAction[Params, Result]):
    input_type = "own"
    output_type = "weights"
    def execute(self):
        if self.params.epochs == 0:
            raise ValueError("none")
        return self.params.epochs
number = 5
"""


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return folder


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    return write(
        tmp_path / "shop",
        {
            "config.yaml": CONFIG,
            "plugin/train.py": TRAIN,
            "plugin/infer.py": "from synapse_core import action\n@action\ndef infer(params, ctx):\n    return 'inferred'\n",
            "plugin/broken.py": "raise RuntimeError('at import')\n",
            ".venv/lib/junk.py": "raise SystemExit('never imported')\n",
        },
    )


def imported(plugin: Path) -> bool:
    return (plugin / "plugin" / "imported").exists()


def test_listing_and_describing_import_none_of_its_code(plugin: Path) -> None:
    before = set(sys.modules)
    discovery = PluginDiscovery.from_path(plugin)
    assert discovery.list_actions() == ["train", "infer", "broken", "missing", "number", "empty"]
    assert discovery.has_action("train")
    assert not discovery.has_action("test")
    assert discovery.get_action_config("train").method is RunMethod.JOB
    assert discovery.get_action_entrypoint("infer") == "plugin.infer.infer"
    assert [discovery.get_action_method(name) for name in ("train", "infer")] == ["job", "task"]
    assert discovery.get_action_input_type("train") == "stated"
    assert discovery.to_config_dict()["actions"]["train"]["method"] == "job"
    assert "shop" in repr(discovery)
    assert discovery.config.code == discovery.code == "shop"
    assert discovery.folder == plugin
    assert not imported(plugin)
    assert not [name for name in set(sys.modules) - before if "train" in name or "infer" in name]


@pytest.mark.parametrize(
    "form", [str, Path, lambda folder: folder / "config.yaml", lambda folder: f"{folder}/config.yaml"]
)
def test_it_is_found_by_folder_and_by_file(plugin: Path, form: Any) -> None:
    assert PluginDiscovery.from_path(form(plugin)).folder == plugin


def test_it_is_found_from_any_working_directory(plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(plugin.parent)
    discovery = PluginDiscovery.from_path("shop")
    monkeypatch.chdir("/")
    assert discovery.get_action_class("train").__name__ == "TrainAction"


def test_models_and_types_are_had_from_the_action(plugin: Path) -> None:
    discovery = PluginDiscovery.from_path(plugin)
    params = discovery.get_action_params_model("train")
    assert params is not None
    assert list(params.model_fields) == ["epochs"]
    assert discovery.get_action_result_model("train").__name__ == "Result"  # type: ignore[union-attr]
    assert discovery.resolve("train").output_type == "weights"
    assert discovery.get_action_output_type("train") is None  # the config does not say, and nothing is imported
    assert discovery.get_action_ui_schema("train")["properties"]["epochs"]["type"] == "integer"
    assert discovery.get_action_ui_schema("infer") == {"type": "object", "properties": {}}
    assert discovery.get_action_params_model("infer") is None
    assert imported(plugin)


def test_a_configured_ui_schema_is_given_as_it_is(plugin: Path) -> None:
    write(plugin, {"config.yaml": "actions: {train: {entrypoint: 'plugin.train:TrainAction', ui_schema: [{a: 1}]}}"})
    assert PluginDiscovery.from_path(plugin).get_action_ui_schema("train") == [{"a": 1}]
    assert not imported(plugin)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("broken", "RuntimeError: at import"),
        ("missing", "has no 'Nope'"),
        ("number", "5 cannot be run as an action"),
        ("empty", "write 'entrypoint: package.module:Name' below actions.empty in"),
    ],
)
def test_one_bad_action_spoils_only_itself(plugin: Path, name: str, told: str) -> None:
    discovery = PluginDiscovery.from_path(plugin)
    with pytest.raises(ActionLoadError) as caught:
        discovery.resolve(name)
    assert told in str(caught.value)
    assert discovery.has_action(name)
    assert discovery.resolve("train").validate({"epochs": 3}).epochs == 3


def test_an_unknown_action_names_the_nearest_and_all(plugin: Path) -> None:
    with pytest.raises(ActionNotFoundError) as caught:
        PluginDiscovery.from_path(plugin).get_action_class("trian")
    assert "Did you mean 'train'? Actions: train, infer" in str(caught.value)
    assert caught.value.known[:2] == ("train", "infer")


def test_the_name_in_the_config_is_the_name_in_errors_and_its_promises_count(plugin: Path) -> None:
    write(plugin, {"config.yaml": "actions: {fit: {entrypoint: 'plugin.train:TrainAction', idempotent: true}}"})
    resolved = PluginDiscovery.from_path(plugin).resolve("fit")
    assert resolved.idempotent
    with pytest.raises(ExecutionError, match="action 'fit' failed: ValueError: none") as caught:
        run_action(resolved, {"epochs": 0}, RuntimeContext())
    assert caught.value.details["action"] == "fit"


def test_near_misses_are_warned_of_and_kept_with_the_discovery(plugin: Path) -> None:
    write(plugin, {"config.yaml": "actons: {}\n"})
    with pytest.warns(ConfigWarning, match="Did you mean 'actions'"):
        discovery = PluginDiscovery.from_path(plugin)
    assert len(discovery.warnings) == 1


def test_discovery_writes_nothing_onto_classes() -> None:
    class Train(BaseAction[Any]):
        def execute(self) -> None:
            pass

    before = dict(vars(Train))
    discovery = PluginDiscovery.from_module(_module("m_plain", Train=Train))
    discovery.resolve("train")
    discovery.get_action_input_type("train")
    assert dict(vars(Train)) == before


# -- modules ----------------------------------------------------------------------------------


def _module(name: str, **members: Any) -> Any:
    import types

    module = types.ModuleType(name, "Does things.\n\nAt length.")
    vars(module).update(members)
    return module


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that writes files into a folder on ``sys.path``."""
    before = set(sys.modules)
    folder = tmp_path / "site"
    monkeypatch.syspath_prepend(folder)

    def make(files: dict[str, str]) -> Path:
        return write(folder, files)

    yield make
    for name in set(sys.modules) - before:
        if name.startswith("pkg_"):
            del sys.modules[name]


ACTION = """
from synapse_core import BaseAction, action
class {0}Action(BaseAction):
    '''Does {0}.'''
    def execute(self):
        return "{0}"
"""


class Configured(BaseModel):
    n: int = 0


def test_a_package_with_a_config_is_read_from_that(packages: Any) -> None:
    packages(
        {
            "pkg_conf/__init__.py": "",
            "pkg_conf/config.yaml": "code: conf\nactions:\n  a: pkg_conf.train:TrainAction\n  b: train:TrainAction\n",
            "pkg_conf/train.py": ACTION.format("Train"),
        }
    )
    discovery = PluginDiscovery.from_module("pkg_conf")
    assert discovery.code == "conf"
    for name in ("a", "b"):
        assert run_action(discovery.resolve(name), {}, RuntimeContext()) == "Train"
    import pkg_conf.train  # type: ignore[import-not-found]

    assert discovery.get_action_class("a") is pkg_conf.train.TrainAction


def test_a_module_without_config_lists_its_actions_by_name(packages: Any) -> None:
    packages(
        {
            "pkg_one.py": '"""About it."""\n'
            + ACTION.format("BigTrain")
            + "@action('infer', description='d')\ndef f(params): return 'f'\n"
            + "class Named(BigTrainAction):\n    action_name = 'special'\n"
            + "class _Hidden(BigTrainAction): pass\n"
            + "class Base(BaseAction): pass\n"
            + "def helper(params): pass\n"
        }
    )
    import pkg_one  # type: ignore[import-not-found]

    discovery = PluginDiscovery.from_module(pkg_one)
    assert discovery.list_actions() == ["big_train", "infer", "special"]
    assert discovery.config.description == "About it."
    assert discovery.get_action_config("big_train").description == "Does BigTrain."
    assert discovery.get_action_entrypoint("infer") == "pkg_one:f"
    assert discovery.to_config_dict()["actions"]["infer"] == {"entrypoint": "pkg_one:f", "description": "d"}
    assert run_action(discovery.resolve("special"), {}, RuntimeContext()) == "BigTrain"


def test_without_actions_of_its_own_a_package_lists_those_of_its_submodules(packages: Any) -> None:
    packages(
        {
            "pkg_sub/__init__.py": "",
            "pkg_sub/a.py": ACTION.format("A"),
            "pkg_sub/deep/__init__.py": "",
            "pkg_sub/deep/b.py": ACTION.format("B"),
            "pkg_sub/broken.py": "1 / 0\n",
            "pkg_sub/script.py": "import sys\nsys.exit(3)\n",
            "pkg_sub/__main__.py": "raise AssertionError('importing this runs the program')\n",
            "pkg_sub/.hidden/__init__.py": "raise AssertionError\n",
        }
    )
    with pytest.warns(ConfigWarning) as caught:
        discovery = PluginDiscovery.from_module("pkg_sub")
    assert discovery.list_actions() == ["a", "b"]
    assert sorted(str(warning.message).partition(":")[0] for warning in caught) == [
        "pkg_sub.broken does not import",
        "pkg_sub.script does not import",
    ]


def test_a_namespace_package_is_a_plugin_too(packages: Any) -> None:
    packages({"pkg_ns/inner.py": ACTION.format("Inner")})
    assert PluginDiscovery.from_module("pkg_ns").list_actions() == ["inner"]
    packages({"pkg_ns/config.yaml": "actions: {x: 'inner:InnerAction'}"})
    assert PluginDiscovery.from_module("pkg_ns").list_actions() == ["x"]


def test_one_action_with_a_bad_type_argument_spoils_only_itself(packages: Any) -> None:
    packages(
        {"pkg_bad.py": ACTION.format("Good") + "class WrongAction(BaseAction[int]):\n    def execute(self): pass\n"}
    )
    discovery = PluginDiscovery.from_module("pkg_bad")
    assert discovery.list_actions() == ["good", "wrong"]
    with pytest.raises(ActionLoadError, match="is not a pydantic model"):
        discovery.resolve("wrong")


def test_two_actions_of_one_name_are_warned_of_and_an_alias_is_not(packages: Any) -> None:
    packages({"pkg_two.py": ACTION.format("Train") + "Alias = TrainAction\nclass Train(TrainAction): pass\n"})
    with pytest.warns(ConfigWarning, match="two actions are called 'train': pkg_two:TrainAction is used") as caught:
        discovery = PluginDiscovery.from_module("pkg_two")
    assert len(caught) == 1
    assert discovery.get_action_class("train").__name__ == "TrainAction"


def test_objects_that_answer_to_anything_are_no_actions() -> None:
    class Answers:
        def __getattr__(self, name: str) -> Any:
            return lambda *args: "anything"

        def __call__(self) -> None:
            pass

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert PluginDiscovery.from_module(_module("m_odd", odd=Answers(), kind=Configured)).list_actions() == []


@pytest.mark.parametrize("name", ["pkg_nowhere", "pkg_nowhere.inner", "no such module"])
def test_a_module_that_is_not_there_is_no_plugin(name: str) -> None:
    with pytest.raises(PluginNotFoundError, match="neither a folder here"):
        PluginDiscovery.from_module(name)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import pkg_not_installed", "pkg_not_installed"),
        ("1 / 0", "ZeroDivisionError"),
        ("raise SystemExit(3)", "SystemExit"),
    ],
)
def test_a_module_that_does_not_import_is_a_load_error_with_its_traceback(packages: Any, text: str, told: str) -> None:
    packages({"pkg_fails.py": text})
    with pytest.raises(ActionLoadError, match="plugin 'pkg_fails' does not import") as caught:
        PluginDiscovery.from_module("pkg_fails")
    assert told in str(caught.value)
    assert "pkg_fails.py" in caught.value.traceback


def test_a_broken_config_of_a_package_is_a_config_error(packages: Any) -> None:
    packages({"pkg_cfg/__init__.py": "", "pkg_cfg/config.yaml": "actions: 5"})
    with pytest.raises(ConfigError, match=r"config\.yaml:1: actions"):
        PluginDiscovery.from_module("pkg_cfg")


def test_describing_imports_no_code_in_a_process_that_has_never_seen_it(plugin: Path) -> None:
    script = f"""
import sys
from synapse_core import PluginDiscovery
d = PluginDiscovery.from_path({str(plugin)!r})
d.list_actions(), d.to_config_dict(), d.get_action_method("train")
print([name for name, m in sys.modules.items() if str(getattr(m, "__file__", "")).startswith({str(plugin)!r})])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert not imported(plugin)
