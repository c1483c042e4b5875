"""Any value as JSON types, for people and reports; nothing is rebuilt from it."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from synapse_core.safe_text import shorten

__all__ = ["to_json_types"]

_DEEPEST = 100


def to_json_types(value: Any, problems: list[str], path: str = "") -> Any:
    """Return `value` as JSON types, noting in `problems` whatever had to become text.

    Numpy and torch numbers, arrays, models, dataclasses, paths, sets and dates have an obvious
    JSON form and are no problem. Numbers that JSON does not have, NaN and the infinities, become text.
    """
    return _converted(value, problems, path, ())


def _converted(value: Any, problems: list[str], path: str, above: tuple[int, ...]) -> Any:
    kind = type(value)
    if value is None or kind is str or kind is bool or kind is int:
        return value
    if kind is float and math.isfinite(value):
        return value
    where = path.lstrip(".")[:80] or "value"
    if id(value) in above:
        problems.append(f"{where} contains itself")
        return "…"
    if len(above) >= _DEEPEST:
        problems.append(f"{where} is nested deeper than {_DEEPEST} levels")
        return "…"
    above = (*above, id(value))
    try:
        if isinstance(value, Enum):
            return _converted(value.value, problems, path, above)
        if isinstance(value, float):
            if math.isfinite(value):
                return float(value)
            problems.append(f"{where} is {float(value)}")
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return int(value)
        if isinstance(value, Mapping):
            return {_key(key): _converted(item, problems, f"{path}.{_key(key)}", above) for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [_converted(item, problems, f"{path}[{i}]", above) for i, item in enumerate(value)]
        if isinstance(value, (os.PathLike, Decimal, UUID)):
            return str(value)
        if not isinstance(value, type):
            for method in ("tolist", "item", "isoformat"):
                if callable(convert := getattr(value, method, None)):
                    return _converted(convert(), problems, path, above)
            if callable(dump := getattr(value, "model_dump", None)):
                return _converted(dump(mode="json"), problems, path, above)
            if dataclasses.is_dataclass(value):
                fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
                return _converted(fields, problems, path, above)
    except Exception as error:  # conversions run the user's code
        problems.append(f"{where}: {type(error).__name__}")
        return shorten(value)
    problems.append(f"{where} is a {kind.__qualname__}")
    return shorten(value)


def _key(key: Any) -> str:
    return key if type(key) is str else str(key.value) if isinstance(key, Enum) else str(key)
