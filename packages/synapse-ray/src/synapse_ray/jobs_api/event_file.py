"""What an action reports, as lines of JSON in a row of files that its caller follows."""

from __future__ import annotations

import json
import threading
from typing import Any

from synapse_core.safe_text import safe_str
from synapse_ray.event_relay import OUTPUT
from synapse_ray.jobs_api.segments import SegmentWriter

__all__ = ["EventFile"]

_MOST_HELD = 32 * 1024


class EventFile:
    """Writes reports; safe to use from many threads.

    Printed lines that follow one another become one report: an action may print a million of them. They are held until
    `flush`, which somebody has to call every few milliseconds; everything else is written at once.

    Args:
        writer: Where the lines go.
        holds: Whether somebody calls `flush`.
    """

    def __init__(self, writer: SegmentWriter, *, holds: bool) -> None:
        self._writer = writer
        self._holds = holds
        self._lock = threading.Lock()
        self._printed: dict[str, Any] | None = None
        self._texts: list[str] = []
        self._length = 0

    def write(self, report: dict[str, Any]) -> None:
        """Take one report."""
        with self._lock:
            if report["kind"] != OUTPUT:
                self._flush()
                self._write(report)
                return
            if self._printed is not None and self._printed["stream"] != report["stream"]:
                self._flush()
            self._printed = self._printed or report
            self._texts.append(report["text"])
            self._length += len(report["text"])
            if not self._holds or self._length > _MOST_HELD:
                self._flush()

    def flush(self) -> None:
        """Write what is held."""
        with self._lock:
            self._flush()

    def close(self) -> None:
        """Write what is held, and say that there will be no more."""
        with self._lock:
            self._flush()
            self._holds = False
            self._writer.close()

    def _flush(self) -> None:
        if self._printed is not None:
            report, self._printed = {**self._printed, "text": "".join(self._texts)}, None
            self._texts, self._length = [], 0
            self._write(report)

    def _write(self, report: dict[str, Any]) -> None:
        self._writer.write(json.dumps(report, ensure_ascii=False, default=safe_str).encode("utf-8", "replace") + b"\n")
