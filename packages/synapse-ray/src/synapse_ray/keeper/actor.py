"""The keeper's actor: the questions that it answers."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import time
from pathlib import Path
from typing import Any

import ray

from synapse_core.errors import ExecutionCancelledError
from synapse_core.model.status import JobStatus
from synapse_ray.keeper.bell import Bell
from synapse_ray.keeper.files import JobFiles
from synapse_ray.keeper.records import LONGEST_POLL, About
from synapse_ray.keeper.store import JobStore
from synapse_ray.keeper.watch import Watch, failure
from synapse_ray.keeper.worker_link import cut_off_line
from synapse_ray.ray_internals import session_folder

__all__ = ["Keeper"]


class Keeper:
    """Holds the jobs of one cluster. What it has acknowledged is on the head's disk, so its own death loses nothing.

    Ray repeats a call whose answer was lost with a keeper that died, so every method may be called twice. Nothing
    of a job's params, environment or credentials ever comes here.

    Args:
        folder: Where to keep things. Default: in the session folder of the cluster's head.
    """

    def __init__(self, folder: str | None = None) -> None:
        home = Path(folder or Path(session_folder()) / "synapse-keeper")
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._store = JobStore(home / "jobs.sqlite")
        self._files = JobFiles(home / "jobs")
        self._bell = Bell()
        self._watch = Watch(self._store, self._files, self._bell.ring)
        # Here and not in a method: a restart runs the constructor again, and no method.
        self._watching = asyncio.get_running_loop().create_task(self._watch.run())

    async def hello(self) -> dict[str, str]:
        """Return the versions of what runs here."""
        from importlib.metadata import PackageNotFoundError, version

        found = {"python": platform.python_version(), "ray": ray.__version__}
        for name in ("synapse-core", "synapse-ray"):
            try:
                found[name] = version(name)
            except PackageNotFoundError:  # it was shipped, not installed
                continue
        return found

    # -- those who submit ---------------------------------------------------------------------

    async def expect(self, job_id: str, nonce: str, parcel: str) -> bool:
        """Hear where the work of a job is going to lie, before it is uploaded; ``False`` where the id is taken."""
        return self._store.expect(job_id, nonce, parcel)

    async def take(self, job_id: str, nonce: str, about: tuple[Any, ...]) -> bool:
        """Take an id; ``False`` where another submission has it."""
        return self._store.take(job_id, nonce, About(*about))

    async def withdraw(self, job_id: str, nonce: str) -> bool:
        """Give an id back whose work has not begun; ``False``, and the job is stopped, where it has."""
        if self._store.withdraw(job_id, nonce):
            return True
        if self._store.is_open(job_id, nonce):
            await self.cancel(job_id, nonce)
        return False

    async def watch(self, job_id: str, nonce: str, action: str, worker: list[Any]) -> bool:
        """Follow a job's worker; one of a job that is not wanted any more is ended.

        Returns:
            ``False`` where the job was given up before it had a worker.

        Args:
            job_id: The job.
            nonce: Of its submission.
            action: Name of its action.
            worker: The actor's handle, in a list: Ray would wait for a bare one.
        """
        self._watch.follow(job_id, nonce, action, worker[0])
        if not self._store.may_work(job_id, nonce):
            await self._watch.end(job_id, nonce)
        return not self._store.was_given_up(job_id, nonce)

    # -- workers ------------------------------------------------------------------------------

    async def start(self, job_id: str, nonce: str, life: str) -> int | None:
        """Let a worker process begin.

        Returns:
            Where its log begins; ``None`` where it is not wanted, and has to end.
        """
        if not self._store.start(job_id, nonce, life):
            return None
        self._bell.ring(job_id)
        return self._files.end_of_log(nonce)

    async def append(self, job_id: str, nonce: str, life: str, offset: int, lines: bytes) -> bool:
        """Write what a worker reports; ``False`` where it is not wanted any more."""
        if not self._store.is_life(job_id, life):
            return False
        self._files.write_log(nonce, offset, lines)
        self._bell.ring(job_id)
        return True

    async def put_result(self, job_id: str, nonce: str, life: str, offset: int, piece: bytes) -> bool:
        """Write a piece of a result; ``False`` where it is not wanted any more."""
        if not self._store.is_life(job_id, life):
            return False
        await asyncio.to_thread(self._files.write_result, nonce, life, offset, piece)
        return True

    async def finish(
        self,
        job_id: str,
        nonce: str,
        life: str,
        succeeded: bool,
        reply: bytes | None,
        size: int,
        offset: int,
        lines: bytes,
    ) -> bool:
        """Record the end of a job, with the last of its log; ``False`` where it has ended otherwise.

        Args:
            job_id: The job.
            nonce: Of its submission.
            life: The worker process.
            succeeded: Whether the action returned.
            reply: What came of it; ``None`` where it was put in pieces.
            size: Bytes of the reply that was put in pieces.
            offset: Where `lines` belong in the log.
            lines: What was not appended yet.
        """
        if self._store.is_life(job_id, life):
            if lines:
                self._end_log(nonce, offset, lines)
            if reply is None and not self._files.keep_result(nonce, life, size):
                raise ValueError(f"of the result of job {job_id!r}, {size} bytes, some are missing")
        status = JobStatus.SUCCEEDED if succeeded else JobStatus.FAILED
        recorded = self._store.finish(job_id, life, status, reply, size)
        self._bell.ring(job_id)
        return recorded

    def _end_log(self, nonce: str, offset: int, lines: bytes) -> None:
        try:
            self._files.write_log(nonce, offset, lines, is_last=True)
        except OSError as error:  # a full disk: what came of the job is worth more than its last lines
            with contextlib.suppress(OSError):
                self._files.write_log(nonce, offset, cut_off_line(error), is_last=True)

    # -- those who ask ------------------------------------------------------------------------

    async def status(self, job_id: str) -> str:
        """Return a status; ``UNKNOWN`` for an unknown id."""
        return self._store.status(job_id)

    async def wait(self, job_id: str, timeout: float) -> tuple[Any, ...]:
        """Wait for the end of a job, `timeout` or `LONGEST_POLL` seconds, and return its `JobState`."""
        over = time.monotonic() + min(timeout, LONGEST_POLL)
        while True:
            outcome = self._store.outcome(job_id)
            left = over - time.monotonic()
            if left <= 0 or outcome.has_ended():
                return tuple(outcome)
            await self._bell.wait(job_id, left)

    async def read_result(self, job_id: str, offset: int, limit: int) -> bytes | None:
        """Return a piece of a result that is not in the outcome; ``None`` for an unknown id."""
        nonce = self._store.nonce(job_id)
        return None if nonce is None else await asyncio.to_thread(self._files.read_result, nonce, offset, limit)

    async def read_log(self, job_id: str, offset: int, limit: int, timeout: float) -> tuple[bytes, bool] | None:
        """Return lines of a log from `offset` on, waiting for the next one up to `timeout` seconds.

        Returns:
            Whole lines, and whether there will be no more; ``None`` for an unknown id.
        """
        over = time.monotonic() + min(timeout, LONGEST_POLL)
        while True:
            # Asked before the lines are read: what was written before the end is then among them.
            outcome, nonce = self._store.outcome(job_id), self._store.nonce(job_id)
            if nonce is None:
                return None
            lines = self._files.read_log(nonce, offset, limit)
            left = over - time.monotonic()
            if lines or left <= 0 or outcome.has_ended():
                return lines, outcome.has_ended() and offset + len(lines) >= self._files.log_size(nonce)
            await self._bell.wait(job_id, left)

    async def cancel(self, job_id: str, asked: str) -> bool | None:
        """Stop a job: recorded first, then done.

        Returns:
            ``False`` where it had ended; ``None`` for an unknown id.
        """
        stopped = ExecutionCancelledError(f"job {job_id!r} was cancelled", details={"job_id": job_id})
        done = self._store.cancel(job_id, asked, failure(stopped))
        nonce = self._store.nonce(job_id)
        if done and nonce is not None:
            self._bell.ring(job_id)
            await self._watch.end(job_id, nonce)
        return done

    async def delete(self, job_id: str, asked: str) -> str | None:
        """Forget a job that has ended; returns as `JobStore.delete` does."""
        nonce = self._store.nonce(job_id)
        found = self._store.delete(job_id, asked)
        if nonce is not None and self._store.nonce(job_id) != nonce:
            await asyncio.to_thread(self._files.remove, nonce)
            self._bell.ring(job_id)
        return found

    async def jobs(self, limit: int) -> list[dict[str, Any]]:
        """Return the jobs, newest first, as `JobStore.jobs` does."""
        return self._store.jobs(limit)
