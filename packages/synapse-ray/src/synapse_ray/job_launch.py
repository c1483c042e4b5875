"""Handing a job over to the cluster: the id first, then the worker, which from then on depends on nobody."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import ray

from synapse_core.errors import BackendError, JobExistsError, PluginError
from synapse_ray.job_worker import JobWork, JobWorker
from synapse_ray.keeper.client import KeeperClient, submitter
from synapse_ray.keeper.records import INLINE_BYTES, About, actor_name
from synapse_ray.names import NAMESPACE
from synapse_ray.preparation import Prepared
from synapse_ray.ray_internals import actor_is_accepted, drop_parcel, put_parcel
from synapse_ray.shipping import Shipped
from synapse_ray.translation import translated

__all__ = ["launch"]

_RESTARTS = 2
_ACCEPTANCE_SECONDS = 60.0


def launch(
    keeper: KeeperClient, work: Prepared, shipped: Shipped, job_id: str, resources: dict[str, Any], keep_for: float
) -> None:
    """Take the id, make the worker, and return when the cluster goes on without this process.

    Raises:
        JobExistsError: The id is taken; the job that has it was left alone.
        BackendError: The cluster does not take the worker; the id is free again.
    """
    content = JobWork(work.spec, work.params, shipped.settings).to_bytes()
    is_large = len(content) > INLINE_BYTES
    parcel = f"{job_id}-{time.time_ns():x}" if is_large else ""
    about = About(work.spec.name, keep_for, submitter(), parcel)
    nonce = keeper.take(job_id, about)
    if nonce is None:
        raise JobExistsError(
            f"job {job_id!r} exists; it was left alone. Choose another id, or `delete` that job once it has ended",
            details={"job_id": job_id},
        )
    try:
        if is_large:
            put_parcel(parcel, content)
        worker = _make_worker(work, shipped, job_id, nonce, resources, parcel or content, len(content))
        keeper.watch(job_id, nonce, work.spec.name, worker)
        _await_acceptance(worker, job_id)
    except BaseException as error:
        with contextlib.suppress(Exception):
            if is_large:
                drop_parcel(parcel)
            keeper.withdraw(job_id, nonce)
        if isinstance(error, PluginError) or not isinstance(error, Exception):
            raise
        raise translated(error, f"submitting job {job_id!r}") from error


def _make_worker(
    work: Prepared,
    shipped: Shipped,
    job_id: str,
    nonce: str,
    resources: dict[str, Any],
    content: bytes | str,
    size: int,
) -> Any:
    options: dict[str, Any] = {
        **resources,
        "name": actor_name(job_id, nonce),
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "max_restarts": _RESTARTS if work.spec.idempotent else 0,
    }
    if work.spec.idempotent:
        options["max_task_retries"] = -1  # of the keeper's question, which is to outlive a restart
    if shipped.runtime_env:
        options["runtime_env"] = shipped.runtime_env
    return ray.remote(JobWorker).options(**options).remote(job_id, nonce, content, size)


def _await_acceptance(worker: Any, job_id: str) -> None:
    """Return when the cluster has what it needs: before that, the worker would go with this process."""
    give_up = time.monotonic() + _ACCEPTANCE_SECONDS
    pause = 0.001
    while not actor_is_accepted(worker):
        if time.monotonic() > give_up:
            raise BackendError(f"submitting job {job_id!r}: the cluster has not taken it within a minute")
        time.sleep(pause)
        pause = min(2 * pause, 0.1)
