"""Executors that spoil params."""

from __future__ import annotations

import contextlib
import json

from broken_executors.base import Unvalidated, breaks
from synapse_core.errors import ExecutionError, ValidationError
from synapse_core.execution import run_to_outcome
from synapse_core.resolution import resolve_action
from synapse_testing import InMemoryExecutor


@breaks("test_params_that_do_not_fit_are_refused")
class ForgetsValidation(InMemoryExecutor):
    def execute(self, action=None, params=None, *, action_cls=None, entrypoint=None, **kwargs):
        resolved = resolve_action(action or action_cls or entrypoint)
        with contextlib.suppress(ValidationError):
            return super().execute(resolved, params)
        unchecked = resolved.params_model.model_construct(**params)
        ctx = self._context(self._job_id, self.sink)
        return self._receive(
            json.dumps(run_to_outcome(Unvalidated(resolved), unchecked, ctx, allow_pickle=False).to_dict())
        )


@breaks("test_params_that_do_not_fit_are_refused")
class WrapsTheValidationError(InMemoryExecutor):
    def execute(self, action=None, params=None, **kwargs):
        try:
            return super().execute(action, params, **kwargs)
        except ValidationError as error:
            raise ExecutionError(str(error), original_type="ValidationError") from error


@breaks("test_nothing_runs_where_params_are_refused")
class ValidatesAfterwards(InMemoryExecutor):
    def execute(self, action=None, params=None, **kwargs):
        try:
            return super().execute(action, params, **kwargs)
        except ValidationError:
            if isinstance(params.get("mark"), str):
                with open(params["mark"], "w"):
                    pass
            raise


@breaks("test_every_field_problem_is_named")
class NamesTheFirstProblemOnly(InMemoryExecutor):
    def execute(self, action=None, params=None, **kwargs):
        try:
            return super().execute(action, params, **kwargs)
        except ValidationError as error:
            raise ValidationError(error.args[0], problems=error.problems[:1]) from error


@breaks("test_a_resolved_action_is_accepted")
class ForgetsTheNameOfWhatIsResolved(InMemoryExecutor):
    def execute(self, action=None, params=None, **kwargs):
        return super().execute(getattr(action, "target", action), params, **kwargs)


@breaks("test_params_stay_the_callers")
class ChangesTheParams(InMemoryExecutor):
    def _send(self, params):
        params["job_id"] = "internal"
        return super()._send(params)


@breaks("test_params_keep_their_types")
class SendsParamsAsPlainJson(InMemoryExecutor):
    def _send(self, params):
        return json.dumps(params, default=str) if "name" in params and "value" in params else super()._send(params)
