"""Port: where an action's logs, progress and metrics go."""

from __future__ import annotations

import time as clock
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Protocol, runtime_checkable

from synapse_core.model.enums import LogLevel

__all__ = [
    "DevEvent",
    "Event",
    "EventSink",
    "LogEvent",
    "MessageEvent",
    "MetricEvent",
    "MetricsEvent",
    "NullSink",
    "ProgressEvent",
    "RecordingSink",
    "VisualizationEvent",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something an action reported. All values inside are JSON types.

    Attributes:
        job_id: The execution that it belongs to.
        time: When, in seconds since the epoch.
    """

    kind: ClassVar[str] = ""

    job_id: str
    time: float = field(default_factory=clock.time)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types, with the event's `kind`."""
        return {"kind": self.kind, **{f.name: getattr(self, f.name) for f in fields(self)}}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Event:
        """Read what `to_dict` wrote."""
        values = dict(data)
        return _KINDS[values.pop("kind")](**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvent(Event):
    """A named event with data: ``ctx.log("epoch_complete", {...})``."""

    kind: ClassVar[str] = "log"

    event: str
    data: Any
    file: str | None = None
    level: str = LogLevel.INFO


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressEvent(Event):
    """How far a step is; ``0 <= current <= total`` and ``total > 0`` always hold."""

    kind: ClassVar[str] = "progress"

    current: float
    total: float
    step: str | None = None

    @property
    def fraction(self) -> float:
        """Fraction done, 0 to 1."""
        return self.current / self.total


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsEvent(Event):
    """Metrics of a step, each replacing the step's earlier value of that name."""

    kind: ClassVar[str] = "metrics"

    values: dict[str, Any]
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEvent(Event):
    """One row of a metrics series."""

    kind: ClassVar[str] = "metric"

    category: str
    key: str
    value: Any
    metrics: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class VisualizationEvent(Event):
    """A picture, by path or URL."""

    kind: ClassVar[str] = "visualization"

    category: str
    group: str
    index: int
    image: Any
    meta: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEvent(Event):
    """A line for people."""

    kind: ClassVar[str] = "message"

    message: str
    level: str = LogLevel.INFO


@dataclass(frozen=True, slots=True, kw_only=True)
class DevEvent(Event):
    """A line for the plugin's developer, shown in debug mode only."""

    kind: ClassVar[str] = "dev"

    message: str
    data: Any = None


_KINDS: dict[str, type[Event]] = {
    cls.kind: cls
    for cls in (LogEvent, ProgressEvent, MetricsEvent, MetricEvent, VisualizationEvent, MessageEvent, DevEvent)
}


@runtime_checkable
class EventSink(Protocol):
    """Where events go.

    `emit` may be called from any thread, several at once, and should return soon: the action is
    waiting. What it raises is logged once and dropped; reporting never kills an action. Events of
    one thread arrive in the order they were made. `close` is called once by whoever made the sink,
    after the last `emit`; a second call does nothing.
    """

    def emit(self, event: Event) -> None:
        """Take one event."""
        ...

    def close(self) -> None:
        """Write out whatever is held back, and release the terminal, file or connection."""
        ...


class NullSink:
    """Drops everything."""

    def emit(self, event: Event) -> None:
        """Drop the event."""

    def close(self) -> None:
        """Do nothing."""


class RecordingSink:
    """Keeps everything, for tests.

    Attributes:
        events: What was emitted, in order of arrival.
        closed: Whether `close` was called.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.closed = False

    def emit(self, event: Event) -> None:
        """Keep the event."""
        self.events.append(event)

    def close(self) -> None:
        """Remember that it was called."""
        self.closed = True
