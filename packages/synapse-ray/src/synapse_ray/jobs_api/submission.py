"""Handing a job over to a cluster, once, whatever becomes of the answers."""

from __future__ import annotations

import contextlib
import secrets
import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from packaging.version import Version

from synapse_core.errors import BackendError, BackendUnreachableError
from synapse_ray.job_errors import id_is_taken, tell_id
from synapse_ray.jobs_api import rest_paths
from synapse_ray.jobs_api.answers import Answer, LostAnswerError, failed, may_grow
from synapse_ray.jobs_api.dashboard import Dashboard
from synapse_ray.jobs_api.entrypoint import entrypoint, nonce_of, secret_name
from synapse_ray.jobs_api.work import DriverWork, pack_work
from synapse_ray.packaging import Package
from synapse_ray.placement import refuse_unplaceable
from synapse_ray.shipping import Shipped

__all__ = ["discard_secret", "refuse_other_python", "submit"]

# Before, a node writes what concerns all jobs to the file of the first one that asked for it.
_RAY_WITH_LOG_FILES = Version("2.60")
_PAUSES = (0.1, 0.3, 1.0, 2.0)


def refuse_other_python(dashboard: Dashboard, work: DriverWork) -> None:
    """Raise where the action travels by value and the cluster's Python could not open it."""
    if work.spec.pickled is None or (found := dashboard.python_version()) is None:
        return
    ours = sys.version.partition(" ")[0]
    if found.split(".")[:2] != ours.split(".")[:2]:
        raise BackendError(
            f"action {work.spec.name!r} is sent by value, which needs the same Python on both sides: {ours} is here, "
            f"the cluster at {dashboard.url} has {found}. Put it into a module of the plugin's folder, or use Python "
            f"{'.'.join(found.split('.')[:2])} here"
        )


def submit(dashboard: Dashboard, work: DriverWork, shipped: Shipped, resources: Mapping[str, Any]) -> None:
    """Hand a job over; after an error nothing of it is left in a cluster that answers.

    Raises:
        JobExistsError: Its id is taken; the job that has it was left alone.
        TypeError: Its params cannot travel.
        BackendError: The cluster did not take it.
    """
    if dashboard.job(work.job_id) is not None:
        raise id_is_taken(work.job_id)
    if any(resources.values()):
        nodes = [node.resources for node in dashboard.nodes() if node.is_alive]
        refuse_unplaceable(resources, nodes, lambda: may_grow(dashboard.ask(rest_paths.cluster_status())))
    content = pack_work(work)
    for package in shipped.packages:
        _upload(dashboard, package)
    nonce = secrets.token_hex(16)
    metadata = {"synapse_nonce": nonce, "synapse_version": _version(), "synapse_action": work.spec.name}
    body = {
        "entrypoint": entrypoint(nonce),
        "submission_id": work.job_id,
        "runtime_env": _showing_installation(shipped.runtime_env, work.job_id, dashboard.ray_version()),
        "metadata": metadata,
        **{f"entrypoint_{name}": amount for name, amount in resources.items()},
    }
    try:
        _put(dashboard, secret_name(nonce), content, "storing the job's params")
        _post(dashboard, work.job_id, body, nonce)
    except BaseException:
        discard_secret(dashboard, nonce)
        raise


def discard_secret(dashboard: Dashboard, nonce: str) -> None:
    """Make a secret package empty, and let it expire: HTTP deletes none.

    The driver deletes it when it begins; this is for a job that never did, whose params, settings and credentials would
    lie in the control store for as long as the cluster lives. For one that did begin it is no harm.
    """
    with contextlib.suppress(BackendError):
        dashboard.ask(rest_paths.put_package(secret_name(nonce), b""), repeat=False)
        dashboard.ask(rest_paths.pin_package(secret_name(nonce)), repeat=False)


def _showing_installation(runtime_env: dict[str, Any], job_id: str, ray_version: str) -> dict[str, Any]:
    """Let the node write what the making of the environment says into the job's log too."""
    if Version(ray_version) < _RAY_WITH_LOG_FILES:
        return runtime_env
    config = dict(runtime_env.get("config") or {})
    config["log_files"] = [*(config.get("log_files") or ()), rest_paths.job_log_name(job_id)]
    return {**runtime_env, "config": config}


def _upload(dashboard: Dashboard, package: Package) -> None:
    """See to it that the cluster has a package; asking for one keeps it for some minutes."""
    name = package.uri.removeprefix("gcs://")
    if dashboard.ask(rest_paths.pin_package(name)).status != 200:
        _put(dashboard, name, package.to_zip(), f"uploading {name}")
        dashboard.ask(rest_paths.pin_package(name))


def _put(dashboard: Dashboard, name: str, content: bytes, doing: str) -> None:
    answer = dashboard.ask(rest_paths.put_package(name, content))
    if answer.status != 200:
        raise failed(answer, doing)


def _post(dashboard: Dashboard, job_id: str, body: dict[str, Any], nonce: str) -> None:
    for pause in (*_PAUSES, None):
        problem: BackendError
        try:
            answer = dashboard.ask(rest_paths.submit_job(body))
            if answer.status == 200:
                return
            problem = _refused(answer, job_id)
        except LostAnswerError as error:
            problem = error
        except BackendUnreachableError as error:
            problem = error
        # Whatever was answered, or lost: a job of this id either is this very submission, or somebody else's.
        with contextlib.suppress(BackendUnreachableError):
            found = dashboard.job(job_id)
            if found is not None:
                if nonce_of(found.metadata) == nonce:
                    return
                raise id_is_taken(job_id)
        if pause is None or getattr(problem, "is_final", False):
            if isinstance(problem, LostAnswerError):  # it may have arrived, and whether it did cannot be asked
                tell_id(problem, job_id)
            raise problem
        time.sleep(pause)


class _FinalError(BackendError):
    """Asking again is no help."""

    is_final = True

    def __reduce__(self) -> Any:
        return BackendError, self.args


def _refused(answer: Answer, job_id: str) -> BackendError:
    if "No available agent" in answer.text or "Failed to get head node agent" in answer.text:
        return BackendError(
            f"the cluster at {answer.url} takes no jobs: the agent of its head node does not answer. It is just "
            "starting, or it could not start: another Ray on that host has its port (give each "
            "`ray start --head` a --dashboard-agent-listen-port of its own), or ray[default] is not installed there. "
            "dashboard_agent.log in its session folder says why"
        )
    problem = failed(answer, f"submitting job {job_id!r}")
    return _FinalError(*problem.args) if answer.status < 500 else problem


def _version() -> str:
    try:
        return version("synapse-ray")
    except PackageNotFoundError:  # run from its sources
        return "0"
