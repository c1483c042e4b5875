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
from synapse_core.model.type_names import FindType, import_type, resolve_generic

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


def decode(data: Any, *, find_type: FindType = import_type) -> Any:
    """Return the value that `encode` was given.

    A dataclass, model, or named tuple whose class cannot be imported here, or has other fields
    here, becomes `PlainData` (an enum: its bare value).

    Args:
        data: What `encode` returned.
        find_type: Returns the class of a ``module:qualname``, or ``None``. The default imports the
            module, which runs its code; `loaded_type` imports nothing, and is for data of strangers.

    Raises:
        ValueError: `data` was not made by `encode`.
    """
    try:
        return _decode(data, find_type)
    except ValueError:
        raise
    except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"this is no tagged data: {type(error).__name__}: {error}") from error


def _decode(data: Any, find: FindType) -> Any:
    if isinstance(data, list):
        return [_decode(item, find) for item in data]
    if not isinstance(data, dict):
        return data
    if _TAG not in data:
        return {key: _decode(item, find) for key, item in data.items()}
    tag = data[_TAG]
    if isinstance(tag, str):
        if (simple := _SIMPLE.get(tag)) is not None:
            return simple(data)
        if (reader := _READERS.get(tag)) is not None:
            return reader(data, find)
    known = ", ".join(sorted(_READERS.keys() | _SIMPLE.keys()))
    raise ValueError(f"unknown kind of tagged data: {tag!r}; known: {known}")


def _items(data: dict[str, Any], find: FindType) -> list[Any]:
    return [_decode(item, find) for item in data["value"]]


def _fields(data: dict[str, Any], find: FindType, key: str = "value") -> dict[str, Any]:
    return {name: _decode(item, find) for name, item in data.get(key, {}).items()}


def _decode_set(data: dict[str, Any], find: FindType, kind: Callable[[list[Any]], Any]) -> Any:
    items = _items(data, find)
    try:
        return kind(items)
    except TypeError:  # objects that were hashable are plain data here
        return PlainData({"items": items}, type_name=f"builtins:{data[_TAG]}")


def _decode_dict(data: dict[str, Any], find: FindType) -> Any:
    pairs = [[_decode(key, find), _decode(item, find)] for key, item in data["value"]]
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


def _decode_path(data: dict[str, Any], find: FindType) -> pathlib.PurePath:
    kinds: dict[str, type[pathlib.PurePath]] = {
        "": pathlib.Path,
        "PurePosixPath": pathlib.PurePosixPath,
        "PureWindowsPath": pathlib.PureWindowsPath,
    }
    return kinds[data["pure"]](_decode(data["value"], find))


def _decode_enum(data: dict[str, Any], find: FindType) -> Any:
    value = _decode(data["value"], find)
    cls = find(data["type"])
    if cls is None or not issubclass(cls, Enum):
        return value
    try:
        return cls(value)
    except Exception:  # another version without that member; `_missing_` is the user's code
        return value


def _decode_dataclass(data: dict[str, Any], find: FindType) -> Any:
    fields, others, name = _fields(data, find), _fields(data, find, "others"), data["type"]
    cls = find(name)
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


def _decode_model(data: dict[str, Any], find: FindType) -> Any:
    fields, others, name = _fields(data, find), _fields(data, find, "others"), data["type"]
    cls = resolve_generic(data.get("generic"), find) or find(name)
    expected = fields.keys() | set(data.get("missing", ()))
    if cls is not None and issubclass(cls, BaseModel) and expected == set(cls.model_fields):
        state = {
            "__dict__": fields | others,
            "__pydantic_fields_set__": set(data["set"]),
            "__pydantic_extra__": _decode(data["extra"], find),
            "__pydantic_private__": _decode(data["private"], find),
        }
        try:
            value = cls.__new__(cls)
            BaseModel.__setstate__(value, state)
            return value
        except Exception:  # as in _decode_dataclass
            pass
    return PlainData({**fields, **(_decode(data["extra"], find) or {})}, type_name=name)


def _decode_namedtuple(data: dict[str, Any], find: FindType) -> Any:
    items, name = _items(data, find), data["type"]
    if len(items) != len(data["fields"]):
        raise ValueError(f"{len(items)} values are not the {len(data['fields'])} fields of a {name}")
    cls = find(name)
    if cls is None or not issubclass(cls, tuple) or list(getattr(cls, "_fields", ())) != data["fields"]:
        return PlainData(dict(zip(data["fields"], items, strict=True)), type_name=name)
    return tuple.__new__(cls, items)


def _decode_numpy(data: dict[str, Any]) -> Any:
    try:
        return decode_array(data)
    except ImportError:
        raw = base64.b64decode(data["value"])
        return PlainData({"dtype": data["dtype"], "shape": data["shape"], "data": raw}, type_name="numpy:ndarray")


_SIMPLE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "str": lambda data: base64.b64decode(data["value"]).decode("utf-8", "surrogatepass"),
    "int": lambda data: int(data["value"], 16),
    "float": lambda data: float(data["value"]),
    "bytes": lambda data: base64.b64decode(data["value"]),
    "bytearray": lambda data: bytearray(base64.b64decode(data["value"])),
    "datetime": _decode_clock(datetime.fromisoformat),
    "date": lambda data: date.fromisoformat(data["value"]),
    "time": _decode_clock(time.fromisoformat),
    "timedelta": lambda data: timedelta(*data["value"]),
    "decimal": lambda data: Decimal(data["value"]),
    "uuid": lambda data: UUID(data["value"]),
    "ndarray": _decode_numpy,
    "numpy-scalar": _decode_numpy,
}
_READERS: dict[str, Callable[[dict[str, Any], FindType], Any]] = {
    "dict": _decode_dict,
    "tuple": lambda data, find: tuple(_items(data, find)),
    "set": lambda data, find: _decode_set(data, find, set),
    "frozenset": lambda data, find: _decode_set(data, find, frozenset),
    "complex": lambda data, find: complex(*_items(data, find)),
    "path": _decode_path,
    "object": lambda data, find: PlainData(_fields(data, find), type_name=data["type"]),
    "enum": _decode_enum,
    "dataclass": _decode_dataclass,
    "model": _decode_model,
    "namedtuple": _decode_namedtuple,
}
