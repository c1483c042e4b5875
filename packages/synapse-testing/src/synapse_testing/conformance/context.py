"""Promises about what the action's context holds: identity and environment."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from synapse_core.errors import CapabilityError
from synapse_testing import actions
from synapse_testing.conformance.group import PromiseGroup, rests_on, where_claimed, where_not_claimed

__all__ = ["ContextPromises"]

MakeExecutor = Callable[..., Any]
_NAME = "SYNAPSE_CONFORMANCE_SETTING"
_ENV = "test_env_reaches_the_action"


class ContextPromises(PromiseGroup):
    """An action knows who it is, and reads its settings from ``ctx.env``."""

    @rests_on("test_a_result_comes_back")
    def test_an_execution_has_an_identity(self, executor: Any) -> None:
        """Inside an action ``ctx.job_id`` is never ``None``; unless it was given, each execution has its own."""
        ids = [self.run(executor, actions.describes_context)["job_id"] for _ in range(2)]
        assert all(isinstance(job_id, str) and job_id for job_id in ids), f"job ids: {ids}"
        assert ids[0] != ids[1]

    @rests_on("test_an_execution_has_an_identity")
    def test_a_given_job_id_is_the_one_the_action_sees(self, make_executor: MakeExecutor) -> None:
        """``job_id=`` of the constructor is ``ctx.job_id``."""
        executor = make_executor(job_id="conformance-001")
        assert self.run(executor, actions.describes_context)["job_id"] == "conformance-001"

    @rests_on("test_a_result_comes_back")
    def test_nobody_cancelled_a_new_execution(self, executor: Any) -> None:
        """``ctx.is_cancelled`` is false as long as nobody asked for a stop."""
        assert self.run(executor, actions.describes_context)["is_cancelled"] is False

    @where_claimed("environment")
    @rests_on("test_a_result_comes_back")
    def test_env_reaches_the_action(self, make_executor: MakeExecutor) -> None:
        """``env=`` of the constructor is in ``ctx.env``."""
        executor = make_executor(env={_NAME: "from env="})
        assert self._read(executor)["env"] == "from env="

    @where_claimed("environment")
    @rests_on(_ENV)
    def test_env_stands_above_the_process_environment(
        self, make_executor: MakeExecutor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """``env=`` wins over ``os.environ``, whose other variables are in ``ctx.env`` too."""
        monkeypatch.setenv(_NAME, "from os.environ")
        executor = make_executor(env={_NAME: "from env="})
        answer = self.run(executor, actions.reads_env, {"names": [_NAME, "PATH"]})
        assert answer["env"][_NAME] == "from env="
        assert answer["env"]["PATH"], "the process's own variables are missing"

    @where_claimed("environment")
    @rests_on(_ENV)
    @pytest.mark.parametrize("value", [3, 0.5, True, ["a", "b"], {"nested": None}], ids=repr)
    def test_env_values_keep_their_types(self, make_executor: MakeExecutor, value: Any) -> None:
        """Values of ``env=`` are in ``ctx.env`` with the type that they were given."""
        arrived = self._read(make_executor(env={_NAME: value}))["env"]
        assert (type(arrived), arrived) == (type(value), value)

    @where_claimed("environment")
    @rests_on(_ENV)
    def test_env_is_in_the_workers_process_environment(self, make_executor: MakeExecutor) -> None:
        """In a worker's process the values of ``env=`` are environment variables, as text; in the caller's, never."""
        answer = self._read(make_executor(env={_NAME: 64}))
        assert answer["process"] == (None if answer["pid"] == os.getpid() else "64")

    @where_not_claimed("environment")
    def test_env_is_refused_where_it_is_not_claimed(self, make_executor: MakeExecutor) -> None:
        """Where an environment is not claimed, ``env=`` is refused at once."""
        with pytest.raises((CapabilityError, TypeError)):
            make_executor(env={_NAME: "lost"})

    def _read(self, executor: Any) -> dict[str, Any]:
        answer = self.run(executor, actions.reads_env, {"names": [_NAME]})
        return {"env": answer["env"][_NAME], "process": answer["process"][_NAME], "pid": answer["pid"]}
