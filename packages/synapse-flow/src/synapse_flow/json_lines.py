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


def json_lines(many: _Serializer | None, single: _Serializer | None, rows: list[Any], first_key: str | None) -> bytes:
    """Return one line for each row.

    All rows are serialized in one call, as an array, whose separators then become line ends. A separator is told
    from the same text inside a record by the first key behind it, and by its count.

    Args:
        many: Serializes a list of rows; None infers from the values.
        single: Serializes one row.
        rows: All of one kind.
        first_key: With which every row begins in JSON; None where that is not known.
    """
    if not rows:
        return b""
    if first_key is not None:
        separator = b"},{" + pydantic_core.to_json(first_key) + b":"
        lines = _array(many, rows)[1:-1].replace(separator, b"}\n{" + separator[3:]) + b"\n"
        if lines.count(b"\n") == len(rows):  # in JSON, line ends are written as \\n
            return lines
    if single is None:
        return b"".join(map(json_line, rows))
    return b"\n".join([single.to_json(row, warnings=False) for row in rows]) + b"\n"


def _array(many: _Serializer | None, rows: list[Any]) -> bytes:
    return pydantic_core.to_json(rows) if many is None else many.to_json(rows, warnings=False)


def _writable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_writable(key): _writable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_writable(item) for item in value]
    return value
