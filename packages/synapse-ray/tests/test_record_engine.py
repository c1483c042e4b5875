"""The record engine of Ray keeps every promise, whatever dies, and leaves nothing behind."""

import contextlib
import importlib
import inspect
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from synapse_core.errors import BackendError, BackendUnreachableError, ValidationError
from synapse_core.plugins.registry import registry
from synapse_ray.engine import RayEngine
from synapse_ray.start_notice import StartNotice
from synapse_testing import engine_work
from synapse_testing.conformance.engine import ProcessEngineConformance
from synapse_testing.ray_cluster import RayCluster
from synapse_testing.ray_fixtures import RunScript
from synapse_testing.waiting import PATIENCE, poll, wait_for_file

pytestmark = pytest.mark.ray


class TestRayEngine(ProcessEngineConformance):
    most_in_flight = 20

    @pytest.fixture
    def engine(self, connected_ray: ModuleType) -> RayEngine:
        return RayEngine(max_workers=2)


class Unloadable:
    """Work that needs a module which no worker has."""

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, ("not_installed_there.at_all",)

    def __call__(self, chunk: Any) -> Any:
        return chunk


class UnloadableScope:
    """Work whose parts need such a module, as it finds out when its worker is entered."""

    def in_worker(self) -> Any:
        raise ModuleNotFoundError("No module named 'synapse_flow'", name="synapse_flow")


def living_engine_workers() -> list[str]:
    """Return the ids of the actors of engines that live in the connected cluster."""
    from ray.util.state import list_actors

    mine = [("class_name", "=", "EngineWorker"), ("state", "!=", "DEAD")]
    return [actor.actor_id for actor in list_actors(filters=mine, limit=1000, raise_on_missing_output=False)]


def numbers_and_pids() -> Any:
    """Return work, to be sent by value, that gives back its chunk and the process that had it."""

    def work(chunk: int) -> tuple[int, int]:
        import os
        import time

        time.sleep(0.01)
        return chunk, os.getpid()

    return work


def scoped(work: Any) -> Any:
    """Return the same work with a scope, so that it is done by actors."""

    class Work:
        @contextlib.contextmanager
        def in_worker(self) -> Iterator[Any]:
            yield work

    return Work()


@pytest.mark.parametrize("kind", ["tasks", "actors"])
@pytest.mark.parametrize("ordered", [True, pytest.param(False, marks=pytest.mark.campaign)])
def test_workers_that_are_killed_at_random_instants_cost_no_chunk(
    connected_ray: ModuleType, ordered: bool, kind: str
) -> None:
    work = numbers_and_pids() if kind == "tasks" else scoped(numbers_and_pids())
    seed = random.SystemRandom().randrange(10**9)
    chance = random.Random(seed)
    found = []
    kills, next_kill = 0, 10
    for number, (chunk, pid) in enumerate(RayEngine(max_workers=3).run(work, range(400), ordered=ordered)):
        found.append(chunk)
        if number >= next_kill and kills < 5:
            timer = threading.Timer(chance.uniform(0, 0.02), _kill, [pid])
            timer.start()
            kills += 1
            next_kill = number + chance.randrange(20, 70)
    assert (found if ordered else sorted(found)) == list(range(400)), seed
    assert kills == 5, seed


def adds(amount: int) -> Any:
    """Return work, to be sent by value, that adds to its chunk."""
    return lambda chunk: chunk + amount


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:  # it was killed before, and its result came later
        return


def test_a_run_leaves_no_actor_and_no_thread_however_it_ends(connected_ray: ModuleType) -> None:
    engine = RayEngine(max_workers=2)
    assert list(engine.run(engine_work.doubles, [[1]])) == [[2]]
    given_up = engine.run(engine_work.FailsAt(None), range(10**9))
    next(given_up)
    given_up.close()
    with pytest.raises(LookupError, match="no chunk 3"):
        list(engine.run(engine_work.FailsAt(3), range(10)))
    assert poll(lambda: not living_engine_workers(), PATIENCE), living_engine_workers()
    assert [thread.name for thread in threading.enumerate() if thread.name == "synapse-ray-engine"] == []
    assert connected_ray.is_initialized()


def test_only_as_many_actors_start_as_there_are_chunks(connected_ray: ModuleType, tmp_path: Path) -> None:
    results = RayEngine().run(engine_work.Scoped(tmp_path), [7])
    next(results)
    assert len(living_engine_workers()) == 1
    assert list(results) == []


def test_work_without_a_scope_takes_the_processes_that_are_there(connected_ray: ModuleType) -> None:
    first = {pid for _, pid in RayEngine(max_workers=2).run(numbers_and_pids(), range(20))}
    assert living_engine_workers() == []
    again = {pid for _, pid in RayEngine(max_workers=2).run(numbers_and_pids(), range(20))}
    assert first & again


def test_a_task_finds_the_work_of_its_own_run(connected_ray: ModuleType) -> None:
    runs = [RayEngine(max_workers=1).run(adds(amount), range(50)) for amount in range(6)]
    found = [list(each) for each in zip(*runs, strict=True)]
    assert found == [[number + amount for amount in range(6)] for number in range(50)]


@pytest.mark.parametrize("kind", ["tasks", "actors"])
def test_whoever_waits_for_cpus_is_told_and_served_when_some_are_free(
    connected_ray: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    kind: str,
) -> None:
    work: Any = engine_work.doubles if kind == "tasks" else scoped(engine_work.doubles)
    monkeypatch.setattr(StartNotice, "patience", 0.5)
    begun, end = tmp_path / "begun", tmp_path / "end"
    hog = connected_ray.remote(num_cpus=8)(_hog()).remote(str(begun), str(end))
    wait_for_file(begun)
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.extend(RayEngine().run(work, [[1], [2]])))
    thread.start()
    told: list[str] = []
    assert poll(lambda: told.append(capsys.readouterr().err) or "still waiting" in "".join(told), PATIENCE)
    assert f"2 {kind} have not started, and each asks for 1 CPU. Free in the cluster: 0 of 8 CPU" in "".join(told)
    assert results == []
    end.touch()
    thread.join(PATIENCE)
    assert results == [[2], [4]]
    connected_ray.get(hog)


def _hog() -> Any:
    def hog(begun: str, end: str) -> None:
        import pathlib
        import time

        pathlib.Path(begun).touch()
        while not pathlib.Path(end).exists():
            time.sleep(0.05)

    return hog


def test_what_no_node_can_ever_have_is_refused_at_once(connected_ray: ModuleType) -> None:
    with pytest.raises(BackendError, match=r"asks for 99 CPU.* has 8 CPU in all"):
        list(RayEngine(num_cpus=99).run(engine_work.doubles, [[1]]))


def test_a_package_that_workers_lack_is_named_with_what_to_type(connected_ray: ModuleType) -> None:
    with pytest.raises(BackendError, match="no module 'not_installed_there', which the work needs"):
        list(RayEngine(max_workers=1).run(Unloadable(), [1]))
    with pytest.raises(BackendError, match=r"no module 'synapse_flow'.* node of the cluster: pip install synapse-flow"):
        list(RayEngine(max_workers=1).run(UnloadableScope(), [1]))  # type: ignore[arg-type]


def test_work_that_ends_its_process_politely_is_an_error_of_its_chunk(connected_ray: ModuleType) -> None:
    results = RayEngine(max_workers=1).run(lambda chunk: sys.exit(f"no {chunk}") if chunk else chunk, [0, 1])
    assert next(results) == 0
    with pytest.raises(SystemExit, match="no 1"):
        next(results)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "2"])
def test_a_number_of_chunks_or_workers_is_a_whole_number_from_one_on(wrong: Any) -> None:
    for name in ("max_workers", "max_inflight"):
        with pytest.raises(ValidationError, match=rf"{name} is .*whole number from 1 on"):
            RayEngine(**{name: wrong})


@pytest.mark.parametrize("wrong", [-1, "1", True, float("nan")])
def test_an_amount_of_cpus_is_a_number_from_zero_on(wrong: Any) -> None:
    with pytest.raises(ValidationError, match="num_cpus has to be"):
        RayEngine(num_cpus=wrong)


def test_it_is_found_by_its_name() -> None:
    assert registry.load(registry.find_engine("ray")) is RayEngine


# -- where it works -------------------------------------------------------------------------------

RUN = """
import sys, threading
import ray
from synapse_ray import RayEngine
from synapse_testing import engine_work

before = set(threading.enumerate())
address = sys.argv[1] or None
assert list(RayEngine(address, max_workers=2).run(engine_work.doubles, [[n] for n in range(50)])) == [[2 * n] for n in range(50)]
print("connected" if ray.is_initialized() else "not connected", len([t for t in threading.enumerate() if "synapse" in t.name]))
"""


@pytest.mark.parametrize("kind", ["address", pytest.param("client_address", marks=pytest.mark.campaign), "auto", ""])
def test_every_address_leads_to_a_cluster_and_the_connection_ends_with_the_run(
    ray_cluster: RayCluster, run_script: RunScript, kind: str
) -> None:
    address = getattr(ray_cluster, kind, kind)
    done = run_script(RUN, address, timeout=150)
    assert done.stdout == "not connected 0\n", done.stderr


@pytest.mark.campaign  # starts a Ray of its own
def test_without_an_address_a_private_ray_is_started_and_ended(run_script: RunScript) -> None:
    before = _ray_processes()
    done = run_script("import os; os.environ.pop('RAY_ADDRESS', None)\n" + RUN, "", timeout=150)
    assert done.stdout == "not connected 0\n", done.stderr
    assert poll(lambda: not _ray_processes() - before, PATIENCE)


def _ray_processes() -> set[str]:
    found = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return {line for line in found.splitlines() if "raylet" in line or "gcs_server" in line}


def test_a_cluster_that_does_not_answer_is_named(ray_environment: None, ray_cluster: RayCluster) -> None:
    import ray

    ray.shutdown()
    source = (chunk for chunk in [[1]])
    with pytest.raises(BackendUnreachableError, match=r"no Ray cluster answers at 127\.0\.0\.1:1\b"):
        list(RayEngine("127.0.0.1:1").run(engine_work.doubles, source))
    assert inspect.getgeneratorstate(source) == inspect.GEN_CLOSED
    with pytest.raises(BackendError, match=r"http://127\.0\.0\.1:8265 is the address of a dashboard"):
        list(RayEngine("http://127.0.0.1:8265").run(engine_work.doubles, []))


def test_a_connection_that_the_user_ends_ends_the_run(run_script: RunScript) -> None:
    code = """
    import ray
    from synapse_core.errors import BackendError
    from synapse_ray import RayEngine
    from synapse_testing import engine_work

    ray.init(log_to_driver=False)
    results = RayEngine(max_workers=1).run(engine_work.FailsAt(None), iter(int, 1))
    next(results)
    ray.shutdown()
    try:
        for _ in results: pass
    except BackendError as error:
        print(error)
    print(ray.is_initialized())
    """
    done = run_script(code, timeout=150)
    assert "the connection to Ray was ended while chunks were worked on" in done.stdout, done.stderr
    assert done.stdout.endswith("False\n")


# -- losses that take minutes ---------------------------------------------------------------------


@pytest.fixture
def own_cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[RayCluster]:
    """Give a connected cluster with one CPU on its head."""
    import ray

    with RayCluster(num_cpus=1, num_gpus=0) as cluster:
        ray.shutdown()
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        yield cluster
        ray.shutdown()


def where_it_runs() -> Any:
    def work(chunk: int) -> tuple[int, str]:
        import time

        import ray

        time.sleep(0.02)
        return chunk, ray.get_runtime_context().get_node_id()

    return work


@pytest.mark.campaign
@pytest.mark.parametrize("ordered", [True, False])
def test_a_node_that_is_lost_costs_no_chunk(own_cluster: RayCluster, ordered: bool) -> None:
    node = own_cluster.add_node(num_cpus=4)
    found, before, after = [], set(), set()
    killed = False
    for chunk, where in RayEngine().run(where_it_runs(), range(1500), ordered=ordered):
        found.append(chunk)
        (after if killed else before).add(where)
        if not killed and len(before) == 2 and len(found) >= 100:
            node.kill()
            killed = True
    assert (found if ordered else sorted(found)) == list(range(1500))
    assert killed
    assert node.node_id in before
    assert after


@pytest.mark.campaign
def test_a_cluster_that_is_lost_is_an_error_and_not_the_end_of_the_process(tmp_path: Path) -> None:
    code = """
    import time
    from synapse_core.errors import BackendUnreachableError
    from synapse_ray import RayEngine
    from synapse_testing.ray_cluster import RayCluster

    if __name__ == "__main__":
        with RayCluster(num_cpus=2, num_gpus=0) as cluster:
            begun = None
            try:
                for number, _ in enumerate(RayEngine(cluster.address).run(lambda chunk: time.sleep(0.02), iter(int, 1))):
                    if number == 50:
                        cluster.stop()
                        begun = time.monotonic()
            except BackendUnreachableError as error:
                print(error, flush=True)
            assert begun is not None and time.monotonic() - begun < 40
        time.sleep(65)  # after a minute Ray ends a process that still believes to be connected
        print("alive", flush=True)
    """
    script = tmp_path / "lost.py"
    script.write_text(textwrap.dedent(code))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=280)
    assert "was lost while it worked on chunks" in done.stdout, done.stderr
    assert done.stdout.endswith("alive\n")


@pytest.mark.campaign
def test_nodes_without_our_packages_are_an_error_that_says_what_to_install(tmp_path: Path) -> None:
    hidden = tmp_path / "synapse_ray"
    hidden.mkdir()
    text = "raise ModuleNotFoundError(\"No module named 'synapse_ray'\", name='synapse_ray')\n"
    (hidden / "__init__.py").write_text(text)
    with RayCluster(num_cpus=1, num_gpus=0, env={"PYTHONPATH": str(tmp_path)}) as cluster:
        import ray

        ray.shutdown()
        with pytest.raises(
            BackendError, match=r"no module 'synapse_ray'.* node of the cluster: pip install synapse-ray"
        ):
            list(RayEngine(cluster.address).run(engine_work.doubles, [[1]]))
        assert not ray.is_initialized()
