"""The worker of a job: an actor that does its work once, hands the outcome to the keeper, and ends itself."""

from __future__ import annotations

import pickle
import sys
import uuid
from dataclasses import dataclass

import ray

from synapse_core.errors import BackendError, ExecutionError
from synapse_core.model.outcome import Outcome
from synapse_core.safe_text import format_traceback, safe_str
from synapse_ray.action_spec import ActionSpec
from synapse_ray.keeper.records import INLINE_BYTES, PIECE_BYTES
from synapse_ray.keeper.worker_link import KeeperLink, LogSender
from synapse_ray.wire import Packed, pack_outcome
from synapse_ray.worker import ActionRunner, Reply, WorkerSettings

__all__ = ["JobWork", "JobWorker"]


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
        self._running = self._self.run.remote()

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
            sys.stdout.flush()
            sys.stderr.flush()
            ray.kill(self._self, no_restart=True)

    def _run(self) -> None:
        link = KeeperLink()
        here = ray.get_runtime_context().get_node_id()
        offset = link.call("start", self._job_id, self._nonce, self._life, here)
        if offset is None:
            return  # cancelled meanwhile, or given up because it took so long to come here
        mine = (self._job_id, self._nonce, self._life)
        logs = LogSender(lambda at, lines: bool(link.call("append", *mine, at, lines)), offset)
        reply = self._answer(logs)
        packed = pickle.dumps(reply, protocol=5)
        rest = logs.close()
        succeeded = reply[0] is not None or not (reply[1] or {}).get("error")
        if len(packed) <= INLINE_BYTES:
            link.call("finish", *mine, succeeded, packed, 0, *rest)
            return
        for at in range(0, len(packed), PIECE_BYTES):
            if not link.call("put_result", *mine, at, packed[at : at + PIECE_BYTES]):
                return
        link.call("finish", *mine, succeeded, None, len(packed), *rest)

    def _answer(self, logs: LogSender) -> Reply:
        try:
            return self._act(logs)
        except Exception as error:  # before the action had begun: what it raises itself is in its reply
            what = f"job {self._job_id!r} failed before its action had begun: {type(error).__name__}: {safe_str(error)}"
            failed = ExecutionError(what, remote_traceback=format_traceback(error), details={"job_id": self._job_id})
            failed.__cause__ = error
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
