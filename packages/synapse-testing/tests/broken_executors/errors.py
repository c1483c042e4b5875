"""Executors that spoil errors."""

from __future__ import annotations

import json
import threading
from typing import Any

from broken_executors.base import Meddler, breaks
from synapse_core.errors import ExecutionError, ValidationError
from synapse_core.model.outcome import Outcome
from synapse_testing import InMemoryExecutor


@breaks("test_an_exception_is_an_execution_error")
class SwallowsErrors(Meddler):
    def meddle(self, answer):
        answer["error"] = None


class LosesErrorFacts(Meddler):
    def lose(self, error: dict[str, Any]) -> None:
        raise NotImplementedError

    def meddle(self, answer):
        if answer["error"] is not None:
            self.lose(answer["error"])


@breaks("test_the_traceback_shows_the_line_that_raised")
class LosesTheTraceback(LosesErrorFacts):
    def lose(self, error):
        error["traceback"] = error["traceback"].replace("too hot", "…")


@breaks("test_an_error_repeats_the_original_message")
class LosesTheMessage(LosesErrorFacts):
    def lose(self, error):
        if "no shelf" in error["message"]:
            error["message"] = error["original_message"] = "action failed"


@breaks("test_an_error_has_details")
class LosesDetails(LosesErrorFacts):
    def lose(self, error):
        error["details"] = {}


@breaks("test_the_cause_is_the_original")
class LosesTheCause(LosesErrorFacts):
    def lose(self, error):
        error["original_args"] = None


@breaks("test_an_exception_group_keeps_its_members")
class LosesGroupMembers(LosesErrorFacts):
    def lose(self, error):
        error["children"] = error["children"][:1]


@breaks("test_an_error_names_the_original_type")
class RaisesItsOwnError(InMemoryExecutor):
    def _receive(self, answer):
        try:
            return super()._receive(answer)
        except ExecutionError as error:
            if error.original_type == "OvenError" and "too hot" in str(error):
                error.original_type = "RemoteError"
            raise


@breaks("test_exiting_is_a_failure")
class LetsTheActionEndTheProcess(InMemoryExecutor):
    def _receive(self, answer):
        try:
            return super()._receive(answer)
        except ExecutionError as error:
            if error.original_type == "SystemExit":
                raise SystemExit(1) from error
            raise


@breaks("test_an_error_survives_pickling")
class RaisesWithALock(InMemoryExecutor):
    def _receive(self, answer):
        try:
            return super()._receive(answer)
        except ExecutionError as error:
            error.connection = threading.Lock()
            raise


@breaks("test_a_failed_action_is_not_run_again")
class RetriesUnasked(InMemoryExecutor):
    def _work(self, action, sent, ctx):
        answer = super()._work(action, sent, ctx)
        return answer if Outcome.from_dict(json.loads(answer)).ok else super()._work(action, sent, ctx)


@breaks("test_a_validation_error_of_the_action_is_a_failure")
class TakesEveryValidationErrorForItsOwn(InMemoryExecutor):
    def _receive(self, answer):
        try:
            return super()._receive(answer)
        except ExecutionError as error:
            if error.original_type == "ValidationError":
                raise ValidationError(str(error)) from error
            raise


@breaks("test_the_executor_is_usable_after_failures")
class BreaksWithItsFirstFailure(InMemoryExecutor):
    is_broken = False

    def _work(self, action, sent, ctx):
        if self.is_broken and action.name == "adds":
            return json.dumps(Outcome(value=None).to_dict())
        answer = super()._work(action, sent, ctx)
        self.is_broken = not Outcome.from_dict(json.loads(answer)).ok
        return answer
