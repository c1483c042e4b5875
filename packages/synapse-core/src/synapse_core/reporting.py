"""What an action can report. A mistake in reporting becomes a warning and never kills the action."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from synapse_core.json_types import to_json_types
from synapse_core.model.enums import LogLevel
from synapse_core.safe_text import shorten

if TYPE_CHECKING:
    from synapse_core.ports.events import Event

__all__ = ["Reporter"]

# The methods import the events: making their classes takes longer than all of a short action that reports nothing.


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
        from synapse_core.ports.events import MessageEvent

        self._report(MessageEvent(job_id=self._reporting_job_id(), message=problem, level=LogLevel.WARNING))

    def log(
        self, event: str, data: Any = None, file: str | os.PathLike[str] | None = None, level: LogLevel | str = "info"
    ) -> None:
        """Report a named event with data, and a file that belongs to it."""
        from synapse_core.ports.events import LogEvent

        self._report(
            LogEvent(
                job_id=self._reporting_job_id(),
                event=_text(event),
                data=self._json(data, "log", event),
                file=None if file is None else _text(file),
                level=self._level(level),
            )
        )

    def set_progress(self, current: float, total: float, step: str | None = None) -> None:
        """Report how far a step is, in any unit: epochs, rows, bytes."""
        from synapse_core.ports.events import ProgressEvent

        try:
            done, whole = _number(current), _number(total)
            usable = math.isfinite(done) and math.isfinite(whole) and whole > 0
        except Exception:  # no numbers, numbers beyond any float, or a conversion of the user's that fails
            return self._complain(f"{_call('set_progress', current, total)} ignored: both have to be numbers")
        if not usable:
            return self._complain(
                f"{_call('set_progress', current, total)} ignored: total has to be greater than 0 and both finite"
            )
        if not 0 <= done <= whole:
            self._complain(f"{_call('set_progress', current, total)}: current has to be between 0 and total")
            done = min(max(done, 0), whole)
        self._report(
            ProgressEvent(
                job_id=self._reporting_job_id(), current=done, total=whole, step=None if step is None else _text(step)
            )
        )

    def set_metrics(self, value: Mapping[str, Any], step: str) -> None:
        """Report metrics of a step."""
        from synapse_core.ports.events import MetricsEvent

        if not isinstance(value, Mapping):
            return self._complain(f"{_call('set_metrics', value, step)} ignored: metrics have to be a mapping")
        self._report(
            MetricsEvent(
                job_id=self._reporting_job_id(), values=self._facts(value, "set_metrics", step), step=_text(step)
            )
        )

    def log_metric(self, category: str, key: str, value: Any, **metrics: Any) -> None:
        """Report one row of a metrics series."""
        from synapse_core.ports.events import MetricEvent

        self._report(
            MetricEvent(
                job_id=self._reporting_job_id(),
                category=_text(category),
                key=_text(key),
                value=self._json(value, "log_metric", category, key),
                metrics=self._facts(metrics, "log_metric", category, key),
            )
        )

    def log_visualization(self, category: str, group: str, index: int, image: Any, **meta: Any) -> None:
        """Report a picture, by path or URL."""
        from synapse_core.ports.events import VisualizationEvent

        self._report(
            VisualizationEvent(
                job_id=self._reporting_job_id(),
                category=_text(category),
                group=_text(group),
                index=self._json(index, "log_visualization", category, group),
                image=self._json(image, "log_visualization", category, group),
                meta=self._facts(meta, "log_visualization", category, group),
            )
        )

    def log_message(self, message: str, level: LogLevel | str = "info") -> None:
        """Report a line for people."""
        from synapse_core.ports.events import MessageEvent

        self._report(MessageEvent(job_id=self._reporting_job_id(), message=_text(message), level=self._level(level)))

    def log_dev_event(self, message: str, data: Any = None) -> None:
        """Report a line for the plugin's developer; shown in debug mode only."""
        from synapse_core.ports.events import DevEvent

        self._report(
            DevEvent(
                job_id=self._reporting_job_id(),
                message=_text(message),
                data=self._json(data, "log_dev_event", message),
            )
        )

    def _level(self, level: LogLevel | str | int) -> str:
        if type(level) is int:  # logging.WARNING
            from synapse_core.stdlib_logging import level_of_number

            return level_of_number(level)
        word = _text(level).lower()
        try:
            return LogLevel(_LEVEL_SYNONYMS.get(word, word))
        except ValueError:
            self._complain(f"unknown log level {_text(level)!r}, taken as 'info'; known: {', '.join(LogLevel)}")
            return LogLevel.INFO

    def _json(self, value: Any, method: str, *arguments: Any) -> Any:
        problems: list[str] = []
        converted = to_json_types(value, problems)
        if problems:
            asked = _call(method, *arguments, ...)
            self._complain(f"{asked}: not JSON, reported as text: {'; '.join(problems[:_MOST_PROBLEMS])}")
        return converted

    def _facts(self, value: Mapping[str, Any], method: str, *arguments: Any) -> dict[str, Any]:
        converted = self._json(value, method, *arguments)
        return converted if isinstance(converted, dict) else {"value": converted}


_LEVEL_SYNONYMS = {"warn": "warning", "fatal": "critical"}
_MOST_PROBLEMS = 5


def _text(value: Any) -> str:
    """Return ``str(value)``, or its repr's description where that itself raises."""
    if type(value) is str:
        return value
    try:
        return str.__str__(str(value))
    except Exception:
        return shorten(value)


def _call(method: str, *arguments: Any) -> str:
    shown = ", ".join("…" if argument is ... else shorten(argument, 60) for argument in arguments)
    return f"{method}({shown})"


def _number(value: Any) -> float:
    if type(value) in (int, float):
        return value  # type: ignore[no-any-return]
    if isinstance(value, int):  # bool, an enum
        return int(value)
    if hasattr(value, "item"):  # numpy and torch scalars, numpy.float64 included
        value = value.item()
    if hasattr(type(value), "__float__"):  # Decimal and Fraction; a string has none
        return float(value)
    raise TypeError(value)
