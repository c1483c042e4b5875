"""Synapse's cache folder on this machine, safe to trust and safe to delete."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from functools import cache

__all__ = ["cache_folder", "write_atomically"]


def _candidates() -> Iterator[str]:
    if chosen := os.environ.get("SYNAPSE_CACHE_DIR"):
        yield os.path.abspath(os.path.expanduser(chosen))
        return
    if sys.platform == "win32":
        usual = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~\\AppData\\Local")
    elif sys.platform == "darwin":
        usual = os.path.expanduser("~/Library/Caches")
    else:
        usual = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    yield os.path.join(usual, "synapse")
    import tempfile  # takes longer to import than the quick commands have

    with contextlib.suppress(OSError):  # there is no temporary folder either
        user = getattr(os, "getuid", lambda: "user")()
        yield os.path.join(tempfile.gettempdir(), f"synapse-{user}")


def _usable(folder: str) -> bool:
    if not os.path.isabs(folder):  # a user without a home
        return False
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        owner = os.stat(folder).st_uid
    except OSError:
        return False
    # Python code is imported from here: a folder that somebody else made is not to be trusted.
    mine = not hasattr(os, "getuid") or owner == os.getuid()
    return mine and os.access(folder, os.W_OK)


@cache
def cache_folder() -> str | None:
    """Return the folder, made if need be, or ``None`` where no place is writable.

    ``SYNAPSE_CACHE_DIR`` chooses it; the default is the platform's cache folder, then one in the
    temporary folder.
    """
    return next(filter(_usable, _candidates()), None)


def write_atomically(path: str, content: bytes) -> None:
    """Write `content` so that a reader sees the old file or the new one, never half of it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    import tempfile

    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
