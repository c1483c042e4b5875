"""What an action has reported on a worker and its caller has not got yet."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

__all__ = ["Batch", "Report", "ReportOutbox"]

Report: TypeAlias = "dict[str, Any]"
Batch: TypeAlias = "tuple[int, list[Report]]"
"""Reports of one call in order, and how many there were before them."""

_QUIET_SECONDS = 0.02  # a call that is shorter brings its reports along with its reply
_BETWEEN_SECONDS = 0.01  # two batches are no closer than this, so that a chatty action makes few of them
_MOST_HELD = 4 * 2**20  # characters, after which the action waits for them to be sent
_MOST_WAITED = 30.0
_SIZE_OF_EVENT = 200  # characters, roughly


class ReportOutbox:
    """Takes reports of the running call, and sends those of a long one on while it runs.

    Nothing is counted as sent before `send` has returned, so what a reply brings along may be known to the caller
    already, who tells by the numbers; but nothing is missing.

    Args:
        send: Delivers a batch of the call and returns when it is delivered. What it raises is taken as "not delivered".
    """

    def __init__(self, send: Callable[[Any, int, list[Report]], None]) -> None:
        self._send = send
        self._changed = threading.Condition()
        self._call: Any = None
        self._held: list[Report] = []
        self._size = 0
        self._sent = 0
        self._due = 0.0
        self._thread: threading.Thread | None = None
        self._works = True

    def begin(self, call: Any) -> Callable[[Report], None]:
        """Begin with a call and return where its reports go."""
        with self._changed:
            self._call = call
            self._held = []
            self._size = self._sent = 0
            self._due = time.monotonic() + _QUIET_SECONDS

        def take(report: Report) -> None:
            self._take(call, report)

        return take

    def end(self) -> Batch:
        """End the call and return what was not delivered."""
        if not self._held and not self._sent:
            self._call = None
            return 0, []
        with self._changed:
            self._call = None
            batch = self._sent, self._held
            self._held = []
            self._changed.notify_all()
            return batch

    def _take(self, call: Any, report: Report) -> None:
        size = len(report.get("text", "")) or _SIZE_OF_EVENT
        with self._changed:
            if self._call is not call:  # a thread that outlives its action
                return
            self._held.append(report)
            self._size += size
            if self._thread is None:
                self._thread = threading.Thread(target=self._deliver, name="synapse-reports", daemon=True)
                self._thread.start()
            elif len(self._held) == 1:
                self._changed.notify_all()
            give_up = time.monotonic() + _MOST_WAITED
            while self._size > _MOST_HELD and self._works and self._call is call and time.monotonic() < give_up:
                self._changed.wait(1)

    def _deliver(self) -> None:
        while True:
            with self._changed:
                while not self._held or self._call is None:
                    self._changed.wait()
                if (early := self._due - time.monotonic()) > 0 and self._size < _MOST_HELD // 4:
                    self._changed.wait(early)
                    continue
                call, first, batch, size = self._call, self._sent, list(self._held), self._size
            try:
                self._send(call, first, batch)
                self._works = True
            except Exception:  # nobody takes them; they stay for the reply
                self._works = False
            with self._changed:
                if self._call is call:
                    if self._works:
                        del self._held[: len(batch)]
                        self._sent += len(batch)
                        self._size -= size
                    self._due = time.monotonic() + (_BETWEEN_SECONDS if self._works else 1.0)
                    self._changed.notify_all()
