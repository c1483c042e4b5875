"""What an action prints on a worker, told apart from what the worker itself writes."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

from synapse_core.redaction import redact

__all__ = ["captured_output"]

_MOST_HELD = 64 * 1024  # characters without a newline, after which they are handed on all the same


@contextlib.contextmanager
def captured_output(emit: Callable[[str, str], None], secrets: Iterable[str], *, also_write: bool) -> Iterator[None]:
    """Hand on what is printed within, in whole lines, with secrets hidden.

    Args:
        emit: Called with ``stdout`` or ``stderr`` and a text of whole lines; from the thread that printed.
        secrets: Texts that nobody should see.
        also_write: Whether to write it to the worker's own streams, and so to its log file, as well.
    """
    hidden = list(secrets)
    taken = [_LineStream(name, getattr(sys, name), emit, hidden, also_write) for name in ("stdout", "stderr")]
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = taken
    try:
        yield
    finally:
        # Somebody may have replaced them meanwhile, and is to put them back.
        if sys.stdout is taken[0]:
            sys.stdout = before[0]
        if sys.stderr is taken[1]:
            sys.stderr = before[1]
        for stream in taken:
            stream.finish()


class _LineStream(io.TextIOBase):
    """A text stream that hands on whole lines."""

    def __init__(
        self, name: str, under: TextIO, emit: Callable[[str, str], None], hidden: list[str], also_write: bool
    ) -> None:
        self._name = name
        self._under = under
        self._emit = emit
        self._hidden = hidden
        self._also_write = also_write
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
            self._hand_on("".join([*self._held, text[:end]]))
            rest = text[end:]
            self._held, self._length = ([rest] if rest else []), len(rest)
        return len(text)

    def finish(self) -> None:
        """Hand on a last line that has no newline."""
        with self._lock:
            if self._held:
                self._hand_on("".join(self._held) + "\n")
                self._held, self._length = [], 0

    def _hand_on(self, text: str) -> None:
        shown = redact(text, self._hidden)
        self._emit(self._name, shown)
        if self._also_write:
            self._under.write(shown)
            self._under.flush()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._under.fileno()

    def flush(self) -> None:
        if self._also_write:
            self._under.flush()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    @property
    def buffer(self) -> Any:
        return self._under.buffer
