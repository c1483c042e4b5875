"""What an action can report. A mistake in reporting becomes a warning and never kills the action."""

from __future__ import annotations

import dataclasses
import logging
import math
import os
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

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

__all__ = ["LoggingSink", "Reporter", "level_of_number", "to_json_types"]

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
                event=_text(event),
                data=self._json(data, "log", event),
                file=None if file is None else _text(file),
                level=self._level(level),
            )
        )

    def set_progress(self, current: float, total: float, step: str | None = None) -> None:
        """Report how far a step is, in any unit: epochs, rows, bytes."""
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
        if not isinstance(value, Mapping):
            return self._complain(f"{_call('set_metrics', value, step)} ignored: metrics have to be a mapping")
        self._report(
            MetricsEvent(
                job_id=self._reporting_job_id(), values=self._facts(value, "set_metrics", step), step=_text(step)
            )
        )

    def log_metric(self, category: str, key: str, value: Any, **metrics: Any) -> None:
        """Report one row of a metrics series."""
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
        self._report(MessageEvent(job_id=self._reporting_job_id(), message=_text(message), level=self._level(level)))

    def log_dev_event(self, message: str, data: Any = None) -> None:
        """Report a line for the plugin's developer; shown in debug mode only."""
        self._report(
            DevEvent(
                job_id=self._reporting_job_id(),
                message=_text(message),
                data=self._json(data, "log_dev_event", message),
            )
        )

    def _level(self, level: LogLevel | str | int) -> str:
        if type(level) is int:  # logging.WARNING
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


def level_of_number(number: int) -> LogLevel:
    """Return the level for a number of the standard library's scale, the one at or below it."""
    for level in (LogLevel.CRITICAL, LogLevel.ERROR, LogLevel.WARNING, LogLevel.INFO):
        if number >= _STDLIB_LEVELS[level.upper()]:
            return level
    return LogLevel.DEBUG


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


_DEEPEST = 100


def to_json_types(value: Any, problems: list[str], path: str = "") -> Any:
    """Return `value` as JSON types, noting in `problems` whatever had to become text.

    Numpy and torch numbers, arrays, models, dataclasses, paths, sets and dates have an obvious
    JSON form and are no problem. Numbers that JSON does not have, NaN and the infinities, become text.
    """
    return _converted(value, problems, path, ())


def _converted(value: Any, problems: list[str], path: str, above: tuple[int, ...]) -> Any:
    kind = type(value)
    if value is None or kind is str or kind is bool or kind is int:
        return value
    if kind is float and math.isfinite(value):
        return value
    where = path.lstrip(".")[:80] or "value"
    if id(value) in above:
        problems.append(f"{where} contains itself")
        return "…"
    if len(above) >= _DEEPEST:
        problems.append(f"{where} is nested deeper than {_DEEPEST} levels")
        return "…"
    above = (*above, id(value))
    try:
        if isinstance(value, Enum):
            return _converted(value.value, problems, path, above)
        if isinstance(value, float):
            if math.isfinite(value):
                return float(value)
            problems.append(f"{where} is {float(value)}")
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return int(value)
        if isinstance(value, Mapping):
            return {_key(key): _converted(item, problems, f"{path}.{_key(key)}", above) for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [_converted(item, problems, f"{path}[{i}]", above) for i, item in enumerate(value)]
        if isinstance(value, (os.PathLike, Decimal, UUID)):
            return str(value)
        if not isinstance(value, type):
            for method in ("tolist", "item", "isoformat"):
                if callable(convert := getattr(value, method, None)):
                    return _converted(convert(), problems, path, above)
            if callable(dump := getattr(value, "model_dump", None)):
                return _converted(dump(mode="json"), problems, path, above)
            if dataclasses.is_dataclass(value):
                fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
                return _converted(fields, problems, path, above)
    except Exception as error:  # conversions run the user's code
        problems.append(f"{where}: {type(error).__name__}")
        return shorten(value)
    problems.append(f"{where} is a {kind.__qualname__}")
    return shorten(value)


def _key(key: Any) -> str:
    return key if type(key) is str else str(key.value) if isinstance(key, Enum) else str(key)


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
