"""The header of outputs whose columns are all written at the beginning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from synapse_core.errors import ValidationError
from synapse_flow.columns import columns_of, duplicates

__all__ = ["given_columns", "known_columns"]


def given_columns(fieldnames: Sequence[str] | None) -> list[str]:
    """Return the columns that somebody named; none where nobody did.

    Raises:
        ValidationError: They are no list of different names.
    """
    given = [] if fieldnames is None else list(fieldnames)
    if isinstance(fieldnames, str) or (fieldnames is not None and not given):
        raise ValidationError(f"fieldnames is {fieldnames!r}; it has to be a list of one column at least, or left out")
    if twice := duplicates(given):
        raise ValidationError(f"fieldnames= names {twice} more than once")
    return given


def known_columns(model: Any, columns: list[str] | None) -> list[str]:
    """Return the columns that records will have; none where that is not known beforehand.

    Args:
        model: What records are validated with, or None.
        columns: Names that every record of the input has, where they are known and no hook changes them.
    """
    if model is None:
        return list(columns or ())
    known = list(columns_of(model))
    if not known or model.model_config.get("extra") != "allow":
        return known
    if columns is None:  # records may have any further field
        return []
    taken = {name for pair in model.model_fields.items() for name in (pair[0], pair[1].validation_alias)}
    return known + [name for name in columns if name not in taken]
