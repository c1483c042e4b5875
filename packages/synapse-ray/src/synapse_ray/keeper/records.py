"""What the keeper, those who ask it, and the workers of jobs have to agree on."""

from __future__ import annotations

from typing import NamedTuple

from synapse_core.model.status import JobStatus

__all__ = ["About", "INLINE_BYTES", "JobState", "KEEPER_NAME", "LONGEST_POLL", "PIECE_BYTES", "actor_name"]

KEEPER_NAME = "keeper-v1"
"""Name of the actor. Another protocol has another number, so that both may serve one cluster for a while."""

LONGEST_POLL = 30.0
"""Seconds that the keeper holds a question open; who asks for longer asks again."""

PIECE_BYTES = 4 * 2**20
"""Results and logs travel in pieces of this size, so that the keeper never holds a large one."""

INLINE_BYTES = 64 * 2**10
"""What is no larger travels as an argument; Ray puts larger ones into its object store, which dies with its owner."""


class About(NamedTuple):
    """What the keeper is told of a job. No params, no values of ``env``: it writes all of it down.

    Attributes:
        action: Name of the action.
        keep_for: Seconds for which id, logs and result are kept once the job has ended.
        submitter: Host and process that submitted it, for people.
        parcel: Where the work lies in the cluster's key-value store, where it was too large for an argument.
    """

    action: str
    keep_for: float
    submitter: str = ""
    parcel: str = ""


class JobState(NamedTuple):
    """What a job has come to so far.

    Attributes:
        status: A `JobStatus`, as text.
        reply: The pickled `Reply` of its worker, where it is small and the job has ended.
        size: Bytes of the reply, where it has to be fetched in pieces.
    """

    status: str
    reply: bytes | bytearray | None = None
    size: int = 0

    def has_ended(self) -> bool:
        """Say whether nothing more will come; of an unknown job nothing will."""
        status = JobStatus(self.status)
        return status is JobStatus.UNKNOWN or status.is_terminal()


def actor_name(job_id: str, nonce: str) -> str:
    """Return the name of a job's actor. An id may be taken anew while the last actor of that id is still ending."""
    return f"job-{job_id}-{nonce[:8]}"
