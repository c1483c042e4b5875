"""Port: the durable state of pipeline runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from synapse_core.model.pipeline import Checkpoint, PipelineProgress
from synapse_core.model.status import RunStatus

__all__ = ["RunStore"]


@runtime_checkable
class RunStore(Protocol):
    """Remembers runs, so that whoever comes after a crash can go on.

    Each method is one transaction: when it returns, its effect survives the loss of this process.
    May be called from any thread. An unknown run raises ``KeyError``; a status change that the
    transition table forbids raises ``ValueError`` and changes nothing.
    """

    def create_run(self, specification: Mapping[str, Any], *, run_id: str | None = None) -> str:
        """Record a run, ``PENDING``, with all that is needed to start it; returns its id."""
        ...

    def get_run(self, run_id: str) -> Mapping[str, Any]:
        """Return specification, status, result and error of a run."""
        ...

    def list_runs(self, *, status: RunStatus | None = None, skip: int = 0, limit: int = 100) -> Sequence[str]:
        """Return run ids, the newest first."""
        ...

    def set_status(self, run_id: str, status: RunStatus, *, result: Any = None, error: str | None = None) -> None:
        """Move a run on."""
        ...

    def commit(self, run_id: str, checkpoint: Checkpoint) -> None:
        """Record one finished action; the same action a second time raises ``ValueError``."""
        ...

    def checkpoints(self, run_id: str) -> Sequence[Checkpoint]:
        """Return what is committed, in order of the actions."""
        ...

    def append_events(self, run_id: str, events: Sequence[Mapping[str, Any]]) -> int:
        """Append to the run's journal; returns the offset after the last one."""
        ...

    def progress(self, run_id: str) -> PipelineProgress:
        """Return the run's progress."""
        ...
