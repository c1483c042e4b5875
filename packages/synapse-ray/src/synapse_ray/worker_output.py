"""What an action prints on a worker, told apart from what the worker itself writes."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any, TextIO

from synapse_core.redaction import redact

__all__ = ["OutputCapture", "flush_output"]

_MOST_HELD = 64 * 1024  # characters without a newline, after which they are handed on all the same


def flush_output() -> None:
    """Flush this process's streams; what an action has left in their place may be closed, or none at all."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


class OutputCapture:
    """Hands on what is printed while an action runs, in whole lines, with secrets hidden.

    One serves all actions of a process, one after another: what has taken hold of a stream in the first, such as a
    handler of `logging`, then writes to the caller of the next.

    Args:
        secrets: Texts that nobody should see.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._hidden = list(secrets)
        self._streams: tuple[_LineStream, ...] = ()

    def begin(self, emit: Callable[[str, str], None]) -> None:
        """Hand on to `emit` from now on: ``stdout`` or ``stderr``, and a text of whole lines."""
        under = _usable(sys.stdout, sys.__stdout__), _usable(sys.stderr, sys.__stderr__)
        if not self._streams or (self._streams[0].under, self._streams[1].under) != under:
            self._streams = tuple(
                _LineStream(name, stream, self._hidden)
                for name, stream in zip(("stdout", "stderr"), under, strict=True)
            )
        for stream in self._streams:
            stream.emit = emit
        sys.stdout, sys.stderr = self._streams

    def end(self) -> None:
        """Put the worker's own streams back, and hand on a last line that has no newline."""
        out, err = self._streams
        # Somebody may have replaced them meanwhile, and is to put them back.
        if sys.stdout is out:
            sys.stdout = out.under
        if sys.stderr is err:
            sys.stderr = err.under
        out.finish()
        err.finish()


def _usable(stream: TextIO | None, original: TextIO | None) -> TextIO:
    """Return the stream, or the process's own where an action has left a closed one, or none."""
    found = original if stream is None or getattr(stream, "closed", False) else stream
    assert found is not None  # Ray gives every worker its streams
    return found


class _LineStream(io.TextIOBase):
    """A text stream that hands on whole lines."""

    emit: Callable[[str, str], None]

    def __init__(self, name: str, under: TextIO, hidden: list[str]) -> None:
        self.under = under
        self._name = name
        self._hidden = hidden
        self._own = os.getpid()
        self._forget_held()
        _streams.add(self)

    def _forget_held(self) -> None:
        """Begin anew: in a fork, a line that was held is its parent's, and a lock may be held by nobody."""
        self._held: list[str] = []
        self._length = 0
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        with self._lock:
            end = text.rfind("\n") + 1
            if end == 0 and self._length + len(text) < _MOST_HELD:
                self._held.append(text)
                self._length += len(text)
                return len(text)
            end = end or len(text)
            whole, rest = "".join([*self._held, text[:end]]), text[end:]
            self._held, self._length = ([rest] if rest else []), len(rest)
            self._hand_on(whole)
        return len(text)

    def finish(self) -> None:
        """Hand on a last line that has no newline."""
        with self._lock:
            if self._held:
                whole = "".join(self._held) + "\n"
                self._held, self._length = [], 0
                self._hand_on(whole)

    def _hand_on(self, text: str) -> None:
        shown = redact(text, self._hidden)
        if not shown.isascii():  # half a character, as in names of files that are no UTF-8, can be written nowhere
            shown = shown.encode("utf-8", "backslashreplace").decode()
        self.emit(self._name, shown)
        with contextlib.suppress(OSError):  # a full disk of the node is no failure of the action; nor is it to `emit`
            self.under.write(shown)
            self.under.flush()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self.under.fileno()

    def flush(self) -> None:
        if os.getpid() != self._own:  # a fork, which nobody finishes
            self.finish()
        self.under.flush()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    @property
    def buffer(self) -> Any:
        return self.under.buffer


_streams: weakref.WeakSet[_LineStream] = weakref.WeakSet()


def _begin_anew() -> None:
    for stream in list(_streams):
        stream._forget_held()


os.register_at_fork(after_in_child=_begin_anew)
