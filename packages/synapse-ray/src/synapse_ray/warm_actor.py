"""The actor that stays warm between calls."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import ray

from synapse_core.model.outcome import Outcome
from synapse_ray.action_spec import ActionSpec
from synapse_ray.job_errors import outside_action
from synapse_ray.report_outbox import Report, ReportOutbox
from synapse_ray.wire import Packed, pack_outcome
from synapse_ray.worker import MOST_KNOWN, ActionRunner, WorkerSettings

__all__ = ["FORGOTTEN", "WarmActor"]

FORGOTTEN = "forgotten"
"""The answer of an actor that has been sent so many actions that it does not know this one any more."""

CallId: TypeAlias = "tuple[str, int]"
"""Box of the calling process, and the number of the call there."""

# Lists and plain types only: Ray has a quicker form for them than a pickle, and one argument costs less than seven.
Work: TypeAlias = "list[Any]"
"""Key of the action, the action itself the first time, kind and value of the params, job id, box, number."""

Answer: TypeAlias = "list[Any]"
"""Kind and value of the result, or else the outcome; number of reports delivered, and those that are not.

The kind may be `FORGOTTEN`: nothing has run, and the action is to be sent again."""


class WarmActor:
    """Runs one action after another in the main thread of its process, with what it has loaded kept.

    Args:
        settings: Of the pool; they hold secrets, and this is the way by which Ray shows them nowhere.
        dispatcher: Takes reports of calls that last.
    """

    def __init__(self, settings: WorkerSettings, dispatcher: Any) -> None:
        self._runner = ActionRunner(settings)
        self._specs: dict[str, ActionSpec] = {}
        self._push = dispatcher.push
        self._outbox = ReportOutbox(self._send)

    def ready(self) -> int:
        """Return the process id, once the constructor is done."""
        return os.getpid()

    def run(self, work: Work) -> Answer:
        """Run one action."""
        key, spec, kind, value, job_id, box, number = work
        spec = self._specs.get(key) if spec is None else self._kept(key, spec)
        if spec is None:
            return [FORGOTTEN, None, None, 0, []]
        take = self._outbox.begin((box, number))
        result: Packed | None
        try:
            result, outcome = self._runner.run(spec, (kind, value), job_id, take)
        except Exception as error:  # what the action raises is an outcome: this is one that could not be packed
            problem = outside_action(f"action {spec.name!r}", job_id, error)
            result, outcome = None, pack_outcome(Outcome.of_error(problem))
        first, rest = self._outbox.end()
        return [*(result or (None, None)), outcome, first, rest]

    def _kept(self, key: str, spec: ActionSpec) -> ActionSpec:
        if len(self._specs) >= MOST_KNOWN and key not in self._specs:
            del self._specs[next(iter(self._specs))]
        self._specs[key] = spec
        return spec

    def _send(self, call: CallId, first: int, reports: list[Report]) -> None:
        ray.get(self._push.remote(call, first, reports))
