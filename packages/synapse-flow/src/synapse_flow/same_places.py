"""Finds what a run would read and write at once: two of its parts that are one file."""

from __future__ import annotations

import os
import stat
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any

from synapse_core.errors import ValidationError
from synapse_flow.checkpoint import Checkpoint
from synapse_flow.places import file_of
from synapse_flow.used_files import UsedFile, used_file

__all__ = ["check_places"]

_INPUT, _CHECKPOINT = "input", "checkpoint"


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
        ValidationError: Two of them are one file.
        ExecutionError: An output cannot be where it is to be.
    """
    writing = [(part, each) for part, each in (("output", output), ("output of errors", errors)) if each is not None]
    for _, adapter in writing:
        adapter.check()
    uses = [(part, file) for part, adapter in writing for file in _files_of(adapter)]
    if checkpoint is not None:
        uses += [(_CHECKPOINT, used_file(os.fspath(each))) for each in checkpoint.files]
    if not uses:  # nothing is written
        return
    _check_later_runs(source, uses)
    known: dict[Hashable, tuple[str, UsedFile]] = {}
    for part, file in (*((_INPUT, file) for file in _files_of(source)), *uses):
        for mark in _marks(file):
            other_part, other = known.setdefault(mark, (part, file))
            if other_part != part and not (other.is_database and file.is_database):
                raise _same(other_part, other, part, file)


def _files_of(adapter: Any) -> Iterable[UsedFile]:
    found = list(adapter.used_files())
    if not found and (place := file_of(adapter)) is not None:  # somebody's own adapter, which names a path
        found = [used_file(place)]
    return found


def _check_later_runs(source: Any, uses: Iterable[tuple[str, UsedFile]]) -> None:
    for part, file in uses:
        if part != _CHECKPOINT and not file.role and (where := source.would_read(file)):
            raise ValidationError(
                f"the {part} {file.name} is one of the files that the input {where} means: a later run would read it. "
                f"Name another place for the {part}"
            )


def _same(part: str, file: UsedFile, other_part: str, other: UsedFile) -> ValidationError:
    one, another = _role(part, file), _role(other_part, other)
    if file.name == other.name:
        what = f"the {one} and the {another} are one file, {file.name}"
    else:
        what = f"the {one} {file.name} and the {another} {other.name} are one file"
    why = "the run would write over what it reads" if part == _INPUT else "one would write over the other"
    return ValidationError(f"{what}: {why}. Name another place for the {other_part}")


def _role(part: str, file: UsedFile) -> str:
    return file.role.format(part=part) or part


def _marks(file: UsedFile) -> Iterator[Hashable]:
    """Yield what two names of one file have in common; nothing for what may be written by several."""
    if not isinstance(file.at, Path):
        yield file.at
        return
    try:
        found = os.stat(file.at)
    except OSError:
        yield file.at
        return
    if stat.S_ISCHR(found.st_mode) or stat.S_ISSOCK(found.st_mode):
        return
    yield file.at
    yield found.st_dev, found.st_ino
