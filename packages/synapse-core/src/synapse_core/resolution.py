"""The one place that turns a class, a function or an entrypoint string into something that runs."""

from __future__ import annotations

import contextlib
import inspect
import re
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from synapse_core.actions import ActionInfo, BaseAction, action_info
from synapse_core.context import RuntimeContext
from synapse_core.entrypoint import import_entrypoint
from synapse_core.model.references import PluginReference
from synapse_core.params import validate_params
from synapse_core.safe_text import shorten

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["ResolvedAction", "action_name_of", "is_action", "resolve_action", "resolve_given", "snake_case_name"]


@dataclass(frozen=True, slots=True, weakref_slot=True)
class ResolvedAction:
    """An action ready to run; implements the port `RunnableAction`.

    Attributes:
        target: The class or function itself.
        call: Runs it with validated params and a context.
        entrypoint: Where it is, for those who have to find it elsewhere; seen from the plugin's folder
            where it is a plugin's.
        plugin: The plugin that it was taken from, if any.
    """

    target: Any
    name: str
    params_model: type[BaseModel] | None
    result_model: type[BaseModel] | None
    call: Callable[[Any, RuntimeContext], Any]
    is_async: bool = False
    idempotent: bool = False
    description: str = ""
    category: str | None = None
    input_type: str | None = None
    output_type: str | None = None
    method: str | None = None
    entrypoint: str | None = None
    plugin: PluginReference | None = None

    def validate(self, params: Any) -> Any:
        """Return validated params.

        Raises:
            ValidationError: With one problem per field.
        """
        return validate_params(self.params_model, params, self.name)


_resolved: WeakKeyDictionary[Any, ResolvedAction] = WeakKeyDictionary()


def is_action(candidate: Any) -> bool:
    """Say whether `candidate` was written as an action: a `BaseAction` subclass or an `@action` function."""
    if isinstance(candidate, type):
        return issubclass(candidate, BaseAction) and candidate is not BaseAction
    return callable(candidate) and action_info(candidate) is not None


def resolve_action(candidate: Any) -> ResolvedAction:
    """Make a class, a function or an entrypoint string ready to run.

    Raises:
        ActionLoadError: The entrypoint does not import, or names something that cannot run.
        TypeError: `candidate` is none of the three.
    """
    if isinstance(candidate, ResolvedAction):
        return candidate
    try:
        return _resolved[candidate]
    except (KeyError, TypeError):  # not seen before, or not weakly referable
        pass
    if isinstance(candidate, str):
        return resolve_action(import_entrypoint(candidate))
    if isinstance(origin := typing.get_origin(candidate), type):
        raise TypeError(
            f"{candidate!r} is no class of its own. Write class {origin.__name__}Of…({candidate!r}): ... and pass that"
        )
    if isinstance(candidate, type):
        resolved = _resolve_class(candidate)
    elif callable(candidate):
        resolved = _resolve_function(candidate)
    else:
        raise TypeError(
            f"{shorten(candidate)} cannot be run as an action; pass a BaseAction subclass, "
            "a function (params, ctx), or an entrypoint such as 'plugin.train:TrainAction'"
        )
    # What is made anew again and again (a lambda, a bound method) would never leave the table: its
    # entry holds it. Only what a module holds anyway is kept.
    if "<" not in getattr(candidate, "__qualname__", "<") and not inspect.ismethod(candidate):
        with contextlib.suppress(TypeError):  # not weakly referable: resolved anew each time
            _resolved[candidate] = resolved
    return resolved


def resolve_given(*candidates: Any) -> ResolvedAction:
    """Make the first candidate that is not ``None`` ready to run.

    The first argument of executors answers to several names: ``action``, ``action_cls``, ``entrypoint``.

    Raises:
        ActionLoadError: As `resolve_action`.
        TypeError: As `resolve_action`; also where none was given.
    """
    return resolve_action(next((candidate for candidate in candidates if candidate is not None), None))


def _call_class(cls: type[BaseAction[Any, Any]], params: Any, ctx: RuntimeContext) -> Any:
    return cls(params, ctx).execute()


def snake_case_name(cls: type) -> str:
    """Return the class name in snake case, without a trailing ``Action``."""
    name = cls.__name__.removesuffix("Action") or cls.__name__
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z](?![0-9]))", "_", name).lower()


def action_name_of(action: Any) -> str:
    """Return the name that an action has by itself: ``action_name``, or made from the class's or function's name."""
    if isinstance(action, type):
        return getattr(action, "action_name", None) or snake_case_name(action)
    if (info := action_info(action)) is not None:
        return info.name
    plain = action.func if isinstance(action, partial) else action
    return getattr(plain, "__name__", type(plain).__name__)


def _resolve_class(cls: type) -> ResolvedAction:
    if not issubclass(cls, BaseAction):
        raise TypeError(
            f"{cls.__qualname__} is a class, and no BaseAction. Write class {cls.__name__}(BaseAction[Params]), "
            "or pass a function (params, ctx)"
        )
    if inspect.isabstract(cls) or cls.execute is BaseAction.execute:
        raise TypeError(f"{cls.__qualname__} has no execute() of its own")
    _refuse_generator(cls.execute, f"{cls.__qualname__}.execute")
    return ResolvedAction(
        target=cls,
        name=action_name_of(cls),
        params_model=cls.params_model,
        result_model=cls.result_model,
        call=partial(_call_class, cls),
        is_async=inspect.iscoroutinefunction(cls.execute),
        idempotent=cls.idempotent,
        description=cls.description or (cls.__doc__ or "").strip().partition("\n")[0],
        category=cls.category,
        input_type=cls.input_type,
        output_type=cls.output_type,
        method=cls.method,
    )


def _resolve_function(function: Callable[..., Any]) -> ResolvedAction:
    info = action_info(function) or ActionInfo(name=action_name_of(function))
    _refuse_generator(function, info.name)
    positional = list(_positional_parameters(function))
    required = [p for p in positional if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]
    if len(required) > 2:
        raise TypeError(
            f"{info.name}({', '.join(p.name for p in required)}) takes {len(required)} arguments; "
            "a function that is run as an action takes (params, ctx)"
        )
    call: Callable[[Any, RuntimeContext], Any]
    takes_anything = bool(positional) and positional[0].kind is inspect.Parameter.VAR_POSITIONAL
    if takes_anything or (len(positional) > 1 and _wants_context(positional[1])):
        call = function
    elif [p.name for p in positional] in (["ctx"], ["context"]):
        call = partial(_call_with_context, function)
    elif positional:
        call = partial(_call_with_params, function)
    else:
        call = partial(_call_alone, function)
    return ResolvedAction(
        target=function,
        name=info.name,
        params_model=info.params or _annotated_params(function, positional),
        result_model=info.result,
        call=call,
        is_async=inspect.iscoroutinefunction(function),
        idempotent=info.idempotent,
        description=info.description,
        category=info.category,
        input_type=info.input_type,
        output_type=info.output_type,
        method=info.method,
    )


def _wants_context(second: inspect.Parameter) -> bool:
    """Say whether the second parameter is the context, and no setting with a default: ``lambda params, i=i: …``."""
    return (
        second.default is second.empty
        or second.name.lstrip("_") in ("ctx", "context")
        or second.annotation in (RuntimeContext, "RuntimeContext", "RuntimeContext | None")
        or second.annotation == RuntimeContext | None
    )


def _refuse_generator(function: Any, name: str) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{name} is a generator function: calling it would run nothing of it; return a list instead")


def _call_with_params(function: Callable[..., Any], params: Any, ctx: RuntimeContext) -> Any:
    return function(params)


def _call_with_context(function: Callable[..., Any], params: Any, ctx: RuntimeContext) -> Any:
    return function(ctx)


def _call_alone(function: Callable[..., Any], params: Any, ctx: RuntimeContext) -> Any:
    return function()


def _positional_parameters(function: Callable[..., Any]) -> Iterator[inspect.Parameter]:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a builtin without a signature
        return
    for parameter in signature.parameters.values():
        if parameter.kind in (
            parameter.POSITIONAL_ONLY,
            parameter.POSITIONAL_OR_KEYWORD,
            parameter.VAR_POSITIONAL,
        ):
            yield parameter


def _annotated_params(function: Callable[..., Any], positional: list[inspect.Parameter]) -> type[BaseModel] | None:
    if not positional:
        return None
    name = positional[0].name
    plain = function.func if isinstance(function, partial) else function
    holder = plain if inspect.isroutine(plain) else type(plain).__call__
    annotation: Any = positional[0].annotation
    if isinstance(annotation, str):
        try:
            annotation = typing.get_type_hints(holder)[name]
        except Exception:  # one annotation that does not resolve spoils get_type_hints for all
            try:
                annotation = eval(annotation, getattr(inspect.unwrap(holder), "__globals__", {}))
            except Exception:  # a name that exists for type checkers only
                return None
    if optional := [item for item in typing.get_args(annotation) if item is not type(None)]:
        annotation = optional[0] if len(optional) == 1 else None  # Params | None
    if isinstance(annotation, type) and hasattr(annotation, "model_validate"):
        return annotation
    return None
