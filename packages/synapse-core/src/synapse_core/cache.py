"""Synapse's cache folder on this machine, safe to trust and safe to delete."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from functools import cache

__all__ = ["cache_folder", "write_atomically"]


def _candidates() -> Iterator[tuple[str, str]]:
    """Yield (what it is, folder): 'chosen', 'usual' or 'temporary'."""
    if chosen := os.environ.get("SYNAPSE_CACHE_DIR"):
        yield "chosen", os.path.abspath(os.path.expanduser(chosen))
        return
    if sys.platform == "win32":
        usual = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~\\AppData\\Local")
    elif sys.platform == "darwin":
        usual = os.path.expanduser("~/Library/Caches")
    else:
        usual = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    yield "usual", os.path.join(usual, "synapse")
    import tempfile  # takes longer to import than the quick commands have

    with contextlib.suppress(OSError):  # there is no temporary folder either
        user = getattr(os, "getuid", lambda: "user")()
        yield "temporary", os.path.join(tempfile.gettempdir(), f"synapse-{user}")


def _usable(kind: str, folder: str) -> bool:
    if not os.path.isabs(folder):  # a user without a home
        return False
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        named, there = os.lstat(folder), os.stat(folder)
    except OSError:
        return False
    return _is_safe(kind, named, there) and os.access(folder, os.W_OK)


def _is_safe(kind: str, named: os.stat_result, there: os.stat_result) -> bool:
    """Say whether nobody else can write into the folder: Python code is imported from it."""
    if not hasattr(os, "getuid"):
        return True
    if not named.st_uid == there.st_uid == os.getuid():  # somebody else's folder, or link to one of mine
        return False
    if kind == "chosen":  # a group may share it; for all others it has at least to be sticky
        return not there.st_mode & stat.S_IWOTH or bool(there.st_mode & stat.S_ISVTX)
    if kind == "temporary" and stat.S_ISLNK(named.st_mode):
        return False
    return not there.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@cache
def cache_folder() -> str | None:
    """Return the folder, made if need be, or ``None`` where no place is writable.

    ``SYNAPSE_CACHE_DIR`` chooses it; the default is the platform's cache folder, then one in the
    temporary folder.
    """
    return next((folder for kind, folder in _candidates() if _usable(kind, folder)), None)


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
