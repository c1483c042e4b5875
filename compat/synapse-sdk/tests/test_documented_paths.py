"""Every documented import path gives the very object that the flat name gives."""

import importlib
import subprocess
import sys

import pytest

DOCUMENTED = [
    ("synapse_sdk.plugins.action", "BaseAction", "synapse_core"),
    ("synapse_sdk.plugins.action", "action", "synapse_core"),
    ("synapse_sdk.plugins.context", "RuntimeContext", "synapse_core"),
    ("synapse_sdk.plugins.context", "PluginEnvironment", "synapse_core"),
    ("synapse_sdk.plugins.context.env", "PluginEnvironment", "synapse_core"),
    ("synapse_sdk.plugins.discovery", "PluginDiscovery", "synapse_core"),
    ("synapse_sdk.plugins.runner", "run_plugin", "synapse_core"),
    ("synapse_sdk.plugins.runner", "ExecutionMode", "synapse_core"),
    ("synapse_sdk.plugins.errors", "PluginError", "synapse_core"),
    ("synapse_sdk.plugins.errors", "ValidationError", "synapse_core"),
    ("synapse_sdk.plugins.errors", "ActionNotFoundError", "synapse_core"),
    ("synapse_sdk.plugins.errors", "ExecutionError", "synapse_core"),
    ("synapse_sdk.plugins.models.pipeline", "RunStatus", "synapse_core"),
    ("synapse_sdk.plugins.models.pipeline", "ActionStatus", "synapse_core"),
    ("synapse_sdk.plugins.models.pipeline", "ActionProgress", "synapse_core"),
    ("synapse_sdk.plugins.models.pipeline", "PipelineProgress", "synapse_core"),
    ("synapse_sdk.plugins.models.pipeline", "Checkpoint", "synapse_core"),
    ("synapse_sdk.plugins.enums", "PluginCategory", "synapse_core"),
    ("synapse_sdk.plugins.enums", "RunMethod", "synapse_core"),
    ("synapse_sdk.plugins.enums", "PackageManager", "synapse_core"),
    ("synapse_sdk.plugins.executors", "ExecutorProtocol", "synapse_core"),
    ("synapse_sdk.plugins.executors.local", "LocalExecutor", "synapse_local"),
    ("synapse_sdk.loggers", "ConsoleLogger", "synapse_local"),
    ("synapse_sdk.plugins.executors.ray", "BaseRayExecutor", "synapse_ray"),
    ("synapse_sdk.plugins.executors.ray", "RayActorExecutor", "synapse_ray"),
    ("synapse_sdk.plugins.executors.ray", "RayTaskExecutor", "synapse_ray"),
    ("synapse_sdk.plugins.executors.ray", "RayJobExecutor", "synapse_ray"),
    ("synapse_sdk.plugins.executors.ray", "RayJobsApiExecutor", "synapse_ray"),
    ("synapse_sdk.plugins.executors.ray.base", "BaseRayExecutor", "synapse_ray"),
    ("synapse_sdk.plugins.executors.ray.task", "RayActorExecutor", "synapse_ray"),
    ("synapse_sdk.plugins.executors.ray.task", "RayTaskExecutor", "synapse_ray"),
    ("synapse_sdk.plugins.executors.ray.job", "RayJobExecutor", "synapse_ray"),
    ("synapse_sdk.plugins.executors.ray.jobs_api", "RayJobsApiExecutor", "synapse_ray"),
    ("synapse_sdk.plugins.executors.ray", "JobStatus", "synapse_ray"),
    ("synapse_sdk.plugins.executors.ray.job", "JobStatus", "synapse_ray"),
    ("synapse_sdk.plugins.executors.ray.jobs_api", "JobStatus", "synapse_ray"),
]

NOT_INSTALLED = [
    ("synapse_sdk.plugins.executors.ray", "RayPipelineExecutor", "pip install 'synapse-pipeline[ray]'"),
    ("synapse_sdk.plugins.executors.ray", "PipelineDefinition", "pip install 'synapse-pipeline[ray]'"),
    ("synapse_sdk.plugins.executors.ray.pipeline", "RayPipelineExecutor", "pip install 'synapse-pipeline[ray]'"),
    ("synapse_sdk.plugins.executors.ray.pipeline", "PipelineDefinition", "pip install 'synapse-pipeline[ray]'"),
]


@pytest.mark.parametrize(("path", "name", "flat"), DOCUMENTED)
def test_a_documented_name_is_the_flat_object(path: str, name: str, flat: str) -> None:
    assert getattr(importlib.import_module(path), name) is getattr(importlib.import_module(flat), name)


@pytest.mark.parametrize(("path", "name", "flat"), DOCUMENTED)
def test_a_documented_class_is_pickled_without_the_facade(path: str, name: str, flat: str) -> None:
    assert not getattr(importlib.import_module(path), name).__module__.startswith("synapse_sdk")


def test_every_error_has_its_documented_path() -> None:
    flat, documented = (
        importlib.import_module("synapse_core.errors"),
        importlib.import_module("synapse_sdk.plugins.errors"),
    )
    errors = {name for name in flat.__all__ if isinstance(getattr(flat, name), type)}
    assert errors == set(documented.__all__)
    assert all(getattr(documented, name) is getattr(flat, name) for name in errors)


@pytest.mark.parametrize(("path", "name", "install"), NOT_INSTALLED)
def test_a_name_of_a_missing_package_says_what_to_install(path: str, name: str, install: str) -> None:
    if importlib.util.find_spec("synapse_pipeline"):
        pytest.fail("the package is part of the workspace now: move its names to DOCUMENTED")
    module = importlib.import_module(path)  # works where Ray is not installed
    with pytest.raises(ModuleNotFoundError) as caught:
        getattr(module, name)
    assert install in str(caught.value)


def test_the_install_line_survives_a_from_import() -> None:
    with pytest.raises(ImportError, match="pip install 'synapse-pipeline"):
        exec("from synapse_sdk.plugins.executors.ray import RayPipelineExecutor", {})


def test_importing_the_path_of_the_ray_executors_imports_no_ray() -> None:
    code = "import sys, synapse_sdk.plugins.executors.ray.task; assert not {'ray', 'synapse_ray'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_of_a_facade_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="NoSuchName"):
        importlib.import_module("synapse_sdk.plugins.executors.ray").NoSuchName  # noqa: B018 - reading it is the test


def test_facades_hold_no_definitions_of_their_own() -> None:
    code = (
        "import sys, synapse_sdk.plugins.executors.ray, synapse_sdk.plugins.executors.local, synapse_sdk.loggers\n"
        "assert 'synapse_local' not in sys.modules and 'ray' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
