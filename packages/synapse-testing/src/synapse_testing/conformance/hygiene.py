"""Promises about the caller's process, which an executor leaves as it found it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from typing import Any

import pytest

from synapse_core.errors import ExecutionError, ValidationError
from synapse_testing import actions
from synapse_testing.conformance.group import PromiseGroup, rests_on

__all__ = ["HygienePromises"]

_CALLS = 5


class HygienePromises(PromiseGroup):
    """Nothing is left behind."""

    @rests_on("test_a_result_comes_back")
    def test_no_thread_is_left_behind(self, executor: Any) -> None:
        """Threads do not pile up: what an execution starts ends with it, apart from a pool that stays."""
        self._run_everything(executor)  # starts the pool, where there is one
        known = set(threading.enumerate())
        for _ in range(_CALLS):
            self.run(executor, actions.adds, {"left": 1})
        new = [thread for thread in threading.enumerate() if thread not in known]
        give_up = time.monotonic() + 1
        for thread in new:
            thread.join(timeout=max(0.0, give_up - time.monotonic()))
        alive = [thread.name for thread in new if thread.is_alive()]
        assert len(alive) < _CALLS, f"still alive after {_CALLS} executions: {alive}"

    def test_the_process_environment_is_left_alone(self, executor: Any) -> None:
        """``os.environ`` of the caller is the same afterwards, whatever came of the execution."""
        before = dict(os.environ)
        self._run_everything(executor)
        changed = {name for name in {*before, *os.environ} if before.get(name) != os.environ.get(name)}
        # pytest keeps the name of the running test there.
        assert changed <= {"PYTEST_CURRENT_TEST"}

    def test_folder_and_import_path_are_left_alone(self, executor: Any) -> None:
        """The caller's working directory, ``sys.path`` and ``sys.argv`` are the same afterwards."""
        before = (os.getcwd(), list(sys.path), list(sys.argv))
        self._run_everything(executor)
        assert (os.getcwd(), list(sys.path), list(sys.argv)) == before

    def test_nothing_is_printed_to_stdout(self, executor: Any, capfd: pytest.CaptureFixture[str]) -> None:
        """The executor prints nothing to stdout, which belongs to the action and to the program's own data."""
        self._run_everything(executor)
        assert capfd.readouterr().out == ""

    def _run_everything(self, executor: Any) -> None:
        """Run what succeeds, what fails and what is refused; what comes of it is for other promises."""
        for action, params in (
            (actions.adds, {"left": 1}),
            (actions.adds_later, {"left": 1}),
            (actions.raises, {}),
            (actions.AddAction, {"left": "many"}),
        ):
            with contextlib.suppress(ExecutionError, ValidationError):
                self.run(executor, action, params)
