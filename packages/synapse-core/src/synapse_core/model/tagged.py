"""Tagged data: Python values as JSON, and back, without pickle.

JSON's own types stand for themselves. Everything else is an object with the key ``$type``; what
cannot be written that way *exactly* raises `UnencodableError`, and the caller decides what to do
about it. A subclass of ``list``, ``str`` or ``int`` is such a value: it never loses its type silently.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import inspect
import math
import pathlib
import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from synapse_core.model.tagged_numpy import encode_array, numpy_tag
from synapse_core.model.tagged_reading import PlainData, decode
from synapse_core.model.type_names import generic_reference, import_type, loaded_type, type_name

__all__ = ["PlainData", "UnencodableError", "decode", "encode", "import_type", "loaded_type", "type_name"]

_TAG = "$type"
_JSON_INTEGER_BITS = 64  # what every JSON reader takes; Python refuses to print very long ones
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: the class was written in Python


class UnencodableError(TypeError):
    """The value, or something inside it, has no form as tagged data."""


def encode(value: Any) -> Any:
    """Return `value` as JSON types.

    Raises:
        UnencodableError: Something in `value` is of no known kind, or `value` contains itself.
    """
    try:
        return _encode(value)
    except UnencodableError:
        raise
    except RecursionError:
        raise UnencodableError(f"a {type(value).__qualname__} that contains itself, or is nested too deep") from None
    except Exception as error:  # reading a value runs the user's code
        raise UnencodableError(f"reading a {type(value).__qualname__} raised {type(error).__name__}") from error


def _encode(value: Any) -> Any:
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str:
        return value if value.isascii() or _is_unicode(value) else _tagged("str", _surrogates(value))
    if kind is int:
        return value if value.bit_length() < _JSON_INTEGER_BITS else _tagged("int", hex(value))
    if kind is float:
        return value if math.isfinite(value) else _tagged("float", repr(value))
    if kind is list:
        return [_encode(item) for item in value]
    if kind is dict:
        return _encode_dict(value)
    writer = _WRITERS.get(kind)
    if writer is not None:
        return writer(value)
    return _encode_object(value, kind)


def _tagged(tag: str, value: Any, **extra: Any) -> dict[str, Any]:
    return {_TAG: tag, "value": value, **extra}


def _is_unicode(text: str) -> bool:
    """Say whether UTF-8 can write it; half a surrogate pair, as in undecodable file names, it cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _surrogates(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()


def _encode_dict(value: dict[Any, Any]) -> Any:
    if _TAG not in value and all(type(key) is str and (key.isascii() or _is_unicode(key)) for key in value):
        return {key: _encode(item) for key, item in value.items()}
    return _tagged("dict", [[_encode(key), _encode(item)] for key, item in value.items()])


def _encode_items(tag: str) -> Callable[[Any], Any]:
    return lambda value: _tagged(tag, [_encode(item) for item in value])


def _encode_timedelta(value: timedelta) -> Any:
    return _tagged("timedelta", [value.days, value.seconds, value.microseconds])


def _encode_clock(tag: str) -> Callable[[Any], Any]:
    """Write a datetime or time: its offset from UTC, and the name of its zone where it has one."""

    def write(value: datetime | time) -> Any:
        zoneinfo = sys.modules.get("zoneinfo")
        is_zone = zoneinfo is not None and isinstance(value.tzinfo, zoneinfo.ZoneInfo)
        zone = {"zone": value.tzinfo.key} if is_zone and value.tzinfo.key else {}  # type: ignore[union-attr]
        if value.tzinfo is not None and value.utcoffset() is None and not zone:
            raise UnencodableError(f"a {tag} whose time zone {value.tzinfo!r} has neither offset nor name")
        return _tagged(tag, value.isoformat(), fold=value.fold, **zone)

    return write


def _encode_path(value: pathlib.PurePath) -> Any:
    flavour = "" if isinstance(value, pathlib.Path) else type(value).__name__
    return _tagged("path", _encode(str(value)), pure=flavour)


_WRITERS: dict[type, Callable[[Any], Any]] = {
    tuple: _encode_items("tuple"),
    set: _encode_items("set"),
    frozenset: _encode_items("frozenset"),
    bytes: lambda value: _tagged("bytes", base64.b64encode(value).decode()),
    bytearray: lambda value: _tagged("bytearray", base64.b64encode(value).decode()),
    complex: lambda value: _tagged("complex", [_encode(value.real), _encode(value.imag)]),
    datetime: _encode_clock("datetime"),
    date: lambda value: _tagged("date", value.isoformat()),
    time: _encode_clock("time"),
    timedelta: _encode_timedelta,
    Decimal: lambda value: _tagged("decimal", str(value)),
    UUID: lambda value: _tagged("uuid", str(value)),
    pathlib.PosixPath: _encode_path,
    pathlib.WindowsPath: _encode_path,
    pathlib.PurePosixPath: _encode_path,
    pathlib.PureWindowsPath: _encode_path,
    PlainData: lambda value: _tagged("object", {k: _encode(v) for k, v in value.items()}, type=value.type_name),
}


def _encode_object(value: Any, kind: type) -> Any:
    if isinstance(value, Enum):
        return _tagged("enum", _encode(value.value), type=type_name(kind))
    if isinstance(value, BaseModel) and _holds_fields_only(kind):
        return _encode_model(value, kind)
    if dataclasses.is_dataclass(kind) and _holds_fields_only(kind):
        return _encode_dataclass(value, kind)
    fields = getattr(kind, "_fields", None)
    if isinstance(value, tuple) and type(fields) is tuple and len(fields) == len(value) and not _attributes(value):
        return _tagged("namedtuple", [_encode(item) for item in value], type=type_name(kind), fields=list(fields))
    if (tag := numpy_tag(value)) is not None:
        return encode_array(value, tag)
    raise UnencodableError(f"{type_name(kind)} has no form as data")


def _holds_fields_only(kind: type) -> bool:
    """Say whether no base is written in C: a dataclass on ``dict`` is more than its fields."""
    return all(base is object or base.__flags__ & _HEAP_TYPE for base in kind.__mro__)


def _attributes(value: Any) -> dict[str, Any]:
    return getattr(value, "__dict__", {})


def _others(attributes: Mapping[str, Any], fields: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """Return what was set beside the fields; cached properties are left out and computed again."""
    return {
        name: item
        for name, item in attributes.items()
        if name not in fields and not isinstance(inspect.getattr_static(kind, name, None), functools.cached_property)
    }


def _encode_dataclass(value: Any, kind: type) -> Any:
    names = {f.name: f for f in dataclasses.fields(kind)}
    fields = {name: _encode(getattr(value, name)) for name in names}
    others = _others(_attributes(value), names, kind)
    extra = {"others": {name: _encode(item) for name, item in others.items()}} if others else {}
    return _tagged("dataclass", fields, type=type_name(kind), **extra)


def _encode_model(value: BaseModel, kind: type[BaseModel]) -> Any:
    # The state that pydantic itself pickles; read without calling the model's own serializers,
    # which may drop or change fields.
    state = BaseModel.__getstate__(value)
    names = kind.model_fields
    attributes = state["__dict__"]
    extra: dict[str, Any] = {}
    if others := _others(attributes, names, kind):
        extra["others"] = {name: _encode(item) for name, item in others.items()}
    if missing := [name for name in names if name not in attributes]:  # made by model_construct
        extra["missing"] = missing
    if (generic := generic_reference(kind)) is not None:
        extra["generic"] = generic
    private = state["__pydantic_private__"]
    return _tagged(
        "model",
        {name: _encode(item) for name, item in attributes.items() if name in names},
        type=type_name(kind),
        set=sorted(state["__pydantic_fields_set__"]),
        extra=_encode(state["__pydantic_extra__"]),
        private=None if private is None else _encode(private),
        **extra,
    )
