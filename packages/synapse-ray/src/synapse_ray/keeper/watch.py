"""Noticing that a job's worker died, was never made, or is no longer wanted."""

from __future__ import annotations

import asyncio
import logging
import pickle
import time
from collections.abc import Callable
from typing import Any

import ray
from ray import exceptions as ray_errors

from synapse_core.errors import PluginError, WorkerLostError
from synapse_core.model.outcome import Outcome
from synapse_ray.ending import end_actor
from synapse_ray.keeper.files import JobFiles
from synapse_ray.keeper.records import actor_name
from synapse_ray.keeper.store import JobStore
from synapse_ray.names import NAMESPACE
from synapse_ray.ray_internals import death_of_actor, drop_parcel
from synapse_ray.ray_texts import worker_lost
from synapse_ray.translation import translated
from synapse_ray.wire import pack_outcome

__all__ = ["Watch", "failure"]

_LEASE_SECONDS = 10.0
_EVERY_SECONDS = 1.0
_LINGERING_SECONDS = 600.0
_log = logging.getLogger(__name__)


def failure(error: PluginError) -> bytes:
    """Return the reply of a worker that failed with `error`."""
    return pickle.dumps((None, pack_outcome(Outcome.of_error(error))))


class Watch:
    """Follows the workers of all open jobs, on the keeper's event loop.

    It waits for an answer of each worker that only comes, as an error, when that worker has died or cannot be made.

    Args:
        store: The jobs.
        files: Their folders.
        on_end: Called with the id of a job that it ended.
    """

    def __init__(self, store: JobStore, files: JobFiles, on_end: Callable[[str], None]) -> None:
        self._store = store
        self._files = files
        self._on_end = on_end
        self._followed: dict[str, tuple[Any, asyncio.Task[None]]] = {}
        self._first_seen: dict[str, float] = {}

    async def run(self) -> None:
        """Look after the jobs until the process ends."""
        is_tidy = False
        while True:
            try:
                await self._look()
                if not is_tidy:
                    await self._tidy()
                    is_tidy = True
                await self.clean()
            except Exception:  # the next look may succeed; a keeper that has stopped looking is worse
                _log.exception("looking after the jobs failed")
            await asyncio.sleep(_EVERY_SECONDS)

    def follow(self, job_id: str, nonce: str, action: str, worker: Any) -> None:
        """Wait for the death of a job's worker."""
        self._first_seen.pop(nonce, None)
        if nonce not in self._followed:
            task = asyncio.get_running_loop().create_task(self._follow(job_id, nonce, action, worker))
            self._followed[nonce] = worker, task

    async def end(self, job_id: str, nonce: str) -> None:
        """End the worker of a job that is not wanted any more."""
        found = self._followed.get(nonce)
        if found is None:
            await self._end_worker(job_id, nonce)
        else:
            await asyncio.to_thread(end_actor, found[0])

    async def clean(self) -> None:
        """Let go of the work of jobs that have ended, in whichever way. What cannot be dropped now is tried again."""
        for nonce, parcel in self._store.idle_parcels(time.time()).items():
            await asyncio.to_thread(drop_parcel, parcel)
            self._store.forget_parcel(nonce)

    async def _tidy(self) -> None:
        """Do what the last keeper may have died before: it recorded an end, and then ended the worker."""
        self._files.remove_others(self._store.nonces())
        for job in self._store.unwanted_since(time.time() - _LINGERING_SECONDS):
            await self._end_worker(job["job_id"], job["nonce"])

    async def _look(self) -> None:
        for job in self._store.open_jobs():
            if job["nonce"] not in self._followed:
                await self._find(**job)
        for nonce in self._store.expire(time.time()):
            await asyncio.to_thread(self._files.remove, nonce)

    async def _find(self, job_id: str, nonce: str, action: str, submitter: str) -> None:
        """Follow the worker of a job that nobody has named; after the lease without one, the job has failed."""
        since = self._first_seen.setdefault(nonce, time.monotonic())
        worker = await asyncio.to_thread(_worker, job_id, nonce)
        if worker is not None:
            self.follow(job_id, nonce, action, worker)
            return
        death = await asyncio.to_thread(death_of_actor, actor_name(job_id, nonce))
        if death is not None:  # it died together with the last keeper
            self._fail(job_id, nonce, _named(worker_lost(_doing(job_id, action), death), job_id, action))
        elif time.monotonic() - since > _LEASE_SECONDS:
            self._first_seen.pop(nonce, None)
            lost = WorkerLostError(
                f"job {job_id!r} has no worker: whoever submitted it ({submitter or 'unknown'}) took the id, and ended "
                f"before handing over the work, or took more than {_LEASE_SECONDS:g} s to make its worker. Submit it "
                "again under another id, or delete this one first"
            )
            self._fail(job_id, nonce, _named(lost, job_id, action))

    async def _follow(self, job_id: str, nonce: str, action: str, worker: Any) -> None:
        try:
            while self._store.is_open(job_id, nonce):
                try:
                    await worker.is_done.remote()
                except ray_errors.ActorUnavailableError:
                    await asyncio.sleep(_EVERY_SECONDS)
                except Exception as error:
                    self._fail(job_id, nonce, _lost(error, job_id, action))
                else:
                    await asyncio.sleep(0.05)  # it had not begun to work yet
        finally:
            self._followed.pop(nonce, None)

    def _fail(self, job_id: str, nonce: str, error: PluginError) -> None:
        if self._store.fail(job_id, nonce, failure(error)):
            self._on_end(job_id)

    async def _end_worker(self, job_id: str, nonce: str) -> None:
        worker = await asyncio.to_thread(_worker, job_id, nonce)
        if worker is not None:
            await asyncio.to_thread(end_actor, worker)


def _worker(job_id: str, nonce: str) -> Any:
    try:
        return ray.get_actor(actor_name(job_id, nonce), namespace=NAMESPACE)
    except ValueError:  # there is none of that name
        return None


def _lost(error: Exception, job_id: str, action: str) -> PluginError:
    return _named(translated(error, _doing(job_id, action)), job_id, action)


def _doing(job_id: str, action: str) -> str:
    return f"running action {action!r} as job {job_id!r}"


def _named(error: PluginError, job_id: str, action: str) -> PluginError:
    if isinstance(error, WorkerLostError):
        error.details.update(action=action, job_id=job_id)
    return error
