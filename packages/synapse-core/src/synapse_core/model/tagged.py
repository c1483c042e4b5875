"""Tagged data: Python values as JSON, and back, without pickle.

JSON's own types stand for themselves. Everything else is an object with the key ``$type``; what
cannot be written that way raises `UnencodableError`, and the caller decides what to do about it.
"""

from __future__ import annotations

import base64
import dataclasses
import importlib
import math
import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePath
from typing import Any
from uuid import UUID

from pydantic import BaseModel

__all__ = ["PlainData", "UnencodableError", "decode", "encode", "import_type", "type_name"]

_TAG = "$type"


class UnencodableError(TypeError):
    """The value, or something inside it, has no form as tagged data."""


class PlainData(dict[str, Any]):
    """Fields of an object whose class is not importable here.

    Attributes:
        type_name: ``module:qualname`` of the class.
    """

    def __init__(self, fields: Mapping[str, Any] | None = None, *, type_name: str = "") -> None:
        super().__init__(fields or {})
        self.type_name = type_name

    def __repr__(self) -> str:
        return f"PlainData({dict.__repr__(self)}, type_name={self.type_name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _plain_data, (dict(self), self.type_name)


def _plain_data(fields: dict[str, Any], name: str) -> PlainData:
    return PlainData(fields, type_name=name)


def type_name(cls: type) -> str:
    """Return ``module:qualname``."""
    return f"{cls.__module__}:{cls.__qualname__}"


def import_type(name: str) -> type | None:
    """Return the class that `type_name` named, or ``None`` where it cannot be imported here."""
    module_name, _, qualname = name.partition(":")
    if "<" in qualname:
        return None
    try:
        found: Any = sys.modules.get(module_name) or importlib.import_module(module_name)
        for part in qualname.split("."):
            found = getattr(found, part)
    except Exception:  # an import may fail in any way; plain data is the answer to all of them
        return None
    return found if isinstance(found, type) else None


# -- encoding ---------------------------------------------------------------------------------


def encode(value: Any) -> Any:
    """Return `value` as JSON types.

    Raises:
        UnencodableError: Something in `value` is of no known kind, or `value` contains itself.
    """
    try:
        return _encode(value)
    except RecursionError:
        raise UnencodableError(f"a {type(value).__qualname__} that contains itself, or is nested too deep") from None


def _encode(value: Any) -> Any:
    kind = type(value)
    if value is None or kind is bool or kind is int or kind is str:
        return value
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


def _encode_dict(value: dict[Any, Any]) -> Any:
    if _TAG not in value and all(type(key) is str for key in value):
        return {key: _encode(item) for key, item in value.items()}
    return _tagged("dict", [[_encode(key), _encode(item)] for key, item in value.items()])


def _encode_items(tag: str) -> Callable[[Any], Any]:
    return lambda value: _tagged(tag, [_encode(item) for item in value])


def _encode_timedelta(value: timedelta) -> Any:
    return _tagged("timedelta", [value.days, value.seconds, value.microseconds])


_WRITERS: dict[type, Callable[[Any], Any]] = {
    tuple: _encode_items("tuple"),
    set: _encode_items("set"),
    frozenset: _encode_items("frozenset"),
    bytes: lambda value: _tagged("bytes", base64.b64encode(value).decode()),
    bytearray: lambda value: _tagged("bytearray", base64.b64encode(value).decode()),
    complex: lambda value: _tagged("complex", [_encode(value.real), _encode(value.imag)]),
    datetime: lambda value: _tagged("datetime", value.isoformat(), fold=value.fold),
    date: lambda value: _tagged("date", value.isoformat()),
    time: lambda value: _tagged("time", value.isoformat(), fold=value.fold),
    timedelta: _encode_timedelta,
    Decimal: lambda value: _tagged("decimal", str(value)),
    UUID: lambda value: _tagged("uuid", str(value)),
    PlainData: lambda value: _tagged("object", {k: _encode(v) for k, v in value.items()}, type=value.type_name),
}


def _encode_object(value: Any, kind: type) -> Any:
    if isinstance(value, Enum):
        return _tagged("enum", _encode(value.value), type=type_name(kind))
    if isinstance(value, PurePath):
        return _tagged("path", str(value), pure=not isinstance(value, Path))
    if isinstance(value, BaseModel):
        return _encode_model(value)
    if dataclasses.is_dataclass(value):
        fields = {f.name: _encode(getattr(value, f.name)) for f in dataclasses.fields(value) if hasattr(value, f.name)}
        return _tagged("dataclass", fields, type=type_name(kind))
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return _tagged("namedtuple", [_encode(item) for item in value], type=type_name(kind), fields=list(kind._fields))
    if (numpy := sys.modules.get("numpy")) is not None:
        if kind is numpy.ndarray and not value.dtype.hasobject:
            return _encode_array(value)
        if isinstance(value, numpy.generic) and not value.dtype.hasobject:
            return _encode_array(numpy.asarray(value), tag="numpy-scalar")
    raise UnencodableError(f"{type_name(kind)} has no form as data")


def _encode_model(value: BaseModel) -> Any:
    # The state that pydantic itself pickles; read without calling the model's own serializers,
    # which may drop or change fields.
    state = value.__getstate__()
    return _tagged(
        "model",
        {name: _encode(item) for name, item in state["__dict__"].items()},
        type=type_name(type(value)),
        set=sorted(state["__pydantic_fields_set__"]),
        extra=_encode(state["__pydantic_extra__"]),
        private=_encode(state["__pydantic_private__"]) if state["__pydantic_private__"] else None,
    )


def _encode_array(value: Any, tag: str = "ndarray") -> Any:
    if value.dtype.fields is not None:
        raise UnencodableError("a structured numpy array has no form as data")
    raw = base64.b64encode(value.tobytes()).decode()
    return _tagged(tag, raw, dtype=value.dtype.str, shape=list(value.shape))


# -- decoding ---------------------------------------------------------------------------------


def decode(data: Any) -> Any:
    """Return the value that `encode` was given.

    A dataclass, model, enum or named tuple whose class cannot be imported here, or has other
    fields here, becomes `PlainData` (an enum: its bare value).

    Raises:
        ValueError: `data` was not made by `encode`.
    """
    if isinstance(data, list):
        return [decode(item) for item in data]
    if not isinstance(data, dict):
        return data
    tag = data.get(_TAG)
    if tag is None:
        return {key: decode(item) for key, item in data.items()}
    reader = _READERS.get(tag)
    if reader is None:
        raise ValueError(f"unknown kind of tagged data: {tag!r}; known: {', '.join(sorted(_READERS))}")
    return reader(data)


def _items(data: dict[str, Any]) -> list[Any]:
    return [decode(item) for item in data["value"]]


def _fields(data: dict[str, Any]) -> dict[str, Any]:
    return {key: decode(item) for key, item in data["value"].items()}


def _decode_enum(data: dict[str, Any]) -> Any:
    value = decode(data["value"])
    cls = import_type(data["type"])
    if cls is None or not issubclass(cls, Enum):
        return value
    try:
        return cls(value)
    except ValueError:
        return value


def _decode_dataclass(data: dict[str, Any]) -> Any:
    fields, name = _fields(data), data["type"]
    cls = import_type(name)
    if cls is None or not dataclasses.is_dataclass(cls) or fields.keys() != {f.name for f in dataclasses.fields(cls)}:
        return PlainData(fields, type_name=name)
    # Not through __init__: it may compute, and the fields are already what they were.
    value = object.__new__(cls)
    for key, item in fields.items():
        object.__setattr__(value, key, item)
    return value


def _decode_model(data: dict[str, Any]) -> Any:
    fields, name = _fields(data), data["type"]
    cls = import_type(name)
    if cls is None or not issubclass(cls, BaseModel) or not set(cls.model_fields) <= fields.keys():
        return PlainData(fields, type_name=name)
    value = cls.__new__(cls)
    value.__setstate__(
        {
            "__dict__": fields,
            "__pydantic_fields_set__": set(data["set"]),
            "__pydantic_extra__": decode(data["extra"]),
            "__pydantic_private__": decode(data["private"]),
        }
    )
    return value


def _decode_namedtuple(data: dict[str, Any]) -> Any:
    items, name = _items(data), data["type"]
    cls = import_type(name)
    if cls is None or list(getattr(cls, "_fields", ())) != data["fields"]:
        return PlainData(dict(zip(data["fields"], items, strict=True)), type_name=name)
    return tuple.__new__(cls, items)


def _decode_array(data: dict[str, Any]) -> Any:
    raw = base64.b64decode(data["value"])
    try:
        import numpy
    except ImportError:
        return PlainData({"dtype": data["dtype"], "shape": data["shape"], "data": raw}, type_name="numpy:ndarray")
    array = numpy.frombuffer(bytearray(raw), dtype=data["dtype"]).reshape(data["shape"])
    return array[()] if data[_TAG] == "numpy-scalar" else array


_READERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "float": lambda data: float(data["value"]),
    "dict": lambda data: {decode(key): decode(item) for key, item in data["value"]},
    "tuple": lambda data: tuple(_items(data)),
    "set": lambda data: set(_items(data)),
    "frozenset": lambda data: frozenset(_items(data)),
    "bytes": lambda data: base64.b64decode(data["value"]),
    "bytearray": lambda data: bytearray(base64.b64decode(data["value"])),
    "complex": lambda data: complex(*_items(data)),
    "datetime": lambda data: datetime.fromisoformat(data["value"]).replace(fold=data["fold"]),
    "date": lambda data: date.fromisoformat(data["value"]),
    "time": lambda data: time.fromisoformat(data["value"]).replace(fold=data["fold"]),
    "timedelta": lambda data: timedelta(*data["value"]),
    "decimal": lambda data: Decimal(data["value"]),
    "uuid": lambda data: UUID(data["value"]),
    "path": lambda data: PurePath(data["value"]) if data["pure"] else Path(data["value"]),
    "object": lambda data: PlainData(_fields(data), type_name=data["type"]),
    "enum": _decode_enum,
    "dataclass": _decode_dataclass,
    "model": _decode_model,
    "namedtuple": _decode_namedtuple,
    "ndarray": _decode_array,
    "numpy-scalar": _decode_array,
}
