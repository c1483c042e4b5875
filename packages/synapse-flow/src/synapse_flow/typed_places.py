"""Places of records that people type, in place of those that a flow names."""

from __future__ import annotations

import os
from typing import Any, TypeVar

from synapse_core.errors import ValidationError, nearest
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
        raise _unknown_suffix(place)


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
    try:
        return cls(**arguments)
    except ValidationError as error:
        raise _not_just_so(place, str(error)) from None


def usable(config: C, place: str) -> C:
    """Return a description that somebody typed the place of.

    Raises:
        ValidationError: The place alone is not enough.
    """
    if config.type is None and type_by_place(config.place) is None:
        raise _unknown_suffix(place)
    problems = [rule for _, rule in adapter_problems(config)]
    if problems:
        raise _not_just_so(place, "; ".join(problems))
    return config


def _not_just_so(place: str, why: str) -> ValidationError:
    return ValidationError(
        f"{shown_url(place)} cannot be used just so: {why}. What needs more than a place is to be described in "
        "config.yaml, or in Python"
    )


def _unknown_suffix(place: str) -> ValidationError:
    suffix = file_suffix(place)
    return ValidationError(
        f"{shown_url(place) or 'an empty text'} does not say what it is by its suffix"
        f"{f' {suffix}' if suffix else ', since it has none'}; known ones: {', '.join(SUFFIXES)}, also with .gz or "
        f".zst.{nearest(suffix, SUFFIXES)} What has another is to be described in config.yaml, with its type"
    )
