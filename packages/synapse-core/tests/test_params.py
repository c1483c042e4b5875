"""Params that do not fit are one error with a line per field, and it never shows a secret."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from synapse_core.context import RuntimeContext
from synapse_core.errors import ValidationError
from synapse_core.execution import run_action
from synapse_core.resolution import resolve_action


def run(candidate: Any, params: Any) -> Any:
    return run_action(resolve_action(candidate), params, RuntimeContext())


class Params(BaseModel):
    n: int = 1


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: float


class Square(BaseModel):
    kind: Literal["square"]
    side: float


class Rich(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    x: int | list[str] = 1
    shape: Annotated[Circle | Square, Field(discriminator="kind")] | None = None
    loose: Circle | Square | None = None
    batch: int = Field(1, alias="batchSize")
    rows: list[Circle] = []
    table: dict[str, int] = {}
    api_token: int = 1
    pin: SecretStr = SecretStr("")

    @field_validator("table")
    @classmethod
    def _check(cls, value: dict[str, int]) -> dict[str, int]:
        if "boom" in value:
            raise KeyError("boom")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Rich:
        if self.x == 13:
            raise ValueError("13 is unlucky")
        return self


def rich(params: Rich) -> None:
    pass


@pytest.mark.parametrize(
    ("params", "lines"),
    [
        ({"x": "a"}, ["x: Input should be a valid integer, unable to parse string as an integer or a valid list (given: 'a')"]),
        ({"shape": {"kind": "circle"}}, ["shape.radius: Field required"]),
        ({"batchSize": "q"}, ["batchSize: Input should be a valid integer, unable to parse string as an integer (given: 'q')"]),
        ({"rows": [{"kind": "circle", "radius": 1}, {"kind": "circle"}]}, ["rows[1].radius: Field required"]),
        ({"table": {"a": "b"}}, ["table.a: Input should be a valid integer, unable to parse string as an integer (given: 'b')"]),
        ({"colour": 1}, ["colour: Extra inputs are not permitted (given: 1)"]),
        ({"x": 13}, ["(params): 13 is unlucky (given: {'x': 13})"]),
        ({"x": 13, "api_token": 5}, ["(params): 13 is unlucky (given: ***)"]),
        ({"api_token": "hunter2"}, ["api_token: Input should be a valid integer, unable to parse string as an integer (given: ***)"]),
        ({"table": {"boom": 1}}, ["(params): a validator raised KeyError: 'boom'"]),
        ([1], ["(params): Input should be a valid dictionary or instance of Rich (given: [1])"]),
    ],
    ids=str,
)  # fmt: skip
def test_bad_params_are_one_line_per_field_with_path_value_and_rule(params: Any, lines: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        run(rich, params)
    assert str(caught.value).splitlines()[1:] == [f"  {line}" for line in lines]
    assert "action 'rich'" in str(caught.value)
    assert len(caught.value.problems) == len(lines)


def test_a_secret_is_in_no_text_of_the_error_and_not_in_its_cause() -> None:
    with pytest.raises(ValidationError) as caught:
        run(rich, {"api_token": "hunter2", "rows": 5})
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_an_instance_of_the_model_passes_as_it_is() -> None:
    given = Params(n=5)
    assert run(lambda params: params, given) is given

    def typed(params: Params) -> Any:
        return params

    assert run(typed, given) is given


@pytest.mark.parametrize("params", [[], "x", 5, {1, 2}])
def test_without_a_model_params_still_have_to_be_a_mapping(params: Any) -> None:
    with pytest.raises(ValidationError, match="has to be a mapping of names to values"):
        run(lambda params: params, params)


def test_the_callers_dict_is_not_the_actions_dict() -> None:
    given = {"a": 1}
    assert run(lambda params: params.pop("a"), given) == 1
    assert given == {"a": 1}
