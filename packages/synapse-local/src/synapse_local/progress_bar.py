"""A progress bar that steps aside for whatever else is written to the terminal."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, TextIO, cast

from tqdm import tqdm

__all__ = ["ProgressBar"]

_SECONDS_BETWEEN_DRAWS = 0.05


class _QuietTqdm(tqdm):  # type: ignore[type-arg]  # generic in the stubs only
    monitor_interval = 0  # no thread that redraws by itself: a debugger may have the screen


class ProgressBar:
    """One bar for the current step; an earlier step's bar stays above it in its last state.

    While any bar is up, ``sys.stdout`` and ``sys.stderr`` are wrapped if they are a terminal: anything
    written through them, a debugger's prompt too, first clears the bars, which come back with the
    next progress. All methods may be called from any thread.

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
        _screen.enter(self)

    def show(self, step: str | None, current: float, total: float) -> None:
        """Move the bar, and draw it unless that was done a moment ago."""
        with _screen.lock:
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
        with _screen.lock:
            if self._bar is not None:
                self._bar.refresh()
                self._on_screen = True

    def clear(self) -> None:
        """Take the bar off the screen until it is drawn again."""
        with _screen.lock:
            if self._on_screen:
                self._on_screen = False
                self._bar.clear()

    def close(self) -> None:
        """Leave the last state on the screen and give the streams back; a second call does nothing."""
        with _screen.lock:
            self._finish_step()
            _screen.leave(self)

    def _finish_step(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar, self._on_screen = None, False


class _Screen:
    """The bars that are up in this process, and the streams that are wrapped while there is one."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._bars: list[ProgressBar] = []
        self._replaced: dict[str, tuple[Any, Any]] = {}

    def enter(self, bar: ProgressBar) -> None:
        """Take note of a bar; the first one wraps the streams."""
        with self.lock:
            self._bars.append(bar)
            for name in ("stdout", "stderr"):
                original = getattr(sys, name)
                if not isinstance(original, _StepsAside) and _same_terminal(original, bar.stream):
                    wrapper = _StepsAside(original, self)
                    self._replaced[name] = (original, wrapper)
                    setattr(sys, name, wrapper)

    def leave(self, bar: ProgressBar) -> None:
        """Forget a bar; the last one gives the streams back."""
        with self.lock:
            if bar in self._bars:
                self._bars.remove(bar)
            if not self._bars:
                for name, (original, wrapper) in self._replaced.items():
                    if getattr(sys, name) is wrapper:  # else somebody replaced it after us, and will restore it
                        setattr(sys, name, original)
                self._replaced.clear()

    def clear(self) -> None:
        """Take all bars off the screen."""
        with self.lock:
            for bar in self._bars:
                bar.clear()


class _StepsAside:
    """A stream that clears the bars before anything is written."""

    def __init__(self, wrapped: TextIO, screen: _Screen) -> None:
        self.wrapped = wrapped
        self._screen = screen

    def write(self, text: str) -> int:
        self._screen.clear()
        return self.wrapped.write(text)

    def writelines(self, lines: Any) -> None:
        self._screen.clear()
        self.wrapped.writelines(lines)

    def flush(self) -> None:
        self._screen.clear()  # input() flushes before it writes its prompt past Python's streams
        self.wrapped.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)


_screen = _Screen()


def _same_terminal(stream: Any, terminal: TextIO) -> bool:
    if stream is terminal:
        return True
    try:
        return cast("bool", stream.isatty()) and terminal.isatty()
    except (AttributeError, ValueError):
        return False
