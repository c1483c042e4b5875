"""Ending actors."""

from __future__ import annotations

import contextlib
from typing import Any

import ray

__all__ = ["end_actor"]


def end_actor(actor: Any) -> None:
    """End an actor, whatever it does; no matter whether it lives, or the cluster does."""
    if ray.is_initialized():  # the connection may have ended, and asking Ray then makes a new one
        with contextlib.suppress(Exception):
            ray.kill(actor, no_restart=True)
