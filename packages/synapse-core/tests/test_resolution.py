"""Whatever may be passed as an action is made ready to run, or refused with what to pass instead."""

from __future__ import annotations

import functools
import gc
import re
import sys
import textwrap
import weakref
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

import pytest
from pydantic import BaseModel

from synapse_core.actions import BaseAction, action
from synapse_core.context import RuntimeContext
from synapse_core.errors import ActionLoadError
from synapse_core.execution import run_action
from synapse_core.ports.action import RunnableAction
from synapse_core.resolution import is_action, resolve_action, snake_case_name


def without_address(value: object) -> str:
    """Name a parameter alike in every process, which tests that run in several of them have to be."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


if TYPE_CHECKING:
    from nowhere import OnlyForTypeCheckers  # type: ignore[import-not-found]

P = TypeVar("P")


class Params(BaseModel):
    n: int = 1


class TrainAction(BaseAction[Params]):
    """Trains.

    At length.
    """

    category = "neural_net"
    input_type = "dataset"
    method = "job"
    idempotent = True

    async def execute(self) -> Any:
        return self.params.n


def plain(params: Params, ctx: RuntimeContext) -> Any:
    return params.n, ctx.job_id


@action("named", params=Params, description="d")
def marked(params, ctx):  # type: ignore[no-untyped-def]
    return params.n


class Machine:
    def __call__(self, params: Params, ctx: Any) -> Any:
        return params.n

    def method(self, params: Params) -> Any:
        return params.n

    @classmethod
    def made(cls, params: Params) -> Any:
        return params.n

    @staticmethod
    def static(params: Params) -> Any:
        return params.n


def run(candidate: Any, params: Any = None) -> Any:
    return run_action(resolve_action(candidate), {} if params is None else params, RuntimeContext(job_id="j"))


def test_a_class_says_everything_about_itself() -> None:
    resolved = resolve_action(TrainAction)
    assert isinstance(resolved, RunnableAction)
    assert (resolved.name, resolved.description) == ("train", "Trains.")
    assert (resolved.params_model, resolved.result_model) == (Params, None)
    assert (resolved.category, resolved.input_type, resolved.method) == ("neural_net", "dataset", "job")
    assert (resolved.is_async, resolved.idempotent, resolved.target) == (True, True, TrainAction)
    assert resolve_action(resolved) is resolved


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("TrainAction", "train"),
        ("YOLOv8TrainAction", "yolov8_train"),
        ("Action", "action"),
        ("HTTPServer", "http_server"),
    ],
)
def test_a_class_name_gives_a_name_in_snake_case(name: str, expected: str) -> None:
    assert snake_case_name(type(name, (), {})) == expected


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (plain, (1, "j")),
        (marked, 1),
        (Machine(), 1),
        (Machine().method, 1),
        (Machine.made, 1),
        (Machine.static, 1),
        (functools.partial(plain, ctx=RuntimeContext(job_id="bound")), (1, "bound")),
        (functools.partial(marked), 1),
        (lambda params, ctx: (params, ctx.job_id), ({}, "j")),
        (lambda params: params, {}),
        (lambda: "alone", "alone"),
        (lambda ctx: ctx.job_id, "j"),
        (lambda *args: len(args), 2),
        (lambda params, i=5: i, 5),
        (lambda params, ctx=None: ctx.job_id, "j"),
        (lambda params, _ctx=None: _ctx.job_id, "j"),
        (len, 0),
        (TrainAction, 1),
    ],
    ids=without_address,
)
def test_anything_callable_runs_with_as_many_arguments_as_it_takes(candidate: Any, expected: Any) -> None:
    assert run(candidate) == expected


def test_names_come_from_the_function_behind_whatever_was_passed() -> None:
    def scale(params: Any, ctx: Any, factor: int = 1) -> None:
        pass

    candidates = [scale, functools.partial(scale, factor=2), Machine(), Machine().method, marked, lambda: None]
    names = ["scale", "scale", "Machine", "method", "named", "<lambda>"]
    assert [resolve_action(candidate).name for candidate in candidates] == names


def with_unresolvable_neighbour(params: Params, ctx: OnlyForTypeCheckers) -> OnlyForTypeCheckers:
    return params.n


def optional(params: Params | None, ctx: Any) -> Any:
    return type(params)


def annotated(params: Annotated[Params, "a note"], ctx: Any) -> Any:
    return type(params)


def wrapped_once(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


@pytest.mark.parametrize(
    "candidate",
    [
        plain,
        with_unresolvable_neighbour,
        optional,
        wrapped_once(plain),
        wrapped_once(marked),
        Machine().method,
        annotated,
    ],
    ids=lambda candidate: candidate.__qualname__,
)
def test_the_model_is_taken_from_an_annotation_that_is_text(candidate: Any) -> None:
    assert resolve_action(candidate).params_model is Params


@pytest.mark.parametrize("annotation", [None, "dict[str, Any]", "int", "Nowhere", "Params | int"])
def test_any_other_annotation_means_a_dict(annotation: Any) -> None:
    def f(params, ctx):  # type: ignore[no-untyped-def]
        return type(params)

    f.__annotations__["params"] = annotation
    assert run(f) is dict


def test_the_decorators_model_wins_over_the_annotation() -> None:
    class Wider(Params):
        extra: int = 2

    @action(params=Wider)
    def f(params: Params) -> Any:
        return type(params)

    assert run(f) is Wider


class Generic2(BaseAction[P], Generic[P]):
    def execute(self) -> Any:
        return type(self.params)


class NotAnAction:
    pass


class Abstract(BaseAction[Params]):
    @abstractmethod
    def part(self) -> None: ...


@pytest.mark.parametrize(
    ("candidate", "told"),
    [
        (dict, "no BaseAction"),
        (NotAnAction, "no BaseAction. Write class NotAnAction(BaseAction[Params])"),
        (BaseAction, "has no execute"),
        (Abstract, "has no execute"),
        (Generic2[Params], "Write class Generic2Of"),
        (5, "5 cannot be run as an action; pass a BaseAction subclass"),
        (None, "cannot be run as an action"),
        (TrainAction(Params()), "cannot be run as an action"),
        (lambda a, b, c: None, "takes 3 arguments"),
    ],
    ids=without_address,
)
def test_anything_else_is_refused_with_what_to_pass(candidate: Any, told: str) -> None:
    with pytest.raises(TypeError) as caught:
        resolve_action(candidate)
    assert told in str(caught.value)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make a package ``shop_of_actions`` importable for one test."""
    folder = tmp_path / "shop_of_actions"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "train.py").write_text(
        textwrap.dedent("""
        from synapse_core import BaseAction
        class Outer:
            class Inner(BaseAction):
                def execute(self):
                    return "inner"
        def function(params):
            return "function"
        number = 5
        """)
    )
    (folder / "broken.py").write_text("import sys\nsys.exit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "shop_of_actions"
    for name in [name for name in sys.modules if name.startswith("shop_of_actions")]:
        del sys.modules[name]


@pytest.mark.parametrize("entrypoint", ["train:Outer.Inner", "train.Outer.Inner", "train:function", "train.function"])
def test_an_entrypoint_in_either_form_runs(module: str, entrypoint: str) -> None:
    assert run(f"{module}.{entrypoint}") == ("inner" if "Inner" in entrypoint else "function")


@pytest.mark.parametrize(
    ("entrypoint", "told"),
    [
        ("{}.train:functoin", "Did you mean 'function'?"),
        ("{}.trian:function", "No module named"),
        ("{}.broken:function", "exit"),
        ("no-such thing", "is not of the form"),
        ("", "is not of the form"),
    ],
)
def test_an_entrypoint_that_does_not_import_is_a_load_error(module: str, entrypoint: str, told: str) -> None:
    with pytest.raises(ActionLoadError, match="entrypoint") as caught:
        resolve_action(entrypoint.format(module))
    assert told in str(caught.value)


def test_an_entrypoint_to_something_that_cannot_run_is_refused(module: str) -> None:
    with pytest.raises(TypeError, match="5 cannot be run"):
        resolve_action(f"{module}.train:number")


def test_resolving_holds_nothing_alive_that_was_made_on_the_way() -> None:
    class Closure:
        pass

    def make() -> tuple[weakref.ref[Any], ...]:
        held = Closure()
        function = lambda params, ctx: held  # noqa: E731 - it has to be a lambda
        machine = Machine()
        for candidate in (function, machine, machine.method, functools.partial(function)):
            run(candidate)
        return weakref.ref(held), weakref.ref(machine)

    held = make()
    gc.collect()
    assert [ref() for ref in held] == [None, None]


def test_two_equal_callables_are_still_two() -> None:
    class Equal:
        def __init__(self, n: int) -> None:
            self.n = n

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Equal)

        def __hash__(self) -> int:
            return 1

        def __call__(self, params: Any) -> int:
            return self.n

    assert [run(Equal(1)), run(Equal(2))] == [1, 2]


def test_what_counts_as_written_as_an_action() -> None:
    assert is_action(TrainAction)
    assert is_action(marked)
    assert not any(map(is_action, (plain, BaseAction, NotAnAction, 5, None, Params)))
