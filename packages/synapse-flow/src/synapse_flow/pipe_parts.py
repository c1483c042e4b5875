"""Whether what a pipe is made of are its parts, and what to write where it is something else."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Iterable
from typing import Any

from synapse_core.errors import ValidationError
from synapse_core.safe_text import shorten

__all__ = ["check_executor", "check_input", "check_output"]


def check_input(given: Any) -> None:
    """Refuse what is no input.

    Raises:
        ValidationError: It is something else; says what to write.
    """
    if callable(getattr(given, "blocks", None)) and not isinstance(given, type):
        return
    if isinstance(given, (str, os.PathLike)):
        hint = f"name what reads it: {_named_by_place(os.fspath(given), 'input', 'CSVInputAdapter')}"
    elif isinstance(given, (Iterable, AsyncIterable)) and not isinstance(given, type):
        hint = "wrap it: IterableInputAdapter(...)"
    else:
        hint = _instance(given, "CSVInputAdapter('people.csv')")
    raise ValidationError(f"input_adapter is {_shown(given)}, and no input; {hint}")


def check_output(name: str, given: Any) -> None:
    """Refuse what is no output.

    Args:
        name: Of the argument.
        given: What it is; None is none at all.

    Raises:
        ValidationError: It is something else; says what to write.
    """
    if given is None or (callable(getattr(given, "write_chunk", None)) and not isinstance(given, type)):
        return
    if isinstance(given, (str, os.PathLike)):
        hint = f"name what writes it: {_named_by_place(os.fspath(given), 'output', 'JSONOutputAdapter')}"
    else:
        hint = _instance(given, "JSONOutputAdapter('people.jsonl')")
    raise ValidationError(f"{name} is {_shown(given)}, and no output; {hint}")


def check_executor(given: Any) -> None:
    """Refuse what is no executor.

    Raises:
        ValidationError: It is something else; says what to write.
    """
    if callable(getattr(given, "engine", None)) and not isinstance(given, type):
        return
    raise ValidationError(
        f"executor is {_shown(given)}, and no executor; {_instance(given, 'MultiProcessingExecutor(Person)')}"
    )


def _shown(given: Any) -> str:
    """Return a value for a message; of a URL without what may be secret."""
    from synapse_flow.urls import shown_url  # which only messages need

    return repr(shown_url(os.fspath(given))) if isinstance(given, (str, os.PathLike)) else shorten(given)


def _instance(given: Any, example: str) -> str:
    return (
        f"give an instance, such as {given.__name__}(...)"
        if isinstance(given, type)
        else f"give one, such as {example}"
    )


def _named_by_place(place: str, role: str, otherwise: str) -> str:
    from synapse_flow.adapter_types import type_by_place

    kind = type_by_place(place)
    name = otherwise if kind is None else (kind.input if role == "input" else kind.output).partition(":")[2]
    more = "" if kind is None else "".join(f", {key}={value!r}" for key, value in kind.arguments.items())
    if kind is not None and kind.word:  # a database
        more += ", table=..."
    return f"{name}({_shown(place)}{more})"
