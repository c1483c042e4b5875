"""What a terminal and a log file show of each kind of event."""

import pytest

from synapse_core.event_text import event_text
from synapse_core.ports.events import (
    DevEvent,
    Event,
    LogEvent,
    MessageEvent,
    MetricEvent,
    MetricsEvent,
    ProgressEvent,
    VisualizationEvent,
)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (LogEvent(job_id="j", event="epoch", data={"loss": 0.123456789}), "epoch loss=0.123457"),
        (LogEvent(job_id="j", event="saved", data=None, file="m.bin"), "saved file=m.bin"),
        (ProgressEvent(job_id="j", current=1, total=4, step="train"), "progress train 1/4 (25%)"),
        (ProgressEvent(job_id="j", current=0.5, total=2), "progress 0.5/2 (25%)"),
        (MetricsEvent(job_id="j", values={"acc": 1.0}, step="end"), "metrics end acc=1"),
        (MetricEvent(job_id="j", category="a", key="b", value=2, metrics={"c": "d"}), "metric a b=2 c=d"),
        (
            VisualizationEvent(job_id="j", category="a", group="b", index=3, image="i.png", meta={}),
            "visualization a/b[3] i.png",
        ),
        (MessageEvent(job_id="j", message="hello"), "hello"),
        (MessageEvent(job_id="j", message="mind", level="warning"), "warning: mind"),
        (DevEvent(job_id="j", message="looked", data={"n": 1}), "dev: looked n=1"),
    ],
)
def test_an_event_is_one_line(event: Event, text: str) -> None:
    assert event_text(event) == text
