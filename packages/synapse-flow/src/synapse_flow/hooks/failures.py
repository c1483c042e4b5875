"""What is told of a hook that failed: what it raised, and where in the user's code."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

from synapse_core.safe_text import safe_str

__all__ = ["HookAnswerError", "HookTimeoutError", "told"]

_OURS = ("synapse_core", "synapse_dask", "synapse_flow", "synapse_local", "synapse_ray")
_LIBRARY = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")})
_INSTALLED = {"site-packages", "dist-packages"}


class HookAnswerError(TypeError):
    """A hook returned what are no entries."""


class HookTimeoutError(TimeoutError):
    """A hook took longer than it may."""


def told(error: BaseException, hook: Any = None) -> str:
    """Return an exception's type and text, with the file and line of the user's code that it comes from.

    That is the innermost frame outside of Synapse, Python's library and installed packages; where there is none, the
    innermost of the file in which the hook is, or else of a package.

    Example: ``KeyError: 'agee' (hooks.py:4)``

    Args:
        error: What a hook raised. What the flow itself says of a hook is its text alone.
        hook: The hook.
    """
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    text = safe_str(error)
    if isinstance(error, (HookAnswerError, HookTimeoutError)):
        return text
    name = type(error).__name__
    return (f"{name}: {text}" if text else name) + _place(error, hook)


def _place(error: BaseException, hook: Any) -> str:
    frames = list(_frames(error))
    code = getattr(getattr(type(hook), "execute", None), "__code__", None)
    own = code.co_filename if isinstance(code, CodeType) else None
    users = [frame for frame in frames if not _INSTALLED.intersection(Path(frame[0]).parts)]
    found = users or [frame for frame in frames if frame[0] == own] or frames
    return f" ({os.path.basename(found[-1][0])}:{found[-1][1]})" if found else ""


def _frames(error: BaseException) -> Iterator[tuple[str, int]]:
    """Yield file and line of each frame that is none of Synapse or Python's library, the innermost last."""
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        ours = str(trace.tb_frame.f_globals.get("__name__")).partition(".")[0] in _OURS
        library = file.startswith("<frozen") or (
            file.startswith(_LIBRARY) and not _INSTALLED.intersection(Path(file).parts)
        )
        if not ours and not library:
            yield file, trace.tb_lineno
        trace = trace.tb_next
