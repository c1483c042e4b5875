"""A run store in memory: the port's rules, without its durability."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from synapse_core.model.pipeline import (
    ActionProgress,
    ActionProgressList,
    ActionStatus,
    Checkpoint,
    PipelineProgress,
    RunStatus,
)

__all__ = ["InMemoryRunStore"]


@dataclass
class _Run:
    specification: Mapping[str, Any]
    status: RunStatus = RunStatus.PENDING
    result: Any = None
    error: str | None = None
    checkpoints: list[Checkpoint] = field(default_factory=list)
    events: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def action_names(self) -> list[str]:
        actions = self.specification.get("actions", ())
        return [action["name"] if isinstance(action, Mapping) else str(action) for action in actions]


class InMemoryRunStore:
    """Remembers runs for as long as it lives; safe to use from many threads.

    Example:
        >>> store = InMemoryRunStore()
        >>> run_id = store.create_run({"actions": ["download", "train"]})
        >>> store.get_run(run_id)["status"]
        <RunStatus.PENDING: 'pending'>
    """

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._lock = threading.Lock()

    def create_run(self, specification: Mapping[str, Any], *, run_id: str | None = None) -> str:
        """Record a run, ``PENDING``; returns its id. Raises ``ValueError`` where `run_id` is taken."""
        run_id = run_id or uuid.uuid4().hex
        with self._lock:
            if run_id in self._runs:
                raise ValueError(f"run {run_id!r} exists")
            self._runs[run_id] = _Run(dict(specification))
        return run_id

    def get_run(self, run_id: str) -> Mapping[str, Any]:
        """Return specification, status, result and error of a run."""
        with self._lock:
            run = self._known(run_id)
            return {
                "id": run_id,
                "specification": run.specification,
                "status": run.status,
                "result": run.result,
                "error": run.error,
            }

    def list_runs(self, *, status: RunStatus | None = None, skip: int = 0, limit: int = 100) -> Sequence[str]:
        """Return run ids, the newest first."""
        with self._lock:
            newest_first = reversed(self._runs.items())
            found = [run_id for run_id, run in newest_first if status is None or run.status is status]
        return found[skip : skip + limit]

    def set_status(self, run_id: str, status: RunStatus, *, result: Any = None, error: str | None = None) -> None:
        """Move a run on. Raises ``ValueError`` where the transition table forbids it."""
        with self._lock:
            run = self._known(run_id)
            if not run.status.can_become(status):
                raise ValueError(f"run {run_id!r} is {run.status} and cannot become {status}")
            run.status, run.result, run.error = status, result, error

    def commit(self, run_id: str, checkpoint: Checkpoint) -> None:
        """Record one finished action. Raises ``ValueError`` where it has been recorded."""
        with self._lock:
            run = self._known(run_id)
            if any(known.action_index == checkpoint.action_index for known in run.checkpoints):
                raise ValueError(f"action {checkpoint.action_index} of run {run_id!r} is committed")
            run.checkpoints.append(checkpoint)
            run.checkpoints.sort(key=lambda known: known.action_index)

    def checkpoints(self, run_id: str) -> Sequence[Checkpoint]:
        """Return what is committed, in order of the actions."""
        with self._lock:
            return tuple(self._known(run_id).checkpoints)

    def append_events(self, run_id: str, events: Sequence[Mapping[str, Any]]) -> int:
        """Append to the run's journal; returns the offset after the last one."""
        with self._lock:
            run = self._known(run_id)
            run.events.extend(events)
            return len(run.events)

    def progress(self, run_id: str) -> PipelineProgress:
        """Return the run's progress: an action is done when it is committed."""
        with self._lock:
            run = self._known(run_id)
            done = {checkpoint.action_index: checkpoint.status for checkpoint in run.checkpoints}
            names = run.action_names
            index = next((index for index in range(len(names)) if index not in done), None)
            return PipelineProgress(
                run_id=run_id,
                status=run.status,
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
                error=run.error,
            )

    def _known(self, run_id: str) -> _Run:
        try:
            return self._runs[run_id]
        except KeyError:
            raise KeyError(f"no run {run_id!r}") from None
