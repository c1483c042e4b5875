"""How far a flow is, for those who look on: one line that moves on a terminal, one every ten seconds elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any, TextIO

from synapse_core.terminal import is_live_terminal
from synapse_flow.report import FlowReport

__all__ = ["LiveLine", "progress_text"]

_BETWEEN_LINES = 10.0
_BEFORE_STARTING = 3.0
_BETWEEN_DRAWS = 0.1
_CLEAR = "\r\x1b[K"


def progress_text(name: str, report: FlowReport, starts: str = "") -> str:
    """Return how far a run is, in one line.

    Args:
        name: Of the flow.
        report: Of the run.
        starts: What has to start before the first records are done, if that takes long.
    """
    if starts and not _has_begun(report):
        return f"{name}: starting {starts}; no record is done yet"
    parts = [f"{report.total_processed:,} records", f"{report.error_count:,} failed"]
    if report.items_per_second:
        parts.append(f"{report.items_per_second:,.0f} records/s")
    fraction, left = report.fraction, report.seconds_left
    if fraction is not None:
        parts.insert(0, f"{min(fraction, 0.99):.0%}")  # all that is read is not yet all that is done
    if left and report.total_processed:
        parts.append(f"{_span(left)} left")
    return f"{name}: {', '.join(parts)}"


def _has_begun(report: FlowReport) -> bool:
    return report.is_finished or report.total_processed > (report.resumed_at or 0)


def _span(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


class LiveLine:
    """Shows the progress of one run on stderr.

    On a terminal the line is redrawn when something has changed, and steps aside for whatever else is written
    through ``sys.stdout`` and ``sys.stderr``: what hooks print, and a debugger's prompt.

    Args:
        name: Of the flow.
        stream: Default: ``sys.stderr``.
        starts: What has to start before the first records are done, if that takes long.
    """

    def __init__(self, name: str, stream: TextIO | None = None, *, starts: str = "") -> None:
        self._name = name
        self._starts = starts
        self._wait = _BEFORE_STARTING if starts else _BETWEEN_LINES
        self._stream: TextIO = stream or sys.stderr
        self._live = is_live_terminal(self._stream)
        self._is_shown = False
        self._counts = (-1, -1)
        self._drawn_at = self._told_at = time.monotonic()
        self._replaced: list[tuple[str, Any, Any]] = []

    def __enter__(self) -> LiveLine:
        """Begin; other writers to the terminal make room from now on."""
        if self._live:
            for name in ("stdout", "stderr"):
                original = getattr(sys, name)
                if original is self._stream or _is_terminal(original):
                    wrapper = _MakesRoom(original, self)
                    self._replaced.append((name, original, wrapper))
                    setattr(sys, name, wrapper)
        return self

    def __exit__(self, *_: object) -> None:
        """Take the line away, and give the streams back."""
        self.clear()
        for name, original, wrapper in self._replaced:
            if getattr(sys, name) is wrapper:
                setattr(sys, name, original)
        self._replaced.clear()

    def show(self, report: FlowReport) -> None:
        """Show how far the run is, if it is time to."""
        now = time.monotonic()
        if self._live:
            if now - self._drawn_at >= _BETWEEN_DRAWS:
                self._drawn_at = now
                self._draw(report)
        elif now - self._told_at >= self._wait and not report.is_finished:
            self._told_at, self._wait = now, _BETWEEN_LINES
            self._write(f"{time.strftime('%H:%M:%S')} {self._text(report)}\n")

    def clear(self) -> None:
        """Take the line off the screen until it is drawn again."""
        if self._is_shown:
            self._is_shown = False
            self._write(_CLEAR)

    def _draw(self, report: FlowReport) -> None:
        counts = report.total_processed, report.error_count
        if counts != self._counts:  # where nothing moves there may be a debugger's prompt
            self._counts = counts
            self._is_shown = True
            self._write(_CLEAR + self._text(report)[: shutil.get_terminal_size().columns - 1])

    def _text(self, report: FlowReport) -> str:
        return progress_text(self._name, report, self._starts)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except UnicodeEncodeError:  # a terminal that is not UTF-8
            self._stream.write(text.encode("ascii", "backslashreplace").decode())
        self._stream.flush()


class _MakesRoom:
    """A stream that takes the line away before anything is written."""

    def __init__(self, wrapped: TextIO, line: LiveLine) -> None:
        self._wrapped = wrapped
        self._line = line

    def write(self, text: str) -> int:
        self._line.clear()
        return self._wrapped.write(text)

    def flush(self) -> None:
        self._line.clear()  # input() flushes before it writes its prompt past Python's streams
        self._wrapped.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False
