"""Promises about what may be passed as an action, and how."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import pytest

from synapse_core.errors import PluginError
from synapse_core.resolution import resolve_action
from synapse_testing import actions
from synapse_testing.conformance.group import PromiseGroup, rests_on, where_claimed

__all__ = ["AcceptancePromises"]

_HERE = actions.__name__


class AcceptancePromises(PromiseGroup):
    """A class, a function and an entrypoint string are all actions, under each of three names."""

    @pytest.mark.parametrize(
        "action", [actions.AddAction, actions.adds, actions.adds_decorated], ids=["class", "function", "decorated"]
    )
    @rests_on("test_a_result_comes_back")
    def test_classes_and_functions_are_accepted(self, executor: Any, action: Any) -> None:
        """An action is a `BaseAction` subclass, or a function ``(params, ctx)`` with or without ``@action``."""
        assert self.run(executor, action, {"left": "4", "right": 5}) == 9

    @pytest.mark.parametrize("entrypoint", [f"{_HERE}:AddAction", f"{_HERE}.AddAction", f"{_HERE}:adds"])
    @rests_on("test_a_result_comes_back")
    def test_entrypoints_are_accepted(self, executor: Any, entrypoint: str) -> None:
        """An action may be named by an entrypoint string, with a colon or with dots only."""
        assert self.run(executor, entrypoint, {"left": 4, "right": 5}) == 9

    @rests_on("test_a_result_comes_back", "test_an_error_has_details")
    def test_a_resolved_action_is_accepted(self, executor: Any) -> None:
        """An action that is already resolved is accepted, under its own name."""
        assert self.run(executor, resolve_action(actions.adds), {"left": 4, "right": 5}) == 9
        named = replace(resolve_action(actions.raises), name="a-name-of-its-own")
        assert self.failure(executor, named).details["action"] == "a-name-of-its-own"

    @where_claimed("shares_memory")
    @rests_on("test_a_result_comes_back")
    def test_closures_are_accepted(self, executor: Any) -> None:
        """Where memory is shared, a lambda that closes over local objects is an action too."""
        here = object()
        assert self.run(executor, lambda params, ctx: (here, params["left"]), {"left": 1}) == (here, 1)

    @where_claimed("returns_result")
    @pytest.mark.parametrize("name", ["action", "action_cls", "entrypoint"])
    @rests_on("test_a_result_comes_back")
    def test_the_action_answers_to_three_names(self, executor: Any, name: str) -> None:
        """The action may be passed as ``action=``, ``action_cls=`` or ``entrypoint=`` instead of by position."""
        assert executor.execute(**{name: actions.AddAction}, params={"left": 1}) == 2

    @where_claimed("returns_result")
    @rests_on("test_a_result_comes_back")
    def test_execute_ignores_further_keywords(self, executor: Any) -> None:
        """``execute`` ignores keywords that it does not know."""
        assert executor.execute(actions.AddAction, {"left": 1}, priority="high", retries=3) == 2

    def test_an_entrypoint_that_does_not_import_is_named(self, executor: Any) -> None:
        """An entrypoint that does not import is an error that names it, and the nearest name there is."""
        with pytest.raises(PluginError) as caught:
            self.run(executor, f"{_HERE}:AddActoin", {"left": 1})
        assert "AddActoin" in str(caught.value)
        assert "AddAction" in str(caught.value).replace("AddActoin", "")

    def test_what_is_no_action_is_refused(self, executor: Any) -> None:
        """Anything else is refused with a ``TypeError`` that says what may be passed."""
        with pytest.raises(TypeError) as caught:
            self.run(executor, 42)
        assert "BaseAction" in str(caught.value)

    def test_unknown_constructor_arguments_are_refused(self, executor: Any) -> None:
        """The constructor refuses a keyword that it does not know with a ``TypeError`` naming the nearest one."""
        known = max(inspect.signature(type(executor)).parameters, key=len, default="job_id")
        mistyped = f"{known}s"
        with pytest.raises(TypeError) as caught:
            type(executor)(**{mistyped: 1})
        message = str(caught.value)
        assert mistyped in message
        assert known in message.replace(mistyped, "")
