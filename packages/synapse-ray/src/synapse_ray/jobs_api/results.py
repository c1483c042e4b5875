"""What came of a job that has ended: its result from wherever that is, or the error that says why there is none."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from synapse_core.errors import (
    BackendError,
    ExecutionCancelledError,
    ExecutionError,
    PluginError,
    WorkerLostError,
)
from synapse_core.model.type_names import loaded_type
from synapse_ray.jobs_api import rest_paths
from synapse_ray.jobs_api.answers import JobDetails, LostAnswerError
from synapse_ray.jobs_api.dashboard import Dashboard
from synapse_ray.jobs_api.entrypoint import nonce_of, side_folder
from synapse_ray.jobs_api.result_files import BrokenFileError, Opened, open_file
from synapse_ray.missing_packages import missing_package
from synapse_ray.translation import is_out_of_memory, last_lines, worker_lost

__all__ = ["error_of", "read_durability", "read_result"]

_PAUSES = (0.1, 0.5, 2.0)
_NO_PIP = "\nThe Python of that node has no pip, as `uv venv` leaves it: run `uv pip install pip` there"


def read_result(dashboard: Dashboard, job_id: str, info: JobDetails, storage: str | None) -> Any:
    """Return the result of a job that has ended, or raise what came of it instead.

    Raises:
        ExecutionCancelledError: It was stopped.
        ExecutionError: It failed, or its result is lost.
        BackendError: It never began.
    """
    if info.status == "STOPPED":
        raise _stopped(job_id)
    nonce = nonce_of(info.metadata)
    if nonce is None:
        if info.status == "SUCCEEDED":
            raise ExecutionError(
                f"job {job_id!r} was not submitted by Synapse, so it has no result; get_logs() has what it printed",
                details={"job_id": job_id},
            )
        raise error_of(job_id, info)
    found = _find(dashboard, job_id, info, nonce, storage)
    if found is not None:
        return found.unwrap(loaded_type)
    if info.status == "FAILED":
        raise error_of(job_id, info)
    raise _lost(job_id, info)


def error_of(job_id: str, info: JobDetails) -> PluginError:
    """Return the error of a job that ended without an outcome."""
    if info.status == "STOPPED":
        return _stopped(job_id)
    details = {"job_id": job_id}
    last = last_lines(info.message) or "  (it gave no reason)"
    if "runtime_env setup failed" in info.message or info.error_type == "RUNTIME_ENV_SETUP_FAILURE":
        hint = _NO_PIP if "No module named pip" in info.message else ""
        return BackendError(f"job {job_id!r} never began: its environment could not be made on the node:\n{last}{hint}")
    if (missing := missing_package(info.message)) is not None:
        return BackendError(f"job {job_id!r} never began: {missing}:\n{last}")
    if info.error_type in ("JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE", "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"):
        return BackendError(f"job {job_id!r} never began: no node had what it asked for in time:\n{last}")
    if is_out_of_memory(info.message):
        lost = worker_lost(f"running job {job_id!r}", info.message)
        lost.details.update(details)
        return lost
    return WorkerLostError(f"job {job_id!r} died without an answer; it ended with:\n{last}", details=details)


def read_durability(dashboard: Dashboard, job_id: str, info: JobDetails) -> str | None:
    """Return how long the result of a finished job lasts, as its driver wrote it down."""
    nonce = nonce_of(info.metadata)
    if nonce is None:
        return None
    for node_id in _places(dashboard, info):
        with contextlib.suppress(BackendError, ValueError, KeyError):
            content = dashboard.read_file(node_id, f"{side_folder(nonce)}/about")
            if content is not None:
                return str(json.loads(content)["durability"])
    return None


def _find(dashboard: Dashboard, job_id: str, info: JobDetails, nonce: str, storage: str | None) -> Opened | None:
    folder = side_folder(nonce)
    for node_id in _places(dashboard, info):
        request = rest_paths.log_file(node_id, f"{folder}/result")
        with contextlib.suppress(_NotThereError):
            return _read(lambda request=request: dashboard.open(request))  # type: ignore[misc]
    if storage is not None:
        from synapse_ray.jobs_api.storage import open_result

        with contextlib.suppress(_NotThereError):
            return _read(lambda: open_result(storage, job_id, folder.rpartition("/")[2]))
    return None


def _places(dashboard: Dashboard, info: JobDetails) -> list[str]:
    """Return the living nodes that may have the result: where it was made, and the head."""
    nodes = [node for node in dashboard.nodes() if node.is_alive]
    made = [node.node_id for node in nodes if node.node_id == info.node_id]
    return list(dict.fromkeys([*made, *(node.node_id for node in nodes if node.is_head)]))


class _NotThereError(Exception):
    """No such file there, or no such node any more."""


def _read(source: Callable[[], contextlib.AbstractContextManager[Iterator[bytes] | None]]) -> Opened:
    for pause in (*_PAUSES, None):
        try:
            with source() as pieces:
                if pieces is None:
                    raise _NotThereError
                return open_file(pieces)
        except (LostAnswerError, BrokenFileError) as error:
            if pause is None:
                if isinstance(error, LostAnswerError):
                    raise
                raise BackendError(f"the job's result cannot be read: {error}") from error
        except BackendError as error:
            if pause is None:
                raise _NotThereError from error
        time.sleep(pause)
    raise AssertionError("unreachable")


def _stopped(job_id: str) -> ExecutionCancelledError:
    return ExecutionCancelledError(f"job {job_id!r} was stopped", details={"job_id": job_id})


def _lost(job_id: str, info: JobDetails) -> WorkerLostError:
    where = f"node {info.node_id[:12]}" if info.node_id else "its node"
    return WorkerLostError(
        f"job {job_id!r} succeeded, and its result went with {where}, which is no longer there. Results of up to "
        "16 MB survive that; longer ones with storage=URL, a folder that outlives the cluster's nodes",
        details={"job_id": job_id, "durability": "node"},
    )
