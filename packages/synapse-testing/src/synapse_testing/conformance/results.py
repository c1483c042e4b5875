"""Promises about results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from synapse_core.model.tagged import PlainData
from synapse_testing import actions
from synapse_testing.conformance.group import PromiseGroup, rests_on, where_claimed, where_not_claimed
from synapse_testing.values import VALUES, make_value, same_value

__all__ = ["ResultPromises"]


class ResultPromises(PromiseGroup):
    """What an action returns is what its caller gets."""

    def test_a_result_comes_back(self, executor: Any) -> None:
        """The caller gets what the action's ``execute`` returned."""
        assert self.run(executor, actions.AddAction, {"left": 2, "right": 3}) == 5

    @pytest.mark.parametrize("name", VALUES)
    @rests_on("test_a_result_comes_back")
    def test_a_value_keeps_its_type(self, executor: Any, name: str) -> None:
        """A result comes back equal and of the same types, whichever value of `synapse_testing.values` it is."""
        result = self.run(executor, actions.returns_value, {"name": name})
        assert same_value(result, make_value(name)), f"{name}: {make_value(name)!r} came back as {result!r}"

    @where_claimed("shares_memory")
    @rests_on("test_a_result_comes_back")
    def test_a_result_is_the_object_itself(self, executor: Any) -> None:
        """Where memory is shared, the caller gets the very object that the action returned."""
        assert self.run(executor, actions.returns_value, {"name": "dict"}) is actions.last_returned()

    @where_not_claimed("shares_memory")
    def test_a_result_is_a_copy(self, executor: Any) -> None:
        """Where sharing memory is not claimed, the caller never gets the object that the action returned."""
        assert self.run(executor, actions.returns_value, {"name": "dict"}) is not actions.last_returned()

    def test_a_result_without_a_text_is_a_success(self, executor: Any) -> None:
        """A result whose ``repr`` raises is a success all the same."""
        result = self.run(executor, actions.returns_unprintable)
        assert _is_or_describes(result, actions.Unprintable)

    def test_a_result_that_cannot_travel_is_a_success(self, executor: Any) -> None:
        """A result that cannot be carried is a success: the caller gets `PlainData` with its class and the reason."""
        result = self.run(executor, actions.returns_sealed)
        assert _is_or_describes(result, actions.Sealed)

    @rests_on("test_a_result_comes_back")
    def test_printed_text_cannot_change_the_result(self, executor: Any, capfd: pytest.CaptureFixture[str]) -> None:
        """Whatever an action prints, also something that looks like a result, its result stays what it returned."""
        forged = '{"value": "forged", "stand_in": false, "error": null}\nnull\n"forged"'
        assert self.run(executor, actions.prints, {"text": forged}) == "done"

    @rests_on("test_a_result_comes_back")
    def test_an_action_runs_once(self, executor: Any, tmp_path: Path) -> None:
        """One call runs the action once."""
        self.run(executor, actions.appends_line, {"file": str(tmp_path / "runs")})
        assert (tmp_path / "runs").read_text(encoding="utf-8").splitlines() == ["ran"]

    @rests_on("test_a_result_comes_back")
    def test_different_actions_take_turns(self, executor: Any) -> None:
        """One executor runs different actions one after another without mixing them up."""
        answers = [
            self.run(executor, action, {"left": 1, "name": "dict"})
            for action in (actions.adds, actions.returns_value, actions.adds, actions.AddAction)
        ]
        assert answers == [2, make_value("dict"), 2, 2]


def _is_or_describes(result: Any, cls: type) -> bool:
    if isinstance(result, PlainData):
        return result.type_name == f"{cls.__module__}:{cls.__qualname__}" and bool(result.get("why"))
    return isinstance(result, cls)
