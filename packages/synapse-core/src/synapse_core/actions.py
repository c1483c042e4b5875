"""Actions as people write them: classes on `BaseAction`, functions under `@action`."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, overload
from weakref import WeakKeyDictionary

from synapse_core.context import RuntimeContext
from synapse_core.model.enums import PluginCategory
from synapse_core.reporting import Reporter

if TYPE_CHECKING:
    from pydantic import BaseModel
    from typing_extensions import TypeVar

    from synapse_core.ports.events import Event

    ParamsT = TypeVar("ParamsT", default=Any)
    ResultT = TypeVar("ResultT", default=Any)
else:
    from typing import TypeVar

    ParamsT = TypeVar("ParamsT")
    ResultT = TypeVar("ResultT")

__all__ = ["ActionInfo", "BaseAction", "action", "action_info"]


class _InferredModel:
    """A class attribute worked out from the type arguments: ``BaseAction[Params, Result]``."""

    def __init__(self, position: int) -> None:
        self._position = position
        self._known: WeakKeyDictionary[type, Any] = WeakKeyDictionary()

    def __get__(self, instance: object, owner: type) -> Any:
        try:
            return self._known[owner]
        except KeyError:
            argument, written_in = _type_argument(owner, self._position)
            model = self._known[owner] = self._model(argument, owner, written_in)
            return model

    def _model(self, argument: Any, owner: type, written_in: type) -> type[BaseModel] | None:
        if self._position == 0:
            return _model_from(argument, owner, written_in)
        try:  # a result may be of any type; only a model describes it
            return _model_from(argument, owner, written_in)
        except TypeError:
            return None


class BaseAction(Reporter, Generic[ParamsT, ResultT]):
    """An action written as a class: ``BaseAction[Params]`` or ``BaseAction[Params, Result]``.

    Without a params model, ``self.params`` is the dict. ``execute`` may be ``async def``. The
    reporting methods of ``ctx`` are there on the action itself too.

    Attributes:
        params_model: Inferred from the first type argument, or set in the class body.
        result_model: Inferred from the second type argument, or set in the class body. It
            describes the result; what ``execute`` returns is handed on as it is.
        action_name: Name in plugins without ``config.yaml``. Default: the class name in snake
            case, without ``Action``.
        idempotent: Whether it may be run again after its worker died.

    Example:
        >>> from pydantic import BaseModel
        >>> class Params(BaseModel):
        ...     epochs: int = 1
        >>> class TrainAction(BaseAction[Params]):
        ...     def execute(self):
        ...         return {"epochs": self.params.epochs}
        >>> TrainAction(Params(epochs=2)).execute()
        {'epochs': 2}
    """

    params_model: ClassVar[type[BaseModel] | None] = typing.cast("Any", _InferredModel(0))
    result_model: ClassVar[type[BaseModel] | None] = typing.cast("Any", _InferredModel(1))
    action_name: ClassVar[str | None] = None
    category: ClassVar[PluginCategory | str | None] = None
    input_type: ClassVar[str | None] = None
    output_type: ClassVar[str | None] = None
    description: ClassVar[str] = ""
    method: ClassVar[str | None] = None
    idempotent: ClassVar[bool] = False

    if not TYPE_CHECKING:

        def __class_getitem__(cls, arguments: Any) -> Any:
            # TypeVar defaults came with Python 3.13; until then one argument stands for two.
            if cls is BaseAction and not (isinstance(arguments, tuple) and len(arguments) > 1):
                (first,) = arguments if isinstance(arguments, tuple) else (arguments,)
                arguments = (first, Any)
            return super().__class_getitem__(arguments)

    def __init__(self, params: ParamsT, ctx: RuntimeContext | None = None) -> None:
        self.params = params
        self.ctx = RuntimeContext() if ctx is None else ctx

    def execute(self) -> ResultT | Awaitable[ResultT]:
        """Do the work and return the result; every action writes this."""
        raise NotImplementedError(f"{type(self).__qualname__} has no execute()")

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody asked for this execution to stop."""
        return self.ctx.is_cancelled

    def _report(self, event: Event) -> None:
        self.ctx._report(event)

    def _reporting_job_id(self) -> str:
        return self.ctx.job_id

    def _complain(self, problem: str) -> None:
        self.ctx._complain(problem)


# -- models from type arguments ---------------------------------------------------------------


def _type_argument(cls: type, position: int) -> tuple[Any, type]:
    """Return the type argument of `BaseAction` at `position`, and the class that wrote it down.

    It is followed through generic intermediates.
    """

    def search(current: type, bound: Mapping[Any, tuple[Any, type]]) -> tuple[Any, type] | None:
        unbound = None
        for base in current.__dict__.get("__orig_bases__", current.__bases__):
            origin = typing.get_origin(base) or base
            if not (isinstance(origin, type) and issubclass(origin, BaseAction)):
                continue
            arguments = [_bind(argument, bound, current) for argument in typing.get_args(base)]
            if origin is BaseAction:
                found = arguments[position] if len(arguments) > position else None
            else:
                parameters = getattr(origin, "__parameters__", ())
                found = search(origin, dict(zip(parameters, arguments, strict=False)))
            if found is None or found[0] is Any:  # another base may know more
                continue
            if not isinstance(found[0], TypeVar):
                return found
            unbound = unbound or found
        return unbound

    return search(cls, {}) or (None, cls)


def _bind(argument: Any, bound: Mapping[Any, tuple[Any, type]], current: type) -> tuple[Any, type]:
    """Put what is known for type variables into `argument`: a variable, or a generic model over some."""
    if isinstance(argument, TypeVar):
        return bound.get(argument, (argument, current))
    variables = getattr(argument, "__pydantic_generic_metadata__", {}).get("parameters", ())
    if any(variable in bound for variable in variables):
        return argument[tuple(bound.get(variable, (variable,))[0] for variable in variables)], current
    return argument, current


_MOST_STEPS = 10


def _model_from(argument: Any, owner: type, written_in: type) -> type[BaseModel] | None:
    places = [written_in.__module__]
    for _ in range(_MOST_STEPS):  # a variable's bound may be a forward reference to an alias
        if isinstance(argument, typing.ForwardRef):
            argument = argument.__forward_arg__
        if isinstance(argument, str):
            argument = _evaluate(argument, owner, written_in, places)
        elif isinstance(argument, TypeVar):
            places.append(argument.__module__)  # its bound was written where the variable was made
            argument = argument.__bound__
        elif hasattr(argument, "__value__"):  # type Params = …, of Python 3.12
            argument = argument.__value__
        else:
            break
    if isinstance(argument, type) and hasattr(argument, "model_validate"):
        return argument
    origin = typing.get_origin(argument) or argument
    if origin in (None, type(None), Any, object) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return None
    raise TypeError(
        f"{owner.__qualname__}: {argument!r} is not a pydantic model. Write BaseAction[Params] with "
        "class Params(BaseModel), or BaseAction without an argument for a plain dict"
    )


def _evaluate(text: str, owner: type, written_in: type, places: list[str]) -> Any:
    first, *others = [vars(sys.modules[name]) if name in sys.modules else {} for name in places]
    namespace = {**first, **vars(written_in)}
    for other in others:
        namespace.update(other)
    try:
        return eval(text, namespace)  # an annotation of the user's own code, as typing does it
    except Exception as error:
        raise TypeError(
            f"{owner.__qualname__}: the type argument {text!r} cannot be resolved in {written_in.__module__}: {error}. "
            "Define it at module level, or set params_model in the class body"
        ) from error


# -- actions written as functions -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ActionInfo:
    """What `@action` was told about a function."""

    name: str
    params: type[BaseModel] | None = None
    result: type[BaseModel] | None = None
    description: str = ""
    category: PluginCategory | str | None = None
    input_type: str | None = None
    output_type: str | None = None
    method: str | None = None
    idempotent: bool = False


_F = typing.TypeVar("_F", bound=Callable[..., Any])
_INFO_ATTRIBUTE = "__synapse_action__"


def action_info(function: Any) -> ActionInfo | None:
    """Return what `@action` was told about `function`, or ``None`` where it was not decorated."""
    try:
        found = getattr(function, _INFO_ATTRIBUTE, None)
    except Exception:  # any object may be asked, and `__getattr__` is the user's code
        return None
    if isinstance(found, ActionInfo):
        return found
    if isinstance(function, partial) and not function.args:  # its first parameter is still free
        return action_info(function.func)
    return None


@overload
def action(name: _F, /) -> _F: ...
@overload
def action(
    name: str | None = None,
    *,
    description: str = "",
    params: type[BaseModel] | None = None,
    result: type[BaseModel] | None = None,
    category: PluginCategory | str | None = None,
    input_type: str | None = None,
    output_type: str | None = None,
    method: str | None = None,
    idempotent: bool = False,
) -> Callable[[_F], _F]: ...
def action(name: Any = None, **facts: Any) -> Any:  # noqa: D417 - the overload above types the arguments
    """Mark a function ``(params, ctx)`` as an action.

    Args:
        name: Its name. Default: the function's.
        params: Model of its params. Default: the annotation of its first parameter.

    Example:
        >>> @action(description="Adds up")
        ... def total(params, ctx):
        ...     return sum(params["numbers"])
    """
    if callable(name):
        return action()(name)

    def decorate(function: _F) -> _F:
        if isinstance(function, type):
            raise TypeError(f"@action is for functions; {function.__qualname__} is a class, and has to be a BaseAction")
        plain = function.func if isinstance(function, partial) else function
        about = inspect.getdoc(plain) if inspect.isroutine(plain) else type(plain).__doc__
        described = {"description": (about or "").partition("\n")[0], **facts}
        info = ActionInfo(name=name or getattr(plain, "__name__", type(plain).__name__), **described)
        try:
            setattr(function, _INFO_ATTRIBUTE, info)
        except AttributeError:
            raise TypeError(
                f"@action cannot mark {function!r}: nothing can be written on it. Wrap it: def name(params, ctx): ..."
            ) from None
        return function

    return decorate
