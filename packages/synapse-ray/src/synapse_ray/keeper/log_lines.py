"""A job's log as the keeper holds it, read as reports and as lines of text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from synapse_ray.event_relay import OUTPUT, log_text

__all__ = ["LogLines", "reports_of"]

_LONGEST = 2**20


def reports_of(piece: bytes, job_id: str) -> Iterator[dict[str, Any]]:
    """Yield the reports in a piece of a log; every line has lost the job's id on its way there."""
    for line in piece.split(b"\n"):
        if line:
            yield {**json.loads(line), "job_id": job_id}


class LogLines:
    """Makes whole lines of reports. What was printed without a newline is held until its rest comes."""

    def __init__(self) -> None:
        self._held: list[str] = []
        self._length = 0
        self._stream = ""

    def feed(self, report: dict[str, Any]) -> Iterator[str]:
        """Yield the lines that are whole now."""
        if report["kind"] != OUTPUT:
            yield from self.finish()
            yield from _split(log_text(report))
            return
        if report["stream"] != self._stream:
            yield from self.finish()
            self._stream = report["stream"]
        *whole, rest = report["text"].split("\n")
        for line in whole:
            yield "".join([*self._held, line, "\n"])
            self._held, self._length = [], 0
        if rest:
            self._held.append(rest)
            self._length += len(rest)
            if self._length > _LONGEST:  # a progress bar, say, that writes for hours without a newline
                yield from self.finish()

    def finish(self) -> Iterator[str]:
        """Yield what has no newline, with one."""
        if self._held:
            yield "".join([*self._held, "\n"])
            self._held, self._length = [], 0


def _split(text: str) -> Iterator[str]:
    for line in text.split("\n")[:-1]:
        yield f"{line}\n"
