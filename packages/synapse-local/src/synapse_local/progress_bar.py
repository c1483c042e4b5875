"""A progress bar that steps aside for whatever else is written to the terminal."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO, cast

from tqdm import tqdm

__all__ = ["ProgressBar"]

_SECONDS_BETWEEN_DRAWS = 0.05


class _QuietTqdm(tqdm):  # type: ignore[type-arg]  # generic in the stubs only
    monitor_interval = 0  # no thread that redraws by itself: a debugger may have the screen


class ProgressBar:
    """One bar for the current step; an earlier step's bar stays above it in its last state.

    While it is up, ``sys.stdout`` and ``sys.stderr`` are wrapped if they are this terminal: anything
    written through them, a debugger's prompt too, first clears the bar, which comes back with
    the next progress.

    Args:
        stream: The terminal.

    Attributes:
        stream: The terminal itself, never the wrapper.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream: TextIO = stream.wrapped if isinstance(stream, _StepsAside) else stream
        self._step: str | None = None
        self._bar: Any = None
        self._on_screen = False
        self._drawn_at = 0.0
        self._replaced: dict[str, tuple[Any, Any]] = {}
        for name in ("stdout", "stderr"):
            original = getattr(sys, name)
            if _same_terminal(original, self.stream):
                wrapper = _StepsAside(original, self)
                self._replaced[name] = (original, wrapper)
                setattr(sys, name, wrapper)

    def show(self, step: str | None, current: float, total: float) -> None:
        """Move the bar, and draw it unless that was done a moment ago."""
        if self._bar is None or step != self._step:
            self._finish_step()
            self._step = step
            self._bar = _QuietTqdm(
                total=total, desc=step, file=self.stream, dynamic_ncols=True, leave=True, mininterval=0, unit=""
            )
            self._drawn_at = 0.0
        self._bar.n, self._bar.total = current, total
        now = time.monotonic()
        if now - self._drawn_at >= _SECONDS_BETWEEN_DRAWS or current >= total:
            self._drawn_at = now
            self.redraw()

    def redraw(self) -> None:
        """Draw the bar where the cursor is."""
        if self._bar is not None:
            self._bar.refresh()
            self._on_screen = True

    def clear(self) -> None:
        """Take the bar off the screen until it is drawn again."""
        if self._on_screen:
            self._on_screen = False
            self._bar.clear()

    def close(self) -> None:
        """Leave the last state on the screen and give the streams back."""
        self._finish_step()
        for name, (original, wrapper) in self._replaced.items():
            if getattr(sys, name) is wrapper:  # else somebody replaced it after us, and will restore it
                setattr(sys, name, original)

    def _finish_step(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar, self._on_screen = None, False


class _StepsAside:
    """A stream that clears the bar before anything is written."""

    def __init__(self, wrapped: TextIO, bar: ProgressBar) -> None:
        self.wrapped = wrapped
        self._bar = bar

    def write(self, text: str) -> int:
        self._bar.clear()
        return self.wrapped.write(text)

    def writelines(self, lines: Any) -> None:
        self._bar.clear()
        self.wrapped.writelines(lines)

    def flush(self) -> None:
        self._bar.clear()  # input() flushes before it writes its prompt past Python's streams
        self.wrapped.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)


def _same_terminal(stream: Any, terminal: TextIO) -> bool:
    if stream is terminal:
        return True
    try:
        return cast("bool", stream.isatty()) and terminal.isatty()
    except (AttributeError, ValueError):
        return False
