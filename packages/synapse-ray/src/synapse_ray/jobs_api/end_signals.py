"""The end that Ray asks a driver for, by a signal."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType

from synapse_ray.jobs_api.process_tree import end_descendants

__all__ = ["TERMINATED", "end_on_signal", "end_was_asked_for"]

TERMINATED = 128 + signal.SIGTERM
"""The status that a process exits with which was asked to end."""

_GRACE = 2.0  # Ray kills what is left three seconds after it asked for the end
_ENDS = (signal.SIGTERM, signal.SIGINT)
_LOOK_SECONDS = 0.02
_forking: list[None] = []  # one for each thread that forks just now
_late: list[int] = []  # signals that came meanwhile
_held = threading.local()


def end_on_signal() -> None:
    """End the action as Ctrl-C would when Ray asks for it, and everything that it has started with it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in _ENDS:
        signal.signal(number, _interrupt)
    threading.Thread(target=_insist, args=(reader,), name="synapse-stop", daemon=True).start()
    os.register_at_fork(before=_hold_signals, after_in_parent=_let_signals_come, after_in_child=_leave_signals_alone)


def end_was_asked_for() -> bool:
    """Say whether such a signal has come."""
    return any(signal.getsignal(number) is not _interrupt for number in _ENDS)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _forking:  # nobody would see what is raised in a hook of a fork; it is sent again after it
        _late.append(number)
        return
    signal.signal(number, signal.SIG_IGN)  # once is enough: a second one would tear the action's own clean-up
    raise KeyboardInterrupt


def _hold_signals() -> None:
    """Keep signals from a fork until it has handlers of its own: its parent may end it at once."""
    _forking.append(None)
    _held.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)


def _let_signals_come() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _held.mask)
    _forking.pop()


def _leave_signals_alone() -> None:
    """Let signals do in a fork what they do in any process: they are none for the driver, whose pipe it shares."""
    signal.set_wakeup_fd(-1)
    for number, usual in ((signal.SIGTERM, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
        if signal.getsignal(number) is _interrupt:  # and not one of the action's own
            signal.signal(number, usual)
    _let_signals_come()


def _insist(reader: int) -> None:
    """End the process some time after the signal, also where the action never looks up."""
    while os.read(reader, 1)[0] not in _ENDS:
        pass
    give_up = time.monotonic() + _GRACE
    while time.monotonic() < give_up:
        time.sleep(_LOOK_SECONDS)
        if _late and not _forking:
            os.kill(os.getpid(), _late.pop())
    end_descendants(0.5)
    os._exit(TERMINATED)
