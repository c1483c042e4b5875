"""Which files of a folder travel, and what `os.stat` says about each."""

from __future__ import annotations

import ntpath
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from synapse_core.config_file import CONFIG_NAMES
from synapse_ray.packaging.errors import PackagingError
from synapse_ray.packaging.ignoring import IGNORE_FILES, Patterns, is_never_packaged, read_patterns

__all__ = ["FoundFile", "cannot_be_read", "found_file", "reason", "walk"]

_MOST_FILES = 1_000_000
_LEAVE_OUT = "or leave it out by a line in .synapseignore"


class FoundFile(NamedTuple):
    """A file that travels; two that are equal were not written to in between, as far as `os.stat` can tell."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    device: int
    inode: int
    mode: int


def reason(error: OSError) -> str:
    """Return why the system refused, in words."""
    return error.strerror or str(error)


def walk(folder: Path, extra_excludes: Sequence[str] = ()) -> list[FoundFile]:
    """Return the files of `folder` that travel, sorted by path.

    Links are followed, also those that lead out of the folder; a folder inside itself is left out.

    Raises:
        PackagingError: There is no such folder, or something in it cannot be looked at or unpacked elsewhere.
    """
    try:
        status = os.stat(folder)
    except OSError as error:
        raise PackagingError(
            f"nothing to package at {folder}: {reason(error)}; name the plugin's folder as working_dir"
        ) from error
    if not stat.S_ISDIR(status.st_mode):
        raise PackagingError(f"{folder} is a file, and only folders are packaged; name the folder that it lies in")
    found: list[FoundFile] = []
    for file in _entries(folder, "", [], Patterns(extra_excludes), {(status.st_dev, status.st_ino)}):
        found.append(file)
        if len(found) > _MOST_FILES:
            raise PackagingError(
                f"{folder} holds more than {_MOST_FILES:,} files, the last one seen {file.path}; leave out what the "
                f"workers do not need by a line per file or folder in {folder / IGNORE_FILES[-1]}"
            )
    found.sort()
    return found


def _entries(
    root: Path, below: str, levels: list[tuple[str, Patterns]], excludes: Patterns, above: set[tuple[int, int]]
) -> Iterator[FoundFile]:
    """Yield the files below a folder.

    Args:
        root: The folder that is packaged.
        below: Path of this folder in it, empty or ending with a slash.
        levels: The patterns of the folders above, with where each lies, outermost first.
        excludes: The caller's own patterns.
        above: Device and inode of this folder and those above: a link back to one of them is a cycle.
    """
    try:
        with os.scandir(root / below) as listed:
            entries = sorted(listed, key=lambda entry: entry.name)
    except OSError as error:
        raise PackagingError(f"{root / below} cannot be listed: {reason(error)}; allow it, {_LEAVE_OUT}") from error
    names = {entry.name for entry in entries}
    if below and ("pyvenv.cfg" in names or "conda-meta" in names):
        return  # a virtual environment: it is of no use on another machine
    levels = [*levels, *_patterns_of(root, below, names)]
    for entry in entries:
        path = below + entry.name
        if is_never_packaged(entry.name):
            continue
        always = not below and entry.name in CONFIG_NAMES
        try:
            status = entry.stat()
        except OSError as error:
            if _is_left_out(path, False, levels, excludes):
                continue
            raise cannot_be_read(root, path, error) from error
        is_folder = stat.S_ISDIR(status.st_mode)
        if not always and _is_left_out(path, is_folder, levels, excludes):
            continue
        if is_folder:
            identity = (status.st_dev, status.st_ino)
            if identity not in above:
                yield from _entries(root, path + "/", levels, excludes, above | {identity})
        elif stat.S_ISREG(status.st_mode):  # a socket or a FIFO cannot travel
            _refuse_unportable(root, path)
            yield found_file(path, status)


def found_file(path: str, status: os.stat_result) -> FoundFile:
    """Return what is known of a file."""
    return FoundFile(
        path,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_dev,
        status.st_ino,
        status.st_mode,
    )


def _patterns_of(root: Path, below: str, names: set[str]) -> list[tuple[str, Patterns]]:
    texts: list[str] = []
    for name in IGNORE_FILES:
        if name in names:
            try:
                texts.append((root / below / name).read_text(encoding="utf-8", errors="surrogateescape"))
            except OSError as error:
                raise cannot_be_read(root, below + name, error) from error
    return [(below, read_patterns(*texts))] if texts else []


def _is_left_out(path: str, is_folder: bool, levels: list[tuple[str, Patterns]], excludes: Patterns) -> bool:
    if excludes.keeps(path, is_folder) is False:
        return True
    for below, patterns in reversed(levels):  # the closest folder that says anything decides
        keeps = patterns.keeps(path[len(below) :], is_folder)
        if keeps is not None:
            return not keeps
    return False


def cannot_be_read(root: Path, path: str, error: OSError) -> PackagingError:
    """Return the error for an entry that cannot be looked at or read."""
    file = root / path
    if file.is_symlink():
        return PackagingError(
            f"{file} is a link to {os.readlink(file)}, which cannot be followed: {reason(error)}; mend the link, "
            f"{_LEAVE_OUT}"
        )
    return PackagingError(f"{file} cannot be read: {reason(error)}; make it readable, {_LEAVE_OUT}")


def _refuse_unportable(root: Path, path: str) -> None:
    """Refuse a name that Ray leaves out on unpacking, with no more than a line in a log, or that a zip cannot hold."""
    try:
        path.encode()
    except UnicodeEncodeError:
        problem = "is not valid UTF-8"
    else:
        if "\\" not in path and not ntpath.splitdrive(path)[0]:
            return
        problem = "has a backslash or begins like a drive, which Ray does not unpack"
    raise PackagingError(f"the name of {str(root / path)!a} {problem}; rename it, {_LEAVE_OUT}")
