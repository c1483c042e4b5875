"""Long bytes, texts and arrays, taken out of a value before it becomes data, and put back after.

As tagged data they would be several times as long, and in memory all at once.
"""

from __future__ import annotations

import copy
import dataclasses
import secrets
import sys
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from synapse_core.model.tagged import PlainData

__all__ = ["Taken", "describe_buffer", "put_back", "raw_bytes", "take_out"]

_SHORTEST = 64 * 1024
_DEEPEST = 100


@dataclasses.dataclass(frozen=True, slots=True)
class Taken:
    """A value without its long parts.

    Attributes:
        value: The value; a stand-in takes the place of each part.
        mark: By which the stand-ins are known; no other value has it.
        parts: What was taken out, in the order of the stand-ins.
    """

    value: Any
    mark: str
    parts: list[Any]


def take_out(value: Any) -> Taken:
    """Return `value` without its long parts; `value` itself is not changed, nor copied as far as it has none."""
    mark = f"synapse-part:{secrets.token_hex(8)}"
    parts: list[Any] = []

    def replace(item: Any) -> Any:
        if not _is_long(item):
            return item
        parts.append(item)
        return PlainData({"part": len(parts) - 1}, type_name=mark)

    return Taken(_walked(value, replace), mark, parts)


def put_back(value: Any, mark: str, parts: list[Any]) -> Any:
    """Return `value` with its parts in the places of their stand-ins."""
    if not parts:
        return value

    def replace(item: Any) -> Any:
        if type(item) is PlainData and item.type_name == mark:
            return parts[item["part"]]
        return item

    return _walked(value, replace)


def describe_buffer(part: Any) -> dict[str, Any]:
    """Return what is needed beside its bytes to make a part again, as JSON types."""
    kind = type(part).__name__
    if kind != "ndarray":
        return {"kind": kind}
    order = "C" if part.flags.c_contiguous or not part.flags.f_contiguous else "F"
    return {"kind": kind, "dtype": part.dtype.str, "shape": list(part.shape), "order": order}


def raw_bytes(part: Any) -> memoryview:
    """Return a part's bytes, without a copy where it lies in one piece."""
    if isinstance(part, str):
        return memoryview(part.encode())
    if isinstance(part, (bytes, bytearray)):
        return memoryview(part)
    import numpy

    one_piece = part.T if part.flags.f_contiguous and not part.flags.c_contiguous else numpy.ascontiguousarray(part)
    return memoryview(one_piece.reshape(-1).view(numpy.uint8))


def _is_long(item: Any) -> bool:
    kind = type(item)
    if kind is bytes or kind is bytearray:
        return len(item) >= _SHORTEST
    if kind is str:
        return len(item) >= _SHORTEST and _is_unicode(item)
    numpy = sys.modules.get("numpy")
    if numpy is None or kind is not numpy.ndarray or item.nbytes < _SHORTEST:
        return False
    return item.dtype.isbuiltin == 1 and not item.dtype.hasobject


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    # In pieces: the bytes of a long text all at once would be as long again.
    try:
        for start in range(0, len(text), _SHORTEST):
            text[start : start + _SHORTEST].encode()
    except UnicodeEncodeError:
        return False
    return True


def _walked(value: Any, replace: Callable[[Any], Any], depth: int = 0) -> Any:
    """Return `value` with every item replaced, and what holds none of them as it is."""
    replaced = replace(value)
    if replaced is not value or depth > _DEEPEST:
        return replaced
    kind = type(value)
    if kind is dict or kind is PlainData:
        return _with_items(value, _changed(value, replace, depth))
    if kind is list or kind is tuple:
        items = [_walked(item, replace, depth + 1) for item in value]
        return value if all(map(_same, items, value)) else kind(items)
    if isinstance(value, BaseModel) or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
        return _with_fields(value, _changed(_fields(value), replace, depth))
    return value


def _changed(items: Mapping[Any, Any], replace: Callable[[Any], Any], depth: int) -> dict[Any, Any]:
    walked = {name: _walked(item, replace, depth + 1) for name, item in items.items()}
    return {name: item for name, item in walked.items() if item is not items[name]}


def _with_items(value: dict[Any, Any], changed: dict[Any, Any]) -> Any:
    if not changed:
        return value
    items = {**value, **changed}
    return PlainData(items, type_name=value.type_name) if isinstance(value, PlainData) else items


def _fields(value: Any) -> dict[str, Any]:
    found: dict[str, Any] | None = getattr(value, "__dict__", None)
    if found is not None:
        return found
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if hasattr(value, field.name)}


def _with_fields(value: Any, changed: dict[str, Any]) -> Any:
    if not changed:
        return value
    copied = copy.copy(value)
    for name, item in changed.items():
        object.__setattr__(copied, name, item)  # frozen ones too, and without validation
    return copied


def _same(one: Any, other: Any) -> bool:
    return one is other
