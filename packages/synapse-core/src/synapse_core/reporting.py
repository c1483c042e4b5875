"""What an action can report. A mistake in reporting becomes a warning and never kills the action."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from enum import Enum
from typing import Any

from synapse_core.model.enums import LogLevel
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
from synapse_core.safe_text import shorten

__all__ = ["LoggingSink", "Reporter", "to_json_types"]

_STDLIB_LEVELS = logging.getLevelNamesMapping()


class Reporter:
    """The reporting methods, the same on ``ctx`` and on the action itself.

    Subclasses say where reports go (`_report`) and whose they are (`_reporting_job_id`).
    """

    __slots__ = ()

    def _report(self, event: Event) -> None:
        raise NotImplementedError

    def _reporting_job_id(self) -> str:
        raise NotImplementedError

    def _complain(self, problem: str) -> None:
        self._report(MessageEvent(job_id=self._reporting_job_id(), message=problem, level=LogLevel.WARNING))

    def log(
        self, event: str, data: Any = None, file: str | os.PathLike[str] | None = None, level: LogLevel | str = "info"
    ) -> None:
        """Report a named event with data, and a file that belongs to it."""
        self._report(
            LogEvent(
                job_id=self._reporting_job_id(),
                event=str(event),
                data=self._json(data, f"log({event!r})"),
                file=None if file is None else str(file),
                level=self._level(level),
            )
        )

    def set_progress(self, current: float, total: float, step: str | None = None) -> None:
        """Report how far a step is, in any unit: epochs, rows, bytes."""
        asked = f"set_progress({current!r}, {total!r})"
        try:
            done, whole = _number(current), _number(total)
        except (TypeError, ValueError):
            return self._complain(f"{asked} ignored: both have to be numbers")
        if not (math.isfinite(done) and math.isfinite(whole)) or whole <= 0:
            return self._complain(f"{asked} ignored: total has to be greater than 0 and both finite")
        if not 0 <= done <= whole:
            self._complain(f"{asked}: current has to be between 0 and total")
            done = min(max(done, 0), whole)
        self._report(
            ProgressEvent(
                job_id=self._reporting_job_id(), current=done, total=whole, step=None if step is None else str(step)
            )
        )

    def set_metrics(self, value: Mapping[str, Any], step: str) -> None:
        """Report metrics of a step."""
        if not isinstance(value, Mapping):
            return self._complain(f"set_metrics({shorten(value)}, {step!r}) ignored: metrics have to be a mapping")
        self._report(
            MetricsEvent(
                job_id=self._reporting_job_id(), values=self._json(value, f"set_metrics(…, {step!r})"), step=str(step)
            )
        )

    def log_metric(self, category: str, key: str, value: Any, **metrics: Any) -> None:
        """Report one row of a metrics series."""
        asked = f"log_metric({category!r}, {key!r}, …)"
        self._report(
            MetricEvent(
                job_id=self._reporting_job_id(),
                category=str(category),
                key=str(key),
                value=self._json(value, asked),
                metrics=self._json(metrics, asked),
            )
        )

    def log_visualization(self, category: str, group: str, index: int, image: Any, **meta: Any) -> None:
        """Report a picture, by path or URL."""
        asked = f"log_visualization({category!r}, {group!r}, …)"
        self._report(
            VisualizationEvent(
                job_id=self._reporting_job_id(),
                category=str(category),
                group=str(group),
                index=self._json(index, asked),
                image=self._json(image, asked),
                meta=self._json(meta, asked),
            )
        )

    def log_message(self, message: str, level: LogLevel | str = "info") -> None:
        """Report a line for people."""
        self._report(MessageEvent(job_id=self._reporting_job_id(), message=str(message), level=self._level(level)))

    def log_dev_event(self, message: str, data: Any = None) -> None:
        """Report a line for the plugin's developer; shown in debug mode only."""
        self._report(
            DevEvent(
                job_id=self._reporting_job_id(),
                message=str(message),
                data=self._json(data, f"log_dev_event({message!r})"),
            )
        )

    def _level(self, level: LogLevel | str) -> str:
        word = str(level).lower()
        try:
            return LogLevel("warning" if word == "warn" else word)
        except ValueError:
            self._complain(f"unknown log level {level!r}, taken as 'info'; known: {', '.join(LogLevel)}")
            return LogLevel.INFO

    def _json(self, value: Any, asked: str) -> Any:
        problems: list[str] = []
        converted = to_json_types(value, problems)
        if problems:
            self._complain(f"{asked}: not JSON, reported as text: {'; '.join(problems)}")
        return converted


def _number(value: Any) -> float:
    if isinstance(value, (int, float)):
        return value
    if hasattr(value, "item"):  # numpy and torch scalars
        return _number(value.item())
    raise TypeError(value)


def to_json_types(value: Any, problems: list[str], path: str = "") -> Any:
    """Return `value` as JSON types, noting in `problems` whatever had to become text.

    Numpy and torch numbers, arrays, models, paths, sets and dates have an obvious JSON form and
    are no problem.
    """
    if value is None or type(value) in (str, bool, int, float):
        return value
    try:
        if isinstance(value, Enum):
            return to_json_types(value.value, problems, path)
        for kind in (str, int, float):
            if isinstance(value, kind):  # a subclass, such as numpy.float64
                return kind(value)
        if isinstance(value, Mapping):
            return {str(key): to_json_types(item, problems, f"{path}.{key}") for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [to_json_types(item, problems, f"{path}[{i}]") for i, item in enumerate(value)]
        if isinstance(value, os.PathLike):
            return str(value)
        for method in ("tolist", "item", "isoformat"):
            if callable(convert := getattr(value, method, None)):
                return to_json_types(convert(), problems, path)
        if callable(dump := getattr(value, "model_dump", None)):
            return dump(mode="json")
    except RecursionError:
        problems.append(f"{path.lstrip('.')[:40] or 'value'} contains itself")
        return "…"
    except Exception as error:  # conversions run the user's code
        problems.append(f"{path.lstrip('.') or 'value'}: {type(error).__name__}")
        return shorten(value)
    problems.append(f"{path.lstrip('.') or 'value'} is a {type(value).__qualname__}")
    return shorten(value)


class LoggingSink:
    """Writes events to the standard library's logger ``synapse``: what a hand-made context does."""

    def emit(self, event: Event) -> None:
        """Write the event as one record."""
        level = _STDLIB_LEVELS[str(getattr(event, "level", "info")).upper()]
        if isinstance(event, DevEvent):
            level = logging.DEBUG
        logger = logging.getLogger("synapse")
        if logger.isEnabledFor(level):
            facts = {key: item for key, item in event.to_dict().items() if key not in ("kind", "time", "level")}
            logger.log(level, "%s %s", event.kind, facts)

    def close(self) -> None:
        """Do nothing; logging is the application's."""
