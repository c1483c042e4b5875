"""What of this machine goes to the cluster, and what never shows there."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from synapse_core.model.enums import PackageManager
from synapse_ray import shipping
from synapse_ray.action_loading import load_action
from synapse_ray.action_spec import ActionSpec
from synapse_ray.options import RayOptions
from synapse_ray.packaging import PackagingError
from synapse_ray.sdk_package import pack_sdk
from synapse_ray.settings import travelling_values
from synapse_ray.shipping import Shipment, Shipments

TOKEN = "tok-5f1c0c9a7be34d0fa1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "plugin-folder"
    made.mkdir()
    (made / "config.yaml").write_text("code: x\n")
    return made


@pytest.fixture(autouse=True)
def no_credentials_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SYNAPSE_HOST", "SYNAPSE_ACCESS_TOKEN", "SYNAPSE_TENANT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def test_the_folder_travels_under_a_name_that_follows_from_its_contents(folder: Path) -> None:
    shipped = Shipment(RayOptions(), folder).current()
    (package,) = shipped.packages
    assert shipped.runtime_env == {"working_dir": package.uri}
    os.utime(folder / "config.yaml")
    assert Shipment(RayOptions(), folder).current().version == shipped.version
    (folder / "config.yaml").write_text("code: y\n")
    assert Shipment(RayOptions(), folder).current().version != shipped.version


def test_no_folder_and_nothing_to_install_is_no_runtime_env() -> None:
    shipped = Shipment(RayOptions(), None).current()
    assert (shipped.runtime_env, shipped.packages) == ({}, ())


def test_an_unchanged_folder_is_the_very_same_version(folder: Path) -> None:
    shipment = Shipment(RayOptions(), folder)
    assert shipment.current() is shipment.current()


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("given", ["requirements_file", "runtime_env", "included"])
def test_an_edited_requirements_file_outside_the_folder_is_seen_after_a_second(
    folder: Path, tmp_path: Path, given: str
) -> None:
    (tmp_path / "requirements.txt").write_text("tomli\n")
    options = RayOptions()
    if given == "requirements_file":
        options = RayOptions(requirements_file=tmp_path / "requirements.txt")
    elif given == "runtime_env":
        options = RayOptions(runtime_env={"pip": {"packages": str(tmp_path / "requirements.txt")}})
    else:
        (folder / "requirements.txt").write_text("-r ../requirements.txt  # shared\n")
    clock = Clock()
    shipment = Shipment(options, folder, clock=clock)
    before = shipment.current()
    assert before.runtime_env["pip"]["packages"] == ["tomli"]
    (tmp_path / "requirements.txt").write_text("tomli\npackaging\n")
    assert shipment.current() is before
    clock.now += 1.1
    after = shipment.current()
    assert after.runtime_env["pip"]["packages"] == ["tomli", "packaging"]
    assert after.version != before.version
    (tmp_path / "requirements.txt").write_text("tomli\npackaging\n# nothing new\n")
    clock.now += 1.1
    assert shipment.current() is after


def test_another_token_is_seen_after_a_second_and_is_another_version(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setenv("SYNAPSE_ACCESS_TOKEN", "first")
    shipment = Shipment(RayOptions(), folder, clock=clock)
    before = shipment.current()
    monkeypatch.setenv("SYNAPSE_ACCESS_TOKEN", "second")
    clock.now += 1.1
    after = shipment.current()
    assert after.settings.env == {"SYNAPSE_ACCESS_TOKEN": "second"}
    assert after.version != before.version
    clock.now += 1.1
    assert shipment.current() is after


def test_nothing_is_looked_at_more_than_once_a_second(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Any] = []
    monkeypatch.setattr(shipping, "travelling_values", lambda env: looks.append(env) or {})
    clock = Clock()
    shipment = Shipment(RayOptions(), folder, clock=clock)
    for _ in range(100):
        shipment.current()
    assert len(looks) == 1
    clock.now += 1.1
    shipment.current()
    assert len(looks) == 2


def test_one_shipment_is_made_for_each_folder(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    pack = shipping.pack_module
    monkeypatch.setattr(shipping, "pack_module", lambda module: made.append(module) or pack(module))
    (tmp_path / "beside.py").write_text("")
    shipments = Shipments(RayOptions(runtime_env={"py_modules": [str(tmp_path / "beside.py")]}))
    assert shipments.current(folder) is shipments.current(folder)
    assert len(made) == 1
    assert shipments.current(None).packages != shipments.current(folder).packages


def test_workers_of_a_folder_that_is_a_package_share_one_link_in_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    session = tmp_path / "session"
    working_dir = tmp_path / "_ray_pkg_1"
    working_dir.mkdir()
    (working_dir / "__init__.py").write_text("def act(params, ctx): return 1\n")
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr("synapse_ray.ray_internals.session_folder", lambda: str(session))
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = ActionSpec("act", "package_of_a_test:act", package="package_of_a_test")
    for _ in range(2):
        load_action(spec, str(working_dir))
        sys.modules.pop("package_of_a_test")
        sys.path.pop()  # another worker
    (link,) = session.rglob("package_of_a_test")
    assert link.resolve() == working_dir


def test_requirements_and_wheels_of_the_folder_are_installed(folder: Path) -> None:
    (folder / "requirements.txt").write_text("tomli\n")
    env = {"env_vars": {"LANG": "C.UTF-8"}}
    before = json.dumps(env)
    shipped = Shipment(RayOptions(runtime_env=env, package_manager=PackageManager.UV), folder).current()
    assert shipped.runtime_env["uv"]["packages"] == ["tomli"]
    assert shipped.runtime_env["env_vars"] == {"LANG": "C.UTF-8"}
    assert json.dumps(env) == before


def test_a_secret_travels_in_the_settings_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNAPSE_ACCESS_TOKEN", f"{TOKEN}-environ")
    env = {"env_vars": {"MY_API_KEY": f"{TOKEN}-runtime", "PLAIN": "1"}}
    shipped = Shipment(RayOptions(env={"DB": f"{TOKEN}-env"}, runtime_env=env), folder).current()
    assert TOKEN not in json.dumps(shipped.runtime_env)
    assert TOKEN not in repr(shipped.settings)
    assert shipped.settings.variables == {"MY_API_KEY": f"{TOKEN}-runtime"}
    assert shipped.settings.env == {"SYNAPSE_ACCESS_TOKEN": f"{TOKEN}-environ", "DB": f"{TOKEN}-env"}


def test_stored_credentials_stand_in_for_those_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "home" / ".synapse"
    place.mkdir(parents=True)
    (place / "config.json").write_text(json.dumps({"host": "https://h", "access_token": TOKEN}))
    assert travelling_values(None) == {"SYNAPSE_HOST": "https://h", "SYNAPSE_ACCESS_TOKEN": TOKEN}
    assert travelling_values({"SYNAPSE_HOST": "mine"})["SYNAPSE_HOST"] == "mine"
    monkeypatch.setenv("SYNAPSE_ACCESS_TOKEN", "from-environ")
    assert travelling_values(None) == {"SYNAPSE_ACCESS_TOKEN": "from-environ"}  # never a mixture of two accounts
    (place / "config.json").write_text("no json")
    monkeypatch.delenv("SYNAPSE_ACCESS_TOKEN")
    assert travelling_values(None) == {}


def test_modules_beside_the_folder_travel_under_their_names(folder: Path, tmp_path: Path) -> None:
    module = tmp_path / "helpers"
    module.mkdir()
    (module / "__init__.py").write_text("")
    shipped = Shipment(RayOptions(runtime_env={"py_modules": [str(module)]}), folder).current()
    code, helpers = shipped.packages
    assert shipped.runtime_env["py_modules"] == [helpers.uri]
    assert [file.path for file in helpers.files] == ["helpers/__init__.py"]
    assert code.uri == shipped.runtime_env["working_dir"]


def test_the_packages_of_this_environment_can_be_shipped(folder: Path, tmp_path: Path) -> None:
    shipped = Shipment(RayOptions(include_sdk=True), folder).current()
    assert shipped.runtime_env["py_modules"] == [pack_sdk().uri]
    zipfile.ZipFile(io.BytesIO(pack_sdk().to_zip())).extractall(tmp_path / "worker")
    code = (
        "import synapse_core, synapse_sdk, synapse_local, sys\n"
        "assert all(m.__file__.startswith(sys.argv[1]) for m in (synapse_core, synapse_sdk, synapse_local))\n"
        "from synapse_core.plugins.scan import scan_backends\n"
        "assert {'local', 'task'} <= {row.name for row in scan_backends()[0] if not row.error}\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "worker")}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "worker")], env=environ, check=True)


def test_a_wheel_that_an_ignore_file_leaves_out_is_named(folder: Path) -> None:
    (folder / "wheels").mkdir()
    (folder / "wheels" / "custom_package-1.0.0-py3-none-any.whl").write_bytes(b"")
    (folder / ".gitignore").write_text("wheels/\n")
    with pytest.raises(PackagingError, match="custom_package"):
        Shipment(RayOptions(), folder).current()


def test_the_callers_dicts_are_never_changed(folder: Path) -> None:
    runtime_env: dict[str, Any] = {"pip": {"packages": ["a"]}, "env_vars": {"MY_TOKEN": "x"}, "excludes": ["data"]}
    before = json.dumps(runtime_env)
    (folder / "requirements.txt").write_text("b\n")
    Shipment(RayOptions(runtime_env=runtime_env), folder).current()
    assert json.dumps(runtime_env) == before
