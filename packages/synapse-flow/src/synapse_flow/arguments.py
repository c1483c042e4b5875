"""Arguments that were written in a settings file, held against the signature of what they are for."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError as PydanticValidationError

from synapse_core.errors import nearest

__all__ = ["ArgumentProblem", "check_arguments"]

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


def check_arguments(
    function: Callable[..., Any],
    given: Mapping[str, Any],
    *,
    hidden: frozenset[str] = frozenset(),
    words: Mapping[str, str] | None = None,
) -> Iterator[ArgumentProblem]:
    """Yield every argument that is unknown, missing, or of another type than the signature says.

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
    for name, value in given.items():
        if name in named:
            if (rule := _broken_rule(hints.get(named[name], Any), value)) is not None:
                yield ArgumentProblem(name, rule)
        elif not takes_any or name in hidden:
            yield ArgumentProblem(
                name, f"unknown here.{nearest(name, known)} {_name(function)} takes: {', '.join(known) or 'nothing'}"
            )
    for name in known:
        if name not in given and parameters[named[name]].default is _EMPTY:
            yield ArgumentProblem(name, f"{_name(function)} needs it", is_missing=True)


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # a builtin without a signature
        return {"arguments": inspect.Parameter("arguments", inspect.Parameter.VAR_KEYWORD)}


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(
            inspect.getattr_static(function, "__init__") if isinstance(function, type) else function
        )
    except Exception:  # an annotation that only a type checker can resolve
        return {}


def _broken_rule(annotation: Any, value: Any) -> str | None:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # a model, whose own configuration counts
        adapter = TypeAdapter(annotation)
    except Exception:  # nothing that pydantic can check
        return None
    try:
        adapter.validate_python(value)
    except PydanticValidationError as error:
        rules = [found["msg"] for found in error.errors(include_url=False, include_context=False, include_input=False)]
        first, *others = dict.fromkeys(rules)
        return " or ".join([first, *(other.removeprefix("Input should be ") for other in others)])
    return None


def _name(function: Callable[..., Any]) -> str:
    function = getattr(function, "func", function)  # of a partial
    return getattr(function, "__name__", type(function).__name__)
