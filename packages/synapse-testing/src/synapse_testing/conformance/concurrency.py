"""Promises about many callers at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from synapse_core.errors import ExecutionError
from synapse_testing import actions
from synapse_testing.conformance.group import PromiseGroup, rests_on, where_claimed

__all__ = ["ConcurrencyPromises"]


class ConcurrencyPromises(PromiseGroup):
    """One executor may be used from any thread, several at once."""

    @rests_on("test_a_result_comes_back")
    def test_each_thread_gets_its_own_result(self, executor: Any) -> None:
        """Several threads may call at once, and each gets the result of its own call."""
        with ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(self.run, executor, actions.adds, {"left": n, "right": 100}) for n in range(8)]
            assert [call.result() for call in calls] == [n + 100 for n in range(8)]

    @rests_on("test_an_execution_has_an_identity")
    def test_each_thread_gets_its_own_identity(self, executor: Any) -> None:
        """Executions that run at once have different job ids."""
        with ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(self.run, executor, actions.describes_context) for _ in range(4)]
            assert len({call.result()["job_id"] for call in calls}) == 4

    @rests_on("test_an_exception_is_an_execution_error", "test_each_thread_gets_its_own_result")
    def test_a_failure_is_its_own_callers_only(self, executor: Any) -> None:
        """Of several calls at once, only the one whose action raised gets an error."""
        with ThreadPoolExecutor(4) as pool:
            good = [pool.submit(self.run, executor, actions.adds, {"left": n}) for n in range(3)]
            bad = pool.submit(self.run, executor, actions.raises)
            assert isinstance(bad.exception(), ExecutionError)
            assert [call.result() for call in good] == [1, 2, 3]

    @where_claimed("parallel")
    @rests_on("test_a_result_comes_back")
    def test_calls_run_at_once(self, executor: Any, tmp_path: Path) -> None:
        """Where parallel work is claimed, two calls run at once: each may wait for the other."""
        left, right = str(tmp_path / "left"), str(tmp_path / "right")
        with ThreadPoolExecutor(2) as pool:
            calls = [
                pool.submit(
                    self.run,
                    executor,
                    actions.waits_for_file,
                    {"started": mine, "release": other, "answer": mine, "patience": self.patience},
                )
                for mine, other in ((left, right), (right, left))
            ]
            assert [call.result() for call in calls] == [left, right]
