"""Texts of values and errors that are not ours: making one never raises."""

from __future__ import annotations

import traceback
from typing import Any

__all__ = ["format_traceback", "safe_str", "shorten"]

_MAX_REPR = 200


def safe_str(error: BaseException) -> str:
    """Return ``str(error)``, or a note where that itself raises."""
    try:
        return str(error)
    except BaseException as broken:  # the text of a user's class may fail in any way
        return f"<{type(error).__qualname__} whose text cannot be made: {type(broken).__qualname__}>"


def shorten(value: Any, limit: int = _MAX_REPR) -> str:
    """Return ``repr(value)`` of at most `limit` characters."""
    try:
        text = repr(value)
    except Exception as broken:
        text = f"<{type(value).__qualname__} whose repr raises {type(broken).__qualname__}>"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def format_traceback(error: BaseException) -> str:
    """Return the traceback of `error` as text."""
    try:
        return "".join(traceback.format_exception(error))
    except BaseException:  # the text of a user's class may fail in any way
        frames = "".join(traceback.format_tb(error.__traceback__))
        return f"Traceback (most recent call last):\n{frames}{type(error).__qualname__}: {safe_str(error)}\n"
