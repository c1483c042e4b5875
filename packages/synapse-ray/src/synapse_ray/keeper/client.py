"""The side of those who ask the keeper: finds it, makes it where there is none, and asks again as long as it takes."""

from __future__ import annotations

import contextlib
import os
import platform
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import ray
from ray import exceptions as ray_errors

from synapse_core.errors import BackendError, BackendUnreachableError
from synapse_core.model.status import JobStatus
from synapse_ray.connection import Connection
from synapse_ray.keeper.records import KEEPER_NAME, LONGEST_POLL, PIECE_BYTES, About, JobState
from synapse_ray.missing_packages import missing_package
from synapse_ray.names import NAMESPACE
from synapse_ray.translation import translated

__all__ = ["KeeperClient", "find_keeper", "submitter"]

_START_SECONDS = 120.0
_AGAIN_SECONDS = 0.2
_TITLES = {"python": "Python", "ray": "Ray", "synapse-ray": "synapse-ray"}
_LOOK_SECONDS = 5.0
_LOST_SECONDS = 20.0  # long enough for a control store that is restarted; after 60 Ray ends this process
_ANSWER_SECONDS = 90.0  # of which the keeper may need some to be restarted
# What there is to say of a cluster that has no keeper, and so has never had a job.
_OF_NONE: dict[str, Any] = {
    "cancel": None,
    "delete": None,
    "jobs": [],
    "read_log": None,
    "read_result": None,
    "status": JobStatus.UNKNOWN.value,
    "wait": (JobStatus.UNKNOWN.value,),
}


class KeeperClient:
    """The keeper of the connected cluster, as local calls. Safe to use from many threads.

    Questions are answered where there is no keeper too: there are no jobs. Whoever submits calls `require` first.

    Args:
        connection: Of this process.
        include_sdk: Whether to ship the Synapse packages along, where the keeper has to be made.
    """

    def __init__(self, connection: Connection, *, include_sdk: bool = False) -> None:
        self._connection = connection
        self._include_sdk = include_sdk
        self._lock = threading.RLock()
        self._actor: Any = None
        self._look()

    def require(self) -> None:
        """Make the keeper where there is none.

        Raises:
            BackendError: It cannot be made, or does not fit to this process.
        """
        if self._actor is not None:
            return
        with self._lock:
            if self._look() is None:
                self._actor = _make(self._connection, include_sdk=self._include_sdk)
                self._greet()

    def expect(self, job_id: str, nonce: str, parcel: str) -> bool:
        """Say where the work of a job is going to lie, so that it is dropped if this process ends meanwhile.

        Returns:
            ``False`` where the id is taken, and nothing is to be uploaded.
        """
        return bool(self._ask("submitting", "expect", job_id, nonce, parcel))

    def take(self, job_id: str, nonce: str, about: About) -> bool:
        """Take an id for the submission `nonce`; ``False`` where another one has the id."""
        return bool(self._ask("submitting", "take", job_id, nonce, tuple(about)))

    def withdraw(self, job_id: str, nonce: str) -> None:
        """Give an id back whose work has not begun; where it has, the job is stopped."""
        self._ask("submitting", "withdraw", job_id, nonce)

    def watch(self, job_id: str, nonce: str, action: str, worker: Any) -> Any:
        """Tell the keeper who does the work, and return what `is_wanted` takes. Does not wait."""
        return self._actor.watch.remote(job_id, nonce, action, [worker])

    def is_wanted(self, watched: Any) -> bool:
        """Say whether the keeper still waited for the worker that it was told of.

        Raises:
            BackendUnreachableError: The cluster is lost.
        """
        try:
            return bool(self._answer("submitting", watched, _ANSWER_SECONDS))
        except ray_errors.RayError:  # the answer is lost; the keeper finds the worker by itself
            return True

    def status(self, job_id: str) -> str:
        """Return a status; ``UNKNOWN`` for an unknown id."""
        found: str = self._ask("asking for a status", "status", job_id)
        return found

    def wait(self, job_id: str, deadline: float | None) -> JobState:
        """Wait for the end of a job, and return what has come of it by then.

        Args:
            job_id: The job.
            deadline: On the clock of `time.monotonic`; ``None`` for ever.
        """
        while True:
            left = _left(deadline)
            outcome = JobState(*self._ask("waiting for a job", "wait", job_id, left))
            if outcome.has_ended() or (deadline is not None and left < LONGEST_POLL):
                return outcome

    def read_result(self, job_id: str, size: int) -> bytearray | None:
        """Return a result that is not in the outcome; ``None`` where the job was deleted meanwhile."""
        found = bytearray()
        while len(found) < size:
            piece = self._ask("fetching a result", "read_result", job_id, len(found), PIECE_BYTES)
            if not piece:
                return None
            found += piece
        return found

    def read_log(self, job_id: str, deadline: float | None, *, follow: bool) -> Iterator[bytes | None]:
        """Yield pieces of a job's log, of whole lines, until the job has ended.

        Args:
            job_id: The job.
            deadline: On the clock of `time.monotonic`; ``None`` for ever. When it has passed, ``None`` is yielded.
            follow: Whether to wait for the end; otherwise what is there.

        Raises:
            LookupError: There is no such job, or it was deleted meanwhile.
        """
        offset = 0
        while True:
            left = _left(deadline) if follow else 0.0
            found = self._ask("reading a log", "read_log", job_id, offset, PIECE_BYTES // 4, left)
            if found is None:
                raise LookupError(job_id)
            lines, ended = found
            offset += len(lines)
            if lines:
                yield lines
            elif ended or not follow:
                return
            if deadline is not None and time.monotonic() > deadline:
                yield None

    def cancel(self, job_id: str) -> bool | None:
        """Stop a job. ``False`` where it had ended, ``None`` for an unknown id."""
        found: bool | None = self._ask("cancelling a job", "cancel", job_id, uuid.uuid4().hex)
        return found

    def delete(self, job_id: str) -> str | None:
        """Forget a job. Returns its status: it is forgotten where that is terminal. ``None`` for an unknown id."""
        found: str | None = self._ask("deleting a job", "delete", job_id, uuid.uuid4().hex)
        return found

    def jobs(self, limit: int) -> list[dict[str, Any]]:
        """Return the jobs, newest first, as `JobStore.jobs` does."""
        found: list[dict[str, Any]] = self._ask("listing jobs", "jobs", limit)
        return found

    def _ask(self, doing: str, method: str, *args: Any) -> Any:
        waits = args[-1] if method in ("wait", "read_log") else 0.0
        give_up = time.monotonic() + _ANSWER_SECONDS
        while True:
            actor = self._actor or self._look()
            if actor is None:
                return _OF_NONE[method]
            try:
                return self._answer(doing, getattr(actor, method).remote(*args), _ANSWER_SECONDS + waits)
            except ray_errors.GetTimeoutError as error:
                raise BackendUnreachableError(
                    f"{doing}: the keeper of the cluster has not answered for {_ANSWER_SECONDS + waits:g} s. It is "
                    f"the actor {KEEPER_NAME!r} in namespace {NAMESPACE!r}, on the head; `ray list actors` shows it"
                ) from error
            except ray_errors.RayActorError as error:
                # Ray restarts it, and repeats the call; so somebody has ended it for good. Its files are there.
                if time.monotonic() > give_up:
                    raise translated(error, doing) from error
                time.sleep(_AGAIN_SECONDS)
                self._find_again(actor)
            except Exception as error:
                raise translated(error, doing) from error

    def _answer(self, doing: str, reference: Any, patience: float) -> Any:
        begun = answered = time.monotonic()
        while True:
            left = max(0.0, begun + patience - time.monotonic())
            try:
                return ray.get(reference, timeout=min(left, _LOOK_SECONDS))
            except ray_errors.GetTimeoutError:
                if left <= _LOOK_SECONDS:
                    raise
            # Ray repeats the call for ever while the keeper cannot be reached, and tells nobody.
            if self._connection.is_answered():
                answered = time.monotonic()
            elif time.monotonic() - answered > _LOST_SECONDS:
                raise BackendUnreachableError(
                    f"{doing}: no Ray cluster answers at {self._connection.address} any more. Its head is lost, or the "
                    "network to it; what runs on a head that is lost is lost too"
                )

    def _find_again(self, dead: Any) -> None:
        with self._lock:
            if self._actor is dead:
                self._actor = find_keeper() or _make(self._connection, include_sdk=self._include_sdk)

    def _look(self) -> Any:
        """Return the keeper where somebody has made it by now."""
        with self._lock:
            if self._actor is None and (found := find_keeper()) is not None:
                self._actor = found
                self._greet()
            return self._actor

    def _greet(self) -> None:
        try:
            _refuse_skew(self._versions())
        except BaseException:
            self._actor = None
            raise

    def _versions(self) -> dict[str, str]:
        try:
            there: dict[str, str] = ray.get(self._actor.hello.remote(), timeout=_START_SECONDS)
        except ray_errors.GetTimeoutError as error:
            from synapse_ray.keeper.making import keeper_not_started

            raise keeper_not_started(_START_SECONDS) from error
        except Exception as error:
            if not isinstance(error, ray_errors.RayActorError) or missing_package(str(error)):
                raise translated(error, "starting the keeper") from error
            there = self._ask("starting the keeper", "hello")  # the one that was found was just being ended
        return there


def find_keeper() -> Any:
    """Return the keeper of the connected cluster; ``None`` where there is none yet."""
    try:
        return ray.get_actor(KEEPER_NAME, namespace=NAMESPACE)
    except ValueError:
        return None
    except Exception as error:
        raise translated(error, "looking for the keeper") from error


def submitter() -> str:
    """Return host and process, for people."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _refuse_skew(there: dict[str, str]) -> None:
    """Raise where what is pickled here may not open there."""
    here = {"python": platform.python_version(), "ray": ray.__version__}
    with contextlib.suppress(PackageNotFoundError):
        here["synapse-ray"] = version("synapse-ray")
    parts: dict[str, Callable[[str], str]] = {"python": _minor, "ray": str, "synapse-ray": _minor}
    both = [name for name in parts if name in there and name in here]  # what was shipped has no version
    different = [name for name in both if parts[name](there[name]) != parts[name](here[name])]
    if different:
        text = " and ".join(f"{_TITLES[name]} {here[name]} here and {there[name]} there" for name in different)
        raise BackendError(
            f"this process and the cluster do not fit: {text}. Install the same on both sides; the keeper of a cluster "
            "is what was installed when the cluster got its first job"
        )


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _left(deadline: float | None) -> float:
    return LONGEST_POLL if deadline is None else max(0.0, min(LONGEST_POLL, deadline - time.monotonic()))


def _make(connection: Connection, *, include_sdk: bool) -> Any:
    from synapse_ray.keeper.making import make_keeper
    from synapse_ray.shipping import upload_sdk

    try:
        return make_keeper(connection, upload_sdk() if include_sdk else None)
    except Exception as error:
        raise translated(error, "starting the keeper") from error
