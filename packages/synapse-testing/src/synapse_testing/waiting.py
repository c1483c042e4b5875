"""Waiting for a file: how a test and the work of a test tell each other when to go on."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

__all__ = ["PATIENCE", "wait_for_file"]

PATIENCE = 30.0
_LOOK_EVERY = 0.005


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
