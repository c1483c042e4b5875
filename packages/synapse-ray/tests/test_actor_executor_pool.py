"""The pool behind the executor: warm, shared by threads, tasks and copies, replaced when it dies, gone in the end."""

import contextlib
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from synapse_core.actions import action
from synapse_core.errors import BackendError, ExecutionError, WorkerLostError
from synapse_core.ports.events import RecordingSink
from synapse_core.resolution import resolve_action
from synapse_ray import shared_pool
from synapse_ray.actor_executor import RayActorExecutor
from synapse_ray.start_notice import StartNotice
from synapse_ray.worker import MOST_KNOWN
from synapse_testing import actions
from synapse_testing.waiting import until, wait_for_file

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("connected_ray")]

MakeExecutor = Callable[..., RayActorExecutor]


@pytest.fixture
def make_executor() -> Iterator[MakeExecutor]:
    made: list[RayActorExecutor] = []

    def make(**options: Any) -> RayActorExecutor:
        # An environment of its own, so that no other test shares the pool.
        options.setdefault("env", {"TEST": f"{time.time_ns()}"})
        made.append(RayActorExecutor(**options))
        return made[-1]

    yield make
    for executor in made:
        executor.shutdown()


def pid_of(executor: RayActorExecutor) -> int:
    pid: int = executor.execute(actions.describes_context)["pid"]
    return pid


def living_actors(job_id: str | None = None) -> list[str]:
    """Return the classes of the living actors of this process's connection."""
    from ray.util.state import list_actors

    mine = job_id or ray.get_runtime_context().get_job_id()
    found = list_actors(filters=[("job_id", "=", mine)], limit=10_000, raise_on_missing_output=False)
    return sorted(actor.class_name for actor in found if actor.state != "DEAD")


# -- warm --------------------------------------------------------------------------------------


def test_large_arrays_come_and_go_writable(make_executor: MakeExecutor) -> None:
    def doubles(params: dict[str, Any], ctx: Any) -> Any:
        params["array"] *= 2
        return params["array"]

    doubled = make_executor().execute(doubles, {"array": np.arange(10**6)})
    doubled += 1
    assert doubled[-1] == 2 * (10**6 - 1) + 1


def test_an_exception_leaves_the_actor_warm(make_executor: MakeExecutor) -> None:
    executor = make_executor()
    pid = pid_of(executor)
    for failing in (actions.raises, actions.raises_base_exception, actions.exits):
        with pytest.raises(ExecutionError):
            executor.execute(failing, {"code": 3})
        assert pid_of(executor) == pid


def test_the_constructor_does_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.9:1")
    executor = RayActorExecutor(num_actors=7, num_gpus=100)
    assert executor._use is None  # no pool, and so no connection
    executor.shutdown()
    executor.shutdown()


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="num_actors has to be 1 or more"):
        RayActorExecutor(num_actors=0)
    with pytest.raises(TypeError, match="num_actors has to be a whole number"):
        RayActorExecutor(num_actors=2.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Did you mean 'num_actors'"):
        RayActorExecutor(num_actor=2)  # type: ignore[call-arg]


# -- at once -----------------------------------------------------------------------------------


def all_meet(run: Callable[[dict[str, Any]], Any], folder: Path, count: int) -> list[Any]:
    """Run calls that end only when all of them have begun."""
    files = [str(folder / f"started-{n}") for n in range(count)]
    with ThreadPoolExecutor(count) as threads:
        calls = [
            threads.submit(run, {"started": mine, "release": files[(n + 1) % count], "answer": n, "patience": 60})
            for n, mine in enumerate(files)
        ]
        return [call.result(timeout=90) for call in calls]


def test_calls_of_threads_run_at_once(make_executor: MakeExecutor, tmp_path: Path) -> None:
    executor = make_executor(num_actors=4)
    answers = all_meet(lambda params: executor.execute(actions.waits_for_file, params), tmp_path, 4)
    assert answers == [0, 1, 2, 3]


def test_many_threads_share_few_actors(make_executor: MakeExecutor) -> None:
    executor = make_executor(num_actors=2)
    with ThreadPoolExecutor(16) as threads:
        calls = [threads.submit(executor.execute, actions.adds, {"left": n}) for n in range(64)]
        assert [call.result(timeout=60) for call in calls] == [n + 1 for n in range(64)]
        pids = {threads.submit(pid_of, executor).result(timeout=60) for _ in range(16)}
    assert len(pids) <= 2


@pytest.mark.timeout(120)
def test_tasks_share_the_actors_and_scale(make_executor: MakeExecutor, tmp_path: Path) -> None:
    executor = make_executor(num_actors=4)
    files = [str(tmp_path / f"started-{n}") for n in range(4)]
    action_cls = actions.waits_for_file

    @ray.remote(num_cpus=2)  # four of them occupy all eight CPUs
    def run_one(params: dict[str, Any]) -> Any:
        return executor.execute(action_cls, params)

    params_list = [
        {"started": mine, "release": files[(n + 1) % 4], "answer": n, "patience": 60} for n, mine in enumerate(files)
    ]
    futures = [run_one.remote(p) for p in params_list]
    assert ray.get(futures, timeout=90) == [0, 1, 2, 3]
    assert executor.execute(actions.adds, {"left": 1}) == 2  # its owner uses it too


@pytest.mark.timeout(120)
def test_tasks_with_resources_of_the_actors_do_not_deadlock(make_executor: MakeExecutor) -> None:
    executor = make_executor(num_actors=2, num_cpus=1)

    @ray.remote(num_cpus=1)
    def run_one(n: int) -> Any:
        return executor.execute(actions.adds, {"left": n})

    assert ray.get([run_one.remote(n) for n in range(20)], timeout=90) == [n + 1 for n in range(20)]


@pytest.mark.timeout(120)
def test_a_task_that_dies_gives_its_actor_back(make_executor: MakeExecutor, tmp_path: Path) -> None:
    executor = make_executor(num_actors=1)
    started = tmp_path / "started"

    @ray.remote(max_retries=0)
    def die_with_actor() -> Any:
        lender = executor._lender_for(executor._preparer.prepare(actions.adds))
        lender.borrow()
        started.touch()
        os._exit(1)

    with pytest.raises(ray.exceptions.WorkerCrashedError):
        ray.get(die_with_actor.remote(), timeout=60)
    assert started.exists()
    assert executor.execute(actions.adds, {"left": 1}) == 2


def test_an_exception_in_a_task_is_the_actions(make_executor: MakeExecutor) -> None:
    executor = make_executor()

    @ray.remote
    def run_one() -> Any:
        return executor.execute(actions.raises)

    with pytest.raises(ExecutionError) as caught:
        ray.get(run_one.remote(), timeout=60)
    assert caught.value.original_type == "OvenError"


@pytest.mark.timeout(120)
def test_a_fresh_executor_in_a_task_works_and_leaves_no_actor() -> None:
    before = living_actors()

    @ray.remote(num_cpus=8)
    def inside() -> Any:
        with RayActorExecutor(num_actors=2, num_cpus=1, env={"TEST": "inside"}) as executor:
            return executor.execute(actions.adds, {"left": 1})

    assert ray.get(inside.remote(), timeout=90) == 2
    until(lambda: living_actors() == before)


def test_a_pickled_copy_carries_no_secret(make_executor: MakeExecutor) -> None:
    executor = make_executor(env={"API_TOKEN": "sesame-open-4711"})
    assert b"sesame-open-4711" not in pickle.dumps(executor)
    copy = pickle.loads(pickle.dumps(executor))
    assert copy.execute(actions.reads_env, {"names": ["API_TOKEN"]})["env"]["API_TOKEN"] == "sesame-open-4711"
    copy.shutdown()
    assert copy.execute(actions.adds, {"left": 1}) == 2


def test_a_copy_outlives_its_pool_with_a_clear_error(make_executor: MakeExecutor) -> None:
    executor = make_executor()
    copy = pickle.loads(pickle.dumps(executor))
    executor.shutdown()
    with pytest.raises(BackendError, match="pool"):
        copy.execute(actions.adds, {"left": 1})


def test_the_last_copy_that_is_shut_down_lets_go_of_its_connection(make_executor: MakeExecutor) -> None:
    executor = make_executor()
    copies = [pickle.loads(pickle.dumps(executor)) for _ in range(2)]
    for copy in copies:
        assert copy.execute(actions.adds, {"left": 1}) == 2
    copies[0].shutdown()
    assert copies[1]._ticket in shared_pool._attached
    copies[1].shutdown()
    copies[1].shutdown()
    assert copies[1]._ticket not in shared_pool._attached
    assert [one.execute(actions.adds, {"left": 1}) for one in (executor, *copies)] == [2, 2, 2]


def test_a_copy_keeps_nothing_of_a_pool_that_is_gone(make_executor: MakeExecutor) -> None:
    executor, other = make_executor(), make_executor()
    copy, of_other = pickle.loads(pickle.dumps(executor)), pickle.loads(pickle.dumps(other))
    assert copy.execute(actions.adds, {"left": 1}) == of_other.execute(actions.adds, {"left": 1}) == 2
    assert {copy._ticket, of_other._ticket} <= set(shared_pool._attached)
    executor.shutdown()
    with pytest.raises(BackendError, match="pool"):
        copy.execute(actions.adds, {"left": 1})
    assert copy._ticket not in shared_pool._attached
    assert of_other._ticket.dispatcher in shared_pool._pumps
    assert of_other.execute(actions.adds, {"left": 1}) == 2
    other.shutdown()
    with pytest.raises(BackendError, match="pool"):
        of_other.execute(actions.adds, {"left": 1})
    assert of_other._ticket not in shared_pool._attached
    used = {ticket.dispatcher for ticket in shared_pool._attached}  # by copies of other tests
    assert set(shared_pool._pumps) <= used


def test_sharing_holds_no_lock_that_a_starting_actor_needs(
    make_executor: MakeExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = make_executor()
    pid_of(executor)
    assert executor._use is not None
    pool = executor._use.pool
    ask = pool._ask

    def take_lock() -> bool:
        taken = pool._changed.acquire(timeout=5)
        if taken:
            pool._changed.release()
        return taken

    def ask_while_another_takes_the_lock(*args: Any) -> Any:
        with ThreadPoolExecutor(1) as threads:  # as the callback of an actor that has just started does
            assert threads.submit(take_lock).result()
            return ask(*args)

    monkeypatch.setattr(pool, "_ask", ask_while_another_takes_the_lock)
    ticket = pool.share()
    monkeypatch.undo()
    assert ticket.pool == pool.id


# -- dead --------------------------------------------------------------------------------------


def is_dead(actor: Any) -> bool:
    try:
        ray.get(actor.__ray_ready__.remote())
    except ray.exceptions.RayActorError:
        return True
    return False


def test_a_pool_whose_dispatcher_died_is_replaced(make_executor: MakeExecutor) -> None:
    executor = make_executor()
    copy = pickle.loads(pickle.dumps(executor))
    pid = pid_of(executor)
    assert executor._use is not None
    dispatcher = executor._use.pool._hub.dispatcher
    ray.kill(dispatcher)
    until(lambda: is_dead(dispatcher), "a killed actor to be dead")  # until then it answers
    with contextlib.suppress(BackendError):  # unless the thread that takes its mail has noticed already
        assert pid_of(executor) != pid
    assert pid_of(executor) != pid
    with pytest.raises(BackendError, match="pool of this executor is gone"):
        pid_of(copy)
    until(lambda: not Path(f"/proc/{pid}").exists())  # nothing is left of the old one


@pytest.mark.timeout(120)
def test_a_shared_pool_is_looked_after_again_when_its_folder_is_whole_again(
    make_executor: MakeExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = make_executor()
    copy = pickle.loads(pickle.dumps(executor))
    pid = pid_of(copy)
    assert executor._use is not None
    pool = executor._use.pool
    real, looked = pool._shipment.current, threading.Event()

    def half_written() -> Any:
        looked.set()
        raise BackendError("requirements.txt is half written")

    monkeypatch.setattr(pool._shipment, "current", half_written)
    assert looked.wait(30)
    with pytest.raises(WorkerLostError):
        copy.execute(actions.dies)
    with pytest.raises(BackendError, match="half written"):  # those who wait hear of it
        pid_of(copy)
    monkeypatch.setattr(pool._shipment, "current", real)

    def answers() -> bool:
        try:
            return pid_of(copy) != pid
        except BackendError:  # until the new actor is there
            return False

    until(answers)


@pytest.mark.timeout(120)
def test_beside_a_living_actor_one_that_dies_at_start_is_not_made_again_and_again(
    make_executor: MakeExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = make_executor(num_actors=2)
    pid_of(executor)
    assert executor._use is not None
    pool = executor._use.pool
    until(lambda: len(pool._free) == 2)

    @ray.remote(max_retries=0, num_cpus=0)
    def dies_at_start() -> None:
        raise RuntimeError("at start")

    made: list[int] = []

    def make(count: int, shipped: Any) -> list[tuple[Any, Any]]:
        made.append(count)
        return [(next(iter(pool._slots.values())).actor, dies_at_start.remote()) for _ in range(count)]

    started, release = tmp_path / "started", tmp_path / "release"
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(
            executor.execute, actions.waits_for_file, {"started": str(started), "release": str(release), "answer": 7}
        )
        wait_for_file(started)
        monkeypatch.setattr(pool._maker, "make", make)
        with pytest.raises(WorkerLostError):
            executor.execute(actions.dies)
        second = threads.submit(executor.execute, actions.adds, {"left": 1})
        until(lambda: bool(made) and pool._waiting > 0)
        until(lambda: pool._failures > 0)
        threading.Event().wait(3)  # for making it again, which it does not
        release.touch()
        assert first.result(timeout=60) == 7
        assert second.result(timeout=60) == 2
    assert len(made) == 1


@pytest.mark.timeout(120)
def test_who_waits_for_actors_that_find_no_room_hears_why(
    make_executor: MakeExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StartNotice, "patience", 1.0)
    holder = make_executor(num_gpus=2)
    pid_of(holder)
    said: list[str] = []
    monkeypatch.setattr("sys.stderr.write", said.append)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(make_executor(num_gpus=1).execute, actions.adds, {"left": 1})
        until(lambda: any("not started" in text for text in said))
        holder.shutdown()
        assert waiting.result(timeout=60) == 2
    (text,) = [text for text in said if "not started" in text]
    assert "1 actor has not started, and it asks for 1 CPU, 1 GPU" in text
    assert "0 of 2 GPU" in text


def test_an_actor_that_exits_is_replaced(make_executor: MakeExecutor) -> None:
    executor = make_executor()
    pid = pid_of(executor)
    with pytest.raises(WorkerLostError, match="running action 'dies': the worker died"):
        executor.execute(actions.dies)
    assert pid_of(executor) != pid


def test_an_actor_killed_while_idle_is_replaced(make_executor: MakeExecutor) -> None:
    executor = make_executor()
    pid = pid_of(executor)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerLostError):
        pid_of(executor)
    assert pid_of(executor) != pid


def test_an_actor_killed_at_work_is_replaced(make_executor: MakeExecutor, tmp_path: Path) -> None:
    executor = make_executor()
    pid = pid_of(executor)
    started = tmp_path / "started"
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(
            executor.execute, actions.waits_for_file, {"started": str(started), "release": str(tmp_path / "never")}
        )
        wait_for_file(started)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkerLostError, match="idempotent"):
            call.result(timeout=60)
    assert pid_of(executor) != pid


@pytest.mark.timeout(120)
def test_an_actor_that_dies_for_a_copy_is_replaced_by_its_owner(make_executor: MakeExecutor) -> None:
    executor = make_executor()

    @ray.remote
    def run_both() -> Any:
        with pytest.raises(WorkerLostError):
            executor.execute(actions.dies)
        return executor.execute(actions.adds, {"left": 1})

    assert ray.get(run_both.remote(), timeout=90) == 2


def test_an_action_that_an_actor_has_forgotten_is_sent_again(make_executor: MakeExecutor) -> None:
    executor = make_executor()

    def returning(number: int) -> Any:
        return lambda params, ctx: number  # sent by value, and each another one

    made = [returning(number) for number in range(MOST_KNOWN + 10)]
    for _ in range(2):
        assert [executor.execute(one) for one in made] == list(range(len(made)))


def test_an_idempotent_action_is_run_again(make_executor: MakeExecutor, tmp_path: Path) -> None:
    executor = make_executor()
    log = tmp_path / "log"
    assert executor.execute(dies_once, {"log": str(log)}) == "done"
    assert log.read_text() == "ran\nran\n"


def test_an_action_is_not_run_again(make_executor: MakeExecutor, tmp_path: Path) -> None:
    executor = make_executor()
    log = tmp_path / "log"
    with pytest.raises(WorkerLostError):
        executor.execute(resolve_action(dies_once.__wrapped_plain__), {"log": str(log)})
    assert log.read_text() == "ran\n"


def _dies_the_first_time(params: dict[str, Any], ctx: Any) -> str:
    path = params["log"]
    with open(path, "a") as log:
        log.write("ran\n")
    with open(path) as log:
        if len(log.readlines()) == 1:
            os._exit(1)
    return "done"


def _by_value(function: Any) -> Any:
    """Make workers get it by value: they cannot import this file."""
    function.__module__ = "__main__"
    return function


plain_dies_once = _by_value(_dies_the_first_time)
dies_once = action(idempotent=True)(_by_value(lambda params, ctx: plain_dies_once(params, ctx)))
dies_once.__wrapped_plain__ = plain_dies_once


# -- ends --------------------------------------------------------------------------------------


def test_shutdown_leaves_no_actor_and_the_connection(make_executor: MakeExecutor) -> None:
    before = living_actors()
    executor = make_executor(num_actors=2)
    pid_of(executor)
    pickle.dumps(executor)
    assert living_actors().count("WarmActor") == before.count("WarmActor") + 2
    executor.shutdown()
    executor.shutdown()
    until(lambda: living_actors() == before)
    assert ray.is_initialized()
    assert executor.execute(actions.adds, {"left": 1}) == 2  # anew


def test_equal_executors_share_a_pool(make_executor: MakeExecutor) -> None:
    first, second = make_executor(env={"A": "1"}), make_executor(env={"A": "1"}, job_id="other")
    other = make_executor(env={"A": "2"})
    assert pid_of(first) == pid_of(second)
    assert pid_of(other) != pid_of(first)
    pid = pid_of(first)
    first.shutdown()
    assert pid_of(second) == pid


def test_a_pool_that_nobody_shut_down_is_used_again() -> None:
    pid = pid_of(RayActorExecutor(env={"POOL": "left"}))
    executor = RayActorExecutor(env={"POOL": "left"})
    assert pid_of(executor) == pid
    executor.shutdown()


def test_events_come_from_copies_too(make_executor: MakeExecutor, capfd: pytest.CaptureFixture[str]) -> None:
    copy = pickle.loads(pickle.dumps(make_executor()))
    copy.execute(actions.reports)
    assert "half way" in capfd.readouterr().err


def test_reports_of_many_calls_are_neither_lost_nor_doubled(make_executor: MakeExecutor) -> None:
    sink = RecordingSink()
    executor = make_executor(num_actors=3, sink=sink)

    def run(n: int) -> None:
        executor.execute(reports_a_lot, {"n": n})

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(run, range(12)))
    by_call: dict[int, list[int]] = {}
    for event in sink.events:
        call, number = event.message.split()  # type: ignore[attr-defined]
        by_call.setdefault(int(call), []).append(int(number))
    assert by_call == {n: list(range(300)) for n in range(12)}


@_by_value
def reports_a_lot(params: dict[str, Any], ctx: Any) -> None:
    pause = threading.Event()
    for number in range(300):
        ctx.log_message(f"{params['n']} {number}")
        if number % 20 == 19:
            pause.wait(0.002 * (params["n"] % 5))


def test_ctrl_c_stops_the_action(make_executor: MakeExecutor, tmp_path: Path) -> None:
    executor = make_executor()
    pid = pid_of(executor)
    started = tmp_path / "started"

    def press() -> None:
        wait_for_file(started)
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        executor.execute(actions.waits_for_file, {"started": str(started), "release": str(tmp_path / "never")})
    presser.join()
    until(lambda: not Path(f"/proc/{pid}").exists())
    assert pid_of(executor) != pid


def test_requests_that_no_node_can_serve_are_named(make_executor: MakeExecutor) -> None:
    with pytest.raises(BackendError, match=r"asks for 100 CPU, and the nearest of 1 node\(s\) has 8 CPU"):
        make_executor(num_cpus=100).execute(actions.adds, {"left": 1})
    with pytest.raises(BackendError, match="asks for 3 GPU"):
        make_executor(num_gpus=3).execute(actions.adds, {"left": 1})


def test_params_and_results_that_cannot_travel(make_executor: MakeExecutor) -> None:
    executor = make_executor()
    with pytest.raises(TypeError, match="pickling it fails"):
        executor.execute(actions.describes_params, {"name": "dict", "value": threading.Lock()})
    assert executor.execute(actions.returns_sealed).type_name == "synapse_testing.actions:Sealed"


def test_a_fork_of_the_action_answers_nobody(make_executor: MakeExecutor) -> None:
    executor = make_executor()
    assert executor.execute(actions.forks) == [0, 1, 3]
    assert executor.execute(actions.adds, {"left": 1}) == 2
