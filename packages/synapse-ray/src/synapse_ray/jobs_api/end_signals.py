"""The end that Ray asks a driver for, by a signal."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

from synapse_ray.jobs_api.process_tree import end_descendants

__all__ = ["TERMINATED", "end_on_signal", "end_was_asked_for"]

TERMINATED = 128 + signal.SIGTERM
"""The status that a process exits with which was asked to end."""

_GRACE = 2.0  # Ray kills what is left three seconds after it asked for the end
_ENDS = (signal.SIGTERM, signal.SIGINT)


def end_on_signal() -> None:
    """End the action as Ctrl-C would when Ray asks for it, and everything that it has started with it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in _ENDS:
        signal.signal(number, _interrupt)
    threading.Thread(target=_insist, args=(reader,), name="synapse-stop", daemon=True).start()


def end_was_asked_for() -> bool:
    """Say whether such a signal has come."""
    return any(signal.getsignal(number) is not _interrupt for number in _ENDS)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # once is enough: a second one would tear the action's own clean-up
    raise KeyboardInterrupt


def _insist(reader: int) -> None:
    """End the process some time after the signal, also where the action never looks up."""
    while os.read(reader, 1)[0] not in _ENDS:
        pass
    threading.Event().wait(_GRACE)
    end_descendants(0.5)
    os._exit(TERMINATED)
