"""An outcome that crossed a boundary gives the same value, or the same error with everything known about it."""

import json
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from synapse_core import errors
from synapse_core.context import RuntimeContext
from synapse_core.errors import (
    ActionLoadError,
    ExecutionCancelledError,
    ExecutionError,
    FieldProblem,
    JobNotFoundError,
    PluginError,
    ValidationError,
)
from synapse_core.execution import run_to_outcome
from synapse_core.model.outcome import ErrorData, Outcome
from synapse_core.model.tagged import PlainData
from synapse_core.resolution import resolve_action


def by_json(outcome: Outcome) -> Outcome:
    return Outcome.from_dict(json.loads(json.dumps(outcome.to_dict(), allow_nan=False)))


def by_pickle(outcome: Outcome) -> Outcome:
    return pickle.loads(pickle.dumps(outcome))


WAYS = pytest.mark.parametrize("way", [by_json, by_pickle])


class CodeError(Exception):
    """Its constructor wants something else than `args`."""

    def __init__(self, code: int, *, hint: str) -> None:
        super().__init__(f"code {code}")
        self.code = code
        self.hint = hint


class TextFromAttributes(Exception):
    def __init__(self, lock: Any) -> None:
        super().__init__()
        self.lock = lock

    def __str__(self) -> str:
        return f"held by {self.lock!r}"


class Outer:
    class NestedError(ValueError):
        pass


class OwnGroup(ExceptionGroup[Exception]):
    pass


class OwnOSError(OSError):
    def __init__(self, *, number: int) -> None:
        super().__init__(number, "mine")


def failed(error: BaseException) -> Outcome:
    def action() -> None:
        raise error

    return run_to_outcome(resolve_action(action), {}, RuntimeContext(job_id="j1"), allow_pickle=False)


def error_of(outcome: Outcome) -> ExecutionError:
    with pytest.raises(ExecutionError) as caught:
        outcome.unwrap()
    return caught.value


@WAYS
@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad ü"),
        ValueError(),
        KeyError("k"),
        FileNotFoundError(2, "none", "a.txt"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        json.JSONDecodeError("bad", "doc", 1),
        ModuleNotFoundError("no x"),
        StopIteration(3),
        GeneratorExit(),
        SystemExit(4),
        CodeError(5, hint="more"),
        Outer.NestedError("n"),
        OwnOSError(number=13),
        RecursionError("deep"),
        Exception(1, {"a": (1,)}),
    ],
    ids=lambda error: type(error).__name__,
)
def test_class_name_message_traceback_details_and_cause_are_the_same_on_the_other_side(way: Any, error: Any) -> None:
    before = error_of(failed(error))
    after = error_of(way(failed(error)))
    assert (type(after), str(after)) == (type(before), str(before))
    assert after.original_type == type(error).__name__ == before.original_type
    assert after.original_message == str(error)
    assert after.details == {"action": "action", "job_id": "j1"}
    assert "in action" in after.remote_traceback
    assert type(after.__cause__) is type(error)
    assert (str(after.__cause__), after.__cause__.args) == (str(error), error.args)
    assert vars(after.__cause__) == vars(error)


@WAYS
def test_what_builtin_errors_keep_in_c_is_there_again(way: Any) -> None:
    missing = error_of(way(failed(FileNotFoundError(2, "none", "a.txt")))).__cause__
    assert (missing.errno, missing.filename) == (2, "a.txt")  # type: ignore[union-attr]
    assert error_of(way(failed(OwnOSError(number=13)))).__cause__.errno == 13  # type: ignore[union-attr]
    assert error_of(way(failed(SystemExit(4)))).__cause__.code == 4  # type: ignore[union-attr]


@WAYS
def test_notes_arrive(way: Any) -> None:
    error = ValueError("x")
    error.add_note("while reading a.csv")
    assert error_of(way(failed(error))).__cause__.__notes__ == ["while reading a.csv"]  # type: ignore[union-attr]


@WAYS
def test_a_group_arrives_with_its_members_and_their_members(way: Any) -> None:
    inner = OwnGroup("inner", [CodeError(1, hint="h"), ExceptionGroup("deep", [KeyError("k")])])
    cause = error_of(way(failed(ExceptionGroup("outer", [ValueError("v"), inner])))).__cause__
    assert isinstance(cause, ExceptionGroup)
    first, second = cause.exceptions
    assert (type(first), str(first)) == (ValueError, "v")
    assert type(second) is OwnGroup
    assert (type(second.exceptions[0]), second.exceptions[0].hint) == (CodeError, "h")
    assert str(second.exceptions[1].exceptions[0]) == "'k'"


@WAYS
def test_an_error_that_cannot_be_pickled_or_rebuilt_is_still_described(way: Any) -> None:
    for error in (TextFromAttributes(threading.Lock()), ValueError(threading.Lock())):
        after = error_of(way(failed(error)))
        assert after.original_type == type(error).__name__
        assert "lock" in (after.original_message or "")
        assert after.__cause__ is None


@WAYS
def test_a_class_that_is_not_importable_is_described(way: Any) -> None:
    class LocalError(Exception):
        pass

    after = error_of(way(failed(LocalError("here"))))
    assert (after.original_type, after.original_message, after.__cause__) == ("LocalError", "here", None)


@WAYS
def test_an_error_whose_texts_raise_is_described(way: Any) -> None:
    class Awful(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

        __repr__ = __str__

    after = error_of(way(failed(Awful())))
    assert after.original_type == "Awful"
    assert "ZeroDivisionError" in (after.original_message or "")
    assert "Awful" in after.remote_traceback


@WAYS
def test_problems_of_params_arrive_field_by_field(way: Any) -> None:
    class Params(BaseModel):
        epochs: int

    def train(params: Params) -> None:
        pass

    outcome = way(run_to_outcome(resolve_action(train), {"epochs": "x"}, RuntimeContext(), allow_pickle=False))
    with pytest.raises(ValidationError) as caught:
        outcome.unwrap()
    assert [problem.path for problem in caught.value.problems] == ["epochs"]
    assert isinstance(caught.value.problems[0], FieldProblem)
    assert caught.value.action == "train"


@WAYS
@pytest.mark.parametrize("name", [name for name in errors.__all__ if name.endswith("Error")])
def test_every_error_of_the_tree_comes_back_as_itself(way: Any, name: str) -> None:
    cls = getattr(errors, name)
    outcome = way(Outcome.of_error(cls("what happened")))
    with pytest.raises(PluginError) as caught:
        outcome.unwrap()
    assert type(caught.value) is cls
    assert str(caught.value) == "what happened"


@WAYS
def test_attributes_of_the_callers_mistakes_come_back(way: Any) -> None:
    error = ActionLoadError("no", entrypoint="a:B", traceback="Traceback …")
    with pytest.raises(ActionLoadError) as caught:
        way(Outcome.of_error(error)).unwrap()
    assert (caught.value.entrypoint, caught.value.traceback) == ("a:B", "Traceback …")


def test_a_backends_own_error_comes_back_as_the_closest_one_of_the_tree() -> None:
    class QueueGoneError(JobNotFoundError):
        pass

    assert type(error_of(by_json(Outcome.of_error(QueueGoneError("q"))))) is JobNotFoundError


def test_an_execution_error_without_a_cause_keeps_the_type_it_names() -> None:
    error = ExecutionError("failed", original_type="ValueError", original_message="x", remote_traceback="T")
    after = error_of(by_json(Outcome.of_error(error)))
    assert (after.original_type, after.original_message, after.remote_traceback) == ("ValueError", "x", "T")


def test_two_boundaries_are_as_good_as_one() -> None:
    once = error_of(by_json(failed(CodeError(5, hint="h"))))
    twice = error_of(by_json(Outcome.of_error(once)))
    assert (str(twice), twice.original_type, twice.remote_traceback) == (
        str(once),
        once.original_type,
        once.remote_traceback,
    )
    assert twice.__cause__.hint == "h"  # type: ignore[union-attr]


def test_details_that_are_not_json_cannot_stop_the_error() -> None:
    error = ExecutionError("x", details={"path": Path("a"), "odd": object()})
    assert error_of(by_json(Outcome.of_error(error))).details["path"] == "a"


def test_a_document_of_another_version_is_read() -> None:
    document = ErrorData.from_exception(ValueError("x")).to_dict()
    del document["original_state"], document["state"], document["children"]
    assert str(ErrorData.from_dict({**document, "added_later": 1}).to_exception()) == "x"


def test_a_cancelled_action_is_cancelled_on_the_other_side() -> None:
    import asyncio

    assert type(error_of(by_json(failed(asyncio.CancelledError())))) is ExecutionCancelledError


# -- values -----------------------------------------------------------------------------------


class Unpicklable:
    def __reduce__(self) -> Any:
        raise ZeroDivisionError

    def __repr__(self) -> str:
        raise ValueError


class NotReadBack:
    def __reduce__(self) -> Any:
        return (int, ("not a number",))


@WAYS
@pytest.mark.parametrize("value", [None, {"a": (1, {2})}, [float("inf")], Path("x")], ids=str)
def test_a_value_arrives_equal(way: Any, value: Any) -> None:
    assert way(Outcome.of_value(value, allow_pickle=False)).unwrap() == value


@WAYS
@pytest.mark.parametrize(
    "value", [object(), open, Unpicklable(), threading.Lock(), [iter(())]], ids=lambda v: type(v).__name__
)
def test_a_result_without_a_form_as_data_is_a_success_with_a_described_stand_in(way: Any, value: Any) -> None:
    outcome = way(Outcome.of_value(value, allow_pickle=False))
    assert outcome.ok
    assert outcome.stand_in
    back = outcome.unwrap()
    assert isinstance(back, PlainData)
    assert back.type_name.endswith(type(value).__qualname__)
    assert {"repr", "why"} <= back.keys()


def test_within_a_machine_such_a_result_travels_as_a_pickle_and_never_over_http() -> None:
    outcome = Outcome.of_value(range(3), allow_pickle=True)
    assert by_pickle(outcome).unwrap() == range(3)
    with pytest.raises(ValueError, match="not for HTTP"):
        outcome.to_dict()


def test_a_result_that_cannot_be_pickled_either_is_a_success() -> None:
    back = Outcome.of_value(Unpicklable(), allow_pickle=True).unwrap()
    assert "ZeroDivisionError" in back["why"] or "pickling it fails" in back["why"]


def test_a_result_that_cannot_be_read_here_is_a_success() -> None:
    back = by_pickle(Outcome.of_value(NotReadBack(), allow_pickle=True)).unwrap()
    assert back.type_name.endswith("NotReadBack")
    assert "invalid literal" in back["why"]


def test_data_of_a_kind_that_is_unknown_here_is_a_success() -> None:
    back = Outcome(value={"$type": "of-a-later-version", "value": 1}).unwrap()
    assert back["data"]["value"] == 1
    assert "of-a-later-version" in back["why"]
