"""Promises about actions that are coroutines, and callers that are."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from synapse_testing import actions
from synapse_testing.conformance.group import PromiseGroup, rests_on

__all__ = ["CoroutinePromises"]

_RUNS = "test_a_coroutine_action_returns_its_result"


class CoroutinePromises(PromiseGroup):
    """``async def`` is one more way to write an action."""

    @pytest.mark.parametrize("action", [actions.AddLaterAction, actions.adds_later], ids=["class", "function"])
    @rests_on("test_a_result_comes_back")
    def test_a_coroutine_action_returns_its_result(self, executor: Any, action: Any) -> None:
        """An action whose ``execute`` is ``async def`` returns its result, not a coroutine."""
        assert self.run(executor, action, {"left": 20, "right": 22}) == 42

    @rests_on("test_an_exception_is_an_execution_error", _RUNS)
    def test_a_coroutine_action_may_fail(self, executor: Any) -> None:
        """An error of a coroutine is an `ExecutionError` as any other."""
        error = self.failure(executor, actions.raises_later)
        assert error.original_type == "OvenError"
        assert "in raises_later" in error.remote_traceback

    @pytest.mark.parametrize("action", [actions.adds_later, actions.adds], ids=["coroutine", "function"])
    @rests_on(_RUNS)
    def test_actions_run_inside_a_running_event_loop(self, executor: Any, action: Any) -> None:
        """``execute`` may be called where an event loop is running, as in a notebook, for any action."""

        async def caller() -> Any:
            return self.run(executor, action, {"left": 20, "right": 22})

        assert asyncio.run(caller()) == 42
