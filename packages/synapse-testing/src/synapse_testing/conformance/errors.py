"""Promises about actions that fail."""

from __future__ import annotations

import copyreg
import io
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from synapse_core.errors import ExecutionError, WorkerLostError
from synapse_testing import actions
from synapse_testing.conformance.group import PromiseGroup, rests_on, where_claimed

__all__ = ["ErrorPromises"]

_RAISES = "test_an_exception_is_an_execution_error"


class ErrorPromises(PromiseGroup):
    """An action that fails raises one kind of error, and nothing about it is lost."""

    def test_an_exception_is_an_execution_error(self, executor: Any) -> None:
        """An action that raises makes the call raise `ExecutionError`."""
        with pytest.raises(ExecutionError):
            self.run(executor, actions.raises)

    @rests_on(_RAISES)
    def test_an_error_names_the_original_type(self, executor: Any) -> None:
        """`ExecutionError` names the class of what the action raised in ``original_type``."""
        assert self.failure(executor, actions.raises).original_type == "OvenError"

    @rests_on(_RAISES)
    def test_an_error_repeats_the_original_message(self, executor: Any) -> None:
        """`ExecutionError` repeats the text of what the action raised, in ``original_message`` and in its own text."""
        error = self.failure(executor, actions.raises_chained)
        assert error.original_message == "('no shelf', 404)"
        assert "no shelf" in str(error)

    @rests_on(_RAISES)
    def test_the_traceback_shows_the_line_that_raised(self, executor: Any) -> None:
        """``remote_traceback`` shows file and source line from wherever the action ran."""
        text = self.failure(executor, actions.raises).remote_traceback
        assert 'raise OvenError("too hot", 451)' in text
        assert "actions.py" in text

    @rests_on(_RAISES, "test_the_traceback_shows_the_line_that_raised")
    def test_the_traceback_shows_what_caused_the_error(self, executor: Any) -> None:
        """``remote_traceback`` holds the causes of an error too."""
        text = self.failure(executor, actions.raises_chained).remote_traceback
        assert "KeyError: 'no such shelf'" in text
        assert "direct cause" in text

    @rests_on(_RAISES)
    def test_an_error_has_details(self, executor: Any) -> None:
        """``details`` holds JSON types, among them the action's name and the job id."""
        details = self.failure(executor, actions.raises).details
        assert details["action"] == "raises"
        assert "job_id" in details
        json.dumps(details)

    @rests_on(_RAISES)
    def test_the_cause_is_the_original(self, executor: Any) -> None:
        """``__cause__`` is the original exception, arguments included, where its class can be imported here."""
        cause = self.failure(executor, actions.raises).__cause__
        assert isinstance(cause, actions.OvenError)
        assert cause.args == ("too hot", 451)

    @rests_on(_RAISES)
    def test_an_error_survives_pickling(self, executor: Any) -> None:
        """The error can be pickled, and keeps its type, message, traceback and details."""
        error = self.failure(executor, actions.raises_sealed)
        copy = pickle.loads(_pickled(error))
        assert type(copy) is type(error)
        assert (str(copy), vars(copy)) == (str(error), vars(error))

    @pytest.mark.parametrize("code", [0, 1, "stopped by hand", None])
    @rests_on(_RAISES)
    def test_exiting_is_a_failure(self, executor: Any, code: Any) -> None:
        """An action that calls ``sys.exit``, whatever the code, has failed, and does not end the caller."""
        assert self.failure(executor, actions.exits, {"code": code}).original_type == "SystemExit"

    @rests_on(_RAISES)
    def test_a_base_exception_is_a_failure(self, executor: Any) -> None:
        """An exception that is no ``Exception`` fails as any other does."""
        assert self.failure(executor, actions.raises_base_exception).original_type == "Meltdown"

    @rests_on(_RAISES)
    def test_a_stop_iteration_is_a_failure(self, executor: Any) -> None:
        """``StopIteration``, which generators and futures cannot carry, fails as any other does."""
        assert self.failure(executor, actions.raises_stop_iteration).original_type == "StopIteration"

    @rests_on(_RAISES, "test_the_cause_is_the_original")
    def test_an_exception_group_keeps_its_members(self, executor: Any) -> None:
        """An exception group comes back as the cause, with its members."""
        cause = self.failure(executor, actions.raises_group).__cause__
        assert isinstance(cause, ExceptionGroup)
        assert [type(member) for member in cause.exceptions] == [actions.OvenError, ValueError]

    @rests_on(_RAISES)
    def test_an_error_that_cannot_be_pickled_is_described(self, executor: Any) -> None:
        """An exception that cannot be pickled or rebuilt keeps its type, message and traceback."""
        error = self.failure(executor, actions.raises_sealed)
        assert (error.original_type, error.original_message) == ("SealedError", "locked")
        assert "in raises_sealed" in error.remote_traceback

    @rests_on(_RAISES)
    def test_an_error_without_a_text_is_described(self, executor: Any) -> None:
        """An exception whose ``str()`` raises keeps its type and traceback."""
        error = self.failure(executor, actions.raises_mute)
        assert error.original_type == "MuteError"
        assert "in raises_mute" in error.remote_traceback

    @rests_on(_RAISES)
    def test_a_validation_error_of_the_action_is_a_failure(self, executor: Any) -> None:
        """A `ValidationError` that the action itself raises is an `ExecutionError`: its params were good."""
        assert self.failure(executor, actions.raises_params_error).original_type == "ValidationError"

    @rests_on(_RAISES)
    def test_a_failed_action_is_not_run_again(self, executor: Any, tmp_path: Path) -> None:
        """An action that raised is not run a second time."""
        self.failure(executor, actions.appends_line, {"file": str(tmp_path / "runs"), "fail": True})
        assert (tmp_path / "runs").read_text(encoding="utf-8").splitlines() == ["ran"]

    @rests_on(_RAISES, "test_a_result_comes_back")
    def test_the_executor_is_usable_after_failures(self, executor: Any) -> None:
        """After failures of every kind, the same executor goes on to run actions."""
        for action in (actions.raises, actions.raises_base_exception, actions.raises_sealed):
            with pytest.raises(ExecutionError):
                self.run(executor, action)
            assert self.run(executor, actions.adds, {"left": 1}) == 2

    @where_claimed("isolated")
    def test_a_lost_worker_is_an_error(self, executor: Any) -> None:
        """Where isolation is claimed, an action that kills its process raises `WorkerLostError`, and no more."""
        with pytest.raises(WorkerLostError):
            self.run(executor, actions.dies)
        assert self.run(executor, actions.adds, {"left": 1}) == 2


def _pickled(error: BaseException) -> bytes:
    """Return an exception as its own class pickles it.

    Where Dask is imported, tblib does it for all exceptions, and takes along a cause that cannot be pickled.
    """
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer)
    pickler.dispatch_table = {
        cls: reduced
        for cls, reduced in copyreg.dispatch_table.items()
        if not str(getattr(reduced, "__module__", "")).startswith("tblib")
    }
    pickler.dump(error)
    return buffer.getvalue()
