"""Show what an action reports on the terminal, as it happens."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, TextIO

from synapse_core.event_text import event_text
from synapse_core.ports.events import DevEvent, Event, ProgressEvent
from synapse_core.terminal import is_live_terminal

if TYPE_CHECKING:
    from synapse_local.progress_bar import ProgressBar

__all__ = ["ConsoleLogger"]

_COLORS = {"debug": "2", "warning": "33", "error": "31", "critical": "1;31"}


class ConsoleLogger:
    """Writes events to stderr at once: a progress bar on a terminal, plain lines elsewhere.

    A terminal is one that can move its cursor: not ``TERM=dumb``, and not in CI. ``NO_COLOR`` takes
    the colors away and leaves the bar.

    Args:
        stream: Where to write. Default: ``sys.stderr`` as it is at the first event.
        debug: Whether to show `log_dev_event`.

    Example:
        >>> from synapse_core import RuntimeContext
        >>> ctx = RuntimeContext(sink=ConsoleLogger())
        >>> ctx.set_progress(1, 10, "train")
    """

    def __init__(self, stream: TextIO | None = None, *, debug: bool = True) -> None:
        self._stream = stream
        self._debug = debug
        self._lock = threading.RLock()
        self._bar: ProgressBar | None = None
        self._bar_job = ""  # whose progress the bar shows
        self._shown_percent: dict[str, dict[str | None, tuple[int, float]]] = {}

    @property
    def follows_progress(self) -> bool:
        """Whether an execution has shown progress, and is to be ended by `end`."""
        return self._bar is not None or bool(self._shown_percent)

    def emit(self, event: Event) -> None:
        """Show one event."""
        with self._lock:
            stream = self._stream or sys.stderr
            if isinstance(event, ProgressEvent):
                self._show_progress(event, stream)
            elif not isinstance(event, DevEvent) or self._debug:
                self._write_line(stream, event_text(event), str(getattr(event, "level", "info")))

    def end(self, job_id: str) -> None:
        """End the progress of one execution, leaving its last state on the screen."""
        with self._lock:
            self._shown_percent.pop(job_id, None)
            if self._bar is not None and self._bar_job == job_id:
                bar, self._bar = self._bar, None
                bar.close()

    def close(self) -> None:
        """End the progress of all executions."""
        with self._lock:
            for job_id in [*self._shown_percent, self._bar_job]:
                self.end(job_id)

    def _show_progress(self, event: ProgressEvent, stream: TextIO) -> None:
        # Under a debugger the prompt has the screen, and a line that moves would fight with it.
        # One bar is enough: while it is one execution's, another one's progress is lines.
        mine = self._bar is None or self._bar_job == event.job_id
        if mine and is_live_terminal(self._real(stream)) and sys.gettrace() is None:
            if self._bar is None:
                from synapse_local.progress_bar import ProgressBar  # tqdm takes longer to import than the rest

                self._bar, self._bar_job = ProgressBar(stream), event.job_id
            self._bar.show(event.step, event.current, event.total)
            return
        percent = int(event.fraction * 100)
        steps = self._shown_percent.setdefault(event.job_id, {})
        if steps.get(event.step) != (percent, event.total):  # at most a hundred lines for a step
            steps[event.step] = (percent, event.total)
            self._write_line(stream, event_text(event), "info")

    def _write_line(self, stream: TextIO, text: str, level: str) -> None:
        line = f"{time.strftime('%H:%M:%S')} {text}"
        real = self._real(stream)
        if (color := _COLORS.get(level)) and is_live_terminal(real) and not os.environ.get("NO_COLOR"):
            line = f"\x1b[{color}m{line}\x1b[0m"
        if self._bar is not None:
            self._bar.clear()
        try:
            real.write(f"{line}\n")
        except UnicodeEncodeError:  # a terminal that is not UTF-8
            real.write(f"{line.encode('ascii', 'backslashreplace').decode()}\n")
        real.flush()
        if self._bar is not None and sys.gettrace() is None:
            self._bar.redraw()

    def _real(self, stream: TextIO) -> TextIO:
        return self._bar.stream if self._bar is not None else stream
