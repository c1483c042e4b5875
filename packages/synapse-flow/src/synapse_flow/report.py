"""How far a run is, and how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from threading import Event, RLock
from time import monotonic
from typing import Any

from synapse_flow.chunks import ChunkResult

__all__ = ["FlowReport", "FlowStatus"]


class FlowStatus(StrEnum):
    """How far a run is."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPED = "stopped"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    FAILED = "failed"

    def is_terminal(self) -> bool:
        """Return whether it stays so."""
        return self in (FlowStatus.CANCELLED, FlowStatus.COMPLETED, FlowStatus.FAILED)


class FlowReport:
    """The report of one run, true while it runs and afterwards.

    Attributes:
        status: `STOPPED` is a pause; a reader's or a writer's failure is `FAILED`.
        read_count: Records read from the input.
        added_count: Entries that hooks made.
        total_processed: Records read and entries made; the sum of the next three.
        success_count: Records written.
        error_count: Records that failed.
        filtered_count: Records that hooks left out.
        errors_by_type: Type of an error → how many there were. A record may have several.
        exception: Why the run failed, or None.
        start_time: In UTC; None before the start.
        end_time: In UTC; None before the end.
        resumed_at: Position at which an earlier run was continued, or None.
    """

    def __init__(self) -> None:
        self.status = FlowStatus.PENDING
        self.read_count = 0
        self.added_count = 0
        self.success_count = 0
        self.error_count = 0
        self.filtered_count = 0
        self.errors_by_type: dict[str, int] = {}
        self.exception: BaseException | None = None
        self.start_time: datetime | None = None
        self.end_time: datetime | None = None
        self.resumed_at: int | None = None
        self._done: Callable[[], tuple[int, int] | None] = lambda: None
        self._began = 0.0
        self._took: float | None = None
        self._finished = Event()
        self._go = Event()
        self._go.set()
        self._aborted = Event()
        self._at_abort: list[Callable[[], None]] = []
        self._turn = RLock()  # for changes of the status; a signal's handler may abort
        self._from: tuple[float, float] | None = (0.0, 0.0)  # fraction and duration from which the rest is estimated

    @property
    def total_processed(self) -> int:
        """Records whose fate is known."""
        return self.success_count + self.error_count + self.filtered_count

    @property
    def duration(self) -> float:
        """Seconds since the start, or from start to end."""
        if self.start_time is None:
            return 0.0
        return self._took if self._took is not None else monotonic() - self._began

    @property
    def items_per_second(self) -> float:
        """Records in a second, over the whole run."""
        return (self.total_processed - (self.resumed_at or 0)) / self.duration if self.duration else 0.0

    @property
    def fraction(self) -> float | None:
        """How much of the input has been read, from 0 to 1; None where its size is unknown."""
        done = self._done()
        return min(1.0, done[0] / done[1]) if done and done[1] else None

    @property
    def seconds_left(self) -> float | None:
        """Estimate of the time that is left, from how much of the input has been read; None where that is unknown.

        A run that goes on where another one stopped counts what it has read itself, since its first chunk.
        """
        fraction, start = self.fraction, self._from
        if fraction is None or start is None or self.is_finished:
            return None
        if fraction >= 1:
            return 0.0
        return (self.duration - start[1]) * (1 - fraction) / (fraction - start[0]) if fraction > start[0] else None

    @property
    def is_finished(self) -> bool:
        """Whether the run has ended, in any way."""
        return self._finished.is_set()

    @property
    def is_stopped(self) -> bool:
        """Whether the run pauses."""
        return self.status is FlowStatus.STOPPED

    def wait(self, timeout: float | None = None, *, raise_on_error: bool = False) -> bool:
        """Wait for the end, and return whether it has come.

        Args:
            timeout: Seconds; None waits for as long as it takes.
            raise_on_error: Raise what made the run fail.
        """
        finished = self._finished.wait(timeout)
        if finished and raise_on_error and self.exception is not None:
            raise self.exception
        return finished

    async def wait_async(self, timeout: float | None = None, *, raise_on_error: bool = False) -> bool:
        """Wait for the end without holding up the event loop, as `wait` does."""
        end = None if timeout is None else monotonic() + timeout
        while not self.is_finished and (end is None or monotonic() < end):
            await asyncio.sleep(0.01)
        return self.wait(0, raise_on_error=raise_on_error)

    def stop(self) -> None:
        """Pause: what has been read is finished, and nothing more is read until `continue_`."""
        with self._turn:
            if self.status in (FlowStatus.PENDING, FlowStatus.RUNNING):
                self.status = FlowStatus.STOPPED
                self._go.clear()

    def continue_(self) -> None:
        """Go on after `stop`."""
        with self._turn:
            if self.status is FlowStatus.STOPPED:
                self.status = FlowStatus.PENDING if self.start_time is None else FlowStatus.RUNNING
            self._go.set()

    def abort(self) -> None:
        """End the run; it is finished when its files are closed, and its status is then `CANCELLED`."""
        with self._turn:
            self._aborted.set()
            self._go.set()
            callbacks, self._at_abort = self._at_abort, []
        for callback in callbacks:
            callback()

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "status": str(self.status),
            "read_count": self.read_count,
            "added_count": self.added_count,
            "total_processed": self.total_processed,
            "success_count": self.success_count,
            "error_count": self.error_count,
            "filtered_count": self.filtered_count,
            "errors_by_type": dict(self.errors_by_type),
            "exception": None if self.exception is None else f"{type(self.exception).__name__}: {self.exception}",
            "start_time": self.start_time and self.start_time.isoformat(),
            "end_time": self.end_time and self.end_time.isoformat(),
            "duration": self.duration,
            "items_per_second": self.items_per_second,
            "resumed_at": self.resumed_at,
        }

    def __repr__(self) -> str:
        return (
            f"<FlowReport {self.status}: {self.success_count:,} written, {self.error_count:,} failed, "
            f"{self.filtered_count:,} filtered in {self.duration:.1f} s>"
        )

    # -- for the run itself --

    def _start(self, done: Callable[[], tuple[int, int] | None]) -> None:
        with self._turn:
            self._done = done
            self._began = monotonic()
            self.start_time = datetime.now(UTC)
            if self.status is FlowStatus.PENDING:
                self.status = FlowStatus.RUNNING

    def _when_aborted(self, callback: Callable[[], None]) -> None:
        """Call something, in the thread that aborts, when the run is aborted; now, where it is already."""
        with self._turn:
            if not self._aborted.is_set():
                self._at_abort.append(callback)
                return
        callback()

    def _count(self, result: ChunkResult) -> None:
        if self._from is None and (fraction := self.fraction) is not None:
            self._from = (fraction, self.duration)
        self.read_count += result.read
        self.added_count += result.added
        self.success_count += result.written
        self.error_count += result.failed
        self.filtered_count += result.filtered
        for type_, count in result.error_types.items():
            self.errors_by_type[type_] = self.errors_by_type.get(type_, 0) + count

    def _finish(self, status: FlowStatus, exception: BaseException | None = None) -> None:
        with self._turn:
            self._done = lambda: None
            self._took = monotonic() - self._began if self.start_time else 0.0
            self.end_time = datetime.now(UTC)
            self.exception = exception
            self.status = status
            self._at_abort = []
            self._finished.set()

    def _counts(self) -> dict[str, Any]:
        names = ("read_count", "added_count", "success_count", "error_count", "filtered_count", "errors_by_type")
        return {name: getattr(self, name) for name in names}

    def _continue_from(self, counts: dict[str, Any]) -> None:
        for name, value in counts.items():
            setattr(self, name, value)
        self.resumed_at = self.read_count
        self._from = None
