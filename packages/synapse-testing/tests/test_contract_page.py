"""The contract pages are what the docstrings of the suites say, and the suites are as large as they have to be."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from synapse_core.ports.executor import Capabilities
from synapse_testing import ExecutorConformance, ProcessEngineConformance
from synapse_testing.contract_page import PAGES, promises

PROMISES = promises(ExecutorConformance)
SUITES = [PROMISES, promises(ProcessEngineConformance)]
ROOT = Path(__file__).parents[3]


def test_there_are_at_least_forty_promises() -> None:
    assert len(PROMISES) >= 40


@pytest.mark.parametrize("about", PAGES)
def test_a_page_is_current(about: str) -> None:
    page = f"docs/reference/{about}-contract.md"
    assert (ROOT / page).read_text(encoding="utf-8") == PAGES[about](), (
        f"run `uv run python -m synapse_testing.contract_page {about} {page}`"
    )


@pytest.mark.parametrize(("name", "promise"), [pair for suite in SUITES for pair in suite.items()])
def test_a_promise_is_one_sentence(name: str, promise: Any) -> None:
    text = promise.__doc__
    assert text
    assert "\n" not in text
    assert text.endswith(".")
    assert ". " not in text


@pytest.mark.parametrize("suite", SUITES, ids=["executors", "engines"])
def test_promises_rest_on_promises_that_run_before_them(suite: dict[str, Any]) -> None:
    order = list(suite)
    for name, test in suite.items():
        for other in getattr(test, "rests_on", ()):
            assert order.index(other) < order.index(name), f"{name} rests on {other}"


def test_conditions_name_capabilities() -> None:
    known = {field.name for field in fields(Capabilities)}
    for test in PROMISES.values():
        assert {*getattr(test, "where_claimed", ()), *getattr(test, "where_not_claimed", ())} <= known


def test_every_capability_is_checked() -> None:
    checked = {claim for test in PROMISES.values() for claim in getattr(test, "where_claimed", ())}
    assert {field.name for field in fields(Capabilities)} <= checked
