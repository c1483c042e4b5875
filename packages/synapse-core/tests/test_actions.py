"""Models are inferred however an action class is put together, and functions are marked in every form."""

import functools
import sys
import types
from collections.abc import Mapping
from typing import Any, Generic, TypedDict, TypeVar

import pytest
from pydantic import BaseModel

from synapse_core.actions import BaseAction, action, action_info
from synapse_core.context import RuntimeContext


class Params(BaseModel):
    n: int = 1


class Other(BaseModel):
    m: int = 1


class Row(TypedDict):
    a: int


class Result(BaseModel):
    total: int = 0


P = TypeVar("P")
R = TypeVar("R")
Bound = TypeVar("Bound", bound=Params)


class Wrapped(BaseModel, Generic[P]):
    inner: P


class Runs:
    def execute(self) -> Any:
        return None


class One(Runs, BaseAction[Params]):
    pass


class Two(Runs, BaseAction[Params, Result]):
    pass


class Bare(Runs, BaseAction):  # type: ignore[type-arg]
    pass


class Mid(Runs, BaseAction[P]):
    pass


class Mid2(Runs, BaseAction[P, R]):
    pass


class Swapped(Mid2[R, P], Generic[P, R]):
    pass


class HalfBound(Mid2[Params, R]):
    pass


class OfMid(Mid[Params]):
    pass


class OfMid2(Mid2[Params, Result]):
    pass


class OfSwapped(Swapped[Result, Params]):
    pass


class OfHalf(HalfBound[Result]):
    pass


class Deeper(OfMid2):
    pass


class BoundMid(Runs, BaseAction[Bound]):
    pass


class OfBound(BoundMid):  # type: ignore[type-arg]
    pass


class WrappedMid(Runs, BaseAction[Wrapped[P]], Generic[P]):
    pass


class OfWrapped(WrappedMid[Params]):
    pass


class OfGenericModel(Runs, BaseAction[Wrapped[Params]]):
    pass


class Forward(Runs, BaseAction["Later", "LaterResult"]):
    pass


class OfMidForward(Mid["Later"]):
    pass


class InBody(Runs, BaseAction[Params, Result]):
    params_model = Other
    result_model = None


class BodyOnly(Runs, BaseAction):  # type: ignore[type-arg]
    params_model = Params


class BelowBody(BodyOnly):
    pass


class MixedIn(Bare, One):
    pass


class Later(Params):
    pass


class LaterResult(Result):
    pass


@pytest.mark.parametrize(
    ("cls", "params", "result"),
    [
        (One, Params, None),
        (Two, Params, Result),
        (Bare, None, None),
        (OfMid, Params, None),
        (OfMid2, Params, Result),
        (OfSwapped, Params, Result),
        (OfHalf, Params, Result),
        (Deeper, Params, Result),
        (OfBound, Params, None),
        (Mid, None, None),
        (OfWrapped, Wrapped[Params], None),
        (OfGenericModel, Wrapped[Params], None),
        (Forward, Later, LaterResult),
        (OfMidForward, Later, None),
        (InBody, Other, None),
        (BodyOnly, Params, None),
        (BelowBody, Params, None),
        (MixedIn, Params, None),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_models_are_inferred(cls: Any, params: Any, result: Any) -> None:
    assert cls.params_model is params
    assert cls.result_model is result
    assert cls(params() if params in (Params, Other) else None).params_model is params


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters and type statements came with Python 3.12")
def test_models_are_inferred_through_type_parameters_and_type_statements() -> None:
    namespace = dict(globals())
    exec("class Mid12[T](Runs, BaseAction[T, Result]): pass\nclass Of(Mid12[Params]): pass", namespace)
    exec("type Alias = Params\nclass OfAlias(Runs, BaseAction[Alias]): pass", namespace)
    assert (namespace["Of"].params_model, namespace["Of"].result_model) == (Params, Result)
    assert namespace["OfAlias"].params_model is Params


def test_a_forward_reference_means_a_name_where_it_was_written() -> None:
    namespace = {"Forward": Forward, "Later": Other, "__name__": "somewhere_else"}
    exec("class Sub(Forward):\n    pass", namespace)
    assert namespace["Sub"].params_model is Later  # type: ignore[attr-defined]


@pytest.mark.parametrize("argument", [dict, dict[str, Any], Mapping[str, int], Any, object, None, Row])
def test_an_argument_that_means_a_plain_dict_is_no_model(argument: Any) -> None:
    class Plain(Runs, BaseAction[argument]):  # type: ignore[valid-type]
        pass

    assert Plain.params_model is None


@pytest.mark.parametrize("argument", [int, list[Params], Params | Other, "int", "Nowhere", "Params.missing"])
def test_an_argument_that_is_no_model_is_a_type_error_that_names_the_class_and_the_cure(argument: Any) -> None:
    class Wrong(Runs, BaseAction[argument]):  # type: ignore[valid-type]
        pass

    with pytest.raises(TypeError, match="Wrong: ") as caught:
        _ = Wrong.params_model
    assert "params_model" in str(caught.value) or "class Params(BaseModel)" in str(caught.value)


@pytest.mark.parametrize(
    "argument",
    [int, list[Params], Params | Other, "int", "Nowhere", "Params.missing", tuple[int, str], None, "list[Params]"],
)
def test_a_result_may_be_of_any_type(argument: Any) -> None:
    class Free(Runs, BaseAction[Params, argument]):  # type: ignore[valid-type]
        pass

    assert Free.result_model is None
    assert Free.params_model is Params


ForwardBound = TypeVar("ForwardBound", bound="Later")
LateBound = TypeVar("LateBound", bound="ResultText")
ResultText = "LaterResult"


def test_the_bound_of_a_variable_may_be_a_forward_reference() -> None:
    class ByBound(Runs, BaseAction[ForwardBound, LateBound]):
        pass

    class Below(ByBound):  # type: ignore[type-arg]
        pass

    for cls in (ByBound, Below):
        assert cls.params_model is Later
        assert cls.result_model is LaterResult


def test_the_bound_is_looked_up_where_the_variable_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("elsewhere_with_a_variable")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    code = "from typing import TypeVar\nfrom pydantic import BaseModel\nV = TypeVar('V', bound='Params')\n"
    exec(code + "class Params(BaseModel): pass\n", module.__dict__)

    class There(Runs, BaseAction[module.V]):  # type: ignore[name-defined]
        pass

    assert There.params_model is module.Params


def test_a_base_that_leaves_its_variable_open_does_not_hide_what_the_next_one_says() -> None:
    class Both(Mid[P], Two):
        pass

    class Open(Mid, Two):  # type: ignore[type-arg]
        pass

    class Deep(Open):
        pass

    class BoundAndSaid(BoundMid, Two):  # type: ignore[type-arg]
        pass

    for cls in (Both, Open, Deep, BoundAndSaid):
        assert (cls.params_model, cls.result_model) == (Params, Result)


def test_looking_at_a_class_writes_nothing_onto_it() -> None:
    before = {cls: dict(vars(cls)) for cls in (One, Two, OfMid, Forward)}
    for cls in before:
        _ = cls.params_model, cls.result_model
    assert before == {cls: dict(vars(cls)) for cls in before}


def test_an_action_has_its_params_and_context() -> None:
    ctx = RuntimeContext(job_id="j")
    made = One(Params(n=2), ctx)
    assert (made.params.n, made.ctx) == (2, ctx)
    assert made.is_cancelled is False
    assert Bare({"a": 1}).params == {"a": 1}


def test_execute_has_to_be_written() -> None:
    class Lazy(BaseAction[Params]):
        pass

    with pytest.raises(NotImplementedError, match=r"Lazy has no execute\(\)"):
        Lazy(Params()).execute()


# -- @action ----------------------------------------------------------------------------------


def test_bare_decoration_takes_name_and_first_line_and_gives_the_very_function_back() -> None:
    def train(params: Any, ctx: Any) -> None:
        """Train it.

        At length.
        """

    decorated = action(train)
    assert decorated is train
    info = action_info(train)
    assert info is not None
    assert (info.name, info.description, info.params) == ("train", "Train it.", None)


def test_every_fact_can_be_given() -> None:
    @action(
        "other", description="d", params=Params, result=Result, category="export",
        input_type="i", output_type="o", method="job", idempotent=True,
    )  # fmt: skip
    def train() -> None:
        pass

    info = action_info(train)
    assert info is not None
    assert (info.name, info.params, info.result, info.method, info.idempotent) == ("other", Params, Result, "job", True)


@pytest.mark.parametrize("decorate", [action, action(), action(params=Params), action(name="named")])
def test_every_form_of_the_decorator_marks(decorate: Any) -> None:
    @decorate
    def f(params: Any) -> None:
        pass

    info = action_info(f)
    assert info is not None
    assert info.name in ("f", "named")


def test_an_unknown_fact_is_refused() -> None:
    with pytest.raises(TypeError, match="parms"):
        action(parms=Params)(lambda params: None)  # type: ignore[call-overload]


def test_partials_and_callable_objects_are_marked() -> None:
    def scale(params: Any, ctx: Any, *, factor: int) -> None:
        """Scale it."""

    class Machine:
        """A machine."""

        def __call__(self, params: Any) -> None:
            pass

    partial = action(functools.partial(scale, factor=2))
    machine = action(Machine())
    assert [(i.name, i.description) for i in map(action_info, (partial, machine)) if i] == [
        ("scale", "Scale it."),
        ("Machine", "A machine."),
    ]
    assert action_info(scale) is None


def test_what_cannot_be_marked_says_what_to_write() -> None:
    class Machine:
        def method(self, params: Any) -> None:
            pass

    for cannot in (Machine().method, len):
        with pytest.raises(TypeError, match=r"Wrap it: def name\(params, ctx\)"):
            action(cannot)


def test_a_class_is_not_marked_and_nothing_is_written_onto_it() -> None:
    with pytest.raises(TypeError, match="BaseAction"):
        action(One)
    assert "__synapse_action__" not in vars(One)


def test_asking_any_object_is_safe() -> None:
    class Answers:
        def __getattr__(self, name: str) -> Any:
            return lambda *args: "anything"

    class Raises:
        def __getattr__(self, name: str) -> Any:
            raise ZeroDivisionError

    for thing in (Answers(), Raises(), None, 5, One):
        assert action_info(thing) is None
