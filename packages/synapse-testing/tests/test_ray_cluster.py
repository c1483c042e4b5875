"""The Ray cluster of the tests comes up, loses nodes, refuses strangers and leaves nothing behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.version import Version

pytest.importorskip("ray")

from synapse_testing.ray_cluster import RayCluster
from synapse_testing.ray_processes import processes_of
from synapse_testing.waiting import poll, wait_for_file

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with RayCluster(
        num_cpus=4, num_gpus=1, resources={"shelf": 2}, env={"RAY_BACKEND_LOG_LEVEL": "warning"}
    ) as started:
        yield started


def processes_that_name(folder: Path) -> list[str]:
    """Return the command lines that hold the folder, of this process's children or not."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_text(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if str(folder) in line:
            lines.append(line)
    return lines


def test_a_process_of_its_own_finds_the_cluster_in_its_environment(cluster: RayCluster) -> None:
    code = "import ray; ray.init(log_to_driver=False); print(sorted(ray.cluster_resources().items()))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **cluster.environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "('CPU', 4.0), ('GPU', 1.0), ('memory', 34359738368.0)" in done.stdout
    assert "('shelf', 2.0)" in done.stdout
    assert cluster.address == f"127.0.0.2:{cluster.address.partition(':')[2]}"
    assert (cluster.session_dir / "logs").is_dir()


@pytest.mark.campaign
def test_a_killed_node_is_noticed_and_a_stopped_one_takes_leave(cluster: RayCluster) -> None:
    first, second = cluster.add_node(), cluster.add_node()
    assert {first.node_id, second.node_id} < set(cluster.nodes_alive())
    assert (first.ip, second.ip) == ("127.0.0.3", "127.0.0.4")

    first.kill()
    assert first.processes() == set()
    second.stop()
    assert second.processes() == set()
    cluster.wait_until_dead(first)
    cluster.wait_until_dead(second)
    assert cluster.head is not None
    assert cluster.nodes_alive() == [cluster.head.node_id]
    told = {state["node_id"]: state["state_message"] for state in cluster.node_states()}
    # The older Ray's words come second.
    assert re.search("draining before shutdown|Expected termination", told[second.node_id])
    assert "health check" in told[first.node_id]


def test_a_taken_port_is_told_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.2", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = RayCluster(port=port)
        with pytest.raises(RuntimeError, match=rf"cannot have 127\.0\.0\.2:{port}: Address already in use"):
            refused.start()
    assert refused.head is None


def test_a_head_that_ends_is_told_with_the_end_of_its_log() -> None:
    refused = RayCluster(resources={"CPU": 1})
    with pytest.raises(RuntimeError) as failure:
        refused.start()
    assert "the Ray node 127.0.0.2 ended with exit status 1; the end of its log:\n" in str(failure.value)
    assert "`CPU` cannot be a custom resource" in str(failure.value)
    assert refused.nodes == []


@pytest.mark.skipif(
    Version(metadata.version("ray")) < Version("2.52"), reason="an older Ray has no token authentication"
)
@pytest.mark.campaign
def test_with_a_token_a_stranger_is_refused_and_stopping_leaves_nothing() -> None:
    with RayCluster(auth="token") as cluster:
        head, folder, url = cluster.head, cluster.session_dir.parent, cluster.dashboard_url
        assert head is not None
        assert len(head.processes()) > 5
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{url}/api/v0/nodes", timeout=10)
        wrong = urllib.request.Request(f"{url}/api/v0/nodes", headers={"Authorization": "Bearer wrong"})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(wrong, timeout=10)
        assert len(cluster.nodes_alive()) == 1
        token_file = Path(cluster.environment["RAY_AUTH_TOKEN_PATH"])
        assert token_file.read_text() == cluster.token
        assert token_file.stat().st_mode & 0o077 == 0
    assert head.processes() == set()
    assert processes_that_name(folder) == []
    assert not folder.exists()
    cluster.stop()
    with pytest.raises(RuntimeError, match="the cluster does not run"):
        _ = cluster.address


def test_a_killed_owner_takes_the_cluster_along(tmp_path: Path) -> None:
    # In Ray's place, something that starts at once: it has a child in a session of its own, as a Ray job has.
    pretender = tmp_path / "python"
    pretender.write_text(
        f"#!/bin/sh\nsetsid sleep 600 &\necho $$ > {tmp_path}/pid.part\nmv {tmp_path}/pid.part {tmp_path}/pid\nwait\n"
    )
    pretender.chmod(0o700)
    code = f"from synapse_testing.ray_cluster import RayCluster; RayCluster(python={str(pretender)!r}).start()"
    with subprocess.Popen([sys.executable, "-c", code]) as owner:
        wait_for_file(tmp_path / "pid")
        session = int((tmp_path / "pid").read_text())
        assert poll(lambda: len(processes_of(session)) == 2, 10)
        owner.send_signal(signal.SIGKILL)
    assert poll(lambda: not processes_of(session), 10)
