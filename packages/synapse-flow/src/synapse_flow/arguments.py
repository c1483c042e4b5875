"""Arguments that were written in a settings file, held against the signature of what they are for."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError as PydanticValidationError

from synapse_core.errors import nearest

__all__ = ["ArgumentProblem", "FittedArguments", "fit_arguments"]

_EMPTY = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class ArgumentProblem:
    """An argument that does not fit.

    Attributes:
        name: Of the argument.
        rule: What is wrong, as a sentence without its full stop.
        is_missing: Whether it was not given at all.
    """

    name: str
    rule: str
    is_missing: bool = False


@dataclass(frozen=True, slots=True)
class FittedArguments:
    """Arguments as a signature wants them.

    Attributes:
        values: Those that fit, by the words that they were written with. A text that stands for a number, a path or
            the like is that; what has the right type already is the object that was given.
        problems: All that are unknown, missing, or of another type than the signature says.
    """

    values: dict[str, Any]
    problems: tuple[ArgumentProblem, ...]


def fit_arguments(
    function: Callable[..., Any],
    given: Mapping[str, Any],
    *,
    hidden: frozenset[str] = frozenset(),
    words: Mapping[str, str] | None = None,
) -> FittedArguments:
    """Hold arguments against a signature.

    Settings are texts, whatever they stand for; so texts are taken for what the signature asks for, as pydantic does.

    Args:
        function: A class or a function.
        given: Its keyword arguments.
        hidden: Parameters that are not to be given this way.
        words: Parameter → what it is called where the arguments were written, for those with a word of their own.
    """
    words = words or {}
    parameters = {
        name: parameter
        for name, parameter in _parameters(function).items()
        if name not in hidden and parameter.kind is not parameter.VAR_POSITIONAL
    }
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    named = {
        words.get(name, name): name
        for name, parameter in parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
    }
    known, hints = list(named), _hints(function)
    values: dict[str, Any] = {}
    problems = []
    for name, value in given.items():
        if name in named:
            try:
                values[name] = _fitted(hints.get(named[name], Any), value)
            except PydanticValidationError as error:
                problems.append(ArgumentProblem(name, _rule(error)))
        elif takes_any and name not in hidden:
            values[name] = value
        else:
            rule = f"unknown here.{nearest(name, known)} {_name(function)} takes: {', '.join(known) or 'nothing'}"
            problems.append(ArgumentProblem(name, rule))
    for name in known:
        if name not in given and parameters[named[name]].default is _EMPTY:
            problems.append(ArgumentProblem(name, f"{_name(function)} needs it", is_missing=True))
    return FittedArguments(values, tuple(problems))


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # a builtin without a signature
        return {"arguments": inspect.Parameter("arguments", inspect.Parameter.VAR_KEYWORD)}


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    function = getattr(function, "func", function)  # of a partial
    annotated: Any = inspect.getattr_static(function, "__init__") if isinstance(function, type) else function
    try:
        return typing.get_type_hints(annotated)
    except Exception:  # of an annotation that only a type checker can resolve; the others count
        scope = getattr(annotated, "__globals__", {})
        hints: dict[str, Any] = {}
        for name, written in getattr(annotated, "__annotations__", {}).items():
            with suppress(Exception):
                hints |= typing.get_type_hints(SimpleNamespace(__annotations__={name: written}), globalns=scope)
        return hints


def _fitted(annotation: Any, value: Any) -> Any:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # a model, whose own configuration counts
        adapter = TypeAdapter(annotation)
    except Exception:  # nothing that pydantic can check
        return value
    try:
        fitted = adapter.validate_python(value, strict=True)
        if type(fitted) is type(value):
            return value
    except PydanticValidationError:
        if isinstance(value, bool):  # which would be a number, too
            raise
        fitted = adapter.validate_python(value)
    is_once = isinstance(fitted, Iterator) and not isinstance(value, Iterator)  # what an Iterable becomes
    return value if is_once else fitted


def _rule(error: PydanticValidationError) -> str:
    rules = [found["msg"] for found in error.errors(include_url=False, include_context=False, include_input=False)]
    first, *others = dict.fromkeys(rules)
    return " or ".join([first, *(other.removeprefix("Input should be ") for other in others)])


def _name(function: Callable[..., Any]) -> str:
    function = getattr(function, "func", function)  # of a partial
    return getattr(function, "__name__", type(function).__name__)
