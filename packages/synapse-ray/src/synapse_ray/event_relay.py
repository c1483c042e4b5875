"""What an action reports and prints on a worker, shown again where its caller is."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

from synapse_core.event_text import event_text
from synapse_core.ports.events import DevEvent, Event, EventSink, ProgressEvent

__all__ = ["OUTPUT", "Relay", "log_text", "relay"]

OUTPUT = "output"
"""The kind of a report that is no event: text that the action printed."""


def relay(report: dict[str, Any], sink: EventSink) -> None:
    """Hand one report of a worker to `sink`, or print it to the stream that it was printed to."""
    if report["kind"] == OUTPUT:
        stream = sys.stderr if report["stream"] == "stderr" else sys.stdout
        if stream is not None:
            stream.write(report["text"])
            stream.flush()
        return
    sink.emit(Event.from_dict(report))


class Relay:
    """Hands reports on to a sink; reporting never kills an action, so the first failure is said, and no more.

    Args:
        open_sink: Gives the sink when there is something for it.
        shows_output: Whether what the action printed is shown; elsewhere Ray shows it.
    """

    __slots__ = ("_complained", "_open_sink", "_shows_output")

    def __init__(self, open_sink: Callable[[], EventSink], *, shows_output: bool = True) -> None:
        self._open_sink = open_sink
        self._shows_output = shows_output
        self._complained = False

    def __call__(self, report: dict[str, Any]) -> None:
        """Hand on one."""
        if report["kind"] == OUTPUT and not self._shows_output:
            return
        try:
            relay(report, self._open_sink())
        except BrokenPipeError:  # whoever read it has read enough, as `head` does
            return
        except Exception:
            if not self._complained:
                self._complained = True
                logging.getLogger("synapse").warning("reports are lost: the event sink fails", exc_info=True)


def log_text(report: dict[str, Any]) -> str:
    """Return a report as whole lines of a log; empty for what no log shows."""
    if report["kind"] == OUTPUT:
        text: str = report["text"]
        return text if text.endswith("\n") else f"{text}\n"
    event = Event.from_dict(report)
    if isinstance(event, DevEvent):
        return f"dev: {event_text(event).removeprefix('dev: ')}\n"
    if isinstance(event, ProgressEvent) and event.current not in (0, event.total):
        return ""  # a log of every step of a progress bar is no help
    return f"{event_text(event)}\n"
