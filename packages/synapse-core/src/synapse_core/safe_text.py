"""Texts of values and errors that are not ours: making one never raises, Ctrl-C aside."""

from __future__ import annotations

import os
import traceback
from types import TracebackType
from typing import Any

__all__ = ["format_traceback", "safe_str", "shorten"]

_MAX_REPR = 200
_OWN_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep


def safe_str(error: BaseException) -> str:
    """Return ``str(error)``, or a note where that itself raises."""
    try:
        return str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as broken:  # the text of a user's class may fail in any way
        return f"<{type(error).__qualname__} whose text cannot be made: {type(broken).__qualname__}>"


def shorten(value: Any, limit: int = _MAX_REPR) -> str:
    """Return ``repr(value)`` of at most `limit` characters."""
    try:
        text = repr(value)
    except KeyboardInterrupt:
        raise
    except BaseException as broken:  # a repr of the user's may fail in any way, even leave the process
        text = f"<{type(value).__qualname__} whose repr raises {type(broken).__qualname__}>"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _is_own(trace: TracebackType) -> bool:
    return trace.tb_frame.f_code.co_filename.startswith(_OWN_FOLDER)


def format_traceback(error: BaseException) -> str:
    """Return the traceback of `error` as text, without the frames of Synapse that lead to the user's code."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and _is_own(trace):
        trace = trace.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, trace))
    except KeyboardInterrupt:
        raise
    except BaseException:  # the text of a user's class may fail in any way
        frames = "".join(traceback.format_tb(trace))
        return f"Traceback (most recent call last):\n{frames}{type(error).__qualname__}: {safe_str(error)}\n"
