"""What the stream that a person looks at can show."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["is_ci", "is_live_terminal"]


def is_ci() -> bool:
    """Say whether ``CI`` is set, to anything but nothing, 0 or false."""
    return os.environ.get("CI", "").strip().lower() not in ("", "0", "false")


def is_live_terminal(stream: Any) -> bool:
    """Say whether a moving line makes sense on `stream`: a terminal, not ``TERM=dumb``, and not in CI."""
    if os.environ.get("TERM") == "dumb" or is_ci():
        return False
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # no such method, or closed
        return False
