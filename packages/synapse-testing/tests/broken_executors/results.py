"""Executors that spoil results."""

from __future__ import annotations

import contextlib
import json
import os
import sys

from broken_executors.base import Meddler, Replaced, breaks
from synapse_core.model.outcome import Outcome
from synapse_testing import InMemoryExecutor, actions
from synapse_testing.values import same_value


@breaks("test_a_result_comes_back")
class LosesTheResult(Meddler):
    def meddle(self, answer):
        if not answer["stand_in"]:
            answer["value"] = None


@breaks("test_a_value_keeps_its_type")
class TurnsTuplesIntoLists(Meddler):
    def meddle(self, answer):
        if isinstance(answer["value"], dict) and answer["value"].get("$type") == "tuple":
            answer["value"] = answer["value"]["value"]


@breaks("test_a_result_is_a_copy")
class SharesMemoryUnstated(InMemoryExecutor):
    def _receive(self, answer):
        result = super()._receive(answer)
        returned = actions.last_returned()
        return returned if same_value(result, returned) else result


@breaks("test_a_result_without_a_text_is_a_success")
class HasToPrintTheResult(InMemoryExecutor):
    def _work(self, action, sent, ctx):
        def printed(params, ctx):
            result = action.call(params, ctx)
            with open(os.devnull, "w") as nowhere:
                print(result, file=nowhere)
            return result

        return super()._work(Replaced(action, printed), sent, ctx)


@breaks("test_a_result_that_cannot_travel_is_a_success")
class LosesTheReason(Meddler):
    def meddle(self, answer):
        if answer["stand_in"] and "Sealed" in answer["value"]["type_name"]:
            answer["stand_in"], answer["value"] = False, None


@breaks("test_printed_text_cannot_change_the_result")
class ReadsTheResultFromStdout(InMemoryExecutor):
    def _work(self, action, sent, ctx):
        class Listening:
            line = ""

            def write(self, text):
                if text.startswith('{"value"'):
                    self.line = text.splitlines()[0]
                sys.__stdout__.write(text)

            def flush(self):
                pass

        listening = Listening()
        with contextlib.redirect_stdout(listening):
            answer = super()._work(action, sent, ctx)
        return listening.line or answer


@breaks("test_an_action_runs_once")
class AnswersTwice(InMemoryExecutor):
    def _work(self, action, sent, ctx):
        first = super()._work(action, sent, ctx)
        if Outcome.from_dict(json.loads(first)).ok and action.name == "appends_line":
            super()._work(action, sent, ctx)
        return first


@breaks("test_different_actions_take_turns")
class RemembersTheFirstAnswer(InMemoryExecutor):
    remembered = None

    def _work(self, action, sent, ctx):
        answer = super()._work(action, sent, ctx)
        if action.name == "returns_value":
            self.remembered = answer
        return self.remembered or answer
