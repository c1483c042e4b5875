"""The files that a part of a run uses, known by more than their names."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synapse_flow.file_systems import file_system, is_local, local_path
from synapse_flow.urls import shown_url

__all__ = ["UsedFile", "used_database", "used_file"]

_SAME_STORE = ("host", "port", "endpoint_url", "account_name", "account_host", "repo", "org")


@dataclass(frozen=True)
class UsedFile:
    """A file that is read or written.

    Attributes:
        name: As it may be shown.
        at: Its path behind all links; elsewhere than on this machine its store and the path there.
        is_database: Whether several may use it at once.
        role: What it is, where it is not simply what the adapter is for.
    """

    name: str
    at: Path | tuple[Hashable, ...]
    is_database: bool = False
    role: str = ""


def used_file(url: str, options: Mapping[str, Any] | None = None, *, role: str = "") -> UsedFile:
    """Return the file that a path or URL means, however it is written and with which credentials.

    Args:
        url: Path, or a URL that fsspec knows; of a chain, the last one is where the bytes are.
        options: For the file system.
        role: As `UsedFile` has it.
    """
    inner = url.rpartition("::")[2]
    if is_local(inner):
        return UsedFile(shown_url(url), Path(os.path.realpath(os.path.expanduser(local_path(inner)))), role=role)
    options = options or {}
    if inner != url:  # each file system of a chain has options of its own
        options = options.get(inner.partition("://")[0]) or {}
    return UsedFile(shown_url(url), _in_store(inner, options), role=role)


def used_database(path: str | os.PathLike[str]) -> UsedFile:
    """Return the file of a database, which may be read and written at once."""
    return UsedFile(os.fspath(path), Path(os.path.realpath(path)), is_database=True)


def _in_store(url: str, options: Mapping[str, Any]) -> tuple[Hashable, ...]:
    try:
        fs, path = file_system(url, options)
        given = {**(fs.storage_options.get("client_kwargs") or {}), **fs.storage_options}
        return type(fs).__name__, tuple(str(given.get(name)) for name in _SAME_STORE), str(path)
    except Exception:  # it is said when it is opened
        return url.partition("://")[0], (), url
