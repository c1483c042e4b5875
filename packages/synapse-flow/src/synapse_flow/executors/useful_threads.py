"""How many threads get more done than one, where none of them waits."""

from __future__ import annotations

import os
import sys

__all__ = ["useful_threads"]


def useful_threads() -> int:
    """Return 1, or the number of CPUs in a Python whose threads run Python code at once."""
    has_lock = getattr(sys, "_is_gil_enabled", lambda: True)()
    return 1 if has_lock else os.cpu_count() or 1
