"""The contract page is what the docstrings of the suite say, and the suite is as large as it has to be."""

from dataclasses import fields
from pathlib import Path

import pytest

from synapse_core.ports.executor import Capabilities
from synapse_testing import ExecutorConformance
from synapse_testing.contract_page import promises, render

PROMISES = promises(ExecutorConformance)
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "executor-contract.md"


def test_there_are_at_least_forty_promises() -> None:
    assert len(PROMISES) >= 40


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), (
        f"run `uv run python -m synapse_testing.contract_page {PAGE.relative_to(Path(__file__).parents[3])}`"
    )


@pytest.mark.parametrize("name", PROMISES)
def test_a_promise_is_one_sentence(name: str) -> None:
    text = PROMISES[name].__doc__
    assert text
    assert "\n" not in text
    assert text.endswith(".")
    assert ". " not in text


def test_promises_rest_on_promises_that_run_before_them() -> None:
    order = list(PROMISES)
    for name, test in PROMISES.items():
        for other in getattr(test, "rests_on", ()):
            assert order.index(other) < order.index(name), f"{name} rests on {other}"


def test_conditions_name_capabilities() -> None:
    known = {field.name for field in fields(Capabilities)}
    for test in PROMISES.values():
        assert {*getattr(test, "where_claimed", ()), *getattr(test, "where_not_claimed", ())} <= known


def test_every_capability_is_checked() -> None:
    checked = {claim for test in PROMISES.values() for claim in getattr(test, "where_claimed", ())}
    assert {field.name for field in fields(Capabilities)} <= checked
