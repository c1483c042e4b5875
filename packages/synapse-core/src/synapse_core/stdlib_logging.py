"""Between reports and the standard library's logging, both ways. Imported where one of them is used."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from synapse_core.model.enums import LogLevel
from synapse_core.ports.events import DevEvent, Event, MessageEvent
from synapse_core.safe_text import safe_str, shorten

if TYPE_CHECKING:
    from synapse_core.context import RuntimeContext

__all__ = ["ActionLogger", "LoggingSink", "is_logger", "level_of_number"]

_STDLIB_LEVELS = logging.getLevelNamesMapping()


def level_of_number(number: int) -> LogLevel:
    """Return the level for a number of the standard library's scale, the one at or below it."""
    for level in (LogLevel.CRITICAL, LogLevel.ERROR, LogLevel.WARNING, LogLevel.INFO):
        if number >= _STDLIB_LEVELS[level.upper()]:
            return level
    return LogLevel.DEBUG


def is_logger(value: object) -> bool:
    """Say whether `value` is a logger of the standard library, or an adapter of one."""
    return isinstance(value, (logging.Logger, logging.LoggerAdapter))


class LoggingSink:
    """Writes events to a logger of the standard library: what a hand-made context does.

    Args:
        logger: Default: ``synapse``.
    """

    def __init__(self, logger: logging.Logger | logging.LoggerAdapter[Any] | None = None) -> None:
        self._logger = logging.getLogger("synapse") if logger is None else logger

    def emit(self, event: Event) -> None:
        """Write the event as one record."""
        level = _STDLIB_LEVELS[str(getattr(event, "level", "info")).upper()]
        if isinstance(event, DevEvent):
            level = logging.DEBUG
        if self._logger.isEnabledFor(level):
            facts = {key: item for key, item in event.to_dict().items() if key not in ("kind", "time", "level")}
            self._logger.log(level, "%s %s", event.kind, facts)

    def close(self) -> None:
        """Do nothing; logging is the application's."""


class ActionLogger(logging.Logger):
    """A logger outside the process's tree of loggers; its records, and its children's, are reports of one execution.

    Args:
        name: Of the logger.
        ctx: The execution's context; children have none of their own.
    """

    def __init__(self, name: str, ctx: RuntimeContext | None = None) -> None:
        super().__init__(name, logging.DEBUG)
        if ctx is not None:
            self.addHandler(_ReportingHandler(ctx))

    def getChild(self, suffix: str) -> ActionLogger:
        """Return a logger whose records go up to this one."""
        child = ActionLogger(f"{self.name}.{suffix}")
        child.parent = self
        return child


class _ReportingHandler(logging.Handler):
    def __init__(self, ctx: RuntimeContext) -> None:
        super().__init__()
        self._ctx = ctx

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception as error:  # wrong %-arguments are the action's mistake, and no reason to die
            text = f"{shorten(record.msg)} {shorten(record.args)} ({type(error).__name__}: {safe_str(error)})"
        level = level_of_number(record.levelno)
        self._ctx._report(MessageEvent(job_id=self._ctx.job_id, message=text, level=level))
