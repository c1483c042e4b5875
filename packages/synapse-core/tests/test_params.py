"""Params that do not fit are one error with a line per field, and it never shows a secret."""

from __future__ import annotations

import traceback
from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    SecretBytes,
    SecretStr,
    ValidationError as PydanticValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from typing_extensions import TypedDict

from synapse_core.context import RuntimeContext
from synapse_core.errors import ValidationError
from synapse_core.execution import run_action
from synapse_core.params import validate_params
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
        ({"batch_sise": 1}, ["batch_sise: Extra inputs are not permitted. Did you mean 'batchSize'? (given: 1)"]),
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


# -- secrets by declaration -------------------------------------------------------------------


class Login(BaseModel):
    user: str = ""
    code: SecretStr = Field(default=SecretStr(""), min_length=8, alias="theCode")


class LoginRow(TypedDict):
    user: int
    word: SecretStr


class Declared(BaseModel):
    pin: SecretStr | None = Field(default=None, min_length=8)
    raw: SecretBytes = Field(default=SecretBytes(b""), min_length=8)
    many: list[Annotated[SecretStr, Field(min_length=8)]] = []
    table: dict[str, SecretStr] = {}
    login: Login | None = None
    logins: dict[str, list[Login]] = {}
    row: LoginRow | None = None
    confirm: str = ""
    note: int = 0

    @field_validator("confirm")
    @classmethod
    def _same(cls, value: str, info: ValidationInfo) -> str:
        pin = info.data.get("pin")
        if pin is not None and value != pin.get_secret_value():
            raise ValueError(f"it is not {pin.get_secret_value()}")
        return value

    @field_validator("table")
    @classmethod
    def _wordy(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for secret in value.values():
            if secret.get_secret_value() == "sekret-2":
                raise KeyError("SEKRET-2")
            raise ValueError(f"{secret.get_secret_value()!r} is in the list of leaked ones")
        return value


@pytest.mark.parametrize(
    ("params", "given"),
    [
        ({"pin": "sek9"}, "***"),
        ({"raw": "sek9"}, "***"),
        ({"many": ["long enough", "sek9"]}, "***"),
        ({"many": "sekret-1"}, "***"),
        ({"table": {"a": "sekret-1"}}, "***"),
        ({"table": {"a": "sekret-2"}}, None),
        ({"login": {"theCode": "sek9"}}, "***"),
        ({"login": "user:sekret-1"}, "***"),
        ({"logins": {"a": [{"theCode": "sek9"}]}}, "***"),
        ({"logins": [{"theCode": "sekret-1"}]}, "***"),
        ({"row": {"user": 1, "word": ["sekret-1"]}}, "***"),
        ({"pin": "sekret-1", "confirm": "other"}, "'other'"),
        ({"pin": "sekret-1", "confirm": "sekret-1 "}, "***"),
        ({"pin": SecretStr("sek9")}, "***"),
    ],
    ids=str,
)
def test_a_field_that_is_declared_secret_is_shown_in_no_text_of_the_error(params: Any, given: str | None) -> None:
    def act(params: Declared) -> None:
        pass

    with pytest.raises(ValidationError) as caught:
        run(act, params)
    assert [problem.given for problem in caught.value.problems] == [given]
    told = "".join(traceback.format_exception(caught.value)).lower()
    assert "sekret" not in told.partition("params of action")[2]
    assert "sek9" not in told.partition("params of action")[2]
    assert caught.value.__cause__ is None
    assert not isinstance(caught.value.__context__, PydanticValidationError)


def test_beside_a_secret_other_fields_are_shown() -> None:
    def act(params: Declared) -> None:
        pass

    with pytest.raises(ValidationError) as caught:
        run(act, {"login": {"user": 5, "theCode": "long enough"}, "note": "x"})
    assert [problem.given for problem in caught.value.problems] == ["5", "'x'"]


def test_a_root_model_of_a_secret_is_a_secret() -> None:
    class Whole(RootModel[SecretStr]):
        pass

    class Around(BaseModel):
        whole: Whole

    for model, params in ((Whole, ["sekret-1"]), (Around, {"whole": ["sekret-1"]})):
        with pytest.raises(ValidationError) as caught:
            validate_params(model, params, "act")
        assert "sekret" not in str(caught.value)


@pytest.mark.parametrize("text", ["https://ann:hunter2@example.com", "ghp_abcdefghij0123456789"])
def test_a_value_with_the_form_of_a_secret_is_hidden_under_any_name(text: str) -> None:
    for model, params in ((Params, {"n": text}), (None, text)):
        with pytest.raises(ValidationError) as caught:
            validate_params(model, params, "act")
        assert caught.value.problems[0].given == "***"
        assert text not in "".join(traceback.format_exception(caught.value))


def test_an_ordinary_error_keeps_pydantics_as_its_cause() -> None:
    with pytest.raises(ValidationError) as caught:
        validate_params(Params, {"n": "x"}, "act")
    assert isinstance(caught.value.__cause__, PydanticValidationError)
