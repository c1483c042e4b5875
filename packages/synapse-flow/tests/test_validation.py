from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import cloudpickle
import pytest
from hypothesis import given, settings, strategies as st
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    PlainSerializer,
    RootModel,
    SecretStr,
    ValidationError,
    computed_field,
    create_model,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)  # fmt: skip
from pydantic_core import PydanticOmit, PydanticUseDefault
from typing_extensions import TypedDict

from synapse_flow.row_table import RowTable
from synapse_flow.validation.by_position import positional_validator
from synapse_flow.validation.compiled import is_compiled
from synapse_flow.validation.dict_schema import dict_schema
from synapse_flow.validation.dicts import DictValidator
from synapse_flow.validation.instances import InstanceValidator
from synapse_flow.validation.sending import to_be_sent
from synapse_flow.validation.sent_model import SentModel
from synapse_flow.validation.unvalidated import NoValidator
from synapse_flow.validation.validators import RowValidator, validator_of


class Color(Enum):
    RED = "red"
    BLUE = "blue"


def _short(value: str) -> str:
    if len(value) > 3:
        raise ValueError("too long")
    return value


TYPES: list[Any] = [
    int, float, str, bool, Decimal, date, datetime, time, timedelta, UUID, Color, Literal["a", "1", 2], bytes, Any,
    int | None, int | str, list[int], dict[str, float], set[int], tuple[int, str], HttpUrl, SecretStr,
    Annotated[int, Field(ge=0, le=10)], Annotated[str, Field(pattern="^[a-z]+$")], Annotated[str, AfterValidator(_short)],
    Annotated[int, BeforeValidator(lambda value: value or 0)], Annotated[int, PlainSerializer(lambda value: f"<{value}>")],
    Annotated[Decimal, Field(max_digits=5, decimal_places=2)],
]  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        ["", "a", "abcd", "1", "-1", "2.5", "1e400", "nan", "true", "red", "2024-02-29", "2024-01-01T10:00:00Z", "10:00",
         "P1D", "00000000-0000-0000-0000-000000000001", "https://example.org/a?b=c", "é", "\ud800", None, b"x", b"\xff",
         [1, "2"], ["x"], {"a": "1.5"}, (1, "x"), {1, 2}, date(2024, 1, 2), Decimal("1.10"), 10**30, Color.RED]
    ),
    st.integers(), st.floats(), st.text(max_size=5), st.booleans(), st.none(),
)  # fmt: skip
CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "extra": st.sampled_from(["ignore", "forbid", "allow"]),
        "str_strip_whitespace": st.booleans(),
        "strict": st.booleans(),
        "use_enum_values": st.booleans(),
        "validate_default": st.booleans(),
        "populate_by_name": st.booleans(),
        "serialize_by_alias": st.booleans(),
        "ser_json_timedelta": st.sampled_from(["iso8601", "float"]),
        "ser_json_bytes": st.sampled_from(["utf8", "base64", "hex"]),
        "ser_json_inf_nan": st.sampled_from(["null", "constants", "strings"]),
        "coerce_numbers_to_str": st.booleans(),
        "frozen": st.booleans(),
    },
)


@st.composite
def models(draw: Any) -> type[BaseModel]:
    fields = {}
    for name in ("a", "b", "c")[: draw(st.integers(1, 3))]:
        options: dict[str, Any] = {}
        if draw(st.booleans()):
            options["alias"] = draw(st.sampled_from([f"{name}-alias", f"{name}-alias", ""]))
        elif draw(st.booleans()):
            options["validation_alias"] = AliasChoices(name, f"{name}2")
        if draw(st.integers(0, 9)) == 0:
            options["exclude"] = True
        default = draw(st.sampled_from([..., None, 3]))
        fields[name] = (draw(st.sampled_from(TYPES)), Field(default, **options))
    return create_model("Made", __config__=ConfigDict(**draw(CONFIGS)), **fields)


ROWS = st.lists(
    st.dictionaries(st.sampled_from(["a", "b", "c", "a-alias", "b-alias", "c-alias", "a2", "extra"]), VALUES),
    max_size=6,
)


@st.composite
def tables(draw: Any) -> RowTable:
    names = draw(
        st.lists(st.sampled_from(["a", "b", "c", "a-alias", "b-alias", "a2", "extra", ""]), min_size=1, unique=True)
    )
    row = st.lists(VALUES, min_size=len(names), max_size=len(names))
    return RowTable(tuple(names), draw(st.lists(row, max_size=6)))


def the_plain_way(model: Any, rows: list[Any]) -> tuple[list[Any], list[Any], dict[int, Any]]:
    """Validate one record after another, and serialize it."""
    dicts, lines, problems = [], [], {}
    for index, row in enumerate(rows):
        try:
            instance = model.model_validate(row)
        except ValidationError as error:
            problems[index] = [
                (list(each["loc"]), each["msg"], each["type"]) for each in error.errors(include_url=False)
            ]
            continue
        dicts.append(instance.model_dump(by_alias=False, warnings=False))
        lines.append(instance.model_dump_json(warnings=False).encode())
    return dicts, lines, problems


def _elsewhere(model: Any) -> RowValidator:
    """Return the validator that another process has."""
    return validator_of(pickle.loads(cloudpickle.dumps(to_be_sent(model) if is_compiled(model) else model)))


@settings(max_examples=int(os.environ.get("SYNAPSE_EXAMPLES", "150")), deadline=None)
@given(models(), ROWS | tables(), st.sampled_from([validator_of, InstanceValidator, _elsewhere]))
def test_validating_many_to_dicts_is_validating_each_to_an_instance(model, rows, way):
    try:
        dicts, lines, problems = the_plain_way(model, rows)
    except (UnicodeEncodeError, ValueError):  # half a character or bytes, that have no JSON form
        return
    validator = way(model)
    values, found = validator.validate(rows)
    told = {index: [(each["loc"], each["msg"], each["type"]) for each in errors] for index, errors in found.items()}
    assert told == problems
    assert repr([validator.to_dict(value) for value in values]) == repr(dicts)  # nan is not equal to itself
    assert validator.to_json_lines(values).splitlines() == lines


def _validated(model: type[BaseModel], rows: list[Any]) -> type[RowValidator]:
    dicts, lines, problems = the_plain_way(model, rows)
    validator = validator_of(model)
    values, found = validator.validate(rows)
    assert found.keys() == problems.keys()
    assert [validator.to_dict(value) for value in values] == dicts
    assert validator.to_json_lines(values).splitlines() == lines
    return type(validator)


def test_plain_models_need_no_instances():
    class Plain(BaseModel):
        a: int = Field(alias="A")
        b: Decimal | None = None
        url: HttpUrl = HttpUrl("https://example.org/")

        @field_validator("a")
        @classmethod
        def even(cls, value: int) -> int:
            if value % 2:
                raise ValueError("odd")
            return value

    assert _validated(Plain, [{"A": "2"}, {"A": 3}, {}, {"A": 4, "b": "1.0"}]) is DictValidator


class Measured(BaseModel):
    a: int
    b: Decimal = Field(alias="B")
    c: str | None = None

    @field_validator("c")
    @classmethod
    def left_out(cls, value: str | None) -> str | None:
        if value == "out":
            raise PydanticOmit
        if value == "broken":
            raise KeyError(value)
        return value


def _of_table(names: list[str], *rows: list[Any]) -> tuple[list[Any], list[int]]:
    values, problems = validator_of(Measured).validate(RowTable(tuple(names), rows))
    as_dicts = validator_of(Measured).validate([dict(zip(names, row, strict=True)) for row in rows])
    assert (values, problems) == as_dicts
    assert [list(value) for value in values] == [[name for name in "abc" if name in value] for value in values]
    return values, list(problems)


def test_rows_are_validated_by_their_positions():
    names = ["c", "more", "B", "a"]
    schema = dict_schema(Measured)
    assert schema is not None
    assert positional_validator(schema, tuple(names)) is not None
    values, failed = _of_table(names, ["x", 0, "1.50", "1"], ["y", 0, "x", "2"], [None, 0, 2, 3])
    assert values == [{"a": 1, "b": Decimal("1.50"), "c": "x"}, {"a": 3, "b": Decimal(2), "c": None}]
    assert failed == [1]
    assert _of_table(["a", "B"], ["1", "2"]) == ([{"a": 1, "b": Decimal(2), "c": None}], [])
    assert _of_table(["a"], ["1"], ["2"]) == ([], [0, 1])


def test_only_rows_whose_fields_have_a_column_each_are_validated_by_position():
    class Strict(Measured):
        model_config = ConfigDict(extra="forbid")

    class Twice(BaseModel):
        a: int = Field(alias="b")
        b: int

    class Nameless(BaseModel):
        a: int = Field(alias="")

    def is_positional(model: type[BaseModel], *names: str) -> bool:
        schema = dict_schema(model)
        assert schema is not None
        return positional_validator(schema, names) is not None

    assert is_positional(Measured, "a", "B", "c")
    assert is_positional(Measured, "more", "c", "B", "a")
    assert not is_positional(Measured, "a", "B")
    assert not is_positional(Measured, "a", "b", "c")
    assert is_positional(Strict, "a", "B", "c")
    assert not is_positional(Strict, "a", "B", "c", "more")
    assert not is_positional(Twice, "a", "b")
    assert is_positional(Nameless, "", "a")
    assert not is_positional(Nameless, "a")


def test_fields_may_be_called_as_the_parts_of_schemas_are():
    names = ("type", "metadata", "default", "cls", "expected", "members")
    model = create_model("Odd", **{name: (Literal[name, 1], {"type": "any", "metadata": 1}) for name in names})
    assert is_compiled(model)
    row = {name: name for name in names}
    values, problems = _elsewhere(model).validate([row, {}, {**row, "metadata": 2}])
    assert values == [row, {name: {"type": "any", "metadata": 1} for name in names}]
    assert [error["loc"] for error in problems[2]] == [["metadata"]]


def test_a_worker_with_another_pydantic_core_gets_along_with_the_model_itself():
    class Plain(BaseModel):
        a: int

    model = to_be_sent(Plain)
    assert isinstance(model, SentModel)
    other = replace(model, schema={"type": "unknown there"}, version="1.0.0")
    values, problems = validator_of(pickle.loads(cloudpickle.dumps(other))).validate([{"a": "1"}, {"a": "x"}])
    assert values == [{"a": 1}]
    assert list(problems) == [1]


def test_rows_whose_code_is_unusual_are_validated_all_the_same():
    names = ["a", "B", "c"]
    assert _of_table(names, ["1", "2", "out"], ["3", "4", "x"])[0] == [
        {"a": 1, "b": Decimal(2)},
        {"a": 3, "b": Decimal(4), "c": "x"},
    ]
    assert _of_table(names, ["1", "2", "x"], ["3", "4", "broken"], ["x", "4", "y"], ["5", "6", "z"])[1] == [1, 2]


class Nested(BaseModel):
    x: int
    when: datetime


class WithNested(BaseModel):
    a: int
    inner: Nested
    many: list[Nested] = []


class AfterAll(BaseModel):
    a: int
    b: int

    @model_validator(mode="after")
    def in_order(self) -> AfterAll:
        if self.a > self.b:
            raise ValueError("a is above b")
        return self


class BeforeAll(BaseModel):
    a: int
    b: int = 0

    @model_validator(mode="before")
    @classmethod
    def complete(cls, data: Any) -> Any:
        return {"b": 7, **data}


class Computed(BaseModel):
    a: int

    @computed_field
    def twice(self) -> int:
        return 2 * self.a


class OwnSerializer(BaseModel):
    a: int

    @model_serializer
    def dump(self) -> dict[str, Any]:
        return {"value": self.a}


class OwnFieldSerializer(BaseModel):
    a: int
    b: int

    @field_serializer("a")
    def both(self, value: int) -> str:
        return f"{value}/{self.b}"


class AfterInit(BaseModel):
    a: int

    def model_post_init(self, context: Any) -> None:
        self.a += 1


class OwnInit(BaseModel):
    a: int

    def __init__(self, **data: Any) -> None:
        super().__init__(a=int(data["a"]) + 10)


class Extras(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


class Tree(BaseModel):
    a: int
    left: Tree | None = None


class OtherFields(BaseModel):
    a: int
    b: int

    @field_validator("b")
    @classmethod
    def above(cls, value: int, info: Any) -> int:
        if value <= info.data.get("a", 0):
            raise ValueError("not above a")
        return value


class DefaultOfOthers(BaseModel):
    a: int
    b: int = Field(default_factory=lambda data: data["a"] + 1)


@pytest.mark.parametrize(
    "model",
    [WithNested, AfterAll, BeforeAll, Computed, OwnSerializer, OwnFieldSerializer, AfterInit, OwnInit, Extras, Tree,
     OtherFields, DefaultOfOthers],
)  # fmt: skip
def test_models_with_code_that_sees_an_instance_get_one(model):
    rows = [
        {"a": 1, "b": 2, "inner": {"x": "5", "when": "2024-01-02T03:04:05Z"}, "many": [{"x": 1, "when": 0}]},
        {"a": 3, "b": 2, "inner": {"x": 1, "when": 0}, "left": {"a": "4"}},
        {"a": "x", "inner": {}},
        {"a": 1, "b": "x", "inner": {"x": 1}},
    ]
    if model is OwnInit:
        rows = [{"a": 1}, {"a": 2}]
    assert _validated(model, rows) is InstanceValidator


def test_an_exception_in_code_of_the_model_fails_its_record():
    class Breaks(BaseModel):
        a: int

        @field_validator("a")
        @classmethod
        def divide(cls, value: int) -> float:
            return 1 / value

    values, problems = validator_of(Breaks).validate([{"a": 1}, {"a": 0}, {"a": "x"}])
    assert values[0] == {"a": 1.0}
    assert problems[1] == [{"loc": [], "msg": "division by zero", "type": "ZeroDivisionError"}]
    assert problems[2][0]["type"] == "int_parsing"


def test_other_types_than_models_do_too():
    class Point(TypedDict):
        x: int

    for kind in (Point, RootModel[dict[str, int]], dict[str, int]):
        validator = validator_of(kind)
        values, problems = validator.validate([{"x": "1"}, {"x": "y"}])
        assert validator.to_dict(values[0]) == {"x": 1}
        assert list(problems) == [1]
        assert validator.to_json_lines(values[:1]) == b'{"x":1}\n'


def test_text_that_looks_like_the_end_of_a_record_ends_none():
    class Texts(BaseModel):
        a: str
        b: list[dict[str, Any]] = []

    rows = [{"a": text} for text in ('},{"a":', '"},{"a":"', "\n", "\u2028", "},{", '\\"},{\\"a\\":')]
    rows += [{"a": "x", "b": [{"a": 1}, {"a": 2}]}]
    validator = validator_of(Texts)
    lines = validator.to_json_lines(validator.validate(rows)[0]).split(b"\n")
    assert [json.loads(line) for line in lines[:-1]] == [{"b": [], **row} for row in rows]


LISTS = st.recursive(
    st.sampled_from([1, "},{", '},{"a":', "\n"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", 'é"']), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=int(os.environ.get("SYNAPSE_EXAMPLES", "300")), deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", 'é"']), LISTS, max_size=3), max_size=5))
def test_each_record_is_a_line_whatever_is_in_it(rows):
    class Optional(BaseModel):
        a: Any = None
        b: Any = Field(None, serialization_alias="a-b")

        @model_serializer(mode="wrap")
        def without_none(self, handler: Any) -> dict[str, Any]:
            return {name: value for name, value in handler(self).items() if value is not None}

    class Plain(BaseModel):
        a: Any = None
        b: Any = None

    for validator in (NoValidator(), validator_of(Plain)):  # rows as hooks may leave them
        assert [json.loads(line) for line in validator.to_json_lines(rows).split(b"\n")[:-1]] == rows
    optional = validator_of(Optional)
    lines = optional.to_json_lines(optional.validate(rows)[0]).split(b"\n")
    assert [json.loads(line) for line in lines[:-1]] == [Optional(**row).model_dump() for row in rows]


def test_two_records_that_together_look_like_three_stay_two():
    rows = [{"id": 1, "l": [{"id": 1}, {"id": 2}]}, {"x": 2}]
    lines = NoValidator().to_json_lines(rows).splitlines()
    assert [json.loads(line) for line in lines] == rows


def test_a_default_that_is_not_there_is_told_as_pydantic_tells_it():
    class Uses(BaseModel):
        a: int

        @field_validator("a")
        @classmethod
        def default(cls, value: int) -> int:
            raise PydanticUseDefault

    _, problems = validator_of(Uses).validate([{"a": 1}])
    assert problems == {0: [{"loc": ["a"], "msg": "Field required", "type": "missing"}]}


def test_what_hooks_change_is_written():
    for model in (Nested, AfterAll):
        validator = validator_of(model)
        (value,), _ = validator.validate([{"x": 1, "when": 0, "a": 1, "b": 2}])
        row = {**validator.to_dict(value), "more": date(2024, 1, 2)}
        name = next(iter(row))
        row[name] = 99
        written = json.loads(validator.to_json_lines([validator.from_dict(row, value)]))
        assert written == {**json.loads(validator.to_json_lines([value])), name: 99, "more": "2024-01-02"}
        del row[name]
        assert name not in json.loads(validator.to_json_lines([validator.from_dict(row, value)]))


@pytest.mark.parametrize("model", [Nested, AfterAll])
def test_what_hooks_change_stays_as_it_is_where_rows_are_wanted(model):
    validator = validator_of(model)
    (value,), _ = validator.validate([{"x": 1, "when": 0, "a": 1, "b": 2}])
    row = {**validator.to_dict(value), "day": date(2024, 1, 2), "price": Decimal("1.50")}
    assert validator.to_dict(validator.from_dict(row, value)) == row


def test_typed_dicts_are_written_by_their_own_serializer():
    validator = validator_of(TypedDict("Priced", {"price": Annotated[Decimal, PlainSerializer(float)]}))
    assert validator.to_json_lines(validator.validate([{"price": "1.5"}])[0]) == b'{"price":1.5}\n'
