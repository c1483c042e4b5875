"""The table of installed backends, kept on disk so that most commands need not ask the packages again."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any

from synapse_core.cache import cache_folder, write_atomically
from synapse_core.plugins.rows import Row

__all__ = ["installed_rows"]

_FORMAT = 1
_TABLES_KEPT = 20
_METADATA = (".dist-info", ".egg-info")


def installed_rows(*, fresh: bool = False) -> list[Row]:
    """Return what is installed; from disk where nothing was installed or edited since, unless `fresh`."""
    state = _metadata_state()
    file = _table_file(state)
    if file is not None and not fresh and (known := _read(file, state)) is not None:
        return known
    from synapse_core.plugins.scan import scan_backends

    rows, modules = scan_backends()
    # An error is not kept: what mends it, an edited module say, need not show in the metadata.
    if file is not None and not any(row.error for row in rows):
        table = {
            "format": _FORMAT,
            "state": state,
            "modules": {path: _modified(path) for path in modules},
            "rows": [row.to_dict() for row in rows],
        }
        with contextlib.suppress(OSError):  # a full or read-only disk costs time, nothing else
            write_atomically(file, json.dumps(table).encode())
            _forget_oldest(os.path.dirname(file))
    return rows


def _table_file(state: list[list[Any]]) -> str | None:
    cache = cache_folder()
    if cache is None:
        return None
    # One table per environment: folders of sys.path without packages, a script's own say, make no other.
    from zlib import crc32  # needs no import of hashlib

    places = sorted({os.path.dirname(path) for path, _ in state})
    which = crc32("\0".join([sys.prefix, sys.version, *places]).encode("utf-8", "surrogateescape"))
    return os.path.join(cache, "backends", f"{which:08x}.json")


def _forget_oldest(folder: str) -> None:
    with contextlib.suppress(OSError):  # another process is at it too
        tables = sorted(os.scandir(folder), key=lambda entry: entry.stat().st_mtime_ns, reverse=True)
        for table in tables[_TABLES_KEPT:]:
            os.unlink(table.path)


def _metadata_state() -> list[list[Any]]:
    """Return path and time of every distribution's metadata folder."""
    state: list[list[Any]] = []
    for folder in sys.path:
        try:
            entries = os.scandir(folder or ".")
        except OSError:
            continue
        with entries, contextlib.suppress(OSError):
            for entry in entries:
                if entry.name.endswith(_METADATA):
                    state.append([entry.path, _modified(entry.path)])  # it may be gone by now
    return sorted(state)


def _modified(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None


def _read(file: str, state: list[list[Any]]) -> list[Row] | None:
    try:
        with open(file, encoding="utf-8") as handle:
            table = json.load(handle)
        if table["format"] != _FORMAT or table["state"] != state:
            return None
        if any(_modified(path) != time for path, time in table["modules"].items()):
            return None
        return [Row.from_dict(row) for row in table["rows"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # missing, or written by another version
        return None
