"""Every example of the documents on Ray execution makes the same calls here, on a real cluster.

Written as in the documents, but for `/path/to/plugin`, which is a folder of the test, addresses, which are those of
the test's cluster, names of packages, which are small ones, and pauses. `RayPipelineExecutor` comes with pipelines.
"""

import asyncio
import importlib
import importlib.metadata
import inspect
import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from packaging.version import Version

from synapse_testing.ray_cluster import RayCluster
from synapse_testing.waiting import until

pytestmark = pytest.mark.campaign


PATIENCE = 120.0

CONFIG = """
code: documented
name: Documented
env:
  API_KEY: from-config
actions:
  train: plugin.train.TrainAction
  infer: plugin.train:InferAction
  preprocess: plugin.train:PreprocessAction
  export: plugin.train:ExportAction
  look: plugin.train:LookAction
  wait: plugin.train:WaitAction
  fail: plugin.train:FailAction
"""

TRAIN = '''
import importlib
import importlib.metadata
import os
import time
from pathlib import Path

from pydantic import BaseModel

from synapse_sdk.plugins.action import BaseAction

calls = []


def about(action):
    calls.append(action.ctx.job_id)
    return {
        'status': 'done',
        'pid': os.getpid(),
        'calls': len(calls),
        'job_id': action.ctx.job_id,
        'gpus': [gpu for gpu in os.environ.get('CUDA_VISIBLE_DEVICES', '').split(',') if gpu],
        'api_key': action.ctx.env.get('API_KEY'),
    }


class TrainParams(BaseModel):
    epochs: int = 1
    dataset: int = 0
    seconds: float = 0


class TrainAction(BaseAction[TrainParams]):
    def execute(self):
        for epoch in range(min(self.params.epochs, 3)):
            self.ctx.log('epoch_complete', {'epoch': epoch, 'loss': 0.1})
        print(f'trained {self.params.epochs} epochs')
        time.sleep(self.params.seconds)
        return {**about(self), 'epochs': self.params.epochs, 'dataset': self.params.dataset}


class InferAction(BaseAction):
    def execute(self):
        return {**about(self), 'batch_size': self.params['batch_size']}


class PreprocessAction(BaseAction):
    def execute(self):
        return {**about(self), 'input': self.params['input']}


class ExportAction(BaseAction):
    def execute(self):
        return {**about(self), 'format': self.params['format']}


class LookAction(BaseAction):
    """What it finds: variables, versions of packages, its own source, what the cluster has left."""

    def execute(self):
        packages = {}
        for name in self.params.get('packages', []):
            module = importlib.import_module(name)
            packages[name] = [importlib.metadata.version(name), module.__file__]
        variables = self.params.get('variables', [])
        return {
            'pid': os.getpid(),
            'packages': packages,
            'environ': {name: os.environ.get(name) for name in variables},
            'env': {name: self.ctx.env.get(name) for name in variables},
        }


class WaitAction(BaseAction):
    def execute(self):
        Path(self.params['started']).touch()
        while not Path(self.params['release']).exists():
            time.sleep(0.02)
        return about(self)


class FailAction(BaseAction):
    def execute(self):
        print('about to fail')
        raise ValueError('out of memory')
'''


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The documents' plugin: its folder, as ``path``, and its actions."""
    from synapse_sdk.plugins.discovery import PluginDiscovery

    folder = write_plugin(tmp_path_factory.mktemp("path") / "to" / "plugin")
    discovery = PluginDiscovery.from_path(str(folder))
    actions = {name: discovery.get_action_class(name) for name in discovery.list_actions()}
    return SimpleNamespace(path=str(folder), **{kind.__name__: kind for kind in actions.values()})


def write_plugin(folder: Path) -> Path:
    (folder / "plugin").mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "plugin" / "train.py").write_text(TRAIN)
    return folder


@pytest.fixture
def closing(connected_ray: ModuleType) -> Iterator[Callable[[Any], Any]]:
    """A function that has an executor shut down after the test."""
    made: list[Any] = []

    def add(executor: Any) -> Any:
        made.append(executor)
        return executor

    yield add
    for executor in made:
        executor.shutdown()


def living_actors() -> set[str]:
    """Return the ids of the actors that run actions: not the keeper, nor who lends actors."""
    from ray.util.state import list_actors

    names = {"WarmActor", "JobWorker"}
    return {
        actor.actor_id
        for actor in list_actors(limit=10_000)
        if actor.state != "DEAD" and actor.class_name.rpartition(".")[2] in names
    }


# -- the tables of constructor parameters, and the signatures of methods ------------------------

SHARED = {
    "env": None,
    "runtime_env": None,
    "working_dir": None,
    "requirements_file": None,
    "package_manager": "pip",
    "package_manager_options": None,
    "wheels_dir": "wheels",
    "num_cpus": None,
    "num_gpus": None,
    "include_sdk": False,
}
DOCUMENTED: dict[str, dict[str, Any]] = {
    "RayActorExecutor": {**SHARED, "job_id": None, "ray_address": "auto", "num_actors": 1},
    "RayJobExecutor": {**SHARED, "job_id": None, "ray_address": "auto"},
    "RayJobsApiExecutor": {**SHARED, "memory": None, "dashboard_address": "http://localhost:8265"},
}
NAMES = list(DOCUMENTED)


def documented(name: str) -> Any:
    return getattr(importlib.import_module("synapse_sdk.plugins.executors.ray"), name)


@pytest.mark.parametrize("name", NAMES)
def test_every_documented_parameter_has_its_documented_default(name: str) -> None:
    parameters = inspect.signature(documented(name)).parameters
    defaults = {key: parameters[key].default for key in DOCUMENTED[name]}
    if name == "RayJobsApiExecutor":  # None is that address, unless a cluster is named or runs elsewhere
        from synapse_ray.jobs_api.addressing import DEFAULT_DASHBOARD

        assert defaults["dashboard_address"] in (None, DEFAULT_DASHBOARD)
        defaults["dashboard_address"] = DEFAULT_DASHBOARD
    assert defaults == DOCUMENTED[name]


@pytest.mark.parametrize("name", NAMES)
def test_every_documented_parameter_is_taken_by_keyword(name: str, tmp_path: Path) -> None:
    kind = documented(name)
    kind(**DOCUMENTED[name])
    requirements = tmp_path / "requirements.txt"
    requirements.touch()
    given = {
        "env": {"API_KEY": "xxx"},
        "runtime_env": {"env_vars": {"A": "b"}},
        "working_dir": tmp_path,
        "requirements_file": str(requirements),
        "package_manager": "uv",
        "package_manager_options": ["--no-cache"],
        "wheels_dir": "dist",
        "num_cpus": 1.5,
        "num_gpus": 0.5,
        "include_sdk": True,
        "job_id": "mine",
        "ray_address": "ray://cluster-head:10001",
        "num_actors": 2,
        "memory": 2**30,
        "dashboard_address": "http://cluster-head:8265",
    }
    kind(**{key: given[key] for key in DOCUMENTED[name]})


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_parameter_is_refused_naming_the_nearest(name: str) -> None:
    with pytest.raises(TypeError, match="'num_gpus'"):
        documented(name)(num_gpu=1)


@pytest.mark.parametrize("name", NAMES)
def test_the_environment_is_taken_in_both_documented_forms(name: str) -> None:
    from synapse_sdk.plugins.context import PluginEnvironment
    from synapse_sdk.plugins.enums import PackageManager

    documented(name)(env=PluginEnvironment({"A": "b"}), package_manager=PackageManager.UV)
    documented(name)(env={"A": "b"}, package_manager="pip")


REQUIRED = inspect.Parameter.empty
POSITIONAL, KEYWORD = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize(
    ("name", "method", "signature"),
    [
        ("RayActorExecutor", "execute", {"params": POSITIONAL, "kwargs": inspect.Parameter.VAR_KEYWORD}),
        ("RayActorExecutor", "shutdown", {}),
        ("RayJobExecutor", "submit", {"params": POSITIONAL, "job_id": (KEYWORD, None)}),
        ("RayJobExecutor", "get_status", {"job_id": (POSITIONAL, REQUIRED)}),
        ("RayJobExecutor", "get_result", {"job_id": (POSITIONAL, REQUIRED), "timeout": (POSITIONAL, None)}),
        ("RayJobExecutor", "wait", {"job_id": (POSITIONAL, REQUIRED), "timeout_seconds": (POSITIONAL, 300)}),
        ("RayJobsApiExecutor", "submit", {"params": POSITIONAL, "job_id": (KEYWORD, None)}),
        ("RayJobsApiExecutor", "get_status", {"job_id": (POSITIONAL, REQUIRED)}),
        ("RayJobsApiExecutor", "get_logs", {"job_id": (POSITIONAL, REQUIRED)}),
        ("RayJobsApiExecutor", "stream_logs", {"job_id": (POSITIONAL, REQUIRED), "timeout": (KEYWORD, 3600.0)}),
        ("RayJobsApiExecutor", "stream_logs_async", {"job_id": (POSITIONAL, REQUIRED)}),
        ("RayJobsApiExecutor", "get_result", {"job_id": (POSITIONAL, REQUIRED), "timeout": (POSITIONAL, None)}),
        (
            "RayJobsApiExecutor",
            "wait",
            {
                "job_id": (POSITIONAL, REQUIRED),
                "timeout_seconds": (POSITIONAL, 300),
                "poll_interval": (POSITIONAL, 1.0),
            },
        ),
        ("RayJobsApiExecutor", "stop", {"job_id": (POSITIONAL, REQUIRED)}),
        ("RayJobsApiExecutor", "delete", {"job_id": (POSITIONAL, REQUIRED)}),
    ],
)
def test_every_documented_method_has_its_documented_signature(
    name: str, method: str, signature: dict[str, Any]
) -> None:
    parameters = inspect.signature(getattr(documented(name), method)).parameters
    for parameter, expected in signature.items():
        kind, default = expected if isinstance(expected, tuple) else (expected, ...)
        assert parameters[parameter].kind == kind
        assert default is ... or parameters[parameter].default == default
    needed = [key for key, one in parameters.items() if one.default is REQUIRED and one.kind == POSITIONAL]
    assert set(needed) - {"self"} <= set(signature), "a call as documented would not do"


def test_the_documented_import_paths_give_the_same_classes() -> None:
    from synapse_sdk.plugins.executors import ExecutorProtocol
    from synapse_sdk.plugins.executors.ray import (
        BaseRayExecutor,
        JobStatus,
        RayActorExecutor,
        RayJobExecutor,
        RayJobsApiExecutor,
        RayTaskExecutor,
    )
    from synapse_sdk.plugins.executors.ray.base import BaseRayExecutor as base
    from synapse_sdk.plugins.executors.ray.job import RayJobExecutor as job
    from synapse_sdk.plugins.executors.ray.jobs_api import RayJobsApiExecutor as jobs_api
    from synapse_sdk.plugins.executors.ray.task import RayActorExecutor as task

    assert RayTaskExecutor is RayActorExecutor is task
    assert (job, jobs_api, base) == (RayJobExecutor, RayJobsApiExecutor, BaseRayExecutor)
    assert str(JobStatus.SUCCEEDED) == "SUCCEEDED"
    for kind in (RayActorExecutor, RayJobExecutor, RayJobsApiExecutor):
        assert issubclass(kind, BaseRayExecutor)
        assert isinstance(kind(), ExecutorProtocol)


# -- RayActorExecutor ---------------------------------------------------------------------------


@pytest.mark.ray
def test_actor_quick_start(plugin: SimpleNamespace, closing: Any) -> None:
    from synapse_sdk.plugins.executors.ray import RayActorExecutor

    TrainAction, InferAction = plugin.TrainAction, plugin.InferAction
    before = living_actors()
    executor = RayActorExecutor(
        ray_address="auto",
        working_dir=plugin.path,
        num_gpus=1,
    )
    closing(executor)

    # Execute action
    result = executor.execute(TrainAction, {"epochs": 10})

    # Reuse the same actor for subsequent executions (fast)
    result2 = executor.execute(InferAction, {"batch_size": 32})

    assert len(living_actors() - before) == 1
    # Clean up when done
    executor.shutdown()

    assert (result["epochs"], result2["batch_size"]) == (10, 32)
    assert (result["pid"], result["calls"], result2["calls"]) == (result2["pid"], 1, 2)
    assert len(result["gpus"]) == 1
    assert result["gpus"] == result2["gpus"]
    until(lambda: not living_actors() - before)
    executor.shutdown()  # once more does nothing


@pytest.mark.ray
def test_actor_reuse_pattern(plugin: SimpleNamespace, closing: Any) -> None:
    from synapse_sdk.plugins.executors.ray import RayTaskExecutor as RayActorExecutor

    executor = RayActorExecutor(working_dir=plugin.path)
    closing(executor)

    # Same actor handles all executions - no re-initialization
    result1 = executor.execute(plugin.PreprocessAction, {"input": "data.csv"})
    result2 = executor.execute(plugin.TrainAction, {"epochs": 100})
    result3 = executor.execute(plugin.ExportAction, {"format": "onnx"})

    # Always shutdown when done
    executor.shutdown()
    assert {one["pid"] for one in (result2, result3)} == {result1["pid"]}
    assert [one["calls"] - result1["calls"] for one in (result2, result3)] == [1, 2]


@pytest.mark.ray
def test_actor_execute_takes_an_entrypoint_and_raises_as_documented(
    plugin: SimpleNamespace, closing: Any, tmp_path: Path
) -> None:
    from synapse_sdk.plugins.errors import ExecutionError, ValidationError
    from synapse_sdk.plugins.executors.ray.task import RayActorExecutor

    executor = closing(RayActorExecutor(working_dir=plugin.path))
    first = executor.execute("plugin.train.TrainAction", {"epochs": 2}, ignored=True)
    assert first["epochs"] == 2
    assert executor.execute(action_cls=plugin.InferAction, params={"batch_size": 1})["pid"] == first["pid"]
    with pytest.raises(ValidationError, match="epochs"):
        executor.execute(plugin.TrainAction, {"epochs": "many"})
    with pytest.raises(ExecutionError, match="ValueError: out of memory") as caught:
        executor.execute(plugin.FailAction, {})
    assert isinstance(caught.value.__cause__, ValueError)
    assert "plugin/train.py" in caught.value.remote_traceback
    assert executor.execute(plugin.TrainAction, {})["pid"] == first["pid"]  # still warm


@pytest.mark.ray
@pytest.mark.slow
def test_actor_pool_and_custom_runtime_env(plugin: SimpleNamespace, closing: Any) -> None:
    """`runtime_env={'pip': ['ultralytics']}`, and the custom one with CUDA_VISIBLE_DEVICES, in one environment."""
    from synapse_sdk.plugins.executors.ray.task import RayActorExecutor

    runtime_env = {
        "pip": {"packages": ["iniconfig==1.1.1"]},
        "env_vars": {"CUDA_VISIBLE_DEVICES": "0,1"},
    }
    written = json.dumps(runtime_env)
    executor = closing(RayActorExecutor(runtime_env=runtime_env))
    seen = executor.execute(plugin.LookAction, {"packages": ["iniconfig"], "variables": ["CUDA_VISIBLE_DEVICES"]})
    version, file = seen["packages"]["iniconfig"]
    assert (version, seen["environ"]["CUDA_VISIBLE_DEVICES"]) == ("1.1.1", "0,1")
    assert "runtime_resources" in file
    assert json.dumps(runtime_env) == written

    executor = closing(
        RayActorExecutor(
            num_actors=2,
            runtime_env={"pip": ["iniconfig==1.1.1"]},
        )
    )
    result = executor.execute(plugin.LookAction, {"packages": ["iniconfig"]})
    assert result["packages"]["iniconfig"][0] == "1.1.1"


@pytest.mark.ray
def test_cpu_and_gpu_allocation_of_actors(plugin: SimpleNamespace, closing: Any, connected_ray: ModuleType) -> None:
    from synapse_sdk.plugins.executors.ray import RayActorExecutor

    executor = RayActorExecutor(
        num_cpus=4,
        num_gpus=1,
    )
    closing(executor)
    assert len(executor.execute(plugin.TrainAction, {})["gpus"]) == 1
    left = connected_ray.available_resources()
    assert left.get("CPU", 0) <= 4
    assert left.get("GPU", 0) <= 1


@pytest.mark.ray
def test_fractions_of_a_gpu_share_one(plugin: SimpleNamespace, closing: Any, tmp_path: Path) -> None:
    from synapse_sdk.plugins.executors.ray import RayJobExecutor

    executor = closing(RayJobExecutor(working_dir=plugin.path, num_gpus=0.5, num_cpus=0.1))
    files = {str(n): {"started": str(tmp_path / f"{n}"), "release": str(tmp_path / "go")} for n in range(2)}
    jobs = [executor.submit(plugin.WaitAction, params) for params in files.values()]
    until(lambda: all(Path(params["started"]).exists() for params in files.values()))
    (tmp_path / "go").touch()
    one, other = (executor.get_result(job, PATIENCE)["gpus"] for job in jobs)
    assert one == other
    assert len(one) == 1


PLUGINS_OWN = "action_cls = PluginDiscovery.from_path(sys.argv[1]).get_action_class('train')"
SCRIPTS_OWN = """
class action_cls(BaseAction):
    def execute(self):
        time.sleep(self.params['seconds'])
        return {'epochs': self.params['epochs'], 'pid': os.getpid()}
"""


@pytest.mark.ray
@pytest.mark.parametrize("action", [PLUGINS_OWN, SCRIPTS_OWN], ids=["a plugin's class", "a class of the script"])
def test_parallel_execution_with_actors(
    action: str, plugin: SimpleNamespace, run_script: Any, connected_ray: ModuleType
) -> None:
    """As written, in a process of its own, under a time limit; afterwards no actor is left."""
    before = living_actors()
    done = run_script(
        f"""
import os, sys, time
from synapse_sdk.plugins.action import BaseAction
from synapse_sdk.plugins.discovery import PluginDiscovery
from synapse_sdk.plugins.executors.ray import RayActorExecutor
{action}
params_list = [{{'epochs': n, 'seconds': 2}} for n in range(8)]

import ray

executor = RayActorExecutor(num_actors=4)

@ray.remote
def run_one(params):
    return executor.execute(action_cls, params)

futures = [run_one.remote(p) for p in params_list]
results = ray.get(futures)

assert [result['epochs'] for result in results] == list(range(8)), results
print(len({{result['pid'] for result in results}}))
""",
        plugin.path,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert "4" in done.stdout.splitlines()  # Ray writes there too
    until(lambda: not living_actors() - before)


# -- RayJobExecutor -----------------------------------------------------------------------------


@pytest.mark.ray
def test_job_quick_start(plugin: SimpleNamespace, closing: Any) -> None:
    from synapse_sdk.plugins.executors.ray import RayJobExecutor

    executor = RayJobExecutor(
        ray_address="auto",
        working_dir=plugin.path,
    )
    closing(executor)

    # Submit job (non-blocking)
    job_id = executor.submit(plugin.TrainAction, {"epochs": 100})

    # Wait for completion
    status = executor.wait(job_id, timeout_seconds=3600)

    # Get result
    result = executor.get_result(job_id)
    assert (status, f"{status}", result["epochs"], result["job_id"]) == ("SUCCEEDED", "SUCCEEDED", 100, job_id)


@pytest.mark.ray
def test_multiple_concurrent_jobs(plugin: SimpleNamespace, closing: Any) -> None:
    """Five jobs of one GPU each, of which the cluster has two."""
    from synapse_sdk.plugins.executors.ray import RayJobExecutor

    executor = RayJobExecutor(working_dir=plugin.path, num_gpus=1)
    closing(executor)

    # Submit multiple jobs in parallel
    job_ids = []
    for dataset in [1, 2, 3, 4, 5]:
        job_id = executor.submit(plugin.TrainAction, {"dataset": dataset})
        job_ids.append(job_id)

    # Collect results
    results = {}
    for job_id in job_ids:
        executor.wait(job_id)
        results[job_id] = executor.get_result(job_id)

    assert [result["dataset"] for result in results.values()] == [1, 2, 3, 4, 5]
    assert {len(result["gpus"]) for result in results.values()} == {1}
    assert {gpu for result in results.values() for gpu in result["gpus"]} <= {"0", "1"}
    assert {result["calls"] for result in results.values()} == {1}  # each in an actor of its own


@pytest.mark.ray
def test_status_polling(plugin: SimpleNamespace, closing: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from synapse_sdk.plugins.executors.ray import RayJobExecutor

    executor = closing(RayJobExecutor(working_dir=plugin.path))
    job_id = executor.submit(plugin.TrainAction, {"epochs": 100})

    while True:
        status = executor.get_status(job_id)
        print(f"Status: {status}")
        if status in ("SUCCEEDED", "FAILED"):
            break
        time.sleep(0.1)

    if status == "SUCCEEDED":
        result = executor.get_result(job_id)

    assert result["epochs"] == 100
    shown = capsys.readouterr().out.split("\n")
    assert set(shown) - {""} <= {"Status: PENDING", "Status: RUNNING", "Status: SUCCEEDED"}
    assert shown[-2] == "Status: SUCCEEDED"


@pytest.mark.ray
def test_job_submission_with_monitoring(
    plugin: SimpleNamespace, closing: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the contract's amendment: the executor has what Ray has no module for."""
    from synapse_sdk.plugins.executors.ray.job import RayJobExecutor

    params = {"epochs": 3}
    executor = RayJobExecutor(working_dir=plugin.path)
    closing(executor)
    job_id = executor.submit("plugin.train.TrainAction", params)

    # Monitor job status
    while True:
        status = executor.get_status(job_id)
        if status == "SUCCEEDED":
            logs = executor.get_logs(job_id)
            print(logs)
            break
        elif status == "FAILED":
            raise RuntimeError(f"Job {job_id} failed")
        time.sleep(0.1)
    shown = capsys.readouterr().out
    assert "trained 3 epochs" in shown
    assert "epoch_complete" in shown


@pytest.mark.ray
@pytest.mark.slow
def test_job_with_packages_installed_by_uv(plugin: SimpleNamespace, closing: Any, tmp_path: Path) -> None:
    """The `runtime_env={'uv': …}` of executors, and uv with `--no-cache --system` of "Package Management"."""
    from synapse_sdk.plugins.executors.ray.job import RayJobExecutor

    executor = RayJobExecutor(
        working_dir=plugin.path,
        runtime_env={
            "uv": {"packages": ["iniconfig==1.1.1"]},
        },
    )
    closing(executor)
    job_id = executor.submit("plugin.train.LookAction", {"packages": ["iniconfig"]})
    folder = write_plugin(tmp_path / "plugin")
    (folder / "requirements.txt").write_text("iniconfig==1.1.1\n")
    other = RayJobExecutor(
        working_dir=str(folder),
        package_manager="uv",
        package_manager_options=["--no-cache", "--system"],
    )
    closing(other)
    other_id = other.submit("plugin.train.LookAction", {"packages": ["iniconfig"]})
    for one, job in ((executor, job_id), (other, other_id)):
        version, file = one.get_result(job, 200)["packages"]["iniconfig"]
        assert version == "1.1.1"
        assert "runtime_resources" in file  # in the job's environment, and not in the system's


@pytest.mark.ray
@pytest.mark.parametrize("name", ["RayJobExecutor", "RayJobsApiExecutor"])
def test_handle_errors_gracefully(
    name: str, plugin: SimpleNamespace, closing: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from synapse_sdk.plugins.errors import ExecutionError

    executor = closing(documented(name)(working_dir=plugin.path))
    job_id = executor.submit(plugin.FailAction, {})
    try:
        result = executor.get_result(job_id, timeout=3600)
    except ExecutionError as e:
        print(f"Job failed: {e}")
        logs = executor.get_logs(job_id)  # Get logs for debugging
        result = None

    assert result is None
    assert "about to fail" in logs
    assert capsys.readouterr().out.startswith("Job failed: action 'fail' failed: ValueError: out of memory")
    with pytest.raises(ExecutionError):
        executor.wait(job_id)


@pytest.mark.ray
@pytest.mark.parametrize("name", ["RayJobExecutor", "RayJobsApiExecutor"])
def test_a_job_that_nobody_knows(name: str, closing: Any) -> None:
    from synapse_sdk.plugins.errors import ExecutionError

    executor = closing(documented(name)())
    assert executor.get_status("nobody-knows-it") == "UNKNOWN"
    with pytest.raises(ExecutionError, match="nobody-knows-it"):
        executor.get_result("nobody-knows-it")
    with pytest.raises(ExecutionError, match="nobody-knows-it"):
        executor.wait("nobody-knows-it")


@pytest.mark.ray
@pytest.mark.parametrize("name", ["RayJobExecutor", "RayJobsApiExecutor"])
def test_waiting_may_time_out(name: str, plugin: SimpleNamespace, closing: Any, tmp_path: Path) -> None:
    from synapse_sdk.plugins.errors import ExecutionError

    executor = closing(documented(name)(working_dir=plugin.path))
    params = {"started": str(tmp_path / "started"), "release": str(tmp_path / "release")}
    job_id = executor.submit(plugin.WaitAction, params)
    with pytest.raises(ExecutionError) as caught:
        executor.wait(job_id, timeout_seconds=0.2)
    assert isinstance(caught.value, TimeoutError)
    with pytest.raises(TimeoutError):
        executor.get_result(job_id, timeout=0.2)
    (tmp_path / "release").touch()  # it goes on
    assert executor.get_result(job_id, PATIENCE)["status"] == "done"


# -- RayJobsApiExecutor -------------------------------------------------------------------------


@pytest.mark.ray
def test_jobs_api_quick_start(
    plugin: SimpleNamespace, closing: Any, ray_cluster: RayCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    from synapse_sdk.plugins.executors.ray import RayJobsApiExecutor

    executor = RayJobsApiExecutor(
        dashboard_address=ray_cluster.dashboard_url,
        working_dir=plugin.path,
        num_gpus=1,
    )
    closing(executor)

    # Submit job
    job_id = executor.submit(plugin.TrainAction, {"epochs": 100})

    # Stream logs in real-time (includes runtime env setup)
    for log_line in executor.stream_logs(job_id):
        print(log_line, end="")

    # Get result
    result = executor.get_result(job_id)
    assert (result["epochs"], result["job_id"], len(result["gpus"])) == (100, job_id, 1)
    assert executor.get_status(job_id) == "SUCCEEDED"
    shown = capsys.readouterr().out
    assert "trained 100 epochs" in shown
    assert "epoch_complete" in shown


@pytest.mark.ray
def test_async_log_streaming(
    plugin: SimpleNamespace, closing: Any, ray_cluster: RayCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    from synapse_sdk.plugins.executors.ray import RayJobsApiExecutor

    TrainAction = plugin.TrainAction

    async def run_with_logs() -> Any:
        executor = RayJobsApiExecutor(
            dashboard_address=ray_cluster.dashboard_url,
            working_dir=plugin.path,
        )
        closing(executor)

        job_id = executor.submit(TrainAction, {"epochs": 100})

        async for log_line in executor.stream_logs_async(job_id):
            print(log_line, end="")

        return executor.get_result(job_id)

    result = asyncio.run(run_with_logs())
    assert result["epochs"] == 100
    assert "trained 100 epochs" in capsys.readouterr().out


@pytest.mark.ray
def test_resource_configuration(
    plugin: SimpleNamespace, closing: Any, ray_cluster: RayCluster, connected_ray: ModuleType, tmp_path: Path
) -> None:
    from synapse_sdk.plugins.executors.ray import RayJobsApiExecutor

    executor = RayJobsApiExecutor(
        dashboard_address=ray_cluster.dashboard_url,
        working_dir=plugin.path,
        num_cpus=4,
        num_gpus=2,
        memory=16 * 1024 * 1024 * 1024,  # 16GB
        package_manager="uv",
    )
    closing(executor)
    total = connected_ray.cluster_resources()
    job_id = executor.submit(
        plugin.WaitAction, {"started": str(tmp_path / "started"), "release": str(tmp_path / "release")}
    )
    until((tmp_path / "started").exists)
    left = connected_ray.available_resources()
    (tmp_path / "release").touch()
    assert sorted(executor.get_result(job_id, PATIENCE)["gpus"]) == ["0", "1"]
    assert total["CPU"] - left.get("CPU", 0) >= 4
    assert left.get("GPU", 0) == 0
    assert total["memory"] - left["memory"] >= 16 * 1024**3


@pytest.mark.ray
def test_log_streaming_and_full_logs_agree(plugin: SimpleNamespace, closing: Any, ray_cluster: RayCluster) -> None:
    from synapse_sdk.plugins.executors.ray import RayJobsApiExecutor

    params = {"epochs": 2}
    executor = RayJobsApiExecutor(dashboard_address=ray_cluster.dashboard_url)
    closing(executor)
    job_id = executor.submit(plugin.TrainAction, params)

    # Real-time streaming
    lines = []
    for line in executor.stream_logs(job_id):
        lines.append(line)

    # Full logs after completion
    logs = executor.get_logs(job_id)
    assert all(line.endswith("\n") for line in lines)
    assert "".join(lines) == logs
    assert "trained 2 epochs" in logs
    assert str(executor.wait(job_id)) == "SUCCEEDED"


@pytest.mark.ray
@pytest.mark.slow
def test_logs_include_the_installation_of_packages(
    plugin: SimpleNamespace, closing: Any, ray_cluster: RayCluster
) -> None:
    from synapse_sdk.plugins.executors.ray import RayJobsApiExecutor

    executor = closing(
        RayJobsApiExecutor(
            dashboard_address=ray_cluster.dashboard_url,
            working_dir=plugin.path,
            runtime_env={"pip": ["iniconfig==1.1.0"]},
        )
    )
    job_id = executor.submit(plugin.LookAction, {"packages": ["iniconfig"]})
    logs = "".join(executor.stream_logs(job_id))
    version, file = executor.get_result(job_id)["packages"]["iniconfig"]
    assert version == "1.1.0"
    assert "runtime_resources" in file
    if Version(importlib.metadata.version("ray")) >= Version("2.60"):  # as the document on Ray says
        assert "iniconfig==1.1.0" in logs or "iniconfig-1.1.0" in logs, logs


@pytest.mark.ray
def test_stop_and_delete(plugin: SimpleNamespace, closing: Any, ray_cluster: RayCluster, tmp_path: Path) -> None:
    from synapse_sdk.plugins.executors.ray.jobs_api import RayJobsApiExecutor

    executor = closing(RayJobsApiExecutor(dashboard_address=ray_cluster.dashboard_url, working_dir=plugin.path))
    job_id = executor.submit(
        plugin.WaitAction, {"started": str(tmp_path / "started"), "release": str(tmp_path / "never")}
    )
    until((tmp_path / "started").exists)
    assert executor.stop(job_id) is True
    assert executor.get_status(job_id) == "STOPPED"
    assert executor.stop(job_id) is False
    assert executor.delete(job_id) is True
    assert executor.get_status(job_id) == "UNKNOWN"


# -- common configuration -----------------------------------------------------------------------


def write_wheel(folder: Path, name: str, version: str, code: str) -> Path:
    """Write a wheel of one module, without any tool."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)
    return wheel


@pytest.mark.ray
@pytest.mark.slow
def test_working_directory_with_wheels(closing: Any, tmp_path: Path) -> None:
    from synapse_sdk.plugins.executors.ray import RayActorExecutor

    folder = write_plugin(tmp_path / "plugin")
    (folder / "requirements.txt").write_text("# nothing else\n")
    write_wheel(folder / "wheels", "custom_package", "1.0.0", "WHO = 'the wheel'\n")
    executor = RayActorExecutor(
        working_dir=str(folder),
        wheels_dir="wheels",  # Wheels auto-included in runtime_env
    )
    closing(executor)
    seen = executor.execute("plugin.train:LookAction", {"packages": ["custom_package"]})
    assert seen["packages"]["custom_package"][0] == "1.0.0"


@pytest.mark.ray
@pytest.mark.parametrize("name", NAMES)
def test_credentials_are_there_in_every_mode(
    name: str, plugin: SimpleNamespace, closing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = f"token-{os.urandom(8).hex()}"
    monkeypatch.setenv("SYNAPSE_HOST", "https://synapse.test")
    monkeypatch.setenv("SYNAPSE_ACCESS_TOKEN", token)
    executor = closing(documented(name)(working_dir=plugin.path, env={"EXTRA": 5}))
    seen = executor.execute(plugin.LookAction, {"variables": ["SYNAPSE_HOST", "SYNAPSE_ACCESS_TOKEN", "EXTRA"]})
    # What an action returns is its own; a token in it is hidden nowhere on the way.
    assert seen["environ"] == {"SYNAPSE_HOST": "https://synapse.test", "SYNAPSE_ACCESS_TOKEN": token, "EXTRA": "5"}
    assert seen["env"] == {"SYNAPSE_HOST": "https://synapse.test", "SYNAPSE_ACCESS_TOKEN": token, "EXTRA": 5}


@pytest.mark.ray
def test_remote_mode_connects_via_the_client_protocol(
    plugin: SimpleNamespace, run_script: Any, ray_cluster: RayCluster
) -> None:
    done = run_script(
        """
        import json, sys
        from synapse_sdk.plugins.executors.ray import RayActorExecutor, RayJobExecutor

        # Remote mode - connects via Ray client protocol
        executor = RayActorExecutor(ray_address=sys.argv[1], working_dir=sys.argv[2])
        result = executor.execute('plugin.train.TrainAction', {'epochs': 3})
        jobs = RayJobExecutor(ray_address=sys.argv[1], working_dir=sys.argv[2])
        job_id = jobs.submit('plugin.train.TrainAction', {'epochs': 4})
        print(json.dumps([result['epochs'], jobs.get_result(job_id, 100)['epochs']]))
        executor.shutdown()
        jobs.shutdown()
        """,
        ray_cluster.client_address,
        plugin.path,
        timeout=200,
        env={"RAY_ADDRESS": ""},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [3, 4]


# -- run_plugin ---------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connected_ray: ModuleType) -> Path:
    """A working directory that has nothing to do with the plugin."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.ray
def test_run_plugin_in_task_mode_shares_the_warm_actor(plugin: SimpleNamespace, elsewhere: Path) -> None:
    from synapse_sdk.plugins.runner import ExecutionMode, run_plugin

    # Ray Actor execution (fast startup)
    result = run_plugin(
        plugin_code=plugin.path,
        action="train",
        params={"epochs": 100},
        mode=ExecutionMode.TASK,
    )
    again = [
        run_plugin(plugin.path, "train", {"epochs": 1}, mode="task"),
        run_plugin(os.path.relpath(plugin.path), "infer", {"batch_size": 2}, mode="task"),
        run_plugin(f"{plugin.path}/config.yaml", "train", {"epochs": 1}, mode="task", job_id="mine"),
    ]
    assert (result["epochs"], result["api_key"]) == (100, "from-config")
    assert {one["pid"] for one in again} == {result["pid"]}
    assert again[-1]["job_id"] == "mine"
    other = run_plugin(plugin.path, "train", {"epochs": 1}, mode="task", env={"API_KEY": "xxx"})
    assert (other["api_key"], other["pid"] != result["pid"]) == ("xxx", True)


@pytest.mark.ray
@pytest.mark.parametrize(("mode", "name"), [("job", "RayJobsApiExecutor"), ("ray-job", "RayJobExecutor")])
def test_run_plugin_in_a_job_mode_returns_the_job_id(
    mode: str, name: str, plugin: SimpleNamespace, closing: Any, elsewhere: Path
) -> None:
    from synapse_sdk.plugins.runner import ExecutionMode, run_plugin

    # Ray Job execution (heavy workloads)
    job_id = run_plugin(
        plugin_code=plugin.path,
        action="train",
        params={"epochs": 100},
        mode=ExecutionMode.JOB if mode == "job" else mode,
    )
    other = run_plugin(f"{plugin.path}/config.yaml", "infer", {"batch_size": 3}, mode=mode, env={"API_KEY": "xxx"})
    assert isinstance(job_id, str)
    executor = closing(documented(name)())
    result, second = executor.get_result(job_id, PATIENCE), executor.get_result(other, PATIENCE)
    assert (result["epochs"], result["job_id"], result["api_key"]) == (100, job_id, "from-config")
    assert (second["batch_size"], second["api_key"]) == (3, "xxx")


@pytest.mark.ray
@pytest.mark.parametrize("mode", ["task", "job", "ray-job"])
def test_run_plugin_refuses_params_before_anything_leaves(mode: str, plugin: SimpleNamespace, elsewhere: Path) -> None:
    from synapse_sdk.plugins.errors import ActionNotFoundError, ValidationError
    from synapse_sdk.plugins.runner import run_plugin

    with pytest.raises(ValidationError, match="epochs"):
        run_plugin(plugin.path, "train", {"epochs": "many"}, mode=mode)
    with pytest.raises(ActionNotFoundError, match="Did you mean 'train'"):
        run_plugin(plugin.path, "trian", {}, mode=mode)


@pytest.mark.ray
@pytest.mark.parametrize("mode", ["task", "job", "ray-job"])
def test_migration_from_local_is_a_word(
    mode: str, plugin: SimpleNamespace, closing: Any, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An importable package without a config, named by its module."""
    from synapse_sdk.plugins.runner import run_plugin

    package = elsewhere / "site" / "my_ray_plugin"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from .train import TrainAction\n")
    (package / "train.py").write_text(TRAIN)
    monkeypatch.syspath_prepend(elsewhere / "site")
    importlib.invalidate_caches()
    params = {"epochs": 5}

    # During development: local mode
    result = run_plugin("my_ray_plugin", "train", params, mode="local")

    # After testing
    there = run_plugin("my_ray_plugin", "train", params, mode=mode)
    if mode != "task":
        there = closing(documented("RayJobExecutor" if mode == "ray-job" else "RayJobsApiExecutor")()).get_result(
            there, PATIENCE
        )
    changing = {"pid", "job_id", "calls"}
    assert {k: v for k, v in there.items() if k not in changing} == {
        k: v for k, v in result.items() if k not in changing
    }
