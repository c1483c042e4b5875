"""What has no exact form as data is refused, at any depth, and so is data that `encode` never wrote."""

import dataclasses
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel

from synapse_core.model.tagged import UnencodableError, decode, encode


@dataclasses.dataclass
class Point:
    x: int
    y: Any = None


class Pair(NamedTuple):
    left: int
    right: list[int]


class Model(BaseModel):
    item: Any = None


class Text(str):
    __slots__ = ()


class Listing(list[int]):
    pass


class Mapped(dict[str, int]):
    pass


class Number(int):
    pass


@dataclasses.dataclass
class DictWithFields(dict):  # type: ignore[type-arg]
    size: int = 0


class PairWithMore(Pair):
    pass


class Foreign(PurePosixPath):
    pass


class Moment(datetime):
    pass


class Raising:
    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise ZeroDivisionError


def pair_with_more() -> PairWithMore:
    value = PairWithMore(1, [2])
    value.more = 3  # type: ignore[attr-defined]
    return value


@pytest.mark.parametrize(
    "value",
    [
        Text("a"),
        Listing([1]),
        Mapped(a=1),
        Number(1),
        OrderedDict(a=1),
        defaultdict(list),
        Counter("a"),
        deque([1]),
        DictWithFields(size=1),
        pair_with_more(),
        Foreign("a"),
        Moment(2024, 1, 1),
        Point,
        Model,
        object(),
        len,
        ValueError("x"),
        range(3),
        iter([1]),
        Raising(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_would_lose_its_type_is_refused_at_any_depth(value: Any) -> None:
    for nested in (value, [value], {"a": (value,)}, Point(1, value), Model(item=value)):
        with pytest.raises(UnencodableError):
            encode(nested)


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.extend([loop, loop])
    with pytest.raises(UnencodableError, match="contains itself"):
        encode(loop)


def test_a_field_whose_property_raises_is_refused() -> None:
    @dataclasses.dataclass
    class Broken:
        x: int = 1

        def __getattribute__(self, name: str) -> Any:
            if name == "x":
                raise ZeroDivisionError
            return super().__getattribute__(name)

    with pytest.raises(UnencodableError, match="ZeroDivisionError"):
        encode([Broken()])


@pytest.mark.parametrize(
    "data",
    [
        {"$type": "no-such-kind"},
        {"$type": ["tuple"]},
        {"$type": "tuple"},
        {"$type": "bytes", "value": 5},
        {"$type": "dataclass", "value": [], "type": "a:b"},
        {"$type": "timedelta", "value": [10**12, 0, 0]},
        {"$type": "ndarray", "value": "AA==", "dtype": "nonsense", "shape": [1]},
    ],
    ids=str,
)
def test_what_encode_never_wrote_is_a_value_error(data: Any) -> None:
    with pytest.raises(ValueError):
        decode(data)
