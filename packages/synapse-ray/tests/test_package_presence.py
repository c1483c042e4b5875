"""Uploaded code is there whenever a worker is made: also when it had been collected, and its node was lost."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from synapse_ray.ray_internals import control_store
from synapse_testing.plugin_fixtures import write_plugin
from synapse_testing.ray_cluster import RayCluster
from synapse_testing.waiting import poll

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.campaign,
    # They share one folder, and one collects the code that another works with.
    pytest.mark.skipif(Version(metadata.version("ray")) < Version("2.52"), reason="nodes of one machine are not apart"),
]

PATIENCE = 120.0
MODES = ("task", "ray-job", "job")
PIN_SECONDS = "2"
PINNED_FOR = {"RAY_RUNTIME_ENV_TEMPORARY_REFERENCE_EXPIRATION_S": PIN_SECONDS}

# Runs an action whenever it is asked to, in a mode of its choice, with executors that stay.
DRIVER = """
import json, sys
from synapse_core.errors import PluginError
from synapse_ray import RayActorExecutor, RayJobExecutor, RayJobsApiExecutor

folder, address, dashboard = sys.argv[1:]
executors = {
    "task": RayActorExecutor(ray_address=address, working_dir=folder, num_cpus=1),
    "ray-job": RayJobExecutor(ray_address=address, working_dir=folder, num_cpus=1),
    "job": RayJobsApiExecutor(dashboard_address=dashboard, working_dir=folder, num_cpus=1),
}
for line in sys.stdin:
    try:
        found = executors[line.strip()].execute("versioned:look", {})
    except PluginError as error:
        found = f"{type(error).__name__}: {error}"
    except BaseException as error:
        found = f"RAW {type(error).__name__}: {error}"
    print("answer " + json.dumps(found), flush=True)
"""

LOOK = """
import os
import ray

VERSION = {version}


def look(params, ctx):
    node = ray.get_runtime_context().get_node_id() if ray.is_initialized() else ""
    return [VERSION, os.path.basename(os.getcwd()), node]
"""


class Driver:
    """A user's process with one executor for each mode."""

    def __init__(self, cluster: RayCluster, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(folder), cluster.address, cluster.dashboard_url],
            env={**os.environ, **cluster.environment, **PINNED_FOR},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, mode: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(mode + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("answer "):
                return json.loads(line.removeprefix("answer "))
        raise AssertionError("the process has ended")

    def look(self, mode: str) -> Any:
        found = self.run(mode)
        assert isinstance(found, list), f"{mode}: {found}"
        return found

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """Give a cluster that collects code two seconds after its upload, with a head that runs no work."""
    with RayCluster(num_cpus=0, num_gpus=0, env=PINNED_FOR) as cluster:
        yield cluster


def packages(cluster: RayCluster) -> set[str]:
    """Return the names of the packages of code that the cluster holds."""
    keys = control_store(cluster.address).internal_kv_keys(b"gcs://", None)
    return {key.decode() for key in keys if b"secret" not in key}


def test_code_survives_its_collection_and_the_loss_of_its_node(cluster: RayCluster, tmp_path: Path) -> None:
    folder = write_plugin(tmp_path / "versioned", {"versioned.py": LOOK.format(version=1)})
    first = cluster.add_node(num_cpus=1, memory=2 * 2**30)
    driver = Driver(cluster, folder)
    try:
        version, package, node = driver.look("task")  # Ray names the folder after the package
        assert (version, node) == (1, first.node_id)

        second = cluster.add_node(num_cpus=1, memory=2 * 2**30)
        first.kill()
        cluster.wait_until_dead(first)
        # Nobody refers to it any more, and the pin has passed: the cluster has forgotten it.
        assert poll(lambda: not packages(cluster), PATIENCE), packages(cluster)

        found = driver.run("task")
        if isinstance(found, str):  # the call that was on its way to the dead actor
            assert found.startswith("WorkerLostError"), found
            found = driver.run("task")
        assert found == [1, package, second.node_id]
        third = cluster.add_node(num_cpus=1, memory=2 * 2**30)
        assert driver.look("ray-job")[:2] == [1, package]
        assert driver.look("job")[:2] == [1, package]

        # The same files at a later time are the same package.
        time.sleep(1.1)  # at most once a second the folder is looked at
        os.utime(folder / "versioned.py")
        assert [driver.look(mode)[:2] for mode in MODES] == [[1, package]] * 3

        # An edit is picked up by the first call that starts more than one second later, by warm actors too.
        (folder / "versioned.py").write_text(LOOK.format(version=2))
        time.sleep(1.1)
        edited = [driver.look(mode)[:2] for mode in MODES]
        assert edited == [[2, edited[0][1]]] * 3
        assert edited[0][1] != package
        third.kill()
    finally:
        driver.close()
