"""Which cluster a process works on: the one that was named, or an error that says why not."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from synapse_testing.ray_cluster import RayCluster
from synapse_testing.waiting import wait_for_file

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.campaign]

PATIENCE = 200.0

BEGIN = """
import json, os, sys, time
import ray
from synapse_core.errors import *
from synapse_ray import RayActorExecutor, RayJobExecutor, RayJobsApiExecutor

def tell(**found):
    print(json.dumps(found), flush=True)

def attempt(make):
    begun = time.monotonic()
    try:
        with_executor = make()
        found = with_executor.execute("synapse_testing.actions:adds", {"left": 40, "right": 2})
    except PluginError as error:
        found = f"{type(error).__name__}: {error}"
    except BaseException as error:
        found = f"RAW {type(error).__module__}.{type(error).__name__}: {error}"
    return [found, time.monotonic() - begun]
"""


class Script:
    """A process of its own that tells what it finds, one JSON document in a line."""

    def __init__(self, cluster: RayCluster, code: str, *args: str, **variables: str | None) -> None:
        found = {**os.environ, **cluster.environment, "RAY_ADDRESS": None, **variables}
        self._process = subprocess.Popen(
            [sys.executable, "-c", BEGIN + textwrap.dedent(code), *args],
            env={name: value for name, value in found.items() if value is not None},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def told(self, patience: float = PATIENCE) -> dict[str, Any]:
        """Return everything that it told, when it has ended well."""
        found, code, err = self.ended(patience)
        assert code == 0, err
        return found

    def ended(self, patience: float = PATIENCE) -> tuple[dict[str, Any], int, str]:
        try:
            out, err = self._process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(f"no end within {patience:g} s: {self._process.communicate()}") from None
        found: dict[str, Any] = {}
        for line in out.splitlines():
            if line.startswith("{"):
                found |= json.loads(line)
        return found, self._process.returncode, err


@pytest.fixture(scope="module")
def other() -> Iterator[RayCluster]:
    """Give a second cluster."""
    with RayCluster(num_cpus=4, num_gpus=0) as cluster:
        yield cluster


def test_every_form_of_an_address_leads_to_the_cluster(ray_cluster: RayCluster) -> None:
    code = """
    address, dashboard = sys.argv[1:]
    task, job = RayActorExecutor(ray_address=address), RayJobExecutor(ray_address=address)
    api = RayJobsApiExecutor(ray_address=address, dashboard_address=dashboard or None)
    tell(modes=[attempt(lambda: executor)[0] for executor in (task, job, api)], cluster=ray.get_runtime_context().gcs_address)
    task.shutdown()
    tell(while_one_uses_it=ray.is_initialized())
    job.shutdown()
    tell(afterwards=ray.is_initialized())
    """
    dashboard = ray_cluster.dashboard_url
    direct = Script(ray_cluster, code, ray_cluster.address, "")
    client = Script(ray_cluster, code, ray_cluster.client_address, dashboard)
    named = Script(ray_cluster, code, "auto", "", RAY_ADDRESS=ray_cluster.address)
    expected = {
        "modes": [42, 42, 42],
        "cluster": ray_cluster.address,
        "while_one_uses_it": True,
        "afterwards": False,
    }
    assert [script.told() for script in (direct, client, named)] == [expected] * 3


def test_a_connection_that_was_found_is_used_and_left_alone(ray_cluster: RayCluster) -> None:
    code = """
    ray.init(address=sys.argv[1], namespace="of-the-user", log_to_driver=False)
    for number, make in enumerate([RayActorExecutor, RayJobExecutor]):
        executor = make(ray_address=sys.argv[1])
        tell(**{f"result {number}": attempt(lambda: executor)[0]})
        executor.shutdown()
    context = ray.get_runtime_context()
    tell(connected=ray.is_initialized(), namespace=context.namespace)
    tell(works=ray.get(ray.remote(num_cpus=0)(lambda: 7).remote()))
    """
    found = Script(ray_cluster, code, ray_cluster.address).told()
    assert found == {"result 0": 42, "result 1": 42, "connected": True, "namespace": "of-the-user", "works": 7}


def test_another_cluster_than_the_connected_one_is_an_error_that_names_both(
    ray_cluster: RayCluster, other: RayCluster
) -> None:
    code = """
    first, second, client, own_client, dashboard = sys.argv[1:]
    task = RayActorExecutor(ray_address=first)
    tell(first=attempt(lambda: task)[0])
    tell(own_client=attempt(lambda: RayActorExecutor(ray_address=own_client))[0])
    tell(
        task=attempt(lambda: RayActorExecutor(ray_address=second)),
        job=attempt(lambda: RayJobExecutor(ray_address=second)),
        client=attempt(lambda: RayActorExecutor(ray_address=client)),
        local=attempt(lambda: RayActorExecutor(ray_address="local")),
    )
    tell(http=attempt(lambda: RayJobsApiExecutor(ray_address=second))[0])
    tell(url=attempt(lambda: RayJobsApiExecutor(dashboard_address=dashboard))[0])
    tell(still=attempt(lambda: task)[0], jobs=len(RayJobsApiExecutor(ray_address=second).jobs()))
    """
    found = Script(
        *(ray_cluster, code, ray_cluster.address, other.address, other.client_address),
        *(ray_cluster.client_address, other.dashboard_url),
    ).told()
    assert (found["first"], found["http"], found["url"], found["still"], found["jobs"]) == (42, 42, 42, 42, 2)
    assert found["own_client"] == 42, "it is the same cluster, and its connection serves"
    names = {
        "task": other.address,
        "job": other.address,
        "client": other.client_address,
        "local": "private",
    }
    for name, wanted in names.items():
        text, seconds = found[name]
        assert text.startswith("BackendError: "), (name, text)
        assert ray_cluster.address in text
        assert wanted in text
        assert "mode 'job'" in text
        assert "ray.shutdown()" in text
        assert seconds < 20


def test_the_users_client_connection_to_another_cluster_is_not_taken_for_the_one_that_was_named(
    ray_cluster: RayCluster, other: RayCluster
) -> None:
    code = """
    client, second = sys.argv[1:]
    ray.init(client, log_to_driver=False)
    tell(other=attempt(lambda: RayActorExecutor(ray_address=second))[0])
    tell(own=attempt(lambda: RayActorExecutor(ray_address=client))[0])
    """
    found = Script(ray_cluster, code, ray_cluster.client_address, other.client_address).told()
    assert found["own"] == 42
    assert found["other"].startswith("BackendError: ")
    assert ray_cluster.client_address in found["other"]
    assert other.client_address in found["other"]


def test_a_client_connection_is_the_only_one_of_its_process_too(ray_cluster: RayCluster, other: RayCluster) -> None:
    code = """
    client, direct, second = sys.argv[1:]
    task = RayActorExecutor(ray_address=client)
    tell(first=attempt(lambda: task)[0])
    tell(direct=attempt(lambda: RayActorExecutor(ray_address=direct))[0])
    tell(second=attempt(lambda: RayActorExecutor(ray_address=second))[0])
    tell(still=attempt(lambda: task)[0])
    """
    found = Script(ray_cluster, code, ray_cluster.client_address, ray_cluster.address, other.address).told()
    assert (found["first"], found["still"]) == (42, 42)
    assert found["direct"] == 42, "it is the same cluster, and its connection serves"
    assert ray_cluster.client_address in found["second"]
    assert other.address in found["second"]


def test_inside_a_task_and_an_actor_the_workers_own_connection_is_used(ray_cluster: RayCluster) -> None:
    code = """
    def work(address):
        import ray
        before = ray.get_runtime_context().get_job_id()
        found = []
        for make in (RayActorExecutor, RayJobExecutor, RayJobsApiExecutor):
            executor = make(ray_address=address)
            found.append(executor.execute("synapse_testing.actions:adds", {"left": 40, "right": 2}))
            executor.shutdown()
        return [*found, ray.get_runtime_context().get_job_id() == before, ray.get(ray.put("alive"))]

    class Actor:
        def work(self, address):
            return work(address)

    ray.init(address=sys.argv[1], log_to_driver=False)
    task = ray.remote(work)
    actor = ray.remote(Actor).remote()
    references = [task.remote("auto"), task.remote(sys.argv[1]), actor.work.remote("auto")]
    tell(found=ray.get(references))
    """
    found = Script(ray_cluster, code, ray_cluster.address).told()["found"]
    assert found == [[42, 42, 42, True, "alive"]] * 3


def test_an_address_where_nobody_answers(ray_cluster: RayCluster) -> None:
    code = """
    for make in (RayActorExecutor, RayJobExecutor, RayJobsApiExecutor):
        for address in sys.argv[1:]:
            tell(**{f"{make.__name__} {address}": attempt(lambda: make(ray_address=address))})
    """
    nobody = "127.0.0.1:1"
    addresses = (nobody, f"ray://{nobody}", "no-such-host.invalid:6379", f"http://{nobody}")
    scripts = {address: Script(ray_cluster, code, address) for address in addresses}
    found = {name: value for script in scripts.values() for name, value in script.told().items()}
    assert len(found) == 12
    for name, (text, seconds) in found.items():
        if "http" in name and "Api" not in name:
            assert text.startswith("BackendError: "), (name, text)
            assert "serves mode 'job'" in text
        else:
            assert text.startswith("BackendUnreachableError: "), (name, text)
            assert "ray start --head" in text
        assert seconds < 60, name
        assert "RAW" not in text


def test_an_address_of_no_known_form(ray_cluster: RayCluster) -> None:
    code = """
    for make in (RayActorExecutor, RayJobExecutor, RayJobsApiExecutor):
        tell(**{make.__name__: attempt(lambda: make(ray_address="host-without-port"))[0]})
    """
    for text in Script(ray_cluster, code).told().values():
        assert text.startswith("BackendError: 'host-without-port' is no address")


def test_a_cluster_lost_in_the_middle_is_an_error_and_no_hang(tmp_path: Path) -> None:
    code = """
    mode, address, dashboard, here = sys.argv[1:]
    kinds = {"task": RayActorExecutor, "ray-job": RayJobExecutor}
    if mode == "job":
        executor = RayJobsApiExecutor(dashboard_address=dashboard)
    else:
        executor = kinds[mode.partition(" ")[0]](ray_address=address)
    work = ("synapse_testing.actions:waits_for_file", {"release": here + ".never", "started": here, "patience": 600})
    try:
        tell(result=repr(executor.execute(*work)))
    except PluginError as error:
        tell(error=type(error).__name__, text=str(error), cause=repr(error.__cause__))
    except BaseException as error:
        tell(error="RAW " + type(error).__name__, text=str(error))
    try:
        executor.shutdown()
        tell(shutdown="done")
        again = attempt(lambda: executor)
        tell(again=again[0], again_seconds=again[1])
    except BaseException as error:
        tell(shutdown=repr(error))
    """
    with RayCluster(num_cpus=4, num_gpus=0) as cluster:
        modes = {"task": cluster.address, "ray-job": cluster.address, "job": "", "task client": cluster.client_address}
        scripts = {
            mode: Script(cluster, code, mode, address, cluster.dashboard_url, str(tmp_path / mode))
            for mode, address in modes.items()
        }
        for mode in modes:
            wait_for_file(tmp_path / mode, PATIENCE)
        assert cluster.head is not None
        cluster.head.kill()
        found = {mode: script.ended() for mode, script in scripts.items()}
    for mode, (told, _, err) in found.items():
        assert "error" in told, (mode, err)
        assert told["error"] in ("BackendUnreachableError", "WorkerLostError"), (mode, told)
        assert told["shutdown"] == "done", (mode, told)
        assert told["again"].startswith("BackendUnreachableError"), (mode, told)
