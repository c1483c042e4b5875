"""Which dashboard is meant, and when a cluster may be started in its place."""

import socket
from typing import Any

import pytest
from click.testing import CliRunner

import synapse_ray.starting
from synapse_core.errors import BackendError, BackendUnreachableError
from synapse_core.model.status import JobStatus
from synapse_ray import cli
from synapse_ray.job_info import JobInfo
from synapse_ray.jobs_api import addressing
from synapse_ray.jobs_api.addressing import find_dashboard
from synapse_ray.jobs_api.connecting import connect
from synapse_testing.ray_cluster import RayCluster


@pytest.fixture(autouse=True)
def nothing_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(addressing, "running_cluster", lambda: None)
    monkeypatch.setattr(addressing, "_connected_ray", lambda: None)
    monkeypatch.setattr(addressing, "DEFAULT_DASHBOARD", f"http://{closed_port()}")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was started; nothing answers there."""
    found: list[str] = []

    def start_head() -> str:
        found.append(closed_port())
        return found[-1]

    monkeypatch.setattr(synapse_ray.starting, "start_head", start_head)
    return found


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


# -- starting one -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "form"), [("RAY_ADDRESS", "{}"), ("RAY_ADDRESS", "http://{}"), ("RAY_API_SERVER_ADDRESS", "http://{}")]
)
def test_a_cluster_that_the_environment_names_is_not_replaced_by_another(
    variable: str, form: str, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    named = closed_port()
    monkeypatch.setenv(variable, form.format(named))
    for start in (True, False):
        with pytest.raises(BackendUnreachableError, match=rf"(?s){named}.*{variable} names") as caught:
            connect(None, "auto", start=start)
        assert "--start-ray" not in str(caught.value)
    assert started == []


@pytest.mark.parametrize("arguments", [("http://{}", "auto"), ("http://{}", "local"), (None, "{}")])
def test_one_that_the_caller_names_is_not_either(arguments: tuple[str | None, str], started: list[str]) -> None:
    named = closed_port()
    dashboard, address = [text and text.format(named) for text in arguments]
    with pytest.raises(BackendUnreachableError, match=named) as caught:
        connect(dashboard, str(address), start=True)
    assert "--start-ray" not in str(caught.value)
    assert started == []


@pytest.mark.parametrize("named", ["", "auto", "local"])
def test_where_none_is_named_one_is_started(named: str, started: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", named)
    with pytest.raises(BackendError, match="--start-ray"):
        connect(None, "auto", start=False)
    assert started == []
    with pytest.raises(BackendUnreachableError):
        connect(None, "auto", start=True)
    assert len(started) == 1


# -- the connected cluster, and the one that RAY_ADDRESS names ----------------------------------


class FakeRay:
    """A connection to a cluster with these nodes."""

    def __init__(self, *nodes: str) -> None:
        self._nodes = nodes
        self.gcs_address = "here:6379"

    def nodes(self) -> list[dict[str, str]]:
        return [{"NodeID": node} for node in self._nodes]

    def get_runtime_context(self) -> "FakeRay":
        return self


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is connected to a cluster whose head is ``head-here``; each dashboard's head is by its host."""
    heads = {"http://here:8265": "head-here", "http://alias:8265": "head-here", "http://other:8265": "head-other"}

    class FakeDashboard:
        def __init__(self, url: str) -> None:
            self._url = url

        def head_id(self) -> str:
            if self._url not in heads:
                raise BackendUnreachableError(f"no Ray dashboard answers at {self._url}")
            return heads[self._url]

        def close(self) -> None:
            pass

    monkeypatch.setattr(addressing, "_connected_ray", lambda: FakeRay("head-here"))
    monkeypatch.setattr(addressing, "_own_dashboard", lambda ray: "http://here:8265")
    monkeypatch.setattr(addressing, "Dashboard", FakeDashboard)
    monkeypatch.setattr(addressing, "dashboard_of_cluster", lambda address: f"http://{address.split(':')[0]}:8265")


@pytest.mark.usefixtures("connected")
def test_the_connected_cluster_is_taken_where_none_is_named() -> None:
    assert find_dashboard(None, "auto") == "http://here:8265"


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize("named", ["here:6379", "alias:6379", "ray://alias", "http://alias:8265"])
def test_it_is_taken_where_it_is_the_one_that_is_named(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", named)
    assert find_dashboard(None, "auto") in ("http://here:8265", "http://alias:8265")


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize("named", ["other:6379", "ray://other", "http://other:8265", "http://gone:8265"])
def test_another_one_than_the_connected_is_an_error_that_names_both(
    named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", named)
    with pytest.raises(BackendError, match=rf"connected to the Ray cluster here:6379.*RAY_ADDRESS names {named}"):
        find_dashboard(None, "auto")
    assert find_dashboard("http://other:8265", "auto") == "http://other:8265"


@pytest.mark.ray
def test_a_real_cluster_is_known_by_its_nodes(connected_ray: Any, ray_cluster: RayCluster) -> None:
    assert addressing._has_node_of(connected_ray, ray_cluster.dashboard_url)
    assert not addressing._has_node_of(FakeRay("another"), ray_cluster.dashboard_url)


# -- what Ray raises ----------------------------------------------------------------------------


def test_what_ray_raises_is_translated_wherever_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(address: str) -> str:
        raise RuntimeError("GCS says no")

    monkeypatch.setattr(addressing, "dashboard_of_cluster", fails)
    monkeypatch.setattr(addressing, "running_cluster", lambda: "here:6379")
    with pytest.raises(BackendUnreachableError, match=r"here:6379: .*GCS says no"):
        find_dashboard(None, "auto")
    monkeypatch.setattr(addressing, "_connected_ray", FakeRay)
    monkeypatch.setattr(addressing, "is_inside_worker", lambda: True)
    with pytest.raises(BackendUnreachableError, match=r"here:6379: .*GCS says no"):
        find_dashboard(None, "auto")


def test_an_address_that_only_lies_about_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addressing, "running_cluster", closed_port)
    assert find_dashboard(None, "auto") == addressing.DEFAULT_DASHBOARD


# -- the list of jobs ---------------------------------------------------------------------------


class FakeKind:
    """An executor that lists one job, or cannot."""

    def __init__(self, job_id: str, error: BackendError | None = None) -> None:
        self._job_id = job_id
        self._error = error

    def jobs(self) -> list[JobInfo]:
        if self._error is not None:
            raise self._error
        return [JobInfo(self._job_id, "job", "add", JobStatus.RUNNING)]

    def shutdown(self) -> None:
        pass


def test_the_list_shows_the_jobs_of_one_kind_where_the_other_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = [FakeKind("job-1"), FakeKind("job-2", BackendError("another version of Ray"))]
    monkeypatch.setattr(cli, "_executors", lambda *args: iter(kinds))
    shown = CliRunner().invoke(cli.job, ["list"])
    assert shown.exit_code == 0
    assert "job-1" in shown.stdout
    assert "another version of Ray" in shown.stderr
    monkeypatch.setattr(cli, "_executors", lambda *args: iter(kinds[1:]))
    assert CliRunner().invoke(cli.job, ["list"]).exit_code != 0
