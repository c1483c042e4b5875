"""Statuses of runs, actions and jobs, with one transition table for all of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

__all__ = ["ActionStatus", "JobStatus", "RunStatus"]

_TRANSITIONS: dict[str, frozenset[str]] = {
    "unknown": frozenset({"pending", "running", "completed", "failed", "cancelled", "skipped"}),
    "pending": frozenset({"running", "completed", "failed", "cancelled", "skipped"}),
    "running": frozenset({"completed", "failed", "cancelled"}),
    "completed": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
    "skipped": frozenset(),
}
_SYNONYMS = {"succeeded": "completed", "stopped": "cancelled"}


class _Status(StrEnum):
    """A status word: made from either case, compared and printed as the documented word."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if isinstance(value, str):
            for member in cls:
                if member.value.lower() == value.lower():
                    return member
        return None

    @property
    def _phase(self) -> str:
        word = self.value.lower()
        return _SYNONYMS.get(word, word)

    def is_terminal(self) -> bool:
        """Say whether nothing can follow this status."""
        return not _TRANSITIONS[self._phase]

    def can_become(self, other: _Status | str) -> bool:
        """Say whether `other` may follow; a status never follows itself."""
        return (other if isinstance(other, _Status) else type(self)(other))._phase in _TRANSITIONS[self._phase]


class RunStatus(_Status):
    """Status of a pipeline run; lower case, as on the wire."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ActionStatus(_Status):
    """Status of one action within a run; lower case, as on the wire."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class JobStatus(_Status):
    """Status of a job; upper case, the words of Ray's Jobs API and ``UNKNOWN``."""

    UNKNOWN = "UNKNOWN"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
