"""A flow on a cluster writes what it writes in order, and a cluster that is lost costs nothing that was committed."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
import flow_parts
import pytest
from distributed import LocalCluster
from flow_parts import Adds, Doubles, Drops, FailsOn, Loose, Person, Upper
from hypothesis import HealthCheck, given, settings, strategies as st
from test_executors_agree import RECORDS, flow

from synapse_core.errors import BackendUnreachableError
from synapse_flow import (
    BaseHook,
    CSVInputAdapter,
    DaskExecutor,
    FlowStatus,
    JSONOutputAdapter,
    Pipe,
    RayExecutor,
    SyncFifoExecutor,
)  # fmt: skip
from synapse_testing.ray_cluster import RayCluster
from synapse_testing.waiting import PATIENCE

PEOPLE = Path(__file__).parents[3] / "examples" / "people"


@pytest.fixture(autouse=True)
def parts_by_value() -> Iterator[None]:
    """Send models and hooks of the tests by value: workers of a cluster do not have the tests."""
    modules = (flow_parts, sys.modules[__name__])
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    yield
    for module in modules:
        cloudpickle.unregister_pickle_by_value(module)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Return the address of a Dask cluster of two worker processes."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL
    ) as cluster:
        yield str(cluster.scheduler_address)


AGREE = settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
CASES = (
    st.lists(RECORDS, max_size=80),
    st.lists(st.sampled_from([Upper(), FailsOn(1, 2, 3), Drops(), Doubles()]), max_size=3, unique=True),
    st.sampled_from([Person, Loose]),
    st.sampled_from([None, 7, 1000]),
    st.sampled_from([None, "lz4"]),
)


@AGREE
@given(*CASES)
def test_dask_agrees_with_the_executor_in_order(scheduler, rows, pre, model, chunksize, compression):
    executor = DaskExecutor(model, scheduler, compression, chunksize=chunksize)
    post = [Adds()] if model is Person else []
    assert flow(executor, rows, pre, post) == flow(SyncFifoExecutor(model), rows, pre, post)


@settings(AGREE, max_examples=3)  # each starts actors, which take seconds
@given(*CASES)
def test_ray_agrees_with_the_executor_in_order(connected_ray: ModuleType, rows, pre, model, chunksize, compression):
    executor = RayExecutor(model, "auto", compression, chunksize=chunksize)
    post = [Adds()] if model is Person else []
    assert flow(executor, rows, pre, post) == flow(SyncFifoExecutor(model), rows, pre, post)


# -- a plugin's flow ------------------------------------------------------------------------------


def report_of(*arguments: str, cwd: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "synapse_cli", "flow", "run", str(PEOPLE), "--json", *arguments],
        cwd=cwd, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def outputs(folder: Path) -> tuple[bytes, bytes]:
    return tuple((folder / "artifacts/people" / name).read_bytes() for name in ("people.jsonl", "errors.jsonl"))  # type: ignore[return-value]


def test_a_plugins_flow_on_ray_writes_what_it_writes_in_order(connected_ray: ModuleType, tmp_path: Path) -> None:
    written = {}
    for executor in ("serial", "ray"):
        (tmp_path / executor).mkdir()
        report = report_of("--executor", executor, cwd=tmp_path / executor)
        assert (report["read_count"], report["error_count"]) == (1000, 10)
        written[executor] = outputs(tmp_path / executor)
    assert written["ray"] == written["serial"]


def test_a_plugins_flow_on_dask_writes_what_it_writes_in_order(tmp_path: Path) -> None:
    written = {}
    for executor in ("serial", "dask"):
        (tmp_path / executor).mkdir()
        report_of("--executor", executor, cwd=tmp_path / executor)
        written[executor] = outputs(tmp_path / executor)
    assert written["dask"] == written["serial"]


# -- losses ---------------------------------------------------------------------------------------


class Notes(BaseHook):
    """Says in a file that it is at work, and takes its time."""

    def __init__(self, journal: Path) -> None:
        super().__init__()
        self.journal = journal

    def execute(self, entries: list[Any], store: Any) -> None:
        with open(self.journal, "a") as file:
            file.write(f"{len(entries)}\n")
        time.sleep(0.02)


class Losing:
    """A flow of 4,000 records that goes on in order once the cluster that it ran on is lost."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        lines = (f"{i},name {i},{'200' if i % 7 == 6 else i % 100}\n" for i in range(4000))
        (folder / "in.csv").write_text("id,name,age\n" + "".join(lines))

    def pipe(self, executor: Any, checkpoint: str, hooks: list[BaseHook]) -> Pipe:
        return Pipe(
            CSVInputAdapter(self.folder / "in.csv"), executor,
            JSONOutputAdapter(self.folder / f"{checkpoint}.good.jsonl"),
            JSONOutputAdapter(self.folder / f"{checkpoint}.bad.jsonl"), hooks,
            checkpoint=self.folder / checkpoint,
        )  # fmt: skip

    def outputs(self, checkpoint: str) -> list[bytes]:
        return [(self.folder / f"{checkpoint}.{kind}.jsonl").read_bytes() for kind in ("good", "bad")]

    def lose(self, executor: Any, lose: Any) -> BaseException | None:
        """Run the flow, call `lose` once some of it is committed, and return what the report says of it."""
        report = self.pipe(executor, "lost", [Notes(self.folder / "journal")]).start()
        while not (self.folder / "lost").exists():
            assert not report.is_finished, report.exception
            time.sleep(0.01)
        lose()
        report.wait(PATIENCE)
        assert report.status is FlowStatus.FAILED
        assert 0 < report.read_count < 4000
        return report.exception

    def check(self) -> None:
        """Let it go on in order, and compare it with one that was left alone."""
        resumed = self.pipe(SyncFifoExecutor(Person), "lost", [Notes(self.folder / "journal")]).run()
        assert resumed.resumed_at
        self.pipe(SyncFifoExecutor(Person), "undisturbed", []).run()
        assert self.outputs("lost") == self.outputs("undisturbed")


def test_a_flow_goes_on_elsewhere_when_its_dask_cluster_is_lost(tmp_path: Path) -> None:
    lost = Losing(tmp_path)
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    scheduler = subprocess.Popen(
        [*command, "--no-dashboard"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert scheduler.stderr is not None
    address = next(line for line in scheduler.stderr if "Scheduler at:" in line).split()[-1]
    worker = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"],
        stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip

    def lose() -> None:
        worker.kill()
        scheduler.kill()

    try:
        problem = lost.lose(DaskExecutor(Person, address, chunksize=50), lose)
    finally:
        lose()
        worker.communicate()
        scheduler.communicate()
    assert isinstance(problem, BackendUnreachableError)
    assert address in str(problem)
    lost.check()


@pytest.mark.ray
@pytest.mark.campaign  # starts a cluster of its own, and Ray takes its time to notice
def test_a_flow_goes_on_elsewhere_when_its_ray_cluster_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    ray.shutdown()
    lost = Losing(tmp_path)
    with RayCluster(num_cpus=2, num_gpus=0) as cluster:
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        problem = lost.lose(RayExecutor(Person, cluster.address, chunksize=50), cluster.stop)
    assert isinstance(problem, BackendUnreachableError)
    lost.check()


@pytest.mark.ray
@pytest.mark.campaign
def test_a_flow_on_two_nodes_does_not_notice_that_one_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    ray.shutdown()
    flow_of = Losing(tmp_path)
    with RayCluster(num_cpus=1, num_gpus=0) as cluster:
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        node = cluster.add_node(num_cpus=2)
        executor = RayExecutor(Person, cluster.address, chunksize=20)
        report = flow_of.pipe(executor, "two", [Notes(tmp_path / "journal")]).start()
        while report.read_count < 400:
            assert not report.is_finished, report.exception
            time.sleep(0.01)
        node.kill()
        report.wait(PATIENCE * 4)
        assert report.status is FlowStatus.COMPLETED, report.exception
        ray.shutdown()
    flow_of.pipe(SyncFifoExecutor(Person), "undisturbed", []).run()
    assert flow_of.outputs("two") == flow_of.outputs("undisturbed")
