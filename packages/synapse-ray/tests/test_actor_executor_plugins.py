"""Plugins on warm actors: their folder travels, edits are picked up, settings and credentials arrive and show nowhere."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.util.state import list_actors, list_tasks

from synapse_core.discovery import PluginDiscovery
from synapse_core.errors import BackendError, ValidationError
from synapse_core.runner import run_plugin
from synapse_ray.actor_executor import RayActorExecutor

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("connected_ray"), pytest.mark.campaign]

TRAIN = """
    from pydantic import BaseModel
    from synapse_core import BaseAction
    from plugin.helper import WORD

    class TrainParams(BaseModel):
        epochs: int = 1

    class TrainAction(BaseAction[TrainParams]):
        def execute(self):
            import os
            from plugin import late
            return {"word": WORD, "late": late.WORD, "epochs": self.params.epochs, "pid": os.getpid()}

        class Inner:
            pass

    class Outer:
        class NestedAction(BaseAction[TrainParams]):
            def execute(self):
                return "nested"
"""


def plugin_files(word: str) -> dict[str, Any]:
    return {
        "config.yaml": {
            "code": "same-code",
            "name": "x",
            "actions": {"train": {"entrypoint": "plugin.train.TrainAction"}},
        },
        "plugin/__init__.py": "",
        "plugin/helper.py": f"WORD = {word!r}\n",
        "plugin/late.py": f"WORD = {word!r}\n",
        "plugin/train.py": TRAIN,
    }


MakePlugin = Callable[..., Path]


@pytest.fixture
def executors() -> Iterator[list[RayActorExecutor]]:
    made: list[RayActorExecutor] = []
    yield made
    for executor in made:
        executor.shutdown()


def test_two_plugins_with_the_same_package_do_not_see_each_other(
    make_plugin: MakePlugin, executors: list[RayActorExecutor]
) -> None:
    words = []
    for name in ("one", "two"):
        folder = make_plugin(plugin_files(name), name)
        train = PluginDiscovery.from_path(folder).get_action_class("train")
        executors.append(RayActorExecutor())  # it ships the folder of the first plugin that it sees
        answer = executors[-1].execute(train, {"epochs": 2})
        words.append((answer["word"], answer["late"], answer["epochs"]))
    assert words == [("one", "one", 2), ("two", "two", 2)]
    with pytest.raises(BackendError, match=r"Make another executor with working_dir=.*two"):
        executors[0].execute(train, {})


def test_an_entrypoint_of_the_folder(make_plugin: MakePlugin, executors: list[RayActorExecutor]) -> None:
    folder = make_plugin(plugin_files("one"))
    executors.append(RayActorExecutor(working_dir=folder))
    assert executors[0].execute("plugin.train.TrainAction", {})["word"] == "one"
    assert executors[0].execute("plugin.train:Outer.NestedAction", {}) == "nested"
    with pytest.raises(ValidationError, match="epochs"):
        executors[0].execute("plugin.train:TrainAction", {"epochs": "many"})


@pytest.mark.timeout(120)
def test_edited_code_is_picked_up(make_plugin: MakePlugin, executors: list[RayActorExecutor]) -> None:
    folder = make_plugin(plugin_files("before"))
    executors.append(RayActorExecutor(working_dir=folder))
    first = executors[0].execute("plugin.train.TrainAction", {})
    assert executors[0].execute("plugin.train.TrainAction", {})["pid"] == first["pid"]
    (folder / "plugin" / "helper.py").write_text("WORD = 'after'\n")
    time.sleep(1.1)  # what is promised: a call that starts more than a second after the edit
    second = executors[0].execute("plugin.train.TrainAction", {})
    assert (first["word"], second["word"]) == ("before", "after")
    (folder / "plugin" / "helper.py").touch()
    time.sleep(1.1)
    assert executors[0].execute("plugin.train.TrainAction", {})["pid"] == second["pid"]


@pytest.mark.timeout(120)
def test_run_plugin_shares_one_pool(make_plugin: MakePlugin) -> None:
    folder = make_plugin(plugin_files("one"))
    answers = [run_plugin(folder, "train", {"epochs": n}, mode="task") for n in range(3)]
    assert [answer["epochs"] for answer in answers] == [0, 1, 2]
    assert len({answer["pid"] for answer in answers}) == 1


def test_credentials_arrive_and_show_nowhere(
    monkeypatch: pytest.MonkeyPatch, executors: list[RayActorExecutor]
) -> None:
    token = f"tok-{os.urandom(12).hex()}"
    value = f"val-{os.urandom(12).hex()}"
    monkeypatch.setenv("SYNAPSE_HOST", "https://synapse.test")
    monkeypatch.setenv("SYNAPSE_ACCESS_TOKEN", token)
    executors.append(RayActorExecutor(env={"DB_PASSWORD": value, "DEBUG": True}))
    names = ["SYNAPSE_HOST", "SYNAPSE_ACCESS_TOKEN", "DB_PASSWORD", "DEBUG"]
    answer = executors[0].execute("synapse_testing.actions:reads_env", {"names": names})
    assert answer["env"] == dict(zip(names, ["https://synapse.test", token, value, True], strict=True))
    assert answer["process"] == dict(zip(names, ["https://synapse.test", token, value, "true"], strict=True))
    mine = [("job_id", "=", ray.get_runtime_context().get_job_id())]
    shown = [repr(item) for item in list_actors(filters=mine, detail=True, limit=1000, raise_on_missing_output=False)]
    shown += [repr(item) for item in list_tasks(filters=mine, detail=True, limit=1000, raise_on_missing_output=False)]
    assert any("WarmActor" in text for text in shown)
    assert not [text for text in shown if token in text or value in text]


def test_what_is_no_module_of_the_folder_is_named(make_plugin: MakePlugin, executors: list[RayActorExecutor]) -> None:
    executors.append(RayActorExecutor(working_dir=make_plugin(plugin_files("one"))))
    with pytest.raises(Exception, match="nothing_here"):
        executors[0].execute("plugin.nothing_here:Action", {})


@pytest.mark.parametrize("num_actors", [1, 3])
def test_an_environment_that_cannot_be_made_is_said(executors: list[RayActorExecutor], num_actors: int) -> None:
    missing = {"pip": ["/nowhere/no_such_package-1.0-py3-none-any.whl"]}
    executors.append(RayActorExecutor(runtime_env=missing, num_actors=num_actors, num_cpus=1))
    with pytest.raises(BackendError, match="environment could not be made on the node"):
        executors[0].execute("synapse_testing.actions:adds", {"left": 1})


def test_a_wheel_for_another_platform_is_named(make_plugin: MakePlugin, executors: list[RayActorExecutor]) -> None:
    folder = make_plugin({**plugin_files("one"), "wheels/camera-1.0-cp39-cp39-macosx_11_0_arm64.whl": "never opened"})
    executors.append(RayActorExecutor(working_dir=folder))
    with pytest.raises(
        BackendError, match=r"(?s)environment could not be made.*camera-1\.0-cp39.*not a supported wheel"
    ):
        executors[0].execute("plugin.train:TrainAction", {})
