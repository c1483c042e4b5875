"""`synapse job`: follow, read, stop and forget jobs on Ray, by nothing but their id."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

import click

from synapse_cli.kit import (
    ExitCode,
    error_document,
    exit_code_of,
    json_option,
    own_streams,
    print_data,
    print_error,
    print_json,
    print_table,
    shown_result,
    talk,
)
from synapse_core.errors import BackendError, BackendUnreachableError, JobNotFoundError, PluginError
from synapse_core.model.status import JobStatus
from synapse_ray.addresses import shown_url
from synapse_ray.base import BaseRayExecutor
from synapse_ray.job_info import JobInfo

__all__ = ["job"]

F = TypeVar("F", bound=Callable[..., Any])

_MODES = ("job", "ray-job")


@click.group()
def job() -> None:
    """Follow, read, stop and forget jobs on Ray.

    A job is asked for by its id alone, from any process; both kinds are looked through, those of mode `job`
    (Ray's Jobs API) first, then those of mode `ray-job`.
    """


def _where(command: F) -> F:
    """Add the options that say which cluster and which kind of job."""
    for option in (
        click.option(
            "--mode", "-m", type=click.Choice(_MODES), help="The mode that it was submitted in.  [default: both]"
        ),
        click.option("--ray-address", metavar="ADDRESS", default="auto", help="Ray cluster.  [default: auto]"),
    ):
        command = option(command)
    return command


def _executors(address: str, mode: str | None, storage: str | None = None) -> Iterator[Any]:
    """Yield an executor for each kind of job, made when it is asked for: one of them needs a connection."""
    from synapse_ray.job_executor import RayJobExecutor
    from synapse_ray.jobs_api.executor import RayJobsApiExecutor

    is_url = address.startswith(("http://", "https://"))
    kinds: dict[str, Callable[..., BaseRayExecutor]] = {"job": RayJobsApiExecutor}
    if not is_url or mode == "ray-job":
        kinds["ray-job"] = RayJobExecutor
    for name, kind in kinds.items():
        if mode in (None, name):
            more = {"storage": storage} if storage is not None and name == "job" else {}
            yield kind(ray_address=address, **more)


@contextmanager
def _executor_of(job_id: str, address: str, mode: str | None, storage: str | None = None) -> Iterator[Any]:
    """Find the executor that knows a job; with a storage it is the one that finds results there, asked or not.

    Raises:
        JobNotFoundError: None does.
        BackendUnreachableError: Nobody answers.
    """
    unreachable: BackendError | None = None
    answered = False
    for executor in _executors(address, mode if storage is None else "job", storage):
        try:
            if storage is not None:  # which may know what no cluster does
                yield executor
                return
            try:
                status = executor.get_status(job_id)
            except BackendUnreachableError as error:
                unreachable = unreachable or error
                continue
            answered = True
            if status != JobStatus.UNKNOWN:
                yield executor
                return
        finally:
            executor.shutdown()
    if unreachable is not None and not answered:
        raise unreachable
    raise JobNotFoundError(
        f"no job {job_id!r} on the cluster at {shown_url(address)!r}. `synapse job list` shows the jobs that there "
        "are; --ray-address names another cluster" + (f". Not all could be asked: {unreachable}" if unreachable else "")
    )


@contextmanager
def _left_alone(job_id: str) -> Iterator[None]:
    """Say at Ctrl-C that the job goes on."""
    try:
        yield
    except KeyboardInterrupt:
        talk(f"\njob {job_id} goes on; `synapse job cancel {job_id}` stops it")
        sys.exit(ExitCode.INTERRUPTED)


@contextmanager
def _reported(as_json: bool, job_id: str | None = None) -> Iterator[None]:
    try:
        yield
    except PluginError as error:
        if isinstance(error, BackendUnreachableError) and "--start-ray" in str(error):  # which is for new work
            error.args = ("no Ray cluster is running here, and none was named: --ray-address ADDRESS names one",)
        print_error(error)
        if as_json:
            job = {} if job_id is None else {"job_id": job_id}
            print_json({**job, "status": "failed", "error": error_document(error)})
        sys.exit(exit_code_of(error))


@job.command("list")
@_where
@json_option
def list_jobs(ray_address: str, mode: str | None, as_json: bool) -> None:
    """List the jobs that the cluster knows, the latest first."""
    with _reported(as_json):
        found: list[JobInfo] = []
        problems: list[BackendError] = []
        answered = False
        for executor in _executors(ray_address, mode):
            with own_streams(stdout_is_talk=True):  # Ray writes to stdout too
                try:
                    found += executor.jobs()
                    answered = True
                except BackendError as error:
                    problems.append(error)
                finally:
                    executor.shutdown()
        if problems and not answered:
            raise problems[0]
    for problem in problems:
        talk(f"note: not all jobs are shown: {problem}")
    found.sort(key=lambda info: info.started_at or 0, reverse=True)
    if as_json:
        print_json([info.to_dict() for info in found])
        return
    rows = [(i.job_id, i.mode, i.action, str(i.status), _clock(i.started_at), _duration(i)) for i in found]
    print_table(("JOB", "MODE", "ACTION", "STATUS", "STARTED", "TOOK"), rows)


@job.command()
@click.argument("job_id", metavar="JOB")
@_where
@json_option
def status(job_id: str, ray_address: str, mode: str | None, as_json: bool) -> None:
    """Print the status of JOB: PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED."""
    with _reported(as_json, job_id):
        with own_streams(stdout_is_talk=True), _executor_of(job_id, ray_address, mode) as executor:
            found = executor.get_status(job_id)
        print_json({"job_id": job_id, "status": str(found)}) if as_json else print_data(str(found))


@job.command()
@click.argument("job_id", metavar="JOB")
@click.option("--follow", "-f", is_flag=True, help="Go on until the job has ended; Ctrl-C stops following only.")
@_where
def logs(job_id: str, follow: bool, ray_address: str, mode: str | None) -> None:
    """Print what JOB has logged."""
    with _reported(False), _executor_of(job_id, ray_address, mode) as executor:
        if not follow:
            sys.stdout.write(executor.get_logs(job_id))
            sys.stdout.flush()
            return
        with _left_alone(job_id):
            for line in executor.stream_logs(job_id, timeout=None):
                sys.stdout.write(line)
                sys.stdout.flush()


@job.command()
@click.argument("job_id", metavar="JOB")
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="How long to wait.  [default: for ever]"
)
@click.option(
    "--storage",
    metavar="URL",
    help="Where a job of mode `job` was to leave its result; asked also where the cluster is gone.",
)
@_where
@json_option
def result(
    job_id: str, timeout: float | None, storage: str | None, ray_address: str, mode: str | None, as_json: bool
) -> None:
    """Wait for JOB and print its result."""
    _refuse_storage(storage, mode)
    with _reported(as_json, job_id):
        with (
            _left_alone(job_id),
            own_streams(stdout_is_talk=True),
            _executor_of(job_id, ray_address, mode, storage) as executor,
        ):
            value = executor.get_result(job_id, timeout)
        if as_json:
            print_json({"job_id": job_id, "status": "succeeded", "result": shown_result(value)})
        elif isinstance(value, str):
            print_data(value)
        elif value is not None:
            print_json(shown_result(value))


@job.command()
@click.argument("job_id", metavar="JOB")
@_where
@json_option
def cancel(job_id: str, ray_address: str, mode: str | None, as_json: bool) -> None:
    """Stop JOB, and whatever works for it."""
    with _reported(as_json, job_id):
        with own_streams(stdout_is_talk=True), _executor_of(job_id, ray_address, mode) as executor:
            stopped = executor.cancel(job_id)
        if as_json:
            print_json({"job_id": job_id, "cancelled": stopped})
        else:
            print_data("cancelled" if stopped else "it had already ended")


@job.command()
@click.argument("job_id", metavar="JOB")
@click.option("--storage", metavar="URL", help="Where a job of mode `job` has left its result, which is deleted too.")
@_where
@json_option
def delete(job_id: str, storage: str | None, ray_address: str, mode: str | None, as_json: bool) -> None:
    """Forget JOB, which has ended, and its result; its id is free again."""
    _refuse_storage(storage, mode)
    with _reported(as_json, job_id):
        with own_streams(stdout_is_talk=True), _executor_of(job_id, ray_address, mode, storage) as executor:
            executor.delete(job_id)
        print_json({"job_id": job_id, "deleted": True}) if as_json else print_data("deleted")


def _refuse_storage(storage: str | None, mode: str | None) -> None:
    if storage is not None and mode == "ray-job":
        raise click.UsageError("--storage is for jobs of mode 'job'; those of mode 'ray-job' leave nothing there")


def _clock(moment: float | None) -> str:
    return "" if moment is None else datetime.fromtimestamp(moment).strftime("%Y-%m-%d %H:%M:%S")


def _duration(info: JobInfo) -> str:
    if info.started_at is None:
        return ""
    seconds = (info.ended_at or time.time()) - info.started_at
    return f"{seconds:.1f} s" if seconds < 600 else f"{seconds / 60:.0f} min"
