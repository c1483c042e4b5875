"""Values that have to survive every way between an action and its caller, and what "the same value" means."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import BaseModel

__all__ = ["Crew", "Shade", "Span", "Station", "VALUES", "make_value", "same_value"]


class Shade(Enum):
    """An enumeration."""

    LIGHT = "light"
    DARK = "dark"


class Span(NamedTuple):
    """A named tuple."""

    first: int
    last: int


@dataclass
class Station:
    """A dataclass that holds another kind of value."""

    name: str
    opened: date
    platforms: list[Span] = field(default_factory=list)


class Crew(BaseModel):
    """A pydantic model with a nested one."""

    name: str
    shift: tuple[int, int] = (6, 14)
    deputy: Crew | None = None


def _array(dtype: str) -> Any:
    import numpy

    return numpy.arange(6, dtype=dtype).reshape(2, 3)


VALUES: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "boolean": lambda: True,
    "integer": lambda: -7,
    "integer beyond 64 bits": lambda: 2**70,
    "float": lambda: 0.1,
    "negative zero": lambda: -0.0,
    "not a number": lambda: math.nan,
    "infinity": lambda: -math.inf,
    "empty text": lambda: "",
    "text of several scripts": lambda: "größe 尺寸 \u0000 \U0001f680 \r\n",
    "long text": lambda: "0123456789" * 100_000,
    "list": lambda: [1, "two", 3.0, None, [False]],
    "dict": lambda: {"loss": 0.25, "layers": {"first": [64, 32]}},
    "dict with keys that are no text": lambda: {1: "one", (2, 3): "pair", None: "none"},
    "dict that looks like tagged data": lambda: {"$type": "tuple", "value": [1]},
    "bytes": lambda: bytes(range(256)),
    "bytearray": lambda: bytearray(b"\x00\xff"),
    "tuple": lambda: (1, ("nested", [2])),
    "set": lambda: {1, 2, 3},
    "frozenset": lambda: frozenset({"a", "b"}),
    "complex": lambda: complex(1, -2),
    "datetime": lambda: datetime(2026, 2, 28, 23, 59, 58, 999_999),
    "datetime with an offset": lambda: datetime(2026, 2, 28, 23, 59, tzinfo=timezone(timedelta(hours=9))),
    "date": lambda: date(2024, 2, 29),
    "time": lambda: time(1, 2, 3, 4),
    "timedelta": lambda: timedelta(days=-1, microseconds=1),
    "decimal": lambda: Decimal("10.50"),
    "uuid": lambda: UUID("12345678-1234-5678-1234-567812345678"),
    "path": lambda: Path("runs") / "best.pt",
    "enum": lambda: Shade.DARK,
    "named tuple": lambda: Span(1, 2),
    "dataclass": lambda: Station("Nord", date(1871, 5, 1), [Span(1, 12)]),
    "model": lambda: Crew(name="Ada", deputy=Crew(name="Grace", shift=(14, 22))),
    "models in a dict": lambda: {"crews": [Crew(name="Ada")], "best": (Crew(name="Grace"), 0.9)},
}
"""What each value is called, and how to make it anew."""

if importlib.util.find_spec("numpy"):
    VALUES |= {
        "numpy array of floats": lambda: _array("float32"),
        "numpy array of big-endian integers": lambda: _array(">i2"),
        "numpy scalar": lambda: _array("float64")[1, 2],
        "numpy arrays in a dict": lambda: {"weights": _array("float64"), "mask": _array("int64") > 2},
    }


def make_value(name: str) -> Any:
    """Return a new value of that name."""
    return VALUES[name]()


def same_value(left: Any, right: Any) -> bool:
    """Say whether two values are of one type and hold the same; unlike ``==``, NaN is NaN and 1 is not ``True``."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return repr(left) == repr(right)  # tells -0.0 from 0.0, and NaN is itself
    if isinstance(left, Mapping):
        return left.keys() == right.keys() and all(same_value(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same_value, left, right))
    if isinstance(left, (Station, Crew)):
        return same_value(vars(left), vars(right))
    if hasattr(left, "dtype"):
        return bool(left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes())
    return bool(left == right)
