"""An object of a plugin says where it is at home, so that another process can find it there."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from synapse_core.actions import BaseAction
from synapse_core.discovery import PluginDiscovery
from synapse_core.loading import find_plugin_home, load_plugin_code, loaded_plugin_folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "an-example"
    (made / "plugin").mkdir(parents=True)
    (made / "config.yaml").write_text("code: an-example\nactions:\n  train:\n    entrypoint: plugin.train.Train\n")
    (made / "plugin" / "train.py").write_text(
        f"# {tmp_path}: of equal sources in two folders, the second has a name that tells it apart in this process\n"
        "from synapse_core import BaseAction\n\n\n"
        "class Train(BaseAction):\n    class Inner:\n        pass\n\n    def execute(self):\n        return 1\n\n\n"
        "def local():\n    class Hidden:\n        pass\n\n    return Hidden\n"
    )
    return made


def test_a_class_of_a_plugin_is_found_again_by_its_home(folder: Path) -> None:
    train = PluginDiscovery.from_path(folder).get_action_class("train")
    home = find_plugin_home(train)
    assert home is not None
    assert (home.folder, home.entrypoint) == (str(folder), "plugin.train:Train")
    assert load_plugin_code(home.folder, home.code).import_entrypoint(home.entrypoint) is train
    inner = find_plugin_home(train.Inner)
    assert inner is not None
    assert inner.entrypoint == "plugin.train:Train.Inner"


def test_another_process_with_a_copy_of_the_folder_gives_the_class_the_same_name(folder: Path, tmp_path: Path) -> None:
    train = PluginDiscovery.from_path(folder).get_action_class("train")
    home = find_plugin_home(train)
    assert home is not None
    copy = tmp_path / "somewhere" / "else"
    shutil.copytree(folder, copy)
    code = (
        "import sys; from synapse_core.loading import load_plugin_code\n"
        "print(load_plugin_code(*sys.argv[1:3]).import_entrypoint(sys.argv[3]).__module__)"
    )
    command = [sys.executable, "-c", code, str(copy), home.code, home.entrypoint]
    there = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert there == train.__module__


def test_a_home_knows_its_copies(folder: Path, tmp_path: Path) -> None:
    home = find_plugin_home(PluginDiscovery.from_path(folder).get_action_class("train"))
    assert home is not None
    copy = tmp_path / "a-copy"
    shutil.copytree(folder, copy)
    assert home.is_in(folder)
    assert home.is_in(copy)
    (copy / "plugin" / "more.py").write_text("")
    assert not home.is_in(copy)
    assert not home.is_in(tmp_path / "missing")
    assert str(folder) in loaded_plugin_folders()


def test_what_no_plugin_has_is_at_home_nowhere(folder: Path) -> None:
    module = load_plugin_code(folder, "an-example").import_module("plugin.train")
    assert find_plugin_home(module.local()) is None
    assert find_plugin_home(BaseAction) is None
    assert find_plugin_home(3) is None
