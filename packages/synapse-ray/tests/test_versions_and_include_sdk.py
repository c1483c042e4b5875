"""Clusters that have other versions than this process, or nothing of Synapse: found, named, and mended by include_sdk."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from synapse_testing.plugin_fixtures import write_plugin
from synapse_testing.ray_cluster import RayCluster

MODES = ("task", "ray-job", "job")
PATIENCE = 240.0
OTHER_RAY = "2.55.1"
OTHER_PYTHON = "3.11" if sys.version_info[:2] != (3, 11) else "3.12"
SAME_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"

RUN = """
import json, os, pickle, sys, time
from synapse_core.errors import PluginError
from synapse_core.runner import prepare_run

folder, action, include_sdk, addresses = json.loads(sys.argv[1])

def by_value(params, ctx):
    return "by value"

def lasts(params, ctx):
    time.sleep(0.3)  # long enough for its reports to be fetched while it runs
    ctx.log_message("at work")
    return os.getpid()

def in_one_process(executor):
    copy = pickle.loads(pickle.dumps(executor))
    return len({one.execute(lasts, {}) for one in (executor, executor, copy)}) == 1

found = {}
for mode, address in addresses.items():
    begun = time.monotonic()
    try:
        target = {} if action in ("add", "documented") else {"action_cls": by_value}
        run = prepare_run(folder, action, mode=mode, ray_address=address, include_sdk=include_sdk, **target)
        if action == "stays warm":
            found[mode] = in_one_process(run.executor)
        else:
            found[mode] = run.executor.execute(run.target, {"left": 40, "right": 2})
    except PluginError as error:
        found[mode] = f"{type(error).__name__}: {error}"
    except BaseException as error:
        found[mode] = f"RAW {type(error).__module__}.{type(error).__name__}: {error}"
    print(mode, time.monotonic() - begun, file=sys.stderr)
print(json.dumps(found))
"""

PLAIN = """
from pydantic import BaseModel
from synapse_core import BaseAction

class Params(BaseModel):
    left: int
    right: int

class AddAction(BaseAction[Params]):
    def execute(self):
        print("printed over there")
        return self.params.left + self.params.right
"""


def environment(ray_version: str, python: str) -> Path:
    """Return the interpreter of an environment with Ray and nothing of Synapse; made once on a machine."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "synapse-testing"
    folder = cache / f"ray-{ray_version}-py{python}"
    interpreter = folder / "bin" / "python"
    if not (folder / "complete").exists():
        environ = {**os.environ, "PYENV_VERSION": "3.11.7:3.12.1:3.13.0"}
        needs = [f"ray[default]=={ray_version}", "pydantic", "pyyaml", "pluggy"]
        for command in (
            ["uv", "venv", "--quiet", "--clear", "--seed", "--python", python, str(folder)],
            ["uv", "pip", "install", "--quiet", "--python", str(interpreter), *needs],
        ):
            subprocess.run(command, env=environ, check=True)
        (folder / "complete").touch()
    return interpreter


def run(cluster: RayCluster, folder: Path, action: str, *, include_sdk: bool, modes: tuple[str, ...] = MODES) -> Any:
    """Run an action in a process for each mode and return what came of it."""
    processes = []
    for mode in modes:
        wanted = [str(folder), action, include_sdk, {mode: cluster.dashboard_url if mode == "job" else cluster.address}]
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", RUN, json.dumps(wanted)],
                env={**os.environ, **cluster.environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    found: dict[str, Any] = {}
    for mode, process in zip(modes, processes, strict=True):
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            found[mode] = f"HANGS: {process.communicate()}"
            continue
        assert process.returncode == 0, (mode, process.returncode, out, err)
        found |= json.loads(out.splitlines()[-1])
        sys.stderr.write(err)
    return found


@pytest.fixture(scope="module")
def bare() -> Iterator[RayCluster]:
    """Give a cluster of the same Ray and Python, in whose environment there is nothing of Synapse."""
    with RayCluster(num_cpus=4, num_gpus=0, python=environment(ray.__version__, SAME_PYTHON)) as cluster:
        yield cluster


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """Give a plugin with one action to each way of importing us."""
    actions = {"add": {"entrypoint": "plain:AddAction"}, "documented": {"entrypoint": "documented:AddAction"}}
    documented = PLAIN.replace("from synapse_core import", "from synapse_sdk.plugins.action import")
    return write_plugin(
        tmp_path / "adding",
        {"config.yaml": {"code": "adding", "actions": actions}, "plain.py": PLAIN, "documented.py": documented},
    )


@pytest.mark.campaign
@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_cluster_without_synapse_is_named_and_include_sdk_brings_all_of_it(bare: RayCluster, plugin: Path) -> None:
    without = run(bare, plugin, "add", include_sdk=False)
    for mode, text in without.items():
        assert str(text).startswith("BackendError: "), (mode, text)
        assert "pip install synapse-ray" in text, (mode, text)
        assert "include_sdk=True" in text, (mode, text)
    # In the same cluster, which by now has seen all that failed.
    assert run(bare, plugin, "add", include_sdk=True) == dict.fromkeys(MODES, 42)
    assert run(bare, plugin, "documented", include_sdk=True) == dict.fromkeys(MODES, 42)
    assert run(bare, plugin, "by value", include_sdk=True) == dict.fromkeys(MODES, "by value")
    assert run(bare, plugin, "stays warm", include_sdk=True, modes=("task",)) == {"task": True}


def skewed(found: dict[str, Any], here: str, there: str, modes: tuple[str, ...]) -> None:
    for mode in modes:
        text = found[mode]
        assert str(text).startswith("BackendError: "), (mode, text)
        assert here in text, (mode, text)
        assert there in text, (mode, text)


@pytest.mark.campaign
@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_another_ray_is_named_and_the_jobs_api_works_with_it(plugin: Path) -> None:
    with RayCluster(num_cpus=4, num_gpus=0, python=environment(OTHER_RAY, SAME_PYTHON)) as cluster:
        found = run(cluster, plugin, "add", include_sdk=True)
        skewed(found, ray.__version__, OTHER_RAY, ("task", "ray-job"))
        assert found["job"] == 42
        assert run(cluster, plugin, "by value", include_sdk=True, modes=("job",)) == {"job": "by value"}


@pytest.mark.campaign
@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_another_python_is_named_and_the_jobs_api_works_with_it(plugin: Path) -> None:
    with RayCluster(num_cpus=4, num_gpus=0, python=environment(ray.__version__, OTHER_PYTHON)) as cluster:
        found = run(cluster, plugin, "add", include_sdk=True)
        skewed(found, platform.python_version(), OTHER_PYTHON, ("task", "ray-job"))
        assert found["job"] == 42
        # A pickle of code opens in the same Python only, and that is found before anything is submitted.
        by_value = run(cluster, plugin, "by value", include_sdk=True, modes=("job",))
        skewed(by_value, platform.python_version(), OTHER_PYTHON, ("job",))


# -- without a cluster: what a worker says of itself --------------------------------------------

ON_A_WORKER = """
import json, sys
from synapse_core.errors import PluginError
from synapse_ray.action_spec import ActionSpec
from synapse_ray.wire import pack
from synapse_ray.worker import ActionRunner, WorkerSettings, open_reply
from synapse_ray.worker_report import worker_report

hidden = sys.argv[2:] == ["hidden"]
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "synapse_sdk":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
if hidden:
    sys.meta_path.insert(0, Hide())
    import importlib.util
    find_spec = importlib.util.find_spec
    importlib.util.find_spec = lambda name: None if name.partition(".")[0] == "synapse_sdk" else find_spec(name)
found = {"report": worker_report()}
for module in ("plain", "documented"):
    spec = ActionSpec(module, f"{module}:AddAction", "adding")
    try:
        reply = ActionRunner(WorkerSettings(), sys.argv[1]).run(spec, pack({"left": 40, "right": 2}), "job", lambda _: None)
        found[module] = open_reply(reply)
    except PluginError as error:
        found[module] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
"""


def on_a_worker(folder: Path, *args: str, path: Path | None = None) -> dict[str, Any]:
    environ = {**os.environ, "PYTHONPATH": "" if path is None else str(path)}
    command = [sys.executable, "-c", ON_A_WORKER, str(folder), *args]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_worker_reports_its_versions_and_whose_facade_it_has(plugin: Path) -> None:
    found = on_a_worker(plugin)
    assert (
        found["report"].items()
        >= {
            "Python": platform.python_version(),
            "ray": ray.__version__,
            "synapse_sdk": "ours",
        }.items()
    )
    assert {"synapse-core", "synapse-ray"} <= set(found["report"])
    assert (found["plain"], found["documented"]) == (42, 42)


def test_a_missing_facade_matters_to_those_who_import_it_only(plugin: Path) -> None:
    found = on_a_worker(plugin, "hidden")
    assert found["report"]["synapse_sdk"] == "missing"
    assert found["plain"] == 42
    says_what_to_do(found["documented"], "has none")


@pytest.mark.parametrize("has_base_class", [True, False])
def test_a_facade_of_somebody_else_matters_to_those_who_import_it_only(
    plugin: Path, tmp_path: Path, has_base_class: bool
) -> None:
    action = "class BaseAction:\n    def __class_getitem__(cls, item):\n        return cls\n" if has_base_class else ""
    files = {
        "synapse_sdk/__init__.py": "",
        "synapse_sdk/plugins/__init__.py": "",
        "synapse_sdk/plugins/action.py": action,
    }
    found = on_a_worker(plugin, path=write_plugin(tmp_path / "foreign", files))
    assert found["report"]["synapse_sdk"] == "foreign"
    assert found["plain"] == 42
    says_what_to_do(found["documented"], "another product")


def says_what_to_do(text: str, found: str) -> None:
    assert text.startswith("BackendError: ")
    assert found in text
    for remedy in ("pip install synapse-sdk-compat", "include_sdk=True", "requirements.txt", platform.python_version()):
        assert remedy in text
