"""Finds what a run would read and write at once: two of its parts that are one file."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Hashable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fsspec.utils import glob_translate

from synapse_core.errors import ValidationError
from synapse_flow.checkpoint import Checkpoint
from synapse_flow.databases import Database
from synapse_flow.duckdb_files import DuckDB
from synapse_flow.files import Publication, SourceFile, _file_system
from synapse_flow.inputs.arrow_files import _SUFFIXES, find_files
from synapse_flow.inputs.retry import RetryInputAdapter
from synapse_flow.places import file_of
from synapse_flow.urls import shown_url

__all__ = ["check_places"]

_LOCAL = ("file://", "local://")
_SAME_STORE = ("host", "port", "endpoint_url", "account_name", "account_host", "repo", "org")
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class _Use:
    """A file that a part of a run reads or writes.

    Attributes:
        part: ``"input"``, ``"output"``, ``"output of errors"`` or ``"checkpoint"``.
        name: The file, for messages.
        at: Its path, or what it is known by elsewhere.
        is_database: Whether several may use it at once.
        what: What of the part is there, where that is not all.
    """

    part: str
    name: str
    at: Path | Hashable
    is_database: bool = False
    what: str = ""

    def __str__(self) -> str:
        return f"the {self.what or self.part}"


def check_places(source: Any, output: Any, errors: Any, checkpoint: Checkpoint | None) -> None:
    """Refuse a run that would destroy what it reads, or write one file twice.

    Files are the same where all links lead to one path, or where they are links to one file; so are URLs of one store
    and one path there. A database may be read and written at once, and a device may be written to by all.

    Args:
        source: The input.
        output: The output, or None.
        errors: The output of errors, or None.
        checkpoint: Or None.

    Raises:
        ValidationError: Two of them are one file, or the run could not go on where a checkpoint says.
        ExecutionError: An output cannot be where it is to be.
    """
    writing = [("output", output), ("output of errors", errors)]
    for part, adapter in writing:
        file = getattr(adapter, "_file", None)
        if not isinstance(file, Publication):
            continue
        file.check()
        if checkpoint is not None and not file.resumable:
            raise ValidationError(
                f"the {part} {file.name} is no regular file, so a run that was killed cannot go on there; leave "
                "checkpoint= out, or name a file"
            )
    uses = [use for part, adapter in writing for use in _uses_of(adapter, part)]
    if checkpoint is not None:
        uses += [
            _Use("checkpoint", str(each), Path(os.path.realpath(each)))
            for each in (checkpoint.path, checkpoint.path.with_name(checkpoint.path.name + ".next"))
        ]
    if not uses:  # nothing is written
        return
    _check_several(source, uses)
    known: dict[Hashable, _Use] = {}
    for use in (*_uses_of(source, "input"), *uses):
        for mark in _marks(use):
            other = known.setdefault(mark, use)
            if other.part != use.part and not (other.is_database and use.is_database):
                raise _same(other, use)


def _same(first: _Use, second: _Use) -> ValidationError:
    if first.name == second.name:
        what = f"{first} and {second} are one file, {first.name}"
    else:
        what = f"{first} {first.name} and {second} {second.name} are one file"
    why = "the run would write over what it reads" if first.part == "input" else "one would write over the other"
    return ValidationError(f"{what}: {why}. Name another place for the {second.part}")


def _uses_of(adapter: Any, part: str) -> Iterator[_Use]:
    """Yield the files of an adapter, as far as it tells them."""
    file, database = getattr(adapter, "_file", None), getattr(adapter, "_database", None)
    if isinstance(file, Publication):
        yield _Use(part, file.name, file.path if file.path is not None else _store_key(file.url, file.options))
        if file.is_local and not file.is_through:
            yield _Use(part, str(file.partial), file.partial, what=f"unfinished {part}")
    elif isinstance(file, SourceFile):
        what = "file of errors that is run again" if isinstance(adapter, RetryInputAdapter) else ""
        yield _Use(part, file.name, _place(file.url, file.options), what=what)
    elif isinstance(database, (Database, DuckDB)):
        path = database._sqlite_file() if isinstance(database, Database) else Path(database._path)
        if path is not None and (isinstance(database, Database) or database.is_file):
            yield _Use(part, str(path), Path(os.path.realpath(path)), is_database=True)
    elif hasattr(adapter, "_object") and getattr(adapter, "_names", None):
        for name in adapter._names:
            yield from _uses_of_several(name, adapter._format, adapter._options, part)
    elif adapter is not None:
        found = file_of(adapter)
        if found is not None:
            yield _Use(part, shown_url(found), _place(found, {}))


def _uses_of_several(name: str, format: str, options: Any, part: str) -> Iterator[_Use]:
    if not _is_local(name):
        yield _Use(part, shown_url(name), _store_key(name, options))
        return
    with suppress(Exception):  # it is said when it is opened
        for found in find_files([name], format, options):
            yield _Use(part, found.name, Path(os.path.realpath(found.path)))


def _check_several(source: Any, uses: Iterable[_Use]) -> None:
    """Refuse an output in a folder, or of a pattern, that is read: the next run would read it too."""
    if not (hasattr(source, "_object") and getattr(source, "_names", None)):
        return
    for name in source._names:
        where = _place(name, source._options)
        for use in uses:
            if use.part != "checkpoint" and not use.what and _holds(where, use.at, source._format):
                raise ValidationError(
                    f"{use} {use.name} is one of the files that the input {shown_url(name)} means: a later run would "
                    f"read it. Name another place for the {use.part}"
                )


def _holds(where: Any, at: Any, format: str) -> bool:
    """Say whether a folder or a pattern means a file, be it there or not."""
    if isinstance(where, Path) is not isinstance(at, Path):
        return False
    folder, path = (str(where), str(at)) if isinstance(where, Path) else (where[-1], at[-1])
    if not isinstance(where, Path) and where[:-1] != at[:-1]:
        return False
    if _GLOB.search(folder):
        return re.match(glob_translate(folder), path) is not None
    inner = path.removeprefix(folder.rstrip("/") + "/")
    hidden = any(part.startswith((".", "_")) for part in inner.split("/"))
    return inner != path and not hidden and path.lower().endswith(_SUFFIXES[format])


def _marks(use: _Use) -> Iterator[Hashable]:
    """Yield what two names of one file have in common; nothing for what may be written by several."""
    if not isinstance(use.at, Path):
        yield use.at
        return
    try:
        found = os.stat(use.at)
    except OSError:
        yield use.at
        return
    if stat.S_ISCHR(found.st_mode) or stat.S_ISSOCK(found.st_mode):
        return
    yield use.at
    yield found.st_dev, found.st_ino


def _is_local(url: str) -> bool:
    url = url.rpartition("::")[2]  # of a chain, where the bytes are
    return "://" not in url or url.startswith(_LOCAL)


def _place(url: str, options: Any) -> Path | Hashable:
    """Return the path of an input, as it is read, or what it is known by elsewhere."""
    if not _is_local(url):
        return _store_key(url, options)
    url = url.rpartition("::")[2]
    path = url.partition("://")[2] if url.startswith(_LOCAL) else url
    return Path(os.path.realpath(os.path.expanduser(path)))


def _store_key(url: str, options: Any) -> tuple[Hashable, ...]:
    """Return the store of a URL and the path there, however it is written and with which credentials."""
    inner = url.rpartition("::")[2]
    if inner != url:  # each file system of a chain has options of its own
        options = options.get(inner.partition("://")[0]) or {}
    try:
        fs, path = _file_system(inner, options)
        given = {**(fs.storage_options.get("client_kwargs") or {}), **fs.storage_options}
        store = tuple(str(given.get(name)) for name in _SAME_STORE)
        return type(fs).__name__, store, str(path)
    except Exception:  # it is said when it is opened
        return inner.partition("://")[0], (), inner
