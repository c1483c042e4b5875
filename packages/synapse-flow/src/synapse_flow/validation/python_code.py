"""Whether validating with a model calls Python code, which may wait for something."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

__all__ = ["calls_python"]

_CALLS = ("custom_init", "post_init", "default_factory")


def calls_python(model: Any) -> bool:
    """Return whether validation or serialization with `model` calls more than pydantic's own compiled code.

    Also where that cannot be told; None validates nothing.
    """
    if model is None:
        return False
    try:
        return _has_calls(TypeAdapter(model).core_schema)
    except Exception:  # whoever validates with it says better what is wrong
        return True


def _has_calls(part: Any) -> bool:
    if isinstance(part, Mapping):
        kind = part.get("type")
        if isinstance(kind, str) and kind.startswith("function-"):
            return True
        return any(part.get(key) for key in _CALLS) or any(map(_has_calls, part.values()))
    return isinstance(part, (list, tuple)) and any(map(_has_calls, part))
