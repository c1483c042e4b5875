"""Waiting for a file, by which a test and its work tell each other to go on, or for anything else to come true."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["PATIENCE", "poll", "until", "wait_for_file"]

PATIENCE = 30.0
_LOOK_EVERY = 0.005
_POLL_EVERY = 0.05


def wait_for_file(
    path: str | os.PathLike[str], patience: float = PATIENCE, cancelled: Callable[[], bool] = lambda: False
) -> None:
    """Return when the file is there.

    Raises:
        InterruptedError: `cancelled` said so.
        TimeoutError: It is not there after `patience` seconds.
    """
    file = Path(path)
    # No system-independent call wakes a process when a file appears: it has to look.
    pause = threading.Event()
    for _ in range(max(1, round(patience / _LOOK_EVERY))):
        if file.exists():
            return
        if cancelled():
            raise InterruptedError(f"cancelled while waiting for {file}")
        pause.wait(_LOOK_EVERY)
    raise TimeoutError(f"waited {patience:g} s for {file}, which did not appear")


def poll(condition: Callable[[], Any], patience: float) -> Any:
    """Return what `condition` says as soon as that is true, or the last that it says after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(_POLL_EVERY)
    return found


def until(condition: Callable[[], Any], what: str | Callable[[], str] = "it", patience: float = 120.0) -> Any:
    """Return what `condition` says as soon as that is true; the test fails where it is not in time.

    Args:
        condition: Asked again and again.
        what: What is waited for, for the failure; or a function that says it then.
        patience: For how long, in seconds.
    """
    if found := poll(condition, patience):
        return found
    raise AssertionError(f"waited {patience:g} s for {what if isinstance(what, str) else what()}")
