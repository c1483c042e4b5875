"""A run store in memory: the port's rules, without its durability."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from synapse_core.errors import LeaseLostError, RunNotFoundError
from synapse_core.model.pipeline import (
    ActionProgress,
    ActionProgressList,
    ActionStatus,
    Checkpoint,
    PipelineProgress,
    RunStatus,
)
from synapse_core.ports.run_store import Fence, JournalEntry, Lease, Run

__all__ = ["InMemoryRunStore"]


@dataclass
class _Record:
    run: Run
    last_token: int = 0
    checkpoints: list[Checkpoint] = field(default_factory=list)
    journal: list[JournalEntry] = field(default_factory=list)

    @property
    def action_names(self) -> list[str]:
        actions = self.run.specification.get("actions", ())
        return [action["name"] if isinstance(action, Mapping) else str(action) for action in actions]


class InMemoryRunStore:
    """Remembers runs for as long as it lives; safe to use from many threads.

    Example:
        >>> store = InMemoryRunStore()
        >>> run_id = store.create_run({"actions": ["download", "train"]})
        >>> store.get_run(run_id).status
        <RunStatus.PENDING: 'pending'>
    """

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}
        self._lock = threading.Lock()

    def create_run(self, specification: Mapping[str, Any], *, run_id: str | None = None) -> str:
        """Record a run, ``PENDING``; returns its id. Raises ``ValueError`` where `run_id` is taken."""
        run_id = run_id or uuid.uuid4().hex
        with self._lock:
            if run_id in self._records:
                raise ValueError(f"run {run_id!r} exists")
            self._records[run_id] = _Record(Run(run_id, dict(specification)))
        return run_id

    def get_run(self, run_id: str) -> Run:
        """Return the run, its lease included."""
        with self._lock:
            return self._known(run_id).run

    def list_runs(self, *, status: RunStatus | None = None, skip: int = 0, limit: int = 100) -> Sequence[str]:
        """Return run ids, the newest first."""
        with self._lock:
            newest_first = reversed(self._records.items())
            found = [run_id for run_id, record in newest_first if status is None or record.run.status is status]
        return found[skip : skip + limit]

    def acquire(self, run_id: str, owner: str, *, seen: Lease | None = None) -> Lease | None:
        """Return a lease on the run for `owner`, or ``None`` where another one has it."""
        with self._lock:
            record = self._known(run_id)
            held = record.run.lease
            if held is not None and held.owner == owner:
                return _set_lease(record, replace(held, counter=held.counter + 1))
            if held is not None and (seen is None or (seen.token, seen.counter) != (held.token, held.counter)):
                return None
            record.last_token += 1
            return _set_lease(record, Lease(owner, record.last_token))

    def renew(self, run_id: str, fence: Fence) -> Lease:
        """Return the lease with a counter that is one larger. Raises `LeaseLostError`."""
        with self._lock:
            record = self._known(run_id)
            held = record.run.lease
            if held is None or held.fence != fence:
                raise _lease_lost(record)
            return _set_lease(record, replace(held, counter=held.counter + 1))

    def release(self, run_id: str, fence: Fence) -> None:
        """Give the lease back; does nothing where it is another one's, or nobody's."""
        with self._lock:
            record = self._known(run_id)
            if record.run.lease is not None and record.run.lease.fence == fence:
                record.run = replace(record.run, lease=None)

    def set_status(
        self,
        run_id: str,
        status: RunStatus,
        *,
        result: Any = None,
        error: str | None = None,
        fence: Fence | None = None,
    ) -> None:
        """Move a run on. Raises ``ValueError`` where the transition table forbids it, `LeaseLostError`."""
        with self._lock:
            record = self._known(run_id)
            if fence is not None or status is not RunStatus.CANCELLED:
                _check_fence(record, fence)
            if not record.run.status.can_become(status):
                raise ValueError(f"run {run_id!r} is {record.run.status} and cannot become {status}")
            record.run = replace(record.run, status=status, result=result, error=error)

    def commit(self, run_id: str, checkpoint: Checkpoint, *, fence: Fence | None = None) -> None:
        """Record one finished action. Raises ``ValueError`` where it has been recorded, `LeaseLostError`."""
        with self._lock:
            record = self._known(run_id)
            _check_fence(record, fence)
            if any(known.action_index == checkpoint.action_index for known in record.checkpoints):
                raise ValueError(f"action {checkpoint.action_index} of run {run_id!r} is committed")
            record.checkpoints.append(checkpoint)
            record.checkpoints.sort(key=lambda known: known.action_index)

    def checkpoints(self, run_id: str) -> Sequence[Checkpoint]:
        """Return what is committed, in order of the actions."""
        with self._lock:
            return tuple(self._known(run_id).checkpoints)

    def append_events(self, run_id: str, events: Sequence[Mapping[str, Any]], *, fence: Fence | None = None) -> int:
        """Append to the run's journal; returns the offset of its last entry. Raises `LeaseLostError`."""
        with self._lock:
            record = self._known(run_id)
            _check_fence(record, fence)
            first = len(record.journal) + 1
            record.journal.extend(JournalEntry(first + position, dict(event)) for position, event in enumerate(events))
            return len(record.journal)

    def read_events(self, run_id: str, *, after: int = 0, limit: int = 1000) -> Sequence[JournalEntry]:
        """Return entries of the journal whose offsets are larger than `after`."""
        with self._lock:
            return tuple(self._known(run_id).journal[after : after + limit])

    def progress(self, run_id: str) -> PipelineProgress:
        """Return the run's progress: an action is done when it is committed."""
        with self._lock:
            record = self._known(run_id)
            done = {checkpoint.action_index: checkpoint.status for checkpoint in record.checkpoints}
            names = record.action_names
            index = next((index for index in range(len(names)) if index not in done), None)
            return PipelineProgress(
                run_id=run_id,
                status=record.run.status,
                current_action=None if index is None else names[index],
                current_action_index=index,
                overall_progress=len(done) / len(names) if names else 0.0,
                actions=ActionProgressList(
                    [
                        ActionProgress(
                            name=name,
                            status=done.get(position, ActionStatus.PENDING),
                            progress=1.0 if position in done else 0.0,
                        )
                        for position, name in enumerate(names)
                    ]
                ),
                error=record.run.error,
            )

    def _known(self, run_id: str) -> _Record:
        try:
            return self._records[run_id]
        except KeyError:
            raise RunNotFoundError(f"no run {run_id!r}", details={"run_id": run_id}) from None


def _set_lease(record: _Record, lease: Lease) -> Lease:
    record.run = replace(record.run, lease=lease)
    return lease


def _check_fence(record: _Record, fence: Fence | None) -> None:
    """Let a write pass: the owner's own, and any of a run that was never leased."""
    held = record.run.lease
    if fence is None and record.last_token == 0:
        return
    if fence is None or held is None or held.fence != fence:
        raise _lease_lost(record)


def _lease_lost(record: _Record) -> LeaseLostError:
    held = record.run.lease
    now = "nobody has it now" if held is None else f"{held.owner!r} has it now"
    return LeaseLostError(
        f"the lease of run {record.run.id!r} is lost: {now}; nothing was written", details={"run_id": record.run.id}
    )
