"""What came of a job that has ended: its result from wherever that is, or the error that says why there is none."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from synapse_core.errors import (
    AuthenticationError,
    BackendError,
    BackendUnreachableError,
    ExecutionCancelledError,
    ExecutionError,
    PluginError,
    WorkerLostError,
)
from synapse_core.model.status import JobStatus
from synapse_core.model.type_names import loaded_type
from synapse_ray.addresses import shown_url
from synapse_ray.jobs_api import rest_paths
from synapse_ray.jobs_api.answers import JobDetails
from synapse_ray.jobs_api.dashboard import Dashboard
from synapse_ray.jobs_api.entrypoint import entrypoint, nonce_of, side_folder
from synapse_ray.jobs_api.patience import Failures, patiently
from synapse_ray.jobs_api.result_files import BrokenFileError, Opened, open_file
from synapse_ray.jobs_api.submission import discard_secret
from synapse_ray.missing_packages import missing_package
from synapse_ray.ray_texts import is_out_of_memory, last_lines, worker_lost

__all__ = ["error_of", "read_durability", "read_result", "stored_name", "stored_result"]

_PAUSES = (0.1, 0.5, 2.0)
_ENTRYPOINT_LINE = "Running entrypoint for job "  # which Ray writes into the log
_NO_PIP = "\nThe Python of that node has no pip, as `uv venv` leaves it: run `uv pip install pip` there"


def read_result(dashboard: Dashboard, job_id: str, info: JobDetails, storage: str | None) -> Any:
    """Return the result of a job that has ended, or raise what came of it instead.

    Raises:
        ExecutionCancelledError: It was stopped.
        ExecutionError: It failed, or its result is lost.
        BackendError: It never began.
    """
    nonce = nonce_of(info.metadata)
    if info.status == JobStatus.STOPPED:
        if nonce is not None:
            discard_secret(dashboard, nonce)
        raise _stopped(job_id)
    if nonce is None:
        if info.status == JobStatus.SUCCEEDED:
            raise ExecutionError(
                f"job {job_id!r} was not submitted by Synapse, so it has no result; get_logs() has what it printed",
                details={"job_id": job_id},
            )
        raise error_of(job_id, info)
    found = _find(dashboard, job_id, info, nonce, storage)
    if found is not None:
        return found.unwrap(loaded_type)
    if info.status == JobStatus.FAILED:
        discard_secret(dashboard, nonce)
        raise error_of(job_id, info)
    if info.node_id in _places(dashboard, info):
        raise _without_answer(job_id)
    raise _lost(job_id, info, storage)


def stored_result(storage: str, job_id: str) -> Opened | None:
    """Return the latest result that the storage has for a job id, whatever the cluster knows; ``None`` for none.

    Raises:
        BackendError: The storage cannot be read.
    """
    from synapse_ray.jobs_api.storage import newest_result, open_result

    name = newest_result(storage, job_id)
    return None if name is None else _read(job_id, shown_url(storage), lambda: open_result(storage, job_id, name))


def stored_name(nonce: str) -> str:
    """Return the name of a submission's result in a storage."""
    return side_folder(nonce).rpartition("/")[2]


def error_of(job_id: str, info: JobDetails) -> PluginError:
    """Return the error of a job that ended without an outcome."""
    if info.status == JobStatus.STOPPED:
        return _stopped(job_id)
    details = {"job_id": job_id}
    last = last_lines(_without_entrypoint(info)) or "  (it gave no reason)"
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


def _without_entrypoint(info: JobDetails) -> str:
    """Return what the cluster says about a job that has ended, without the shell's part in it."""
    nonce = nonce_of(info.metadata)
    text = info.message if nonce is None else info.message.replace(entrypoint(nonce), "")
    return "\n".join(line for line in text.splitlines() if not line.startswith(_ENTRYPOINT_LINE))


def read_durability(dashboard: Dashboard, info: JobDetails) -> str | None:
    """Return how long the result of a finished job lasts, as its driver wrote it down; ``None`` where that is lost."""
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
    """Return the result from the first place that has it.

    Raises:
        BackendError: None has it that could be asked, and not all could be, or one has it damaged.
    """
    problem: BackendError | None = None
    unread: dict[str, BackendError] = {}
    try:
        for node_id in _places(dashboard, info):
            try:
                if (found := _read_from_node(dashboard, job_id, node_id, nonce)) is not None:
                    return found
            except (AuthenticationError, BackendUnreachableError):
                raise
            except _DamagedError as error:
                problem = error
            except BackendError as error:  # the node is just being lost; or it lives, and its agent does not
                unread[node_id] = error
        if unread:
            problem = next((unread[node_id] for node_id in _places(dashboard, info) if node_id in unread), problem)
    except (AuthenticationError, BackendUnreachableError) as error:
        problem = error
    if storage is not None:
        from synapse_ray.jobs_api.storage import open_result

        found = _read(job_id, shown_url(storage), lambda: open_result(storage, job_id, stored_name(nonce)))
        if found is not None:
            return found
    if problem is not None:
        raise problem
    return None


def _places(dashboard: Dashboard, info: JobDetails) -> list[str]:
    """Return the living nodes that may have the result: where it was made, and the head."""
    found = patiently(lambda: dashboard.nodes(repeat=False), time.sleep)
    nodes = [node for node in found if node.is_alive]
    made = [node.node_id for node in nodes if node.node_id == info.node_id]
    return list(dict.fromkeys([*made, *(node.node_id for node in nodes if node.is_head)]))


def _read_from_node(dashboard: Dashboard, job_id: str, node_id: str, nonce: str) -> Opened | None:
    request = rest_paths.log_file(node_id, f"{side_folder(nonce)}/result")
    return _read(job_id, f"node {node_id[:12]} of the cluster at {dashboard.url}", lambda: dashboard.open(request))


class _DamagedError(BackendError):
    """The result is there, and cannot be read."""

    def __reduce__(self) -> Any:
        return BackendError, self.args


def _read(
    job_id: str, where: str, source: Callable[[], AbstractContextManager[Iterator[bytes] | None]]
) -> Opened | None:
    """Return the result that is at a place; ``None`` where there is none.

    Raises:
        BackendError: The place does not answer, or cannot give it, or it is damaged.
    """
    failures, pauses = Failures(), iter(_PAUSES)
    while True:
        try:
            with source() as pieces:
                return None if pieces is None else open_file(pieces)
        except (AuthenticationError, BackendUnreachableError) as error:
            pause = failures.pause(error)
        except BackendError:
            if (pause := next(pauses, -1.0)) < 0:
                raise
        except BrokenFileError as error:
            if (pause := next(pauses, -1.0)) < 0:
                raise _DamagedError(
                    f"the result of job {job_id!r} at {where} cannot be read: {error}. `synapse job logs {job_id}` "
                    "has what the job printed; submit it again under a new id"
                ) from error
        time.sleep(pause)


def _stopped(job_id: str) -> ExecutionCancelledError:
    return ExecutionCancelledError(f"job {job_id!r} was stopped", details={"job_id": job_id})


def _without_answer(job_id: str) -> WorkerLostError:
    return WorkerLostError(
        f"job {job_id!r} has left no result on its node, which is there: most likely its process ended with status 0 "
        f"before its action had returned, as os._exit(0) does. `synapse job logs {job_id}` has what it printed",
        details={"job_id": job_id},
    )


def _lost(job_id: str, info: JobDetails, storage: str | None) -> WorkerLostError:
    where = f"node {info.node_id[:12]}" if info.node_id else "its node"
    asked = "" if storage is None else ", and the folder of storage= has none"
    return WorkerLostError(
        f"job {job_id!r} succeeded, and its result went with {where}, which is no longer there{asked}. Results of up "
        "to 16 MB survive that; longer ones with storage=URL, a folder that outlives the cluster's nodes: if the job "
        f"had one, `synapse job result {job_id} --storage URL` finds it. Else submit it again under a new id",
        details={"job_id": job_id, "durability": "node"},
    )
