"""Records as lines of JSON, many in one call."""

from __future__ import annotations

from typing import Any, Protocol

import pydantic_core

__all__ = ["json_line", "json_lines", "json_value"]


class _Serializer(Protocol):
    def to_json(self, value: Any, *, warnings: bool = ...) -> bytes: ...


def json_line(value: Any) -> bytes:
    """Return any value as one line of JSON; what has no JSON form stands there as text."""
    try:
        line = pydantic_core.to_json(value, fallback=repr, inf_nan_mode="strings", bytes_mode="utf8")
    except (pydantic_core.PydanticSerializationError, UnicodeEncodeError):
        line = pydantic_core.to_json(_writable(value), fallback=repr, inf_nan_mode="strings", bytes_mode="base64")
    return line + b"\n"


def json_value(value: Any) -> Any:
    """Return what a reader of `value` as JSON would get."""
    return pydantic_core.from_json(json_line(value))


def json_lines(many: _Serializer | None, single: _Serializer | None, rows: list[dict[str, Any]]) -> bytes:
    """Return one line for each row.

    Where all rows begin with the same key, they are serialized in one call, as an array, whose separators then become
    line ends: a separator is told by that key behind it. The same text inside a record would be one too many.

    Args:
        many: Serializes a list of rows; None infers from the values.
        single: Serializes one row; leaves out none of its keys.
        rows: All of one kind.
    """
    if not rows:
        return b""
    if (key := _common_first_key(rows)) is not None:
        separator = b"},{" + _key_in_json(single, rows[0], key) + b":"
        array = pydantic_core.to_json(rows) if many is None else many.to_json(rows, warnings=False)
        lines = array[1:-1].replace(separator, b"}\n{" + separator[3:]) + b"\n"
        if lines.count(b"\n") == len(rows):  # inside of JSON there are no line ends
            return lines
    if single is None:
        return b"".join(map(json_line, rows))
    return b"\n".join([single.to_json(row, warnings=False) for row in rows]) + b"\n"


def _common_first_key(rows: list[dict[str, Any]]) -> str | None:
    if not all(rows):  # one is empty
        return None
    first, *others = set(map(next, map(iter, rows)))
    return first if not others and isinstance(first, str) else None


def _key_in_json(single: _Serializer | None, row: dict[str, Any], key: str) -> bytes:
    if single is not None:
        (key,) = pydantic_core.from_json(single.to_json({key: row[key]}, warnings=False))
    return pydantic_core.to_json(key)


def _writable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_writable(key): _writable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_writable(item) for item in value]
    return value
