"""Values come back equal and of the same type, or are refused; never anything in between."""

import dataclasses
import enum
import json
import math
import pickle
import sys
from collections import namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import cached_property
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, RootModel

from synapse_core.model.tagged import PlainData, decode, encode


def round_trip(value: Any) -> Any:
    return decode(json.loads(json.dumps(encode(value), allow_nan=False, ensure_ascii=False).encode()))


def same(left: Any, right: Any) -> bool:
    """Compare with types, NaN equal to itself."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return repr(left) == repr(right)
    if isinstance(left, Point):
        return same(vars(left), vars(right))
    if isinstance(left, dict):
        return len(left) == len(right) and all(
            same(a, b) and same(left[a], right[b]) for a, b in zip(left, right, strict=True)
        )
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


class Colour(enum.Enum):
    RED = "red"
    PAIR = (1, 2)


class Weight(enum.IntEnum):
    HEAVY = 3


class Word(enum.StrEnum):
    YES = "yes"


class Flags(enum.Flag):
    A = 1
    B = 2


@dataclasses.dataclass
class Point:
    x: int
    y: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    inner: Point


@dataclasses.dataclass
class WithInit:
    size: dataclasses.InitVar[int]
    area: int = dataclasses.field(init=False, default=0)

    def __post_init__(self, size: int) -> None:
        self.area = size * size
        self.note = "set beside the fields"

    @cached_property
    def side(self) -> float:
        return self.area**0.5


class Pair(NamedTuple):
    left: int
    right: list[int]


Old = namedtuple("Old", "a b")


class Inner(BaseModel):
    at: datetime


class Model(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True)

    count: int = Field(1, alias="theCount")
    inner: Inner | None = None
    path: Path = Path("a")
    maybe: float = math.nan
    _secret: int = PrivateAttr(default=7)

    @cached_property
    def double(self) -> int:
        return self.count * 2


class Names(RootModel[list[str]]):
    pass


T = TypeVar("T")


class Box(BaseModel, Generic[T]):
    item: T


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.just("$type"), inner, max_size=4)
    ),
    max_leaves=12,
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.complex_numbers(allow_nan=False)
    | st.datetimes(timezones=st.none() | st.timezones() | st.just(UTC), allow_imaginary=False)
    | st.times(timezones=st.none() | st.timezones() | st.just(UTC))
    | st.dates()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.sampled_from([*Colour, *Weight, *Word, Flags.A | Flags.B])
    | st.builds(PurePosixPath, st.text("ab/.", max_size=6))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(SCALARS.filter(lambda key: key == key), inner, max_size=3)
        | st.frozensets(st.integers() | st.text(), max_size=3)
        | st.sets(st.dates(), max_size=3)
        | st.builds(Point, inner, inner)
        | st.builds(Pair, inner, inner)
    ),
    max_leaves=10,
)


@given(JSON)
def test_json_values_come_back_equal_and_dicts_may_hold_the_tag_key(value: Any) -> None:
    assert same(round_trip(value), value)


@given(VALUES)
def test_every_nesting_of_known_kinds_comes_back_equal_and_of_the_same_type(value: Any) -> None:
    assert same(round_trip(value), value)


@given(st.text(st.characters(codec=None, categories=["Cs", "L"])))
def test_text_that_utf8_cannot_write_comes_back(value: str) -> None:
    assert round_trip(value) == value
    assert round_trip({value: [value]}) == {value: [value]}


@pytest.mark.parametrize(
    "value",
    [
        math.inf,
        -math.inf,
        -(2**63),
        2**64,
        -(2**64),
        Decimal("sNaN"),
        Decimal("-0E+7"),
        datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
        datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=30, seconds=7))),
        time(2, 30, tzinfo=ZoneInfo("Asia/Seoul"), fold=1),
        date.min,
        timedelta.min,
        UUID(int=5),
        Path("/tmp/ü"),
        PureWindowsPath("C:/x"),
        PurePath("a/b"),
        Path("bad\udcff"),
        {1: "a", (1, 2): {frozenset({1}): b"x"}},
        {"$type": "tuple", "value": [1]},
        {"$type": {"$type": None}},
        [],
        {},
        (),
        set(),
        Point(1, Point(2)),
        Frozen("ü", Point(1, (1, {2}))),
        Pair(1, [2]),
        Old(1, Old(2, 3)),
        Colour.PAIR,
        Weight.HEAVY,
        Word.YES,
        Flags.A | Flags.B,
        {Colour.RED: Weight.HEAVY},
        Names(["a"]),
        Box[int](item=1),
        Box[list[Inner | None]](item=[Inner(at=datetime(2024, 1, 1, tzinfo=UTC)), None]),
        Box[Box[str]](item=Box[str](item="x")),
        PlainData({"a": (1,), "$type": 2}, type_name="gone:Thing"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_comes_back_exactly(value: Any) -> None:
    back = round_trip(value)
    assert type(back) is type(value)
    assert repr(back) == repr(value)


def test_an_integer_that_python_refuses_to_print_comes_back() -> None:
    assert round_trip(-(10**5000)) == -(10**5000)


def test_a_zone_is_still_a_zone_and_not_only_an_offset() -> None:
    before = datetime(2024, 3, 30, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    after = round_trip(before)
    assert after.tzinfo is before.tzinfo
    assert (after + timedelta(days=1)).utcoffset() == timedelta(hours=2)


def test_a_zone_that_is_not_known_here_leaves_its_offset() -> None:
    data = encode(datetime(2024, 6, 1, tzinfo=ZoneInfo("Europe/Berlin")))
    data["zone"] = "Mars/Olympus"
    assert decode(data).utcoffset() == timedelta(hours=2)


def test_a_dataclass_keeps_what_was_set_beside_its_fields_and_is_not_initialised_again() -> None:
    value = WithInit(3)
    assert value.side == 3
    back = round_trip(value)
    assert (back.area, back.note, back.side) == (9, "set beside the fields", 3)


def test_a_model_keeps_extras_private_attributes_aliases_and_which_fields_were_set() -> None:
    value = Model.model_validate({"theCount": 5, "inner": {"at": "2024-01-01T00:00:00Z"}, "more": (1, {2})})
    value._secret = 9
    assert value.double == 10
    back = round_trip(value)
    assert type(back) is Model
    assert back.model_fields_set == {"count", "inner", "more"}
    assert (back.count, back.inner, back.more, back._secret, back.double) == (5, value.inner, (1, {2}), 9, 10)
    assert math.isnan(back.maybe)


def test_a_model_made_without_validation_keeps_its_gaps() -> None:
    back = round_trip(Inner.model_construct())
    assert type(back) is Inner
    assert not hasattr(back, "at")


def test_a_generic_model_is_rebuilt_where_nobody_wrote_that_parametrisation() -> None:
    data = encode(Box[Pair](item=Pair(1, [])))
    module = sys.modules[__name__]
    vars(module).pop("Box[Pair]", None)  # as in a process that only imports the module
    back = decode(data)
    assert type(back) is Box[Pair]
    assert back.item == Pair(1, [])


def test_a_generic_model_over_a_literal_is_found_by_its_own_name_or_is_plain_data() -> None:
    back = round_trip(Box[Literal["a"]](item="a"))
    assert back == Box[Literal["a"]](item="a") or back == PlainData({"item": "a"})


def renamed(data: Any) -> Any:
    """Return tagged data as another machine would see it that has none of our classes."""
    return json.loads(json.dumps(data).replace(__name__, "not_installed_here"))


@pytest.mark.parametrize(
    ("value", "plain", "name"),
    [
        (Point(1, 2), {"x": 1, "y": 2}, "Point"),
        (Pair(1, [2]), {"left": 1, "right": [2]}, "Pair"),
        (Inner(at=datetime(2024, 1, 1)), {"at": datetime(2024, 1, 1)}, "Inner"),
        (Model.model_validate({"more": 1}), None, "Model"),
    ],
)
def test_an_object_of_an_unknown_class_becomes_plain_data_with_its_type_name(value: Any, plain: Any, name: str) -> None:
    back = decode(renamed(encode(value)))
    assert type(back) is PlainData
    assert back.type_name == f"not_installed_here:{name}"
    assert back == plain if plain is not None else back["more"] == 1


def test_an_enum_of_an_unknown_class_becomes_its_bare_value() -> None:
    assert decode(renamed(encode([Colour.RED, Weight.HEAVY]))) == ["red", 3]


def test_unknown_hashable_objects_in_sets_and_as_keys_do_not_lose_the_result() -> None:
    value = Frozen("a", Point(1))
    object.__setattr__(value, "inner", 1)
    back = decode(renamed(encode([{value}, {value: "x"}])))
    assert [part.type_name for part in back] == ["builtins:set", "builtins:dict"]
    assert back[0]["items"][0]["name"] == "a"
    assert back[1]["items"][0][1] == "x"


def test_a_class_that_has_other_fields_here_becomes_plain_data() -> None:
    for value in (Point(1), Inner(at=datetime(2024, 1, 1)), Pair(1, [])):
        data = json.loads(json.dumps(encode(value)).replace('"x"', '"z"').replace('"at"', '"z"').replace("left", "z"))
        assert type(decode(data)) is PlainData


def test_plain_data_survives_pickling() -> None:
    back = pickle.loads(pickle.dumps(PlainData({"a": 1}, type_name="m:T")))
    assert (back, back.type_name) == ({"a": 1}, "m:T")
