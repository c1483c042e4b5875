"""What leaves this process is checked before, and can be found on a worker."""

import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from synapse_core.actions import BaseAction
from synapse_core.discovery import PluginDiscovery
from synapse_core.errors import ActionLoadError, BackendError, PluginNotFoundError, ValidationError
from synapse_core.model.references import ActionReference, PluginReference
from synapse_ray.action_loading import load_action
from synapse_ray.preparation import Preparer
from synapse_testing import actions

HERE = actions.__name__


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "an-example"
    (made / "plugin").mkdir(parents=True)
    (made / "config.yaml").write_text(
        "code: an-example\nactions:\n  train:\n    entrypoint: plugin.train.Train\n  far:\n    entrypoint: plugin.far.Far\n"
    )
    (made / "plugin" / "train.py").write_text(
        f"# {tmp_path}\nfrom pydantic import BaseModel\nfrom synapse_core import BaseAction\n\n\n"
        "class Params(BaseModel):\n    epochs: int\n\n\n"
        "class Train(BaseAction[Params]):\n    idempotent = True\n\n    def execute(self):\n        return self.params.epochs\n"
    )
    (made / "plugin" / "far.py").write_text("import a_package_that_only_workers_have\n\n\nclass Far: ...\n")
    return made


def preparer(working_dir: Path | None = None) -> Preparer:
    return Preparer(working_dir)


@pytest.mark.parametrize("given", [actions.AddAction, f"{HERE}:AddAction", f"{HERE}.AddAction"])
def test_an_importable_action_travels_by_name(given: Any) -> None:
    prepared = preparer().prepare(given)
    assert (prepared.spec.entrypoint, prepared.spec.plugin, prepared.folder) == (f"{HERE}:AddAction", None, None)
    assert load_action(prepared.spec).target is actions.AddAction


def test_a_local_class_travels_by_value() -> None:
    class Local(BaseAction):
        def execute(self) -> int:
            return 7

    spec = preparer().prepare(Local).spec
    assert spec.entrypoint is None
    assert load_action(spec).call({}, None) == 7


def test_what_a_local_function_closes_over_travels_or_is_named() -> None:
    n = 3
    assert load_action(preparer().prepare(lambda params: n).spec).call({}, None) == 3
    lock = threading.Lock()
    with pytest.raises(TypeError, match="cannot be sent to a worker"):
        preparer().prepare(lambda params: lock)


def test_a_plugins_action_names_the_folder_to_ship(folder: Path) -> None:
    discovery = PluginDiscovery.from_path(folder)
    for given in (discovery.resolve("train"), discovery.get_action_class("train")):
        prepared = preparer().prepare(given)
        assert prepared.folder == folder
        assert prepared.spec.entrypoint in ("plugin.train.Train", "plugin.train:Train")
        assert prepared.spec.idempotent


def test_an_entrypoint_is_seen_from_the_working_dir(folder: Path) -> None:
    prepared = preparer(folder).prepare("plugin.train.Train")
    assert (prepared.spec.plugin, prepared.folder) == ("an-example", folder)
    assert load_action(prepared.spec, str(folder)).name == "train"
    assert preparer(folder).prepare(f"{HERE}:AddAction").spec.plugin is None  # an installed one still is itself


def test_a_plugin_from_elsewhere_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(BackendError, match=f"(?s){folder}.*{other}"):
        preparer(other).prepare(PluginDiscovery.from_path(folder).get_action_class("train"))


def test_params_are_checked_before_anything_leaves(folder: Path) -> None:
    prepared = preparer(folder).prepare("plugin.train.Train")
    with pytest.raises(ValidationError, match="epochs"):
        prepared.with_params({})
    assert prepared.with_params({"epochs": "3"}).params == ("plain", {"epochs": "3"})


def test_an_action_whose_packages_only_workers_have_travels_unchecked(folder: Path) -> None:
    reference = ActionReference("far", PluginReference("an-example", str(folder)), "plugin.far.Far", idempotent=True)
    for given in ("plugin.far.Far", reference):
        prepared = preparer(folder).prepare(given)
        assert prepared.resolved is None
        assert prepared.with_params({"any": 1}).params == ("plain", {"any": 1})
    assert prepared.spec.name == "far"
    assert prepared.spec.idempotent


def test_an_edited_params_model_is_picked_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("synapse_ray.preparation.time.monotonic", lambda: now)
    known = preparer(folder)
    assert known.prepare("plugin.train.Train") is known.prepare("plugin.train.Train")
    with pytest.raises(ValidationError):
        known.prepare("plugin.train.Train").with_params({"epochs": "many"})
    source = folder / "plugin" / "train.py"
    source.write_text(source.read_text().replace("epochs: int", "epochs: str"))
    now += 1.0
    assert known.prepare("plugin.train.Train").with_params({"epochs": "many"}).params[0] == "plain"
    by_value = known.prepare(mine := lambda params, ctx: 1)
    now += 10.0
    assert known.prepare(mine) is by_value  # its code cannot have changed, and its worker knows it by its pickle


def test_a_mistyped_entrypoint_is_an_error_here(folder: Path) -> None:
    for mistyped in ("plugin.train.Trian", "plugin.trian.Train", "pluign.train.Train"):
        with pytest.raises(ActionLoadError):
            preparer(folder).prepare(mistyped)


def test_a_plugin_that_is_not_here_is_an_error_here() -> None:
    with pytest.raises(PluginNotFoundError, match="--path"):
        preparer().prepare(ActionReference("train", PluginReference("nowhere")))


def test_what_is_no_action_is_refused() -> None:
    with pytest.raises(TypeError, match="BaseAction"):
        preparer().prepare(SimpleNamespace())


def test_the_main_modules_actions_travel_by_value(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from synapse_core import BaseAction\nfrom synapse_ray.preparation import Preparer\n\n\n"
        "class Mine(BaseAction):\n    def execute(self):\n        return 1\n\n\n"
        "spec = Preparer(None).prepare(Mine).spec\n"
        "assert spec.entrypoint is None and spec.pickled\n"
    )
    subprocess.run([sys.executable, script], check=True)
