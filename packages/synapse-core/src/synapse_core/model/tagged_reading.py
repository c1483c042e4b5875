"""Reading tagged data back into Python values. `synapse_core.model.tagged` has both directions."""

from __future__ import annotations

import base64
import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from synapse_core.model.tagged_numpy import decode_array
from synapse_core.model.type_names import import_type, resolve_generic

__all__ = ["PlainData", "decode"]

_TAG = "$type"


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


def decode(data: Any) -> Any:
    """Return the value that `encode` was given.

    A dataclass, model, or named tuple whose class cannot be imported here, or has other fields
    here, becomes `PlainData` (an enum: its bare value).

    Raises:
        ValueError: `data` was not made by `encode`.
    """
    try:
        return _decode(data)
    except ValueError:
        raise
    except (KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"this is no tagged data: {type(error).__name__}: {error}") from error


def _decode(data: Any) -> Any:
    if isinstance(data, list):
        return [_decode(item) for item in data]
    if not isinstance(data, dict):
        return data
    if _TAG not in data:
        return {key: _decode(item) for key, item in data.items()}
    tag = data[_TAG]
    reader = _READERS.get(tag) if isinstance(tag, str) else None
    if reader is None:
        raise ValueError(f"unknown kind of tagged data: {tag!r}; known: {', '.join(sorted(_READERS))}")
    return reader(data)


def _items(data: dict[str, Any]) -> list[Any]:
    return [_decode(item) for item in data["value"]]


def _fields(data: dict[str, Any], key: str = "value") -> dict[str, Any]:
    return {name: _decode(item) for name, item in data.get(key, {}).items()}


def _decode_set(data: dict[str, Any], kind: Callable[[list[Any]], Any]) -> Any:
    items = _items(data)
    try:
        return kind(items)
    except TypeError:  # objects that were hashable are plain data here
        return PlainData({"items": items}, type_name=f"builtins:{data[_TAG]}")


def _decode_dict(data: dict[str, Any]) -> Any:
    pairs = [[_decode(key), _decode(item)] for key, item in data["value"]]
    try:
        return {key: item for key, item in pairs}  # noqa: C416 - dict() would name the pair, not the key
    except TypeError:  # as in _decode_set
        return PlainData({"items": pairs}, type_name="builtins:dict")


def _decode_clock(read: Callable[[str], Any]) -> Callable[[dict[str, Any]], Any]:
    def decode_clock(data: dict[str, Any]) -> Any:
        value = read(data["value"]).replace(fold=data["fold"])
        if "zone" not in data:
            return value
        import zoneinfo

        try:
            return value.replace(tzinfo=zoneinfo.ZoneInfo(data["zone"]))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # no such zone here: the offset stays
            return value

    return decode_clock


def _decode_path(data: dict[str, Any]) -> pathlib.PurePath:
    kinds: dict[str, type[pathlib.PurePath]] = {
        "": pathlib.Path,
        "PurePosixPath": pathlib.PurePosixPath,
        "PureWindowsPath": pathlib.PureWindowsPath,
    }
    return kinds[data["pure"]](_decode(data["value"]))


def _decode_enum(data: dict[str, Any]) -> Any:
    value = _decode(data["value"])
    cls = import_type(data["type"])
    if cls is None or not issubclass(cls, Enum):
        return value
    try:
        return cls(value)
    except Exception:  # another version without that member; `_missing_` is the user's code
        return value


def _decode_dataclass(data: dict[str, Any]) -> Any:
    fields, others, name = _fields(data), _fields(data, "others"), data["type"]
    cls = import_type(name)
    if cls is not None and dataclasses.is_dataclass(cls) and fields.keys() == {f.name for f in dataclasses.fields(cls)}:
        try:
            # Not through __init__: it may compute, and the fields are already what they were.
            value: Any = object.__new__(cls)
            for key, item in (fields | others).items():
                object.__setattr__(value, key, item)
            return value
        except Exception:  # another version of the class, with other bases or slots
            pass
    return PlainData(fields | others, type_name=name)


def _decode_model(data: dict[str, Any]) -> Any:
    fields, others, name = _fields(data), _fields(data, "others"), data["type"]
    cls = resolve_generic(data.get("generic")) or import_type(name)
    expected = fields.keys() | set(data.get("missing", ()))
    if cls is not None and issubclass(cls, BaseModel) and expected == set(cls.model_fields):
        state = {
            "__dict__": fields | others,
            "__pydantic_fields_set__": set(data["set"]),
            "__pydantic_extra__": _decode(data["extra"]),
            "__pydantic_private__": _decode(data["private"]),
        }
        try:
            value = cls.__new__(cls)
            BaseModel.__setstate__(value, state)
            return value
        except Exception:  # as in _decode_dataclass
            pass
    return PlainData({**fields, **(_decode(data["extra"]) or {})}, type_name=name)


def _decode_namedtuple(data: dict[str, Any]) -> Any:
    items, name = _items(data), data["type"]
    cls = import_type(name)
    if cls is None or not issubclass(cls, tuple) or list(getattr(cls, "_fields", ())) != data["fields"]:
        return PlainData(dict(zip(data["fields"], items, strict=True)), type_name=name)
    return tuple.__new__(cls, items)


def _decode_numpy(data: dict[str, Any]) -> Any:
    try:
        return decode_array(data)
    except ImportError:
        raw = base64.b64decode(data["value"])
        return PlainData({"dtype": data["dtype"], "shape": data["shape"], "data": raw}, type_name="numpy:ndarray")


_READERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "str": lambda data: base64.b64decode(data["value"]).decode("utf-8", "surrogatepass"),
    "int": lambda data: int(data["value"], 16),
    "float": lambda data: float(data["value"]),
    "dict": _decode_dict,
    "tuple": lambda data: tuple(_items(data)),
    "set": lambda data: _decode_set(data, set),
    "frozenset": lambda data: _decode_set(data, frozenset),
    "bytes": lambda data: base64.b64decode(data["value"]),
    "bytearray": lambda data: bytearray(base64.b64decode(data["value"])),
    "complex": lambda data: complex(*_items(data)),
    "datetime": _decode_clock(datetime.fromisoformat),
    "date": lambda data: date.fromisoformat(data["value"]),
    "time": _decode_clock(time.fromisoformat),
    "timedelta": lambda data: timedelta(*data["value"]),
    "decimal": lambda data: Decimal(data["value"]),
    "uuid": lambda data: UUID(data["value"]),
    "path": _decode_path,
    "object": lambda data: PlainData(_fields(data), type_name=data["type"]),
    "enum": _decode_enum,
    "dataclass": _decode_dataclass,
    "model": _decode_model,
    "namedtuple": _decode_namedtuple,
    "ndarray": _decode_numpy,
    "numpy-scalar": _decode_numpy,
}
