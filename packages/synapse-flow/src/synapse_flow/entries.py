"""Entries: what hooks, envelopes and error outputs see of a record."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypedDict

__all__ = ["EntryStatus", "EntryTypedDict", "RecordError"]


class EntryStatus(StrEnum):
    """How far an entry has come."""

    PENDING = "pending"
    VALIDATED = "validated"
    FAILED = "failed"


class RecordError(TypedDict, total=False):
    """One reason why a record failed.

    Attributes:
        type: pydantic's name of the rule, ``HookError``, or the reader's word.
        message: What is wrong, where a hook or the reader says so.
        loc: The field, where a rule of the model is broken.
        msg: What is wrong, where a rule of the model is broken.
    """

    type: str
    message: str
    loc: list[str | int]
    msg: str


class EntryTypedDict(TypedDict, total=False):
    """A record on its way.

    Attributes:
        id: From the input's `id_generator`; a random UUID without one.
        position: Number of the record in the input, from 0.
        line: Line of the file where it begins, from 1; only in what failed, where the input has lines.
        status: Failed entries skip validation and all later hooks.
        raw_data: As it was read; hooks before the validation may change it.
        validated_data: What the model made of it; hooks after the validation may change it.
        errors: Why it failed.
        metadata: For hooks; goes to outputs that write envelopes.
        made_by: Hook that made the entry; it has the position of the record before it.
    """

    id: Any
    position: int | None
    line: int | None
    status: EntryStatus
    raw_data: dict[str, Any]
    validated_data: dict[str, Any] | None
    errors: list[RecordError]
    metadata: dict[str, Any]
    made_by: str
