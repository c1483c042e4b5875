"""Events are values that make a round trip; the sinks that core ships keep their promises."""

import json

import pytest

from synapse_core.ports import events
from synapse_core.ports.events import Event, EventSink, MessageEvent, NullSink, ProgressEvent, RecordingSink
from synapse_core.stdlib_logging import LoggingSink


def test_every_kind_of_event_has_its_own_word() -> None:
    kinds = [cls for name in events.__all__ if name.endswith("Event") and (cls := getattr(events, name)) is not Event]
    assert len({cls.kind for cls in kinds}) == len(kinds) == 7


def test_an_event_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        MessageEvent(job_id="j", message="x").message = "y"  # type: ignore[misc]


def test_an_event_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(KeyError):
        Event.from_dict({"kind": "of-a-later-version", "job_id": "j"})


def test_an_event_reads_what_it_wrote() -> None:
    event = ProgressEvent(job_id="j", current=1, total=3, step="ü")
    assert Event.from_dict(json.loads(json.dumps(event.to_dict()))) == event


@pytest.mark.parametrize("sink", [NullSink(), RecordingSink(), LoggingSink()], ids=lambda sink: type(sink).__name__)
def test_a_sink_takes_events_and_may_be_closed_twice(sink: EventSink) -> None:
    assert isinstance(sink, EventSink)
    sink.emit(MessageEvent(job_id="j", message="x"))
    sink.close()
    sink.close()
