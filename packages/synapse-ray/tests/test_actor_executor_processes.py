"""The executor in processes of its own: scripts, other addresses, other connections, and what is left when they end."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from synapse_testing.ray_cluster import RayCluster

pytestmark = [pytest.mark.ray, pytest.mark.campaign]

RunScript = Callable[..., subprocess.CompletedProcess[str]]

EXAMPLE = """
    import sys, time
    import ray
    from synapse_ray import RayActorExecutor
    from synapse_core import BaseAction

    class SleepAction(BaseAction):
        def execute(self):
            time.sleep(self.params["seconds"])
            return self.params["n"]

    action_cls = SleepAction
    params_list = [{"n": n, "seconds": float(sys.argv[1])} for n in range(4)]

    executor = RayActorExecutor(num_actors=4)

    @ray.remote
    def run_one(params):
        return executor.execute(action_cls, params)

    ray.get([run_one.remote({"n": n, "seconds": 0.3}) for n in range(4)])  # warm
    began = time.monotonic()
    futures = [run_one.remote(p) for p in params_list]
    results = ray.get(futures)
    print(results, round(time.monotonic() - began, 2))
"""


def check(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.timeout(180)
def test_the_documented_parallel_example(run_script: RunScript) -> None:
    said = check(run_script(EXAMPLE, "1", timeout=120)).splitlines()  # Ray, too, writes to stdout
    assert [line for line in said if line.startswith("[0, 1, 2, 3]")], said


@pytest.mark.timeout(180)
def test_nothing_is_left_of_a_process_that_ended(run_script: RunScript, connected_ray: object, tmp_path: Path) -> None:
    import ray
    from ray.util.state import list_actors

    script = """
        import os, sys, pickle, ray
        from synapse_ray import RayActorExecutor
        executor = RayActorExecutor(num_actors=2)
        executor.execute("synapse_testing.actions:adds", {"left": 1})
        pickle.dumps(executor)
        print(ray.get_runtime_context().get_job_id(), flush=True)
        os._exit(0) if sys.argv[1] == "hard" else None
    """
    for how in ("hard", "soft"):
        job = check(run_script(script, how)).split()[-1]
        give_up = time.monotonic() + 60
        while True:
            found = list_actors(filters=[("job_id", "=", job)], raise_on_missing_output=False)
            assert found
            if all(actor.state == "DEAD" for actor in found):
                break
            assert time.monotonic() < give_up, found
    assert ray.is_initialized()


@pytest.mark.timeout(180)
def test_over_a_client_connection(run_script: RunScript, ray_cluster: RayCluster) -> None:
    script = """
        import os, pickle, time, ray
        from synapse_core.errors import WorkerLostError, ExecutionError
        from synapse_ray import RayActorExecutor
        from synapse_core.ports.events import RecordingSink
        from synapse_testing import actions

        sink = RecordingSink()
        with RayActorExecutor(ray_address=os.environ["CLIENT"], num_actors=2, sink=sink) as executor:
            print(executor.execute(actions.AddAction, {"left": 1}))
            executor.execute(actions.reports)
            print(len(sink.events))
            try:
                executor.execute(actions.raises)
            except ExecutionError as error:
                print(error.original_type)
            try:
                executor.execute(actions.dies)
            except WorkerLostError as error:
                print("lost")
            print(executor.execute(lambda params, ctx: params["x"], {"x": (1, 2)}))

            def slow(params, ctx):
                for n in range(5):
                    ctx.log_message(f"n {n}")
                    time.sleep(0.05)

            del sink.events[:]
            executor.execute(slow)
            print([event.message for event in sink.events])

            @ray.remote
            def run_one(n):
                return executor.execute(actions.AddAction, {"left": n})

            print(ray.get([run_one.remote(n) for n in range(1, 4)]))
    """
    done = run_script(script, timeout=150, env={"CLIENT": ray_cluster.client_address, "RAY_ADDRESS": ""})
    assert check(done).splitlines() == [
        "2", "8", "OvenError", "lost", "(1, 2)", "['n 0', 'n 1', 'n 2', 'n 3', 'n 4']", "[2, 3, 4]",
    ]  # fmt: skip


@pytest.mark.timeout(180)
def test_classes_of_the_main_module_and_local_ones(run_script: RunScript) -> None:
    script = """
        from dataclasses import dataclass
        from pydantic import BaseModel
        from synapse_core import BaseAction
        from synapse_ray import RayActorExecutor

        class Params(BaseModel):
            n: int

        class Outer:
            class Nested(BaseAction[Params]):
                def execute(self):
                    return self.params.n + 1

        def make():
            more = 10
            class Local(BaseAction[Params]):
                def execute(self):
                    return self.params.n + more
            return Local

        with RayActorExecutor() as executor:
            print(executor.execute(Outer.Nested, {"n": 1}), executor.execute(make(), {"n": 1}))
    """
    assert check(run_script(script)) == "2 11\n"


@pytest.mark.timeout(180)
def test_nothing_printed_shows_twice(run_script: RunScript) -> None:
    script = """
        import sys, ray, threading
        from synapse_ray import RayActorExecutor

        class Watched:
            def __init__(self, stream):
                self.stream, self.text, self.grown = stream, "", threading.Condition()
            def write(self, text):
                with self.grown:
                    self.text += text
                    self.grown.notify_all()
                return self.stream.write(text)
            def __getattr__(self, name):
                return getattr(self.stream, name)

        sys.stdout = Watched(sys.stdout)
        if sys.argv[1] != "ours":
            ray.init(log_to_driver=sys.argv[1] == "echo", namespace="synapse")
        with RayActorExecutor() as executor:
            executor.execute("synapse_testing.actions:adds", {"left": 1})
            print(executor.execute(lambda params, ctx: print("from the action") or 7))
            for mark in ("mark 1", "mark 2", "mark 3") if sys.argv[1] == "echo" else ():
                # Ray reads the files of all workers round by round: when the last is here, the round before is over.
                ray.get(ray.remote(num_cpus=0)(lambda: print(mark)).remote())
                with sys.stdout.grown:
                    assert sys.stdout.grown.wait_for(lambda: mark in sys.stdout.text, 60)
    """
    for how in ("ours", "silent", "echo"):
        done = run_script(script, how)
        assert check(done).count("from the action") + done.stderr.count("from the action") == 1, how


@pytest.mark.timeout(180)
def test_another_cluster_than_the_connected_one_is_named(run_script: RunScript, ray_cluster: RayCluster) -> None:
    script = """
        import ray
        from synapse_ray import RayActorExecutor
        ray.init()
        try:
            RayActorExecutor(ray_address="127.0.0.9:6379").execute("synapse_testing.actions:adds", {"left": 1})
        except Exception as error:
            print(type(error).__name__, error)
    """
    said = check(run_script(script))
    assert said.startswith("BackendError")
    assert "127.0.0.9:6379" in said
    assert ray_cluster.address in said


@pytest.mark.timeout(180)
def test_threads_and_forks_share_an_executor(run_script: RunScript) -> None:
    script = """
        import os, threading
        from concurrent.futures import ThreadPoolExecutor
        from synapse_ray import RayActorExecutor

        executor = RayActorExecutor(num_actors=2)
        pid = os.fork()  # before anything is connected: the child has a pool of its own
        with ThreadPoolExecutor(16) as threads:
            calls = [threads.submit(executor.execute, "synapse_testing.actions:adds", {"left": n}) for n in range(16)]
            total = sum(call.result(100) for call in calls)
        executor.shutdown()
        if pid == 0:
            os._exit(0 if total == 136 else 1)
        print(total, os.waitpid(pid, 0)[1])
    """
    assert check(run_script(script, timeout=150)) == "136 0\n"


@pytest.mark.timeout(180)
def test_a_fork_after_connecting_is_told_what_to_do(run_script: RunScript) -> None:
    script = """
        import os, pickle, sys
        from synapse_core.errors import BackendError
        from synapse_ray import RayActorExecutor, RayJobExecutor

        executor = RayActorExecutor()
        work = "synapse_testing.actions:adds", {"left": 1}
        print(executor.execute(*work), flush=True)
        copy = pickle.loads(pickle.dumps(executor))
        print(copy.execute(*work), flush=True)
        pid = os.fork()
        if pid == 0:
            for one in (executor, copy, RayActorExecutor(), RayActorExecutor(num_cpus=1), RayJobExecutor()):
                try:
                    one.execute(*work)
                except BackendError as error:
                    print("was forked from one that is connected" in str(error), "spawn" in str(error), flush=True)
            os._exit(0)
        print(os.waitpid(pid, 0)[1], executor.execute(*work), copy.execute(*work))
        executor.shutdown()
    """
    assert check(run_script(script, timeout=120)).splitlines() == ["2", "2", *["True True"] * 5, "0 2 2"]


@pytest.mark.timeout(240)
def test_a_connection_that_the_user_made_in_place_of_ours_is_left_alone(
    run_script: RunScript, ray_cluster: RayCluster
) -> None:
    script = """
        import sys, ray
        from synapse_ray import RayActorExecutor
        address = sys.argv[1]
        work = "synapse_testing.actions:adds", {"left": 1}
        first, second = RayActorExecutor(ray_address=address), RayActorExecutor(ray_address=address, env={"A": "1"})
        print(first.execute(*work), second.execute(*work))
        ray.shutdown()
        ray.init(address, namespace="of-the-user", log_to_driver=False)
        kept = ray.put("mine")
        first.shutdown()
        print(ray.is_initialized(), ray.get(kept))
        print(second.execute(*work))
        second.shutdown()
        print(ray.is_initialized(), ray.get(kept), ray.get_runtime_context().namespace)
    """
    for address in (ray_cluster.address, ray_cluster.client_address):
        done = run_script(script, address, timeout=110, env={"RAY_ADDRESS": ""})
        assert check(done).splitlines() == ["2 2", "True mine", "2", "True mine of-the-user"], address


@pytest.mark.timeout(180)
def test_no_ray_is_started_at_exit_after_the_users_own_shutdown(run_script: RunScript, ray_cluster: RayCluster) -> None:
    import shutil
    import tempfile

    script = """
        import pickle, sys, ray
        from synapse_ray import RayActorExecutor
        executor = RayActorExecutor(ray_address=sys.argv[1])
        print(executor.execute("synapse_testing.actions:adds", {"left": 1}))
        pickle.dumps(executor)  # from now on a thread asks for mail
        ray.shutdown()
        if sys.argv[2] == "said":
            executor.shutdown()
    """
    for how in ("said", "left"):
        folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # short: paths of sockets end at 107 characters
        try:
            environment = {"RAY_ADDRESS": "", "RAY_TMPDIR": str(folder)}
            done = run_script(script, ray_cluster.address, how, timeout=80, env=environment)
            assert (check(done), done.stderr) == ("2\n", "")
            assert not [path for path in folder.rglob("session_*") if any(path.rglob("*.out"))]
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(180)
@pytest.mark.slow
def test_a_private_cluster_is_started_and_said(tmp_path: Path) -> None:
    import os
    import textwrap

    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        from synapse_ray import RayActorExecutor
        from synapse_ray import connection
        from synapse_ray.addresses import ClusterAddress
        import ray, sys

        # Other clusters run on this machine, and `auto` would find one of them.
        real = connection._init
        def init(wanted):
            if wanted.kind == "auto":
                raise connection.BackendUnreachableError("none") from ConnectionError(connection._FOUND_NONE)
            return real(wanted)
        connection._init = init

        with RayActorExecutor() as executor:
            print(executor.execute("synapse_testing.actions:adds", {"left": 1}))
        print(ray.is_initialized())
        """)
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    env |= {"HOME": str(tmp_path), "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    env |= {"RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
    done = subprocess.run(
        [sys.executable, str(script)], env=env, capture_output=True, text=True, timeout=150, check=False
    )
    assert check(done) == "2\nFalse\n"
    assert "starting a private one" in done.stderr
