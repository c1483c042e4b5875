"""Events as one line of text: what a terminal and a log file show."""

from __future__ import annotations

from typing import Any

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

__all__ = ["event_text"]


def event_text(event: Event) -> str:
    """Return the event as text, without its time; values are shown, not quoted."""
    match event:
        case LogEvent():
            where = f" file={event.file}" if event.file else ""
            return f"{event.event} {_pairs(event.data)}".rstrip() + where
        case ProgressEvent():
            name = f"{event.step} " if event.step else ""
            return f"progress {name}{event.current:g}/{event.total:g} ({int(event.fraction * 100)}%)"
        case MetricsEvent():
            return f"metrics {event.step} {_pairs(event.values)}"
        case MetricEvent():
            return f"metric {event.category} {event.key}={_short(event.value)} {_pairs(event.metrics)}".rstrip()
        case VisualizationEvent():
            return f"visualization {event.category}/{event.group}[{event.index}] {_short(event.image)}"
        case MessageEvent():
            return event.message if event.level == "info" else f"{event.level}: {event.message}"
        case DevEvent():
            return f"dev: {event.message} {_pairs(event.data)}".rstrip()
        case _:
            return str(event.to_dict())


def _pairs(data: Any) -> str:
    if isinstance(data, dict):
        return " ".join(f"{key}={_short(value)}" for key, value in data.items())
    return "" if data is None else _short(data)


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
