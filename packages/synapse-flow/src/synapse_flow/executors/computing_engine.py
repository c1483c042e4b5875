"""On which engine threads are of use for work that only computes."""

from __future__ import annotations

import os
import sys
from typing import Any

__all__ = ["computing_engine"]


def computing_engine(max_workers: int | None) -> tuple[str, dict[str, Any]]:
    """Return name and arguments of the engine: the calling thread, since several would only take turns.

    In a Python without its lock they do not, and it is as many threads as there are CPUs.
    """
    if getattr(sys, "_is_gil_enabled", lambda: True)():
        return "serial", {}
    cpus = os.cpu_count() or 1
    return "threads", {"max_workers": min(cpus, max_workers or cpus)}
