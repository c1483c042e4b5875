"""Brings what running actions report to where their callers wait."""

from __future__ import annotations

import contextlib
import logging
import threading
import uuid
from collections.abc import Callable
from typing import Any

import ray

from synapse_core.ports.events import EventSink
from synapse_ray.dispatcher import GONE, REPORTS
from synapse_ray.event_relay import OUTPUT, relay
from synapse_ray.report_outbox import Report

__all__ = ["CallReports", "EventPump"]

_POLL_SECONDS = 1.0
_LINGER_SECONDS = 5.0
_PATIENCE = 10.0  # seconds for reports that are on their way when the result is there already


class CallReports:
    """The reports of one call: relayed in order, none twice, whichever way they come.

    Args:
        open_sink: Gives the sink when there is something for it.
        shows_output: Whether what the action printed is shown; elsewhere Ray shows it.
    """

    __slots__ = ("_changed", "_complained", "_open_sink", "_relayed", "_shows_output")

    def __init__(self, open_sink: Callable[[], EventSink], shows_output: bool) -> None:
        self._open_sink = open_sink
        self._shows_output = shows_output
        self._relayed = 0
        self._complained = False
        self._changed: threading.Condition | None = None

    def begin_to_wait(self) -> None:
        """Be ready for reports from another thread; called before the pump is asked for them."""
        if self._changed is None:
            self._changed = threading.Condition(threading.RLock())

    def take(self, first: int, reports: list[Report]) -> None:
        """Relay those that were not relayed yet."""
        self.begin_to_wait()
        assert self._changed is not None
        with self._changed:
            new = reports[max(0, self._relayed - first) :]
            self._relayed = max(self._relayed, first + len(reports))
            for report in new:
                self._relay(report)
            self._changed.notify_all()

    def finish(self, first: int, reports: list[Report]) -> None:
        """Relay the rest, after what is on its way by the pump has come."""
        if first:
            self.begin_to_wait()
            assert self._changed is not None
            with self._changed:
                self._changed.wait_for(lambda: self._relayed >= first, _PATIENCE)
        self.take(first, reports)

    def _relay(self, report: Report) -> None:
        if report["kind"] == OUTPUT and not self._shows_output:
            return
        try:
            relay(report, self._open_sink())
        except Exception:  # reporting never kills an action
            if not self._complained:
                self._complained = True
                logging.getLogger("synapse").warning("reports are lost: the event sink fails", exc_info=True)


class EventPump:
    """Takes this process's mail from a dispatcher, in one thread, while somebody waits for some.

    Args:
        dispatcher: The actor.
        on_gone: Called with a pool and the number of an actor that its owner has to replace.
    """

    def __init__(self, dispatcher: Any, on_gone: Callable[[str, int], None] | None = None) -> None:
        self.box = uuid.uuid4().hex
        self._take = dispatcher.take
        self._on_gone = on_gone
        self._calls: dict[int, CallReports] = {}
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None
        self._waiting = 0
        self._pinned = False
        self._closed = False
        self.is_lost = False
        self.on_turn: Callable[[], None] | None = None

    def watch(self, number: int, reports: CallReports) -> None:
        """Know a call; its reports are fetched from `wait_for` on."""
        self._calls[number] = reports

    def forget(self, number: int) -> None:
        """Know a call no more."""
        self._calls.pop(number, None)

    @contextlib.contextmanager
    def fetching(self, reports: CallReports) -> Any:
        """Fetch reports as long as the block lasts."""
        reports.begin_to_wait()
        with self._lock:
            self._waiting += 1
            self._run()
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1

    def pin(self, on_turn: Callable[[], None]) -> None:
        """Fetch mail until `close`; `on_turn` is called about once a second."""
        with self._lock:
            self._pinned = True
            self.on_turn = on_turn
            self._run()

    def close(self) -> None:
        """Fetch nothing any more."""
        self._closed = True
        self._wanted.set()

    def _run(self) -> None:
        self._wanted.set()
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._work, name="synapse-events", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while not self._closed:
            with self._lock:
                if not self._waiting and not self._pinned:
                    self._wanted.clear()
                busy = self._waiting > 0 or self._pinned
            if not busy and not self._wanted.wait(_LINGER_SECONDS):
                with self._lock:
                    if not self._wanted.is_set():
                        self._thread = None
                        return
                continue
            if not busy:
                continue
            if not ray.is_initialized():  # asking Ray would make a connection
                self._lost()
                return
            try:
                mail = ray.get(self._take.remote(self.box, _POLL_SECONDS))
            except Exception:  # the dispatcher is gone, and with it whatever there would be to fetch
                self._lost()
                return
            for kind, content in mail:
                self._deliver(kind, content)
            if self.on_turn is not None and not self._closed:
                self.on_turn()

    def _deliver(self, kind: str, content: Any) -> None:
        if kind == REPORTS:
            number, first, reports = content
            if (call := self._calls.get(number)) is not None:
                call.take(first, reports)
        elif kind == GONE and self._on_gone is not None:
            self._on_gone(*content)

    def _lost(self) -> None:
        with self._lock:
            self.is_lost = self._closed = True
            self._thread = None
