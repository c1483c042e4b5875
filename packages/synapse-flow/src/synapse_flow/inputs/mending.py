"""Whether a record that an input could not read has been mended since, by what its raw data shows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Any

from pydantic_core import from_json

from synapse_flow.entries import RecordError

__all__ = ["mended", "still_wrong"]

_NOT_TEXT = re.compile(r"\\x[89a-fA-F][0-9a-fA-F]")  # so do inputs show a byte that is no text
_MISSING = re.compile(r"\((?P<names>.+) missing\)$", re.DOTALL)
_WHOLE_LINES = ("InputError", "json_invalid", "json_type")
_ONE_VALUE = frozenset(["value"])


def mended(raw: dict[str, Any], errors: Iterable[RecordError]) -> dict[str, Any]:
    """Return the record that raw data stands for.

    What was no object at all was written as ``{"value": ...}``. Where its text, or what replaced it, is an object
    now, that is the record.
    """
    if raw.keys() != _ONE_VALUE or not any(map(_is_of_line, errors)):
        return raw
    value = raw["value"]
    if isinstance(value, str):
        try:
            value = from_json(value)
        except ValueError:
            return raw
    return value if isinstance(value, dict) else raw


def still_wrong(raw: dict[str, Any], errors: Iterable[RecordError]) -> list[RecordError]:
    """Return those reasons of an input that can still be seen in raw data; of other kinds, all."""
    return [error for error in errors if _is_wrong(raw, error)]


def _is_wrong(raw: dict[str, Any], error: RecordError) -> bool:
    kind = error.get("type")
    if _is_of_line(error):
        return raw.keys() == _ONE_VALUE
    if kind == "encoding":
        return _shows_bytes(raw)
    if kind == "column_count":
        more = raw.get("")
        return (isinstance(more, list) and bool(more)) or any(name not in raw for name in _missing(error))
    return True


def _is_of_line(error: RecordError) -> bool:
    """Return whether an error is of a whole line, and not of its fields."""
    kind, message = error.get("type"), str(error.get("message", ""))
    return kind in _WHOLE_LINES or (kind == "encoding" and message.startswith("byte "))


def _shows_bytes(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_shows_bytes, value.values()))
    if isinstance(value, list):
        return any(map(_shows_bytes, value))
    return isinstance(value, str) and _NOT_TEXT.search(value) is not None


def _missing(error: RecordError) -> list[str]:
    """Return the names of the fields that a row did not have, as the message lists them."""
    found = _MISSING.search(str(error.get("message", "")))
    try:
        return [str(name) for name in ast.literal_eval(f"[{found['names']}]")] if found else []
    except (SyntaxError, ValueError):
        return []
