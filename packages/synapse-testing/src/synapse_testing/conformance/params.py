"""Promises about params."""

from __future__ import annotations

import copy
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from synapse_core.errors import ExecutionError, ValidationError
from synapse_testing import actions
from synapse_testing.conformance.group import PromiseGroup, rests_on
from synapse_testing.values import make_value

__all__ = ["ParamsPromises"]

_REFUSED = "test_params_that_do_not_fit_are_refused"
_PLAIN_VALUES = (
    "none",
    "integer beyond 64 bits",
    "float",
    "not a number",
    "text of several scripts",
    "list",
    "dict",
    "bytes",
    "tuple",
    "set",
    "datetime with an offset",
    "date",
    "decimal",
    "uuid",
    "path",
)


class ParamsPromises(PromiseGroup):
    """Params are validated first, arrive as they were, and stay the caller's."""

    @rests_on("test_a_result_comes_back")
    def test_params_are_converted_to_the_model(self, executor: Any) -> None:
        """The action gets an instance of its params model: converted, defaults filled in."""
        assert self.run(executor, actions.AddAction, {"left": "41"}) == 42

    @pytest.mark.parametrize("name", _PLAIN_VALUES)
    @rests_on("test_a_result_comes_back")
    def test_params_keep_their_types(self, executor: Any, name: str) -> None:
        """Params without a model arrive equal, of the same types, nested ones too."""
        arrived = self.run(executor, actions.describes_params, {"name": name, "value": make_value(name)})
        assert arrived == "same", f"{name} arrived as {arrived}"

    def test_params_that_do_not_fit_are_refused(self, executor: Any) -> None:
        """Params that do not fit the model raise `ValidationError`, a ``ValueError``, and never `ExecutionError`."""
        with pytest.raises(ValidationError) as caught:
            self.run(executor, actions.AddAction, {"left": "many"})
        assert isinstance(caught.value, ValueError)
        assert not isinstance(caught.value, ExecutionError)

    @rests_on(_REFUSED)
    def test_nothing_runs_where_params_are_refused(self, executor: Any, tmp_path: Path) -> None:
        """Params are validated before anything has run."""
        with pytest.raises(ValidationError):
            self.run(executor, actions.marks, {"mark": str(tmp_path / "mark"), "count": 0})
        assert not (tmp_path / "mark").exists()

    @rests_on(_REFUSED)
    def test_every_field_problem_is_named(self, executor: Any) -> None:
        """`ValidationError` has one problem for each field, with its path, what was given, and the rule."""
        with pytest.raises(ValidationError) as caught:
            self.run(executor, actions.marks, {"mark": 7, "count": 0})
        problems = {problem.path: problem for problem in caught.value.problems}
        assert problems.keys() == {"mark", "count"}
        assert problems["count"].given == "0"
        assert "greater than or equal to 1" in problems["count"].rule
        assert "count: " in str(caught.value)

    def test_params_stay_the_callers(self, executor: Any) -> None:
        """The dict that was given is not changed: not by the executor, nor by an action that changes its params."""
        for action in (actions.changes_params, actions.AddAction):
            given = {"left": "1", "when": datetime(2026, 1, 1), "nested": {"rows": [1, (2, 3)]}}
            before = copy.deepcopy(given)
            self.run(executor, action, given)
            assert given == before
