"""The worker of a job: an actor that does its work once, hands the outcome to the keeper, and ends itself."""

from __future__ import annotations

import contextlib
import os
import pickle
import threading
import time
import uuid
from dataclasses import dataclass
from typing import Any

import ray

from synapse_core.errors import BackendError
from synapse_core.model.outcome import Outcome
from synapse_ray.action_spec import ActionSpec
from synapse_ray.job_errors import interrupted, outside_action
from synapse_ray.keeper.delivery import hand_over
from synapse_ray.keeper.worker_link import KeeperLink, LogSender
from synapse_ray.wire import Packed, pack_outcome
from synapse_ray.worker import ActionRunner, Reply, WorkerSettings
from synapse_ray.worker_output import flush_output

__all__ = ["JobWork", "JobWorker"]

_LEAVING_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class JobWork:
    """What a job is to do. It holds secrets, and travels as bytes that nobody on the way opens.

    Attributes:
        spec: The action.
        params: Its params.
        settings: Of the executor.
    """

    spec: ActionSpec
    params: Packed
    settings: WorkerSettings

    def to_bytes(self) -> bytes:
        """Return it as the worker's constructor takes it."""
        return pickle.dumps(self, protocol=5)


class JobWorker:
    """Does the work of one job. Its constructor starts that, so that a restart by Ray is the same as the start.

    Args:
        job_id: The job.
        nonce: Of its submission.
        work: The pickled `JobWork`; or else the name of the parcel that it is in.
        size: Bytes of that parcel.
    """

    def __init__(self, job_id: str, nonce: str, work: bytes | str, size: int) -> None:
        self._job_id = job_id
        self._nonce = nonce
        self._life = uuid.uuid4().hex
        self._work = work
        self._size = size
        self._self = ray.get_runtime_context().current_actor
        # On the main thread, where signals and most libraries want to be; so not here, and not in a thread.
        # Not tried again: it ends with the process, and a process that has its own call to repeat does not end.
        self._running = self._self.run.options(max_task_retries=0).remote()

    def is_done(self) -> bool:
        """Answer once `run` is over: the keeper waits for this, and hears at once when the process has died."""
        return True

    def run(self) -> None:
        """Do the work, once."""
        if self._work == b"":
            return  # somebody called it
        try:
            self._run()
        finally:
            flush_output()
            _leave(self._self)

    def _run(self) -> None:
        link = KeeperLink()

        def call(method: str, *args: Any) -> Any:
            return link.call(method, self._job_id, self._nonce, self._life, *args)

        offset = call("start")
        if offset is None:
            return  # cancelled meanwhile, or given up because it took so long to come here
        logs = LogSender(lambda at, lines: bool(call("append", at, lines)), offset)
        reply = self._answer(logs)
        hand_over(call, self._job_id, reply, logs.close())

    def _answer(self, logs: LogSender) -> Reply:
        try:
            return self._act(logs)
        except KeyboardInterrupt:  # the action's own: nobody else raises it here
            return None, pack_outcome(Outcome.of_error(interrupted(self._job_id)))
        except Exception as error:  # before the action had begun: what it raises itself is in its reply
            failed = outside_action(f"job {self._job_id!r}", self._job_id, error)
            return None, pack_outcome(Outcome.of_error(failed))

    def _act(self, logs: LogSender) -> Reply:
        content, self._work = self._work, b""
        if isinstance(content, str):
            from synapse_ray.ray_internals import get_parcel

            found = get_parcel(content, self._size)
            if found is None:
                raise BackendError("its params were in the cluster's memory, and are gone")
            content = found
        work: JobWork = pickle.loads(content)
        del content
        return ActionRunner(work.settings).run(work.spec, work.params, self._job_id, logs.emit)


def _leave(worker: Any) -> None:
    """End this process as a program ends: what was registered with `atexit` runs, and Ray does not start it again.

    A thread or a handler that never ends is left behind after a while.
    """

    def give_up() -> None:
        time.sleep(_LEAVING_SECONDS)
        with contextlib.suppress(Exception):  # Ray may have been left already
            ray.kill(worker, no_restart=True)
        os._exit(0)

    threading.Thread(target=give_up, name="synapse-leave", daemon=True).start()
    ray.actor.exit_actor()  # type: ignore[no-untyped-call]
