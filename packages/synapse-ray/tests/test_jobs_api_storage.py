"""Results outside the cluster are found by the job's id alone, also when the cluster is gone."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from synapse_core.errors import BackendError, BackendUnreachableError, ExecutionError
from synapse_core.model.outcome import Outcome
from synapse_core.model.type_names import loaded_type
from synapse_ray.action_spec import ActionSpec
from synapse_ray.cli import job
from synapse_ray.jobs_api.answers import Answer, JobDetails, LostAnswerError, Node
from synapse_ray.jobs_api.delivery import keep_result
from synapse_ray.jobs_api.entrypoint import side_folder
from synapse_ray.jobs_api.executor import RayJobsApiExecutor
from synapse_ray.jobs_api.node_files import NodePlace
from synapse_ray.jobs_api.rest_paths import Request
from synapse_ray.jobs_api.result_files import open_file, outcome_file
from synapse_ray.jobs_api.results import read_result, stored_name
from synapse_ray.jobs_api.work import DriverWork
from synapse_ray.worker import WorkerSettings

pytest.importorskip("fsspec")

from synapse_ray.jobs_api.storage import announce_result, delete_result, newest_result, open_result, put_result

OLD, NEW = "a" * 32, "b" * 32


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return f"file://{tmp_path}/results"


@pytest.fixture
def keep(storage: str, tmp_path: Path) -> Any:
    """A function that stores a result; each is later than the one before."""
    moments = iter(range(1_000_000, 2_000_000, 100))

    def keep(job_id: str, value: Any, name: str = OLD, outcome: Outcome | None = None) -> None:
        source = tmp_path / "source"
        source.write_bytes(b"".join(outcome_file(outcome, value)))
        put_result(storage, job_id, name, source)
        moment = next(moments)
        os.utime(tmp_path / "results" / job_id / f"{name}.result", (moment, moment))

    return keep


@pytest.fixture
def nobody() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_a_result_is_found_when_the_cluster_is_gone(storage: str, keep: Any, nobody: str) -> None:
    keep("job-1", {"sum": 42})
    keep("job-2", None, outcome=Outcome.of_error(ExecutionError("it broke")))
    executor = RayJobsApiExecutor(dashboard_address=nobody, storage=storage)
    assert executor.get_result("job-1", 10) == {"sum": 42}
    with pytest.raises(ExecutionError, match="it broke"):
        executor.get_result("job-2")
    with pytest.raises(BackendUnreachableError, match=r"ray start --head.*no result under this id either"):
        executor.get_result("job-3")


def test_the_command_line_finds_it_too(storage: str, keep: Any, nobody: str) -> None:
    keep("job-1", {"sum": 42})
    found = CliRunner().invoke(job, ["result", "job-1", "--storage", storage, "--ray-address", nobody])
    assert (found.exit_code, found.stdout) == (0, '{\n  "sum": 42\n}\n'), found.output
    lost = CliRunner().invoke(job, ["result", "job-2", "--storage", storage, "--ray-address", nobody])
    assert lost.exit_code == 6
    assert CliRunner().invoke(job, ["result", "job-1", "--storage", storage, "-m", "ray-job"]).exit_code == 2


def test_of_an_id_that_was_used_twice_the_later_result_is_found(storage: str, keep: Any, nobody: str) -> None:
    keep("job-1", "later", NEW)
    keep("job-1", "latest", OLD)
    keep("job-10", "another's", NEW)
    assert newest_result(storage, "job-1") == OLD
    assert RayJobsApiExecutor(dashboard_address=nobody, storage=storage).get_result("job-1") == "latest"


@pytest.mark.parametrize("job_id", ["../secret", "..", "/etc", "a/../../secret", "", "x" * 300])
def test_an_id_leads_to_nothing_outside_of_the_folder(job_id: str, storage: str, keep: Any, tmp_path: Path) -> None:
    keep("job-1", 1)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / f"{OLD}.result").write_bytes(b"".join(outcome_file(None, "stolen")))
    assert newest_result(storage, job_id) is None
    with pytest.raises(BackendError, match="job id"), open_result(storage, job_id, OLD):
        pass


def test_a_result_in_the_storage_is_external_and_deleted_with_its_job(
    storage: str, keep: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep("job-1", 1, stored_name("0" * 32))
    monkeypatch.setattr("synapse_ray.jobs_api.executor.connect", lambda *args, **more: _NodesGone())
    executor = RayJobsApiExecutor(storage=storage)
    assert executor.durability("job-1") == "external"
    assert executor.delete("job-1") is True
    assert newest_result(storage, "job-1") is None


def test_half_a_result_is_none(storage: str, tmp_path: Path) -> None:
    folder = tmp_path / "results" / "job-1"
    folder.mkdir(parents=True)
    (folder / f"{OLD}.result.unfinished").touch()
    (folder / "notes.txt").touch()
    assert newest_result(storage, "job-1") is None
    assert newest_result(storage, "job-2") is None


def test_a_deleted_result_is_gone_and_its_neighbours_stay(storage: str, keep: Any, tmp_path: Path) -> None:
    keep("job-1", 1, OLD)
    keep("job-1", 2, NEW)
    delete_result(storage, "job-1", OLD)
    delete_result(storage, "job-1", OLD)
    assert newest_result(storage, "job-1") == NEW
    delete_result(storage, "job-1", NEW)
    assert list((tmp_path / "results").iterdir()) == []


def test_a_storage_that_takes_nothing_says_which_job_and_where(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BackendError, match=rf"result of job 'job-1' to the storage file://{tmp_path}/file"):
        put_result(f"file://{tmp_path}/file", "job-1", OLD, tmp_path / "file")


def test_a_result_that_the_storage_does_not_take_is_kept_where_it_was_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "logs" / "synapse" / OLD
    place = NodePlace(tmp_path / "logs", None, True, "")
    work = DriverWork("job-1", ActionSpec("train"), ("plain", {}), WorkerSettings(), f"file://{tmp_path}/file")
    keep_result(None, {"sum": 42}, work, place, folder)
    assert open_file([(folder / "result").read_bytes()]).unwrap(loaded_type) == {"sum": 42}
    assert json.loads((folder / "about").read_bytes())["durability"] == "cluster"
    assert "synapse: the result is not in the storage: writing the result of job 'job-1'" in capsys.readouterr().out


def test_a_storage_that_takes_nothing_is_found_before_the_work(storage: str, keep: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BackendError, match="result of job 'job-1' to the storage"):
        announce_result(f"file://{tmp_path}/file", "job-1", OLD)
    announce_result(storage, "job-1", OLD)
    assert newest_result(storage, "job-1") is None
    delete_result(storage, "job-1", OLD)
    assert list((tmp_path / "results").iterdir()) == []


class _NodesGone:
    """A dashboard that does not say where the job's nodes are."""

    url = "http://fake"

    def job(self, job_id: str) -> JobDetails:
        return JobDetails("SUCCEEDED", "node", {"synapse_nonce": "0" * 32}, "", None)

    def ask(self, request: Request, *, repeat: bool | None = None) -> Answer:
        return Answer(200, '{"deleted": true}', self.url)

    def nodes(self, *, repeat: bool | None = None) -> list[Node]:
        raise LostAnswerError("cut")


def test_a_dashboard_that_goes_away_before_the_result_is_read_is_no_loss(
    storage: str, keep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    nonce = "0" * 32
    keep("job-1", 42, stored_name(nonce))
    assert stored_name(nonce) == side_folder(nonce).rpartition("/")[2]
    info = JobDetails("SUCCEEDED", "node", {"synapse_nonce": nonce}, "", None)
    dashboard: Any = _NodesGone()
    assert read_result(dashboard, "job-1", info, storage) == 42
    with pytest.raises(LostAnswerError):
        read_result(dashboard, "job-2", info, storage)
