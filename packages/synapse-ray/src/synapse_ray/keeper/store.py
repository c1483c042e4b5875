"""What the keeper knows of each job, written through to SQLite before it is acknowledged."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from synapse_core.model.status import JobStatus
from synapse_ray.keeper.records import About, JobState

__all__ = ["JobStore"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS job (
    job_id TEXT PRIMARY KEY,
    nonce TEXT NOT NULL,          -- of the submission; the job's folder and actor are named after it
    status TEXT NOT NULL,
    action TEXT NOT NULL,
    submitter TEXT NOT NULL,
    keep_for REAL NOT NULL,
    submitted_at REAL NOT NULL,
    ended_at REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    life TEXT,                    -- of the worker process that may write; another one's writes are refused
    reply BLOB,
    size INTEGER NOT NULL DEFAULT 0,
    asked TEXT                    -- token of the call that cancelled it: the same call repeated gets the same answer
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS job_by_time ON job (submitted_at);
CREATE INDEX IF NOT EXISTS job_by_end ON job (ended_at);
CREATE TABLE IF NOT EXISTS parcel (  -- work that is too large for an argument; known from before its upload on
    nonce TEXT PRIMARY KEY,
    job_id TEXT NOT NULL,
    name TEXT NOT NULL,
    taken INTEGER NOT NULL,       -- whether a job has it
    at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deletion (asked TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
"""
_OPEN = tuple(status.value for status in JobStatus if status is not JobStatus.UNKNOWN and not status.is_terminal())
_IS_OPEN = f"status IN {_OPEN}"
# Of those that have ended: a worker that has begun ends by itself, unless somebody stopped the job.
_IS_UNWANTED = f"(status = '{JobStatus.STOPPED.value}' OR attempts = 0)"
_LISTED = "job_id, status, action, submitted_at, ended_at, attempts"
_REMEMBER_DELETIONS = 3600.0
_SHORTEST_KEPT = 10.0  # whoever waits for the end is to get what came of it
_IS_OVER = f"ended_at + max(keep_for, {_SHORTEST_KEPT}) < ?"
_LONGEST_UPLOAD = 3600.0


class JobStore:
    """The jobs of one cluster. Used by one thread; every method is a transaction of its own.

    A status that is terminal never changes: each write asks for that itself.

    Args:
        path: The database; made where there is none.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        # What is committed is in the kernel's hands, so the death of this process loses nothing. The loss of the
        # machine would, and takes the cluster with it: there is nothing that a sync of the disk could save.
        self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
        self._db.executescript(_SCHEMA)

    def expect(self, job_id: str, nonce: str, parcel: str) -> bool:
        """Write down where a submission puts its work, before it does; ``False`` where another one has the id."""
        if self.nonce(job_id) not in (None, nonce):
            return False
        self._db.execute(
            "INSERT INTO parcel VALUES (?, ?, ?, 0, ?) ON CONFLICT DO NOTHING", (nonce, job_id, parcel, time.time())
        )
        return True

    def take(self, job_id: str, nonce: str, about: About) -> bool:
        """Take an id; ``False`` where another submission has it."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                "INSERT INTO job (job_id, nonce, status, action, submitter, keep_for, submitted_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (job_id, nonce, JobStatus.PENDING.value, about.action, about.submitter, about.keep_for, time.time()),
            )
            taken = self.nonce(job_id) == nonce
            if taken and about.parcel:
                self._db.execute(
                    "INSERT INTO parcel VALUES (?, ?, ?, 1, ?) ON CONFLICT DO UPDATE SET taken = 1",
                    (nonce, job_id, about.parcel, time.time()),
                )
            return taken

    def withdraw(self, job_id: str, nonce: str) -> bool:
        """Give an id back whose work was never handed over."""
        return self._changed("DELETE FROM job WHERE job_id = ? AND nonce = ? AND attempts = 0", job_id, nonce)

    def start(self, job_id: str, nonce: str, life: str) -> bool:
        """Let a worker process begin; ``False`` where the job has ended, or is another one by now."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                f"UPDATE job SET status = ?, life = ?, attempts = attempts + 1 "
                f"WHERE job_id = ? AND nonce = ? AND life IS NOT ? AND {_IS_OPEN}",
                (JobStatus.RUNNING.value, life, job_id, nonce, life),
            )
            return self.is_life(job_id, life)

    def is_life(self, job_id: str, life: str) -> bool:
        """Say whether the job is still open, and this worker process the one that works on it."""
        return self._one(f"SELECT 1 FROM job WHERE job_id = ? AND life = ? AND {_IS_OPEN}", job_id, life) is not None

    def finish(self, job_id: str, life: str, status: JobStatus, reply: bytes | None, size: int) -> bool:
        """Record what a worker process brought; ``False`` where the job has ended otherwise."""
        self._db.execute(
            "UPDATE job SET status = ?, reply = ?, size = ?, ended_at = ? "
            f"WHERE job_id = ? AND life = ? AND {_IS_OPEN}",
            (status.value, reply, size, time.time(), job_id, life),
        )
        # Also true for the same call repeated.
        found = self._one("SELECT status FROM job WHERE job_id = ? AND life = ?", job_id, life)
        return found is not None and found["status"] == status.value

    def fail(self, job_id: str, nonce: str, reply: bytes) -> bool:
        """Record that a job has ended without its worker saying so."""
        return self._changed(
            f"UPDATE job SET status = ?, reply = ?, ended_at = ? WHERE job_id = ? AND nonce = ? AND {_IS_OPEN}",
            JobStatus.FAILED.value, reply, time.time(), job_id, nonce,
        )  # fmt: skip

    def cancel(self, job_id: str, asked: str, reply: bytes) -> bool | None:
        """Record that somebody wants the job stopped.

        Returns:
            Whether that call ended it; ``None`` for an unknown id.
        """
        self._db.execute(
            f"UPDATE job SET status = ?, reply = ?, ended_at = ?, asked = ? WHERE job_id = ? AND {_IS_OPEN}",
            (JobStatus.STOPPED.value, reply, time.time(), asked, job_id),
        )
        row = self._one("SELECT asked FROM job WHERE job_id = ?", job_id)
        return None if row is None else row["asked"] == asked

    def delete(self, job_id: str, asked: str) -> str | None:
        """Forget a job that has ended, and so free its id.

        Returns:
            Its status; ``None`` for an unknown id; ``""`` where this very call did it before.
        """
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            if self._one("SELECT 1 FROM deletion WHERE asked = ?", asked) is not None:
                return ""
            row = self._one("SELECT status FROM job WHERE job_id = ?", job_id)
            if row is None:
                return None
            if JobStatus(row["status"]).is_terminal():
                self._db.execute("DELETE FROM job WHERE job_id = ?", (job_id,))
                self._db.execute("INSERT INTO deletion VALUES (?, ?)", (asked, time.time()))
            return str(row["status"])

    def expire(self, now: float) -> list[str]:
        """Forget the jobs whose time is over, and return their nonces."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            gone = self._all(f"SELECT nonce FROM job WHERE {_IS_OVER}", now)
            if gone:
                self._db.execute(f"DELETE FROM job WHERE {_IS_OVER}", (now,))
            self._db.execute("DELETE FROM deletion WHERE at < ?", (now - _REMEMBER_DELETIONS,))
        return [row["nonce"] for row in gone]

    def nonce(self, job_id: str) -> str | None:
        """Return the nonce of a job; ``None`` for an unknown id."""
        row = self._one("SELECT nonce FROM job WHERE job_id = ?", job_id)
        return None if row is None else row["nonce"]

    def nonces(self) -> set[str]:
        """Return those of all jobs."""
        return {row["nonce"] for row in self._all("SELECT nonce FROM job")}

    def is_open(self, job_id: str, nonce: str) -> bool:
        """Say whether the job has not ended."""
        return self._one(f"SELECT 1 FROM job WHERE job_id = ? AND nonce = ? AND {_IS_OPEN}", job_id, nonce) is not None

    def may_work(self, job_id: str, nonce: str) -> bool:
        """Say whether the job's worker is to be left alone: the job is open, or the worker itself has ended it."""
        query = f"SELECT 1 FROM job WHERE job_id = ? AND nonce = ? AND ({_IS_OPEN} OR NOT {_IS_UNWANTED})"
        return self._one(query, job_id, nonce) is not None

    def was_given_up(self, job_id: str, nonce: str) -> bool:
        """Say whether the job has failed before any worker of it began."""
        row = self._one("SELECT status, attempts FROM job WHERE job_id = ? AND nonce = ?", job_id, nonce)
        return row is not None and row["status"] == JobStatus.FAILED.value and row["attempts"] == 0

    def status(self, job_id: str) -> str:
        """Return a status; ``UNKNOWN`` for an unknown id."""
        row = self._one("SELECT status FROM job WHERE job_id = ?", job_id)
        return JobStatus.UNKNOWN.value if row is None else row["status"]

    def outcome(self, job_id: str) -> JobState:
        """Return what has come of a job."""
        row = self._one("SELECT status, reply, size FROM job WHERE job_id = ?", job_id)
        return JobState(JobStatus.UNKNOWN.value) if row is None else JobState(row["status"], row["reply"], row["size"])

    def open_jobs(self) -> list[dict[str, Any]]:
        """Return ``job_id``, ``nonce``, ``action`` and ``submitter`` of the jobs that have not ended."""
        return [dict(row) for row in self._all(f"SELECT job_id, nonce, action, submitter FROM job WHERE {_IS_OPEN}")]

    def unwanted_since(self, moment: float) -> list[dict[str, Any]]:
        """Return ``job_id`` and ``nonce`` of the jobs that ended later, and whose worker does not end by itself."""
        query = f"SELECT job_id, nonce FROM job WHERE ended_at > ? AND {_IS_UNWANTED}"
        return [dict(row) for row in self._all(query, moment)]

    def idle_parcels(self, now: float) -> dict[str, str]:
        """Return the parcels that no open job has, by nonce: of jobs that ended in any way, and of lost uploads."""
        query = (
            "SELECT nonce, name FROM parcel WHERE (taken OR at < ?) AND NOT EXISTS "
            f"(SELECT 1 FROM job WHERE job.job_id = parcel.job_id AND job.nonce = parcel.nonce AND {_IS_OPEN})"
        )
        return {row["nonce"]: row["name"] for row in self._all(query, now - _LONGEST_UPLOAD)}

    def forget_parcel(self, nonce: str) -> None:
        """Forget a parcel that was dropped."""
        self._changed("DELETE FROM parcel WHERE nonce = ?", nonce)

    def jobs(self, limit: int) -> list[dict[str, Any]]:
        """Return the jobs, newest first: id, status, action, times, attempts."""
        return [dict(row) for row in self._all(f"SELECT {_LISTED} FROM job ORDER BY submitted_at DESC LIMIT ?", limit)]

    def _one(self, query: str, *values: Any) -> sqlite3.Row | None:
        found: sqlite3.Row | None = self._db.execute(query, values).fetchone()
        return found

    def _all(self, query: str, *values: Any) -> list[sqlite3.Row]:
        return self._db.execute(query, values).fetchall()

    def _changed(self, query: str, *values: Any) -> bool:
        return self._db.execute(query, values).rowcount > 0
