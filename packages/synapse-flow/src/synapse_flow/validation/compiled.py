"""Whether a model is validated and written by compiled code alone, so that it cannot matter in which process."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter

from synapse_flow.validation.dict_schema import SCALARS, has_own_methods

__all__ = ["is_compiled"]

_KINDS = SCALARS | {
    "list", "set", "frozenset", "tuple", "dict", "nullable", "default", "union", "tagged-union", "chain",
    "lax-or-strict", "json-or-python", "model", "model-fields", "model-field", "typed-dict", "typed-dict-field",
    "definitions", "definition-ref",
}  # fmt: skip
_NOT_CALLED = ("cls", "metadata", "config")
_METHODS = ("custom_init", "post_init", "computed_fields")


def is_compiled(model: Any) -> bool:
    """Return whether `model` is known to call no Python code but pydantic's own; None validates nothing.

    Schemas are looked at for what is known to be compiled, and not for what is known to be a function.
    """
    if model is None:
        return True
    try:
        return _calls_nothing(TypeAdapter(model).core_schema)
    except Exception:  # whoever validates with it says better what is wrong
        return False


def _calls_nothing(part: Any) -> bool:
    if isinstance(part, (list, tuple)):
        return all(map(_calls_nothing, part))
    if not isinstance(part, Mapping):
        return not callable(part)
    kind = part.get("type")
    if not isinstance(kind, str):  # fields or choices, by their names
        return all(map(_calls_nothing, part.values()))
    if kind not in _KINDS or any(part.get(key) for key in _METHODS):
        return False
    if _has_own_code(part.get("cls")):
        return False
    return all(_calls_nothing(value) for key, value in part.items() if key not in _NOT_CALLED)


def _has_own_code(cls: Any) -> bool:
    if not isinstance(cls, type):
        return False
    if issubclass(cls, Enum):
        return cast("Any", cls._missing_).__func__ is not cast("Any", Enum._missing_).__func__
    return issubclass(cls, BaseModel) and has_own_methods(cls)
