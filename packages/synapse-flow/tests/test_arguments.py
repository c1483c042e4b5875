"""Arguments of settings files are what signatures say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from pydantic import BaseModel, SecretStr

from synapse_flow.arguments import fit_arguments

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]


class Options(BaseModel):
    x: int


class Taker:
    def __init__(
        self,
        strict: bool = False,
        most: Decimal | None = None,
        either: int | str = 0,
        any_: Any = None,
        bare=None,  # type: ignore[no-untyped-def]
        folder: Path | None = None,
        options: Options | None = None,
        kind: Literal["a", "b"] = "a",
        many: Iterable[int] = (),
        sizes: list[int] | None = None,
        token: SecretStr | None = None,
        pattern: re.Pattern[str] | None = None,
        odd: Unknown = None,
    ) -> None: ...


@pytest.mark.parametrize(
    ("given", "fitted"),
    [
        ({"strict": "false"}, False), ({"strict": "yes"}, True), ({"strict": 1}, True),
        ({"most": "2.50"}, Decimal("2.50")), ({"most": None}, None),
        ({"either": "7"}, "7"), ({"either": 7}, 7), ({"any_": "7"}, "7"), ({"bare": "7"}, "7"),
        ({"folder": "a/b"}, Path("a/b")),
        ({"options": {"x": 1}}, Options(x=1)), ({"options": {"x": "1"}}, Options(x=1)),
        ({"kind": "b"}, "b"), ({"many": [1, 2]}, [1, 2]), ({"sizes": ["1", 2]}, [1, 2]),
        ({"token": "t"}, SecretStr("t")), ({"pattern": "a+"}, re.compile("a+")), ({"odd": "7"}, "7"),
    ],
    ids=str,
)  # fmt: skip
def test_a_value_is_what_the_annotation_says(given: dict[str, Any], fitted: Any) -> None:
    for function in (Taker, partial(Taker, strict=True)):
        found = fit_arguments(function, given)
        assert found.problems == ()
        (value,) = found.values.values()
        assert (value, type(value)) == (fitted, type(fitted))


def test_what_fits_already_is_the_object_that_was_given() -> None:
    sizes = [1, 2]
    assert fit_arguments(Taker, {"sizes": sizes}).values["sizes"] is sizes


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"strict": "perhaps"}, "Input should be a valid boolean"),
        ({"sizes": True}, "Input should be a valid list"),
        ({"most": True}, "Decimal"),
        ({"kind": "c"}, "Input should be 'a' or 'b'"),
        ({"strickt": "no"}, "unknown here. Did you mean 'strict'?"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_a_problem_and_no_value(given: dict[str, Any], rule: str) -> None:
    found = fit_arguments(Taker, given)
    assert found.values == {}
    assert rule in found.problems[0].rule
