"""The record engine of Dask keeps every promise, whatever dies, and leaves alone what it did not make."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster
from distributed.core import Status

from synapse_core.errors import BackendError, BackendUnreachableError, ValidationError
from synapse_core.plugins.registry import registry
from synapse_dask import near_workers
from synapse_dask.chunk_tasks import ChunkTasks
from synapse_dask.clients import replace_workers
from synapse_dask.engine import DaskEngine
from synapse_testing import engine_work
from synapse_testing.conformance.engine import ProcessEngineConformance
from synapse_testing.waiting import PATIENCE, poll


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Give a cluster of two worker processes, and new ones where it has lost both for good."""
    options = {
        "n_workers": 2,
        "threads_per_worker": 1,
        "dashboard_address": "127.0.0.1:0",
        "silence_logs": logging.CRITICAL,
    }
    # Where one was killed while it started, Dask may look for it in vain when all is closed.
    with contextlib.suppress(KeyError), LocalCluster(**options) as cluster:  # type: ignore[no-untyped-call]
        over = threading.Event()
        supervisor = threading.Thread(target=_supervise, args=(cluster, over))
        supervisor.start()
        yield cluster
        over.set()
        supervisor.join()


def _supervise(cluster: Any, over: threading.Event) -> None:
    """Start workers again where none is left: Dask does not where they were killed while they started."""
    seconds = 0
    while not over.wait(1):
        seconds = 0 if cluster.scheduler_info["workers"] else seconds + 1
        if seconds >= 10:
            cluster.sync(replace_workers, cluster, 2)
            seconds = 0


@pytest.fixture
def address(cluster: LocalCluster) -> str:
    """Return its address, once both workers are there."""
    with Client(cluster, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        try:
            client.wait_for_workers(2, timeout=10)
        except TimeoutError:  # Dask starts no worker again that was killed while it started
            cluster.sync(replace_workers, cluster, 2)  # type: ignore[no-untyped-call]
            client.wait_for_workers(2, timeout=120)
    return str(cluster.scheduler_address)


class TestDaskEngine(ProcessEngineConformance):
    most_in_flight = 20

    @pytest.fixture
    def engine(self, address: str) -> DaskEngine:
        return DaskEngine(address)


class Unloadable:
    """Work that needs a module which no worker has."""

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, ("not_installed_there.at_all",)

    def __call__(self, chunk: Any) -> Any:
        return chunk


def numbers_and_pids() -> Any:
    """Return work, to be sent by value, that gives back its chunk and the process that had it."""

    def work(chunk: int) -> tuple[int, int]:
        import os
        import time

        time.sleep(0.01)
        return chunk, os.getpid()

    return work


# -- losses ---------------------------------------------------------------------------------------


@pytest.mark.campaign
@pytest.mark.parametrize("ordered", [True, False])
def test_workers_that_are_killed_at_random_instants_cost_no_chunk(address: str, ordered: bool) -> None:
    seed = random.SystemRandom().randrange(10**9)
    chance = random.Random(seed)
    found, kills, next_kill = [], 0, 10
    for number, (chunk, pid) in enumerate(DaskEngine(address).run(numbers_and_pids(), range(200), ordered=ordered)):
        found.append(chunk)
        if number >= next_kill and kills < 2:
            threading.Timer(chance.uniform(0, 0.02), _kill, [pid]).start()
            kills += 1
            next_kill = number + chance.randrange(40, 80)
    assert (found if ordered else sorted(found)) == list(range(200)), seed
    assert kills == 2, seed


def test_a_cluster_that_tries_nothing_twice_costs_no_chunk_either(
    cluster: LocalCluster, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    found = list(DaskEngine(address).run(engine_work.DiesOnce(5, tmp_path / "died"), range(20)))
    assert (tmp_path / "died").exists()
    assert found == list(range(20))


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it was killed before, and its result came later
        os.kill(pid, signal.SIGKILL)


@pytest.mark.campaign
def test_a_run_whose_process_is_killed_is_left_by_its_workers(address: str, tmp_path: Path) -> None:
    code = f"""
    from pathlib import Path
    from synapse_dask import DaskEngine
    from synapse_testing import engine_work

    results = DaskEngine({address!r}).run(engine_work.Scoped(Path({str(tmp_path)!r})), iter(int, 1))
    for number, _ in enumerate(results):
        if number == 20:
            print("at work", flush=True)
    """
    script = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert script.stdout is not None
    assert script.stdout.readline() == "at work\n"
    script.kill()
    script.communicate()

    def all_are_left() -> bool:
        entered = {path.name.partition("-")[2] for path in tmp_path.glob("entered-*")}
        left = {path.name.partition("-")[2] for path in tmp_path.glob("left-*")}
        return bool(entered) and entered == left

    assert poll(all_are_left, PATIENCE), list(tmp_path.iterdir())


def test_a_scheduler_without_workers_is_told_and_a_lost_one_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ChunkTasks, "patience", 0.5)
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    scheduler = subprocess.Popen(
        [*command, "--no-dashboard"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        assert scheduler.stderr is not None
        line = next(line for line in scheduler.stderr if "Scheduler at:" in line)
        address = line.split()[-1]
        problems: list[BaseException] = []
        thread = threading.Thread(target=_run_into, args=(DaskEngine(address), problems))
        thread.start()
        told: list[str] = []
        assert poll(lambda: told.append(capsys.readouterr().err) or "still waiting" in "".join(told), PATIENCE)
        assert f"the Dask scheduler at {address} has no worker. Start some with `dask worker {address}`" in "".join(
            told
        )
        scheduler.kill()
        thread.join(PATIENCE)
        assert [type(problem) for problem in problems] == [BackendUnreachableError]
        assert f"the Dask scheduler at {address} was lost, or the client closed" in str(problems[0])
    finally:
        scheduler.kill()
        scheduler.communicate()


def _run_into(engine: DaskEngine, problems: list[BaseException]) -> None:
    try:
        list(engine.run(engine_work.doubles, [[1]] * 5))
    except BaseException as error:
        problems.append(error)


# -- where it works -------------------------------------------------------------------------------


def test_the_current_client_is_used_and_left_open(cluster: LocalCluster) -> None:
    with Client(cluster) as client:  # type: ignore[no-untyped-call]
        assert list(DaskEngine().run(engine_work.doubles, [[1], [2]])) == [[2], [4]]
        assert client.status == "running"
        assert client.submit(abs, -7).result() == 7


def test_a_client_that_is_closed_meanwhile_ends_the_run(cluster: LocalCluster) -> None:
    with Client(cluster) as client:  # type: ignore[no-untyped-call]
        results = DaskEngine().run(numbers_and_pids(), range(10**9))
        next(results)
        client.close()
        with pytest.raises(
            BackendUnreachableError, match="was lost, or the client closed, while chunks were worked on"
        ):
            list(results)


def test_a_client_that_is_closed_between_two_chunks_ends_the_run(cluster: LocalCluster) -> None:
    client = Client(cluster)  # type: ignore[no-untyped-call]

    def source() -> Iterator[list[int]]:
        yield [1]
        client.close()
        yield [2]

    with pytest.raises(BackendUnreachableError, match="the client closed"):
        list(DaskEngine(max_inflight=1).run(engine_work.doubles, source()))


def test_inside_a_task_the_cluster_of_the_task_is_used(cluster: LocalCluster) -> None:
    def task() -> list[Any]:
        from synapse_dask import DaskEngine
        from synapse_testing import engine_work

        return list(DaskEngine().run(engine_work.doubles, [[1], [2]]))

    with Client(cluster, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        tasks = [client.submit(task, pure=False) for _ in range(2)]  # as many as there are threads
        assert client.gather(tasks) == [[[2], [4]]] * 2


def test_no_more_workers_are_used_than_asked_for(address: str) -> None:
    assert len({pid for _, pid in DaskEngine(address, max_workers=1).run(numbers_and_pids(), range(40))}) == 1


def test_another_worker_takes_the_place_of_the_only_one_that_is_used(address: str, tmp_path: Path) -> None:
    found = list(DaskEngine(address, max_workers=1).run(engine_work.DiesOnce(5, tmp_path / "died"), range(20)))
    assert (tmp_path / "died").exists()
    assert found == list(range(20))


@pytest.mark.parametrize("is_here", [True, False])
def test_results_of_workers_on_this_machine_do_not_pass_through_the_scheduler(
    cluster: Any, address: str, monkeypatch: pytest.MonkeyPatch, is_here: bool
) -> None:
    if not is_here:
        monkeypatch.setattr(near_workers, "get_local_address_for", lambda worker: "tcp://192.0.2.1")
    handlers, passed = cluster.scheduler.handlers, []
    real = handlers["gather"]

    async def gather(keys: Any, serializers: Any = None) -> Any:
        passed.append(keys)
        return await real(keys, serializers=serializers)

    monkeypatch.setitem(handlers, "gather", gather)
    assert list(DaskEngine(address).run(sum, [[n, 1] for n in range(10)])) == list(range(1, 11))
    assert bool(passed) is not is_here


def test_a_worker_of_which_only_the_address_is_here_is_asked_a_few_times(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a scheduler is reached through a tunnel, whose workers have such addresses on another machine."""
    with (
        Client(address, set_as_default=False) as client,  # type: ignore[no-untyped-call]
        socket.create_server(("127.0.0.1", 0)) as silent,
    ):
        near = near_workers.NearWorkers(client)
        client.sync(near.look)  # type: ignore[no-untyped-call]
        assert near.are_all
        real, another = client.nthreads, f"tcp://127.0.0.1:{silent.getsockname()[1]}"

        async def and_another() -> Any:
            return {**(await real()), another: 1}

        monkeypatch.setattr(client, "nthreads", and_another)
        for _ in range(5):
            client.sync(near.look)  # type: ignore[no-untyped-call]
            assert not near.are_all
        silent.settimeout(0)
        asked = 0
        with contextlib.suppress(BlockingIOError):
            while silent.accept():
                asked += 1
        assert asked == 3
        monkeypatch.setattr(client, "nthreads", real)
        client.sync(near.look)  # type: ignore[no-untyped-call]
        assert near.are_all


def test_a_worker_that_does_not_give_its_result_is_passed_by(
    cluster: Any, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*args: Any, **options: Any) -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr("distributed.client.gather_from_workers", never)
    monkeypatch.setattr("synapse_dask.chunk_tasks._FETCH_SECONDS", 0.1)
    assert list(DaskEngine(address).run(sum, [[n, 1] for n in range(4)])) == list(range(1, 5))


def test_each_thread_of_a_worker_is_entered_once_and_left(tmp_path: Path) -> None:
    """Threads of Dask's belong to all: those that have entered a scope are the engine's own."""
    barrier = threading.Barrier(3, timeout=PATIENCE)

    class Meets(engine_work.Scoped):
        @contextlib.contextmanager
        def in_worker(self) -> Iterator[Any]:
            with super().in_worker() as apply:
                yield lambda chunk: (barrier.wait(), apply(chunk))[1]

        def __reduce__(self) -> Any:  # the workers are threads of this process
            return _the_one, ()

    global _the_one_work
    _the_one_work = Meets(tmp_path)
    options = {"n_workers": 1, "threads_per_worker": 3, "processes": False, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(**options) as cluster, Client(cluster):  # type: ignore[no-untyped-call]
        found = list(DaskEngine().run(_the_one_work, range(9)))
        assert [chunk for chunk, _ in found] == list(range(9))
        assert len(list(tmp_path.glob("entered-*"))) == len(list(tmp_path.glob("left-*"))) == 3
        names = [thread.name for thread in threading.enumerate()]
        assert "synapse-dask-engine" not in names


_the_one_work: Any = None


def _the_one() -> Any:
    return _the_one_work


def test_a_cluster_of_its_own_ends_with_the_run(tmp_path: Path) -> None:
    script = tmp_path / "own.py"
    code = """
    import os, subprocess
    from synapse_dask import DaskEngine

    def twice(chunk):
        return 2 * chunk, os.getpid()

    if __name__ == "__main__":
        found = list(DaskEngine(max_workers=2).run(twice, range(20)))
        assert [number for number, _ in found] == list(range(0, 40, 2))
        assert os.getpid() not in {pid for _, pid in found}
        print(subprocess.run(["ps", "--no-headers", "-o", "pid,args", "--ppid", str(os.getpid())], capture_output=True, text=True).stdout.count("multiprocessing.spawn"))
    """
    script.write_text(textwrap.dedent(code))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.stdout == "0\n", done.stderr


@pytest.mark.campaign  # a cluster of its own
def test_a_cluster_of_its_own_that_looks_for_a_worker_in_vain_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(LocalCluster):
        def close(self, *args: Any, **options: Any) -> Any:
            super().close(*args, **options)  # type: ignore[no-untyped-call]
            raise KeyError("tcp://127.0.0.1:1")

    monkeypatch.setattr("synapse_dask.clients.LocalCluster", Forgetful)
    assert list(DaskEngine(max_workers=1).run(abs, range(3))) == [0, 1, 2]


@pytest.mark.campaign  # a cluster of its own, started twice
def test_a_cluster_of_its_own_that_has_lost_all_workers_gets_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ChunkTasks, "patience", 2.0)
    started: list[Any] = []

    class Noted(LocalCluster):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)  # type: ignore[no-untyped-call]
            started.append(self)

    monkeypatch.setattr("synapse_dask.clients.LocalCluster", Noted)
    results = DaskEngine(max_workers=2).run(numbers_and_pids(), range(200))
    found = [next(results) for _ in range(10)]
    first = list(started[0].workers.values())
    for nanny in first:
        nanny.status = Status.starting  # as that of one whose worker dies while it starts; Dask leaves it dead
        _kill(nanny.pid)
    found += [next(results) for _ in range(100)]
    later = [nanny for nanny in started[0].workers.values() if nanny not in first]
    assert later
    assert [chunk for chunk, _ in [*found, *results]] == list(range(200))


@pytest.mark.campaign
def test_workers_are_replaced_later_where_dask_is_busy_with_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synapse_dask.clients._CLOSING_SECONDS", 0.1)
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as busy,  # type: ignore[no-untyped-call]
        Client(busy, set_as_default=False) as client,  # type: ignore[no-untyped-call]
    ):
        before = set(client.scheduler_info()["workers"])

        async def replace_while_it_starts_others() -> None:
            async with busy._lock:
                await replace_workers(busy, 1)

        busy.sync(replace_while_it_starts_others)
        monkeypatch.undo()
        busy.sync(replace_workers, busy, 1)
        client.wait_for_workers(1, timeout=60)
        assert not before & set(client.scheduler_info()["workers"])


def test_a_script_without_a_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text("from synapse_dask import DaskEngine\nprint(list(DaskEngine(max_workers=1).run(abs, [1])))\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert done.stdout == ""
    assert '`if __name__ == "__main__":`' in done.stderr


def test_a_scheduler_that_does_not_answer_is_named_without_its_password() -> None:
    source = (chunk for chunk in [[1]])
    with pytest.raises(BackendUnreachableError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1 within 5 s"):
        list(DaskEngine("tcp://127.0.0.1:1").run(engine_work.doubles, source))
    assert inspect.getgeneratorstate(source) == inspect.GEN_CLOSED
    for wrong in ("http://127.0.0.1:8787", "tcp://somebody:hidden@127.0.0.1:8786"):
        with pytest.raises(
            BackendError, match=r"127\.0\.0\.1:878[67]' cannot be connected to.*tcp://HOST:8786"
        ) as raised:
            list(DaskEngine(wrong).run(engine_work.doubles, [[1]]))
        assert "hidden" not in str(raised.value)


# -- what is wrong with the work or the arguments -------------------------------------------------


def test_a_package_that_workers_lack_is_named(address: str) -> None:
    with pytest.raises(BackendError, match="no module 'not_installed_there', which the work needs"):
        list(DaskEngine(address).run(Unloadable(), [1]))


def test_work_that_ends_its_process_politely_is_an_error_of_its_chunk(address: str) -> None:
    results = DaskEngine(address).run(lambda chunk: sys.exit(f"no {chunk}") if chunk else chunk, [0, 1])
    assert next(results) == 0
    with pytest.raises(SystemExit, match="no 1"):
        next(results)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "2"])
def test_a_number_of_chunks_or_workers_is_a_whole_number_from_one_on(wrong: Any) -> None:
    for name in ("max_workers", "max_inflight"):
        with pytest.raises(ValidationError, match=rf"{name} is .*whole number from 1 on"):
            DaskEngine(**{name: wrong})


def test_it_is_found_by_its_name() -> None:
    assert registry.load(registry.find_engine("dask")) is DaskEngine
