"""Arguments of the executors are checked when they are given, and never changed."""

from pathlib import Path
from typing import Any

import pytest

from synapse_core.errors import BackendError
from synapse_ray.actor_executor import RayActorExecutor
from synapse_ray.base import BaseRayExecutor
from synapse_ray.options import RayOptions


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"num_cpus": -1}, ValueError, "0 or more"),
        ({"num_cpus": "4"}, TypeError, "number"),
        ({"num_gpus": True}, TypeError, "number"),
        ({"num_gpus": 1.5}, ValueError, "whole number"),
        ({"memory": float("nan")}, ValueError, "0 or more"),
        ({"runtime_env": ["pip"]}, TypeError, "mapping"),
        ({"env": 3}, TypeError, "mapping"),
        ({"package_manager_options": "--no-cache"}, TypeError, "list of options"),
        ({"package_manager": "conda"}, ValueError, "'pip', 'uv'"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        BaseRayExecutor(**arguments)


def test_all_wrong_arguments_are_named_in_one_error() -> None:
    with pytest.raises(ValueError, match="several arguments are wrong") as wrong:
        RayActorExecutor(num_cpus=-1, package_manager="conda", num_actors=0)
    assert str(wrong.value).splitlines() == [
        "several arguments are wrong:",
        "  package_manager='conda' is not known; known are 'pip', 'uv'",
        "  num_cpus has to be 0 or more, not -1",
        "  num_actors has to be 1 or more, not 0",
    ]
    with pytest.raises(TypeError, match="several arguments are wrong") as wrong_type:
        BaseRayExecutor(num_cpus=-1, env=3)  # type: ignore[arg-type]
    assert "num_cpus" in str(wrong_type.value)
    assert "env has to be a mapping" in str(wrong_type.value)


@pytest.mark.parametrize("count", [0, 0.25, 1, 2, 2.0])
def test_fractions_of_a_gpu_are_taken(count: float) -> None:
    assert RayOptions(num_gpus=count).resources() == {"num_gpus": count}


def test_what_was_not_asked_for_is_left_to_ray() -> None:
    assert RayOptions().resources() == {}


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("")
    with pytest.raises(BackendError, match="does not exist"):
        BaseRayExecutor(working_dir=tmp_path / "missing")
    with pytest.raises(BackendError, match="is a file"):
        BaseRayExecutor(working_dir=file)


def test_a_config_file_stands_for_its_folder(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("code: x\n")
    assert BaseRayExecutor(working_dir=tmp_path / "config.yaml")._options.working_dir == tmp_path


def test_an_address_may_come_first() -> None:
    assert BaseRayExecutor("head:6379")._options.address == "head:6379"
