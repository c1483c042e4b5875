"""The side of a job's worker: it reports to the keeper, and outlives the keeper's restarts."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import ray
from ray import exceptions as ray_errors

from synapse_core.safe_text import safe_str
from synapse_ray.event_relay import OUTPUT
from synapse_ray.keeper.records import KEEPER_NAME
from synapse_ray.names import NAMESPACE

__all__ = ["KeeperLink", "LogSender", "cut_off_line", "log_line"]

_PATIENCE_SECONDS = 600.0
_BATCH_BYTES = 256 * 2**10
_MOST_HELD_BYTES = 4 * 2**20
_LONGEST_TEXT = 128 * 2**10
_GATHER_SECONDS = 0.01


class KeeperLink:
    """Calls of the keeper that are repeated until it answers, also when it has to be restarted or made anew."""

    def __init__(self) -> None:
        self._keeper: Any = None

    def send(self, method: str, *args: Any) -> Any:
        """Start a call and return its reference."""
        if self._keeper is None:
            self._keeper = ray.get_actor(KEEPER_NAME, namespace=NAMESPACE)
        return getattr(self._keeper, method).remote(*args)

    def call(self, method: str, *args: Any) -> Any:
        """Call a method of the keeper.

        Raises:
            RayError: There was no keeper for ten minutes.
        """
        give_up = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return ray.get(self.send(method, *args))
            except ray_errors.RayTaskError:  # it was there, and could not do it
                raise
            except (ray_errors.RayError, ValueError):
                # It is gone for good, and somebody has to make another one; that one knows nothing of this job.
                if time.monotonic() > give_up:
                    raise
                self._keeper = None
                time.sleep(0.5)


class LogSender:
    """Sends reports in the order in which they were made, many at a time, from a thread of its own.

    Whoever reports waits when too much is on its way.

    Args:
        send: Takes an offset and whole lines; returns whether to go on.
        offset: Where the log begins.
    """

    def __init__(self, send: Callable[[int, bytes], bool], offset: int) -> None:
        self._send = send
        self._offset = offset
        self._lines: list[bytes] = []
        self._held = 0
        self._closed = False
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None

    def emit(self, report: dict[str, Any]) -> None:
        """Take a report; of one that comes after the end, nothing is left."""
        lines = [log_line(part) for part in _parts(report)]
        with self._news:
            while self._held > _MOST_HELD_BYTES and not self._closed:
                self._news.wait()
            if self._closed:
                return
            self._lines += lines
            self._held += sum(map(len, lines))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="synapse-log", daemon=True)
                self._thread.start()
            self._news.notify_all()

    def close(self) -> tuple[int, bytes]:
        """Return what was not sent, and where it belongs. Nothing is taken afterwards.

        Where reports could not be written, that is a line that says so.
        """
        with self._news:
            self._closed = True
            self._news.notify_all()
        if self._thread is not None:
            self._thread.join()
        return self._offset, b"".join(self._lines)

    def _run(self) -> None:
        while True:
            with self._news:
                while not self._lines and not self._closed:
                    self._news.wait()
                if self._closed and self._held <= _BATCH_BYTES:
                    return  # the rest goes with the last message
                batch = self._take()
            if (last := self._try_to_send(batch)) is not None:
                with self._news:
                    self._closed, self._lines, self._held = True, last, 0
                    self._news.notify_all()
                return
            with self._news:
                self._offset += len(batch)
                self._held -= len(batch)
                self._news.notify_all()
                if self._held < _BATCH_BYTES and not self._closed:
                    self._news.wait_for(lambda: self._held >= _BATCH_BYTES or self._closed, _GATHER_SECONDS)

    def _try_to_send(self, batch: bytes) -> list[bytes] | None:
        """Return ``None``, or else the lines that the log ends with: nobody takes any more.

        The action is not held up for that.
        """
        try:
            return None if self._send(self._offset, batch) else []
        except Exception as error:
            return [cut_off_line(error)]

    def _take(self) -> bytes:
        size = count = 0
        for line in self._lines:
            size += len(line)
            count += 1
            if size >= _BATCH_BYTES:
                break
        batch = b"".join(self._lines[:count])
        del self._lines[:count]
        return batch


def log_line(report: dict[str, Any]) -> bytes:
    """Return a report as a line of the log. The job's id is not in it: every line would have it."""
    shown = {key: value for key, value in report.items() if key != "job_id"}
    return json.dumps(shown, separators=(",", ":"), default=str).encode() + b"\n"


def cut_off_line(error: BaseException) -> bytes:
    """Return the last line of a log whose rest could not be written."""
    cause = getattr(error, "cause", None) or error  # what went wrong at the keeper, without Ray's words for that
    text = f"log cut off: {type(cause).__name__}: {safe_str(cause)}\n"
    return log_line({"kind": OUTPUT, "time": time.time(), "stream": "stderr", "text": text})


def _parts(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Cut the text of a large report, so that no line of the log is large."""
    text = report.get("text", "")
    if report["kind"] != OUTPUT or len(text) <= _LONGEST_TEXT:
        return [report]
    return [{**report, "text": text[at : at + _LONGEST_TEXT]} for at in range(0, len(text), _LONGEST_TEXT)]
