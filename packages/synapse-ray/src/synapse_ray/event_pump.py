"""Brings what running actions report to where their callers wait."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import ray

from synapse_core.ports.events import EventSink
from synapse_ray.dispatcher import GONE, REPORTS
from synapse_ray.event_relay import Relay
from synapse_ray.mailbox import Mail
from synapse_ray.ray_internals import connection_mark
from synapse_ray.report_outbox import Report
from synapse_ray.shutdown_guard import no_shutdown

__all__ = ["CallReports", "EventPump"]

_POLL_SECONDS = 1.0
_LINGER_SECONDS = 5.0
_PATIENCE = 10.0  # seconds without any of the reports that are on their way when the result is there already


class CallReports:
    """The reports of one call: relayed in order, none twice, whichever way they come.

    Args:
        open_sink: Gives the sink when there is something for it.
        shows_output: Whether what the action printed is shown; elsewhere Ray shows it.
    """

    __slots__ = ("_abandoned", "_changed", "_lost", "_relay", "_relayed")

    def __init__(self, open_sink: Callable[[], EventSink], shows_output: bool) -> None:
        self._relay = Relay(open_sink, shows_output=shows_output)
        self._relayed = 0
        self._lost = 0
        self._abandoned = False
        self._changed: threading.Condition | None = None

    def begin_to_wait(self) -> None:
        """Be ready for reports from another thread; called before the pump is asked for them."""
        if self._changed is None:
            self._changed = threading.Condition(threading.RLock())

    def take(self, first: int, reports: list[Report]) -> None:
        """Relay those that were not relayed yet, and count those before them that have not come."""
        self.begin_to_wait()
        assert self._changed is not None
        with self._changed:
            self._lost += max(0, first - self._relayed)
            new = reports[max(0, self._relayed - first) :]
            self._relayed = max(self._relayed, first + len(reports))
            for report in new:
                self._relay(report)
            self._changed.notify_all()

    def finish(self, first: int, reports: list[Report]) -> None:
        """Relay the rest, after what is on its way by the pump has come; what is lost of it is said to the log."""
        if first:
            self._wait_for(first)
        self.take(first, reports)
        if self._lost:
            logging.getLogger("synapse").warning(
                "%d reports of an action were lost on their way here; its result is not touched by that", self._lost
            )

    def _wait_for(self, count: int) -> None:
        """Wait for the first `count` reports, as long as some of them come now and then."""
        self.begin_to_wait()
        assert self._changed is not None
        with self._changed:
            give_up = time.monotonic() + _PATIENCE
            while self._relayed < count and not self._abandoned and (left := give_up - time.monotonic()) > 0:
                before = self._relayed
                self._changed.wait(left)
                if self._relayed > before:
                    give_up = time.monotonic() + _PATIENCE

    def abandon(self) -> None:
        """Wait for no more reports: nobody brings them."""
        self._abandoned = True
        if (changed := self._changed) is not None:  # who begins to wait later looks first
            with changed:
                changed.notify_all()


class EventPump:
    """Takes this process's mail from a dispatcher, in one thread, while somebody waits for some.

    Args:
        dispatcher: The actor.
        on_gone: Called with a pool and the number of an actor that its owner has to replace.

    Attributes:
        box: Where its mail is at the dispatcher.
        is_lost: Whether it can fetch nothing any more, though nobody has closed it.
    """

    def __init__(self, dispatcher: Any, on_gone: Callable[[str, int], None] | None = None) -> None:
        self.box = uuid.uuid4().hex
        self._take = dispatcher.take
        self._mark = connection_mark()
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
        """Know a call; its reports are fetched while `fetching` lasts."""
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
        if self._closed:
            reports.abandon()
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
        for call in list(self._calls.values()):
            call.abandon()

    def lose(self) -> None:
        """Know that the dispatcher is dead, or that nothing can be fetched from it for another reason."""
        with self._lock:
            self.is_lost = self._closed = True
            self._thread = None
        self.close()

    def _run(self) -> None:
        self._wanted.set()
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._work, name="synapse-events", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        has_ended = False
        try:
            self._fetch()
            has_ended = True
        except Exception:
            logging.getLogger("synapse").warning("reports are not fetched any more", exc_info=True)
        finally:
            if not has_ended:  # nobody may go on as if mail were still taken
                self.lose()

    def _fetch(self) -> None:
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
            try:
                mail = self._next_mail()
            except Exception:  # the dispatcher or the connection is gone, and with it all that could be fetched
                self.lose()
                return
            for kind, content in mail:
                self._deliver(kind, content)
            if self.on_turn is not None and not self._closed:
                self.on_turn()

    def is_connected(self) -> bool:
        """Whether the connection is still the one that the dispatcher was found by."""
        return ray.is_initialized() and connection_mark() is self._mark

    def _next_mail(self) -> list[Mail]:
        """Ask for mail and wait for it, not by ``ray.get``: in that the user's ``ray.shutdown()`` ends the process.

        Raises:
            TimeoutError: The connection has ended, and the answer will never come.
        """
        with no_shutdown():
            if not self.is_connected():  # asking Ray would make a connection
                raise TimeoutError
            answer = self._take.remote(self.box, _POLL_SECONDS).future()
        while True:
            try:
                mail: list[Mail] = answer.result(timeout=_POLL_SECONDS)
                return mail
            except TimeoutError:
                if self._closed:
                    return []
                if not self.is_connected():
                    raise

    def _deliver(self, kind: str, content: Any) -> None:
        if kind == REPORTS:
            number, first, reports = content
            if (call := self._calls.get(number)) is not None:
                call.take(first, reports)
        elif kind == GONE and self._on_gone is not None:
            self._on_gone(*content)
