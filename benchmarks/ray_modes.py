"""The Ray modes beside plain Ray, on one cluster that this run starts, one thing at a time."""

from __future__ import annotations

import contextlib
import io
import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.comparison import Comparison

__all__ = ["compare_ray_modes"]

_CALLS = 3000
_JOB_ROUNDS = 21
_LOG_ROUNDS = 15
_AT_ONCE = 50
_ALIVE = 6
_MIB = 2**20

PAYLOAD = {"epochs": 3, "rate": 0.01, "names": ["a", "b", "c"]}


def compare_ray_modes() -> Iterator[Comparison]:
    """Compare warm actors, detached jobs and the Jobs API with what plain Ray needs for the same."""
    from synapse_testing.ray_cluster import RayCluster

    # Logical CPUs: more than the machine has, so that what is asked for is never what is waited for.
    with RayCluster(num_cpus=64) as cluster:
        os.environ.update(cluster.environment)
        import ray

        ray.init(address=cluster.address, namespace="benchmarks", log_to_driver=False, logging_level="ERROR")
        try:
            yield from _warm_calls()
            yield _four_sleeps()
            yield _detached_jobs()
            yield _jobs_api(cluster.dashboard_url)
            yield from _first_lines(cluster.dashboard_url)
            yield from _large_logs(cluster)
            yield from _many_jobs()
            yield from _memory(cluster.dashboard_url)
        finally:
            ray.shutdown()


def _warm_calls() -> Iterator[Comparison]:
    import ray

    from benchmarks import ray_work
    from synapse_ray import RayActorExecutor

    bare = ray.remote(ray_work.Bare).remote()
    with RayActorExecutor() as executor:

        def ours() -> object:
            return executor.execute(ray_work.EchoAction, PAYLOAD)

        def theirs() -> object:
            return ray.get(bare.echo.remote(PAYLOAD))

        for _ in range(200):
            ours(), theirs()
        samples = _in_turns(ours, theirs, _CALLS)
    ray.kill(bare)
    for name, share, bound in (("p50", 0.50, 1.15), ("p95", 0.95, 1.3)):
        mine, other = (sorted(values)[int(len(values) * share)] for values in samples)
        yield Comparison(f"warm actor `execute`, {name}", "bare actor call, same payload", mine, other, bound, _CALLS)


def _four_sleeps() -> Comparison:
    from benchmarks import ray_work
    from synapse_ray import RayActorExecutor

    with RayActorExecutor(num_actors=4) as executor, ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: executor.execute(ray_work.sleeps, {"seconds": 0.2}), range(8)))  # all are warm
        taken = []
        for _ in range(5):
            started = time.perf_counter()
            list(threads.map(lambda _: executor.execute(ray_work.sleeps, {"seconds": 1.0}), range(4)))
            taken.append(time.perf_counter() - started)
    return Comparison("four one-second sleeps on four actors", "one second", statistics.median(taken), 1.0, 1.3, 5)


def _detached_jobs() -> Comparison:
    import ray

    from benchmarks import ray_work
    from synapse_ray import RayJobExecutor

    executor = RayJobExecutor(num_cpus=1)

    def ours() -> object:
        return executor.get_result(executor.submit(ray_work.EchoAction, PAYLOAD), 120)

    def theirs() -> object:
        actor = _bare_detached()
        result = ray.get(actor.echo.remote(PAYLOAD))
        ray.kill(actor)
        return result

    ours(), theirs()
    mine, other = map(statistics.median, _in_turns(ours, theirs, _JOB_ROUNDS, pause=1.0))
    return Comparison("RayJob, submit to result", "bare detached actor and call", mine, other, 1.25, _JOB_ROUNDS)


def _jobs_api(dashboard: str) -> Comparison:
    from ray.job_submission import JobStatus, JobSubmissionClient

    from benchmarks import ray_work
    from synapse_ray import RayJobsApiExecutor

    executor = RayJobsApiExecutor(dashboard_address=dashboard)
    client = JobSubmissionClient(dashboard)

    def ours() -> object:
        return executor.get_result(executor.submit(ray_work.EchoAction, PAYLOAD), 120)

    def theirs() -> object:
        job_id = client.submit_job(entrypoint=f"{sys.executable} -c 'import ray; print(1)'")
        while client.get_job_status(job_id) not in (JobStatus.SUCCEEDED, JobStatus.FAILED):
            time.sleep(0.02)
        return client.get_job_logs(job_id)

    ours(), theirs()
    mine, other = map(statistics.median, _in_turns(ours, theirs, _JOB_ROUNDS, pause=1.0))
    return Comparison(
        "Jobs API, submit to result", "`ray job submit` of a script that imports Ray", mine, other, 1.25, _JOB_ROUNDS
    )


def _first_lines(dashboard: str) -> Iterator[Comparison]:
    from benchmarks import ray_work
    from synapse_ray import RayActorExecutor, RayJobExecutor, RayJobsApiExecutor

    executors: dict[str, Callable[[Any], Any]] = {
        "task": lambda sink: RayActorExecutor(sink=sink),
        "ray-job": lambda sink: RayJobExecutor(sink=sink),
        "job": lambda sink: RayJobsApiExecutor(dashboard_address=dashboard, sink=sink),
    }
    for mode, make in executors.items():
        delays: list[float] = []
        executor = make(ray_work.DelaySink(delays))
        for _ in range(_LOG_ROUNDS if mode == "task" else _LOG_ROUNDS // 3):
            executor.execute(ray_work.logs_slowly, {"lines": 3, "pause": 0.4})
        executor.shutdown()
        yield Comparison(
            f"log line to the caller, mode {mode}", "0.15 s", statistics.median(delays), 0.15, 1.0, len(delays)
        )


def _large_logs(cluster: Any) -> Iterator[Comparison]:
    """Compare how much a client grows while 100 MB of logs go by, with 60 MB."""
    for mode in ("ray-job", "job"):
        code = f"from benchmarks import ray_work; ray_work.follow_large_log({mode!r}, {cluster.dashboard_url!r})"
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[1],
            env={**os.environ, **cluster.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"the client of {mode} ended with {done.returncode}:\n{done.stderr[-3000:]}")
        grown = float(done.stdout.split()[-1])
        yield Comparison(f"MB a client grows by 100 MB of logs, mode {mode}", "60 MB", grown, 60.0, 1.0, 1, unit="MB")


def _many_jobs() -> Iterator[Comparison]:
    import ray

    from benchmarks import ray_work
    from synapse_ray import RayJobExecutor

    executor = RayJobExecutor(num_cpus=1)

    def ours() -> None:
        jobs = [executor.submit(ray_work.EchoAction, PAYLOAD) for _ in range(_AT_ONCE)]
        assert all(executor.get_result(job, 600) == PAYLOAD for job in jobs)

    def theirs() -> None:
        actors = [_bare_detached() for _ in range(_AT_ONCE)]
        refs = [actor.echo.remote(PAYLOAD) for actor in actors]
        for actor, ref in zip(actors, refs, strict=True):
            ray.get(ref)
            ray.kill(actor)

    mine, other = map(statistics.median, _in_turns(ours, theirs, 2, pause=5.0))
    yield Comparison(f"{_AT_ONCE} jobs at once", f"{_AT_ONCE} bare detached actors", mine, other, 1.25, 2)


def _memory(dashboard: str) -> Iterator[Comparison]:
    """Compare the memory of a job: of its actor, or of all its processes, where it is one of the Jobs API."""
    actor, bare = _memory_of_actors()
    over_http, plain = _memory_over_http(dashboard)
    script = "`ray job submit` of a script that imports Ray"
    for name, other, ours, theirs in (
        ("RayJob", "bare detached actor", actor, bare),
        ("RayJob", script, actor, plain),
        ("Jobs API job", script, over_http, plain),
    ):
        yield Comparison(f"memory of a {name}", other, ours / _MIB, theirs / _MIB, 1.0, _ALIVE, unit="MB")


def _memory_of_actors() -> tuple[float, float]:
    """Return the bytes of ours and of a bare one; all of a kind are alive meanwhile, and share with each other."""
    import ray

    from benchmarks import ray_work
    from synapse_ray import RayJobExecutor

    executor = RayJobExecutor(num_cpus=1)
    jobs = [executor.submit(ray_work.measures_memory, {"seconds": 20}) for _ in range(_ALIVE)]
    ours = statistics.median(executor.get_result(job, 300) for job in jobs)
    actors = [_bare_detached() for _ in jobs]
    theirs = statistics.median(ray.get([actor.memory.remote(20) for actor in actors]))
    for actor in actors:
        ray.kill(actor)
    return ours, theirs


def _memory_over_http(dashboard: str) -> tuple[float, float]:
    """Return the bytes of ours and of a plain one: Ray's supervisor, the driver, and what that has started."""
    from ray.job_submission import JobSubmissionClient

    from benchmarks import ray_work
    from synapse_ray import RayJobsApiExecutor

    executor = RayJobsApiExecutor(dashboard_address=dashboard)
    client = JobSubmissionClient(dashboard)
    script = f"{sys.executable} -c 'import ray, time; time.sleep(3600)'"
    kinds: tuple[tuple[Callable[[], str], Callable[[str], object]], ...] = (
        (lambda: executor.submit(ray_work.sleeps, {"seconds": 3600}), executor.stop),
        (lambda: client.submit_job(entrypoint=script), client.stop_job),
    )
    sizes = []
    for submit, stop in kinds:
        jobs = [submit() for _ in range(_ALIVE)]
        time.sleep(20)
        found = ray_work.memory_of_jobs()
        assert len(found) >= 2 * len(jobs), "some jobs have not started"
        sizes.append(sum(found) / len(jobs))
        for job in jobs:
            stop(job)
        time.sleep(5)
    return sizes[0], sizes[1]


def _bare_detached() -> Any:
    import ray

    from benchmarks import ray_work

    return ray.remote(ray_work.Bare).options(num_cpus=1, lifetime="detached", name=uuid.uuid4().hex).remote()


def _in_turns(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int, pause: float = 0.0
) -> tuple[list[float], list[float]]:
    """Return the seconds of each call; `pause` lets processes of the call before end first."""
    seconds: tuple[list[float], list[float]] = ([], [])
    with contextlib.redirect_stderr(io.StringIO()):
        for number in range(rounds):
            for which in (0, 1) if number % 2 else (1, 0):
                time.sleep(pause)
                started = time.perf_counter()
                (ours, theirs)[which]()
                seconds[which].append(time.perf_counter() - started)
    return seconds
