"""What is sent to other processes in the place of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cloudpickle
import pydantic_core

from synapse_flow.validation.dict_schema import dict_schema
from synapse_flow.validation.sent_model import SentModel

__all__ = ["to_be_sent"]

_VALUES = ("cls", "default", "expected", "members")


def to_be_sent(model: Any) -> Any:
    """Return what validates and writes as `model` does, which has to be one that `is_compiled`.

    Raises:
        Exception: The model cannot be pickled.
    """
    if (schema := dict_schema(model)) is None:
        return model
    return SentModel(_bare(schema), pydantic_core.__version__, cloudpickle.dumps(model))


def _bare(part: Any) -> Any:
    """Return a schema without what pydantic notes in it for itself, which are functions of its own."""
    if isinstance(part, (list, tuple)):
        return type(part)(map(_bare, part))
    if not isinstance(part, Mapping):
        return part
    is_schema = isinstance(part.get("type"), str)  # else they are fields, by their names
    return {
        key: value if is_schema and key in _VALUES else _bare(value)
        for key, value in part.items()
        if not (is_schema and key == "metadata")
    }
