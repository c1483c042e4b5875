"""Places of records that people type, in place of those that a flow names."""

from __future__ import annotations

import os
from typing import Any, TypeVar

from synapse_core.errors import ValidationError
from synapse_flow.adapter_types import SUFFIXES, file_suffix, type_by_place
from synapse_flow.flow_config import AdapterConfig, InputConfig, OutputConfig, adapter_problems
from synapse_flow.places import is_database
from synapse_flow.urls import shown_url

__all__ = ["adapter_at", "check_typed", "from_here", "usable"]

C = TypeVar("C", bound=AdapterConfig)

_STANDARD_OUTPUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def from_here(place: str) -> str:
    """Return a place that was typed, from the current folder on where it is a path."""
    return place if "://" in place or is_database(place) else os.path.abspath(os.path.expanduser(place))


def check_typed(place: str, described: str) -> None:
    """Refuse a place for records that would be taken for a file of another kind than it says.

    Args:
        place: As it was typed.
        described: Place of the output that it replaces.

    Raises:
        ValidationError: It is standard output, or has a suffix that neither a kind nor the place before has.
    """
    if place in _STANDARD_OUTPUT:
        raise ValidationError(
            f"{place!r} is no place for records: standard output has the report. Name a file, such as people.jsonl, "
            "or a pipe, such as >(gzip > people.jsonl.gz)"
        )
    suffix = file_suffix(place)
    if suffix and type_by_place(place) is None and suffix != file_suffix(described):
        raise ValidationError(
            f"{shown_url(place)} does not say what it is by its suffix {suffix}; known ones: {', '.join(SUFFIXES)}, "
            "also with .gz or .zst. What has another is to be described in config.yaml, with its type"
        )


def adapter_at(place: str, role: str) -> Any:
    """Return the adapter that a place alone makes.

    Args:
        place: As it was typed.
        role: ``"input"`` or ``"output"``.

    Raises:
        ValidationError: The place alone is not enough.
    """
    kind = InputConfig if role == "input" else OutputConfig
    cls, arguments = usable(kind.model_validate(place), place).settled()
    return cls(**arguments)


def usable(config: C, place: str) -> C:
    """Return a description that somebody typed the place of.

    Raises:
        ValidationError: The place alone is not enough.
    """
    problems = [rule for _, rule in adapter_problems(config)]
    if problems:
        raise ValidationError(
            f"{shown_url(place)} cannot be used just so: {'; '.join(problems)}. What needs more than a place is to be "
            "described in config.yaml, or in Python"
        )
    return config
