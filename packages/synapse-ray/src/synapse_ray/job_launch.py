"""Handing a job over to the cluster: the id, then the worker, which from then on depends on nobody."""

from __future__ import annotations

import contextlib
import time
import uuid
from typing import Any

import ray

from synapse_core.errors import BackendError, BackendUnreachableError, PluginError
from synapse_ray.ending import end_actor
from synapse_ray.job_errors import id_is_taken, tell_id
from synapse_ray.job_worker import JobWork, JobWorker
from synapse_ray.keeper.answers import open_outcome
from synapse_ray.keeper.client import KeeperClient, submitter
from synapse_ray.keeper.records import INLINE_BYTES, About, actor_name
from synapse_ray.names import NAMESPACE
from synapse_ray.options import MOST_RETRIES
from synapse_ray.preparation import Prepared
from synapse_ray.ray_internals import actor_is_accepted, drop_parcel, put_parcel
from synapse_ray.shipping import Shipped
from synapse_ray.translation import translated

__all__ = ["launch"]

_ACCEPTANCE_SECONDS = 60.0


def launch(
    keeper: KeeperClient, work: Prepared, shipped: Shipped, job_id: str, resources: dict[str, Any], keep_for: float
) -> None:
    """Take the id, make the worker, and return when the cluster goes on without this process.

    Raises:
        JobExistsError: The id is taken; the job that has it was left alone.
        BackendError: The cluster does not take the worker; the id is free again.
        WorkerLostError: The keeper has waited for the worker in vain; the id is free again.
    """
    content = JobWork(work.spec, work.params, shipped.settings).to_bytes()
    nonce = uuid.uuid4().hex
    parcel = f"{job_id}-{nonce}" if len(content) > INLINE_BYTES else ""
    worker = None
    try:
        if parcel:
            # Before the id is taken: from then on the keeper waits for the worker, and not for as long as this takes.
            if not keeper.expect(job_id, nonce, parcel):
                raise id_is_taken(job_id)
            put_parcel(parcel, content)
        if not keeper.take(job_id, nonce, About(work.spec.name, keep_for, submitter(), parcel)):
            raise id_is_taken(job_id)
        worker = _make_worker(work, shipped, job_id, nonce, resources, parcel or content, len(content))
        watched = keeper.watch(job_id, nonce, work.spec.name, worker)
        _await_acceptance(worker, job_id)
        if not keeper.is_wanted(watched):
            open_outcome(keeper, job_id, keeper.wait(job_id, time.monotonic()))
    except BaseException as error:
        _undo(keeper, job_id, nonce, worker, parcel)
        if worker is not None and isinstance(error, BackendUnreachableError):  # which then could not be undone
            tell_id(error, job_id)
        if isinstance(error, PluginError) or not isinstance(error, Exception):
            raise
        raise translated(error, f"submitting job {job_id!r}") from error


def _undo(keeper: KeeperClient, job_id: str, nonce: str, worker: Any, parcel: str) -> None:
    """Leave nothing of a submission that failed; each step for itself, since the cluster may be failing."""
    with contextlib.suppress(Exception):
        keeper.withdraw(job_id, nonce)  # before the worker ends, which would be taken for its death
    if worker is not None:
        end_actor(worker)
    if parcel:
        with contextlib.suppress(Exception):
            drop_parcel(parcel)


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
        "max_restarts": MOST_RETRIES if work.spec.idempotent else 0,
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
