"""Handing what came of a job over to the keeper, and that it could not be kept where that is so."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from typing import Any

from ray import exceptions as ray_errors

from synapse_core.errors import BackendError
from synapse_core.model.outcome import Outcome
from synapse_core.safe_text import safe_str
from synapse_ray.keeper.records import INLINE_BYTES, PIECE_BYTES
from synapse_ray.wire import pack_outcome
from synapse_ray.worker import Reply

__all__ = ["hand_over"]

_PATIENCE_SECONDS = 600.0
_AGAIN_SECONDS = 2.0


def hand_over(
    call: Callable[..., Any],
    job_id: str,
    reply: Reply,
    rest: tuple[int, bytes],
    *,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Hand over what came of a job; a keeper that cannot write it, its disk being full, records that instead.

    Args:
        call: Calls a method of the keeper for one life of the job's worker: its name, and the rest of the arguments.
        job_id: The job.
        reply: What came of its action.
        rest: The end of its log, and where it belongs.
        pause: Waits for some seconds.

    Raises:
        RayError: Not even that can be recorded, for ten minutes.
    """
    packed = pickle.dumps(reply, protocol=5)
    has_succeeded = reply[0] is not None or not (reply[1] or {}).get("error")
    try:
        _hand_over(call, packed, rest, has_succeeded=has_succeeded)
        return
    except ray_errors.RayTaskError as error:
        problem = _not_kept(job_id, error, len(packed), has_succeeded=has_succeeded)
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            call("finish", False, problem, 0, *rest)
            return
        except ray_errors.RayTaskError:
            if time.monotonic() > give_up:
                raise
            pause(_AGAIN_SECONDS)


def _hand_over(call: Callable[..., Any], packed: bytes, rest: tuple[int, bytes], *, has_succeeded: bool) -> None:
    if len(packed) <= INLINE_BYTES:
        call("finish", has_succeeded, packed, 0, *rest)
        return
    for at in range(0, len(packed), PIECE_BYTES):
        if not call("put_result", at, packed[at : at + PIECE_BYTES]):
            return  # it is not wanted any more
    call("finish", has_succeeded, None, len(packed), *rest)


def _not_kept(job_id: str, error: Exception, size: int, *, has_succeeded: bool) -> bytes:
    cause = getattr(error, "cause", None) or error
    problem = BackendError(
        f"the action of job {job_id!r} has {'succeeded' if has_succeeded else 'failed'}, and what came of it, {size} "
        f"bytes, could not be kept: {type(cause).__name__}: {safe_str(cause)}. It is kept on the disk of the cluster's "
        "head: make room there, and submit the job again"
    )
    return pickle.dumps((None, pack_outcome(Outcome.of_error(problem))), protocol=5)
