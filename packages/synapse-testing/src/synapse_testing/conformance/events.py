"""Promises about what an action reports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from synapse_core.errors import CapabilityError
from synapse_core.ports.events import Event, RecordingSink
from synapse_testing import actions
from synapse_testing.conformance.group import PromiseGroup, rests_on, where_claimed, where_not_claimed

__all__ = ["EventPromises"]

MakeExecutor = Callable[..., Any]
_ARRIVES = "test_what_an_action_reports_reaches_the_sink"


class _ReleasingSink(RecordingSink):
    """Makes a file at the first event, for an action that waits for it."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def emit(self, event: Event) -> None:
        super().emit(event)
        self._file.touch()


class _BrokenSink(RecordingSink):
    """Raises at every event."""

    def emit(self, event: Event) -> None:
        raise ConnectionError("the sink is gone")


class EventPromises(PromiseGroup):
    """Logs, progress and metrics reach the sink, and reporting never kills an action."""

    @where_claimed("events")
    def test_what_an_action_reports_reaches_the_sink(self, make_executor: MakeExecutor) -> None:
        """All that an action reported has reached ``sink=`` when its result is there."""
        events = self._events(make_executor, actions.reports)
        assert len(events) == 8, f"arrived: {[event.kind for event in events]}"

    @where_claimed("events")
    @rests_on(_ARRIVES)
    def test_events_arrive_in_order(self, make_executor: MakeExecutor) -> None:
        """Events of one action arrive in the order in which it reported them."""
        kinds = [event.kind for event in self._events(make_executor, actions.reports)]
        assert kinds == ["log", "progress", "metrics", "metric", "visualization", "message", "dev", "message"]

    @where_claimed("events")
    @rests_on(_ARRIVES)
    def test_events_keep_what_was_reported(self, make_executor: MakeExecutor) -> None:
        """Events arrive with the values that were reported."""
        found = [event.to_dict() for event in self._events(make_executor, actions.reports)]
        by_kind = {event["kind"]: event for event in found if event.get("message") != "by the logger"}
        expected: dict[str, dict[str, Any]] = {
            "log": {"event": "epoch_complete", "data": {"epoch": 1}},
            "progress": {"current": 1, "total": 4, "step": "train"},
            "metrics": {"values": {"loss": 0.5}, "step": "train"},
            "metric": {"category": "loss", "key": "train", "value": 0.5, "metrics": {"epoch": 1}},
            "visualization": {"category": "image", "group": "train", "index": 0, "image": "confusion.png"},
            "message": {"message": "half way", "level": "warning"},
            "dev": {"message": "detail", "data": {"batch": 7}},
        }
        arrived = {kind: {key: by_kind[kind].get(key) for key in facts} for kind, facts in expected.items()}
        assert arrived == expected

    @where_claimed("events")
    @rests_on(_ARRIVES, "test_an_execution_has_an_identity")
    def test_events_name_their_execution(self, make_executor: MakeExecutor) -> None:
        """Every event carries the ``job_id`` of the execution that reported it."""
        sink = RecordingSink()
        executor = make_executor(sink=sink)
        job_ids = []
        for _ in range(2):
            del sink.events[:]
            self.run(executor, actions.reports)
            job_ids.append({event.job_id for event in sink.events})
        assert [len(ids) for ids in job_ids] == [1, 1]
        assert job_ids[0] != job_ids[1]

    @where_claimed("events")
    @rests_on(_ARRIVES)
    def test_events_arrive_while_the_action_runs(self, make_executor: MakeExecutor, tmp_path: Path) -> None:
        """Events reach the sink while the action is still running."""
        release = tmp_path / "release"
        executor = make_executor(sink=_ReleasingSink(release))
        # The action ends only because its event has arrived; otherwise it raises after a while.
        self.run(executor, actions.reports_and_waits, {"release": str(release), "patience": self.patience})

    @rests_on("test_a_result_comes_back")
    def test_a_mistake_in_reporting_is_no_failure(self, executor: Any) -> None:
        """Progress that makes no sense, or data that is not JSON, does not fail the action."""
        assert self.run(executor, actions.reports_mistakes) == "done"

    @where_claimed("events")
    @rests_on(_ARRIVES, "test_a_mistake_in_reporting_is_no_failure")
    def test_a_mistake_in_reporting_is_a_warning(self, make_executor: MakeExecutor) -> None:
        """A mistake in reporting arrives as a message of level ``warning``."""
        events = [event.to_dict() for event in self._events(make_executor, actions.reports_mistakes)]
        warnings = [event["message"] for event in events if event.get("level") == "warning"]
        assert len(warnings) == 3
        assert "set_progress(0, 0)" in warnings[0]

    @where_claimed("events")
    @rests_on("test_a_result_comes_back")
    def test_a_broken_sink_is_no_failure(self, make_executor: MakeExecutor) -> None:
        """An action is not affected by a sink that raises."""
        self.run(make_executor(sink=_BrokenSink()), actions.reports)

    @where_not_claimed("events")
    def test_a_sink_is_refused_where_events_are_not_claimed(self, make_executor: MakeExecutor) -> None:
        """Where events are not claimed, ``sink=`` is refused at once."""
        with pytest.raises((CapabilityError, TypeError)):
            make_executor(sink=RecordingSink())

    def _events(self, make_executor: MakeExecutor, action: Any) -> list[Event]:
        sink = RecordingSink()
        self.run(make_executor(sink=sink), action)
        return sink.events
