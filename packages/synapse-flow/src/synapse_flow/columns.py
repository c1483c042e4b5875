"""The columns that records of a model have, for outputs whose columns have types."""

from __future__ import annotations

import ipaddress
import types
import typing
from collections.abc import Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import reduce
from pathlib import PurePath
from typing import Any, Literal
from uuid import UUID

import pydantic
from pydantic import BaseModel

from synapse_flow.validation.dict_schema import dict_schema

__all__ = ["Column", "ERROR_COLUMNS", "columns_of", "duplicates", "excluded_fields"]

Kind = Literal[
    "unknown", "bool", "int", "float", "str", "text", "bytes", "date", "datetime", "time", "timedelta", "decimal",
    "uuid", "list", "map", "struct",
]  # fmt: skip


@dataclass(frozen=True)
class Column:
    """What a column holds.

    Attributes:
        kind: ``"text"`` is of values that are written as text, ``"unknown"`` of those that only values tell.
        item: Of a list's items, and of a map's values.
        fields: Of a struct.
        digits: Of a decimal, in all.
        places: Of a decimal, behind the point.
        length: Of a text, at most.
        aware: Whether times have a zone; None where both kinds may come.
    """

    kind: Kind
    item: Column | None = None
    fields: tuple[tuple[str, Column], ...] = ()
    digits: int | None = None
    places: int | None = None
    length: int | None = None
    aware: bool | None = None


ERROR_COLUMNS: dict[str, Column] = {
    "position": Column("int"),
    "line": Column("int"),
    "raw_data": Column("str"),
    "errors": Column("str"),
}
"""What is written of records that failed; raw data and errors as JSON."""

_UNKNOWN = Column("unknown")

# In this order: a datetime is a date, and a bool is an int.
_BY_CLASS: tuple[tuple[type, Column], ...] = (
    (bool, Column("bool")),
    (int, Column("int")),
    (float, Column("float")),
    (str, Column("str")),
    (bytes, Column("bytes")),
    (datetime, Column("datetime")),
    (date, Column("date")),
    (time, Column("time")),
    (timedelta, Column("timedelta")),
    (UUID, Column("uuid")),
    (Decimal, Column("decimal")),
    (PurePath, Column("text")),
)

_TEXTS = (
    ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network,
    ipaddress.IPv4Interface, ipaddress.IPv6Interface, pydantic.SecretStr, pydantic.IPvAnyAddress,
    pydantic.IPvAnyInterface, pydantic.IPvAnyNetwork,
)  # fmt: skip

_BY_NAME: dict[Any, Column] = {
    pydantic.AwareDatetime: Column("datetime", aware=True),
    pydantic.NaiveDatetime: Column("datetime", aware=False),
    pydantic.PastDatetime: Column("datetime"),
    pydantic.FutureDatetime: Column("datetime"),
    pydantic.PastDate: Column("date"),
    pydantic.FutureDate: Column("date"),
    pydantic.EmailStr: Column("str"),
    pydantic.NameEmail: Column("text"),
}

_LISTS = (list, set, frozenset, Sequence, AbstractSet)
_SERIALIZERS = (pydantic.PlainSerializer, pydantic.WrapSerializer)


def columns_of(model: Any) -> dict[str, Column]:
    """Return the columns of a model's records, by their types' declarations; none where it has no fields."""
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return {}
    model.model_rebuild()  # a type that is named before it exists may exist now
    return _fields(model, ()) or {}


def duplicates(names: Sequence[str]) -> str:
    """Return the names that stand more than once in `names`, for a message; empty where there are none."""
    return ", ".join(sorted({repr(name) for name in names if names.count(name) > 1}))


def excluded_fields(model: Any) -> set[str]:
    """Return the fields of a model that are not written."""
    fields = getattr(model, "model_fields", {})
    return {name for name, field in fields.items() if field.exclude}


def _fields(model: type[BaseModel], outer: tuple[Any, ...]) -> dict[str, Column] | None:
    """Return the columns of a model, or None where code decides what its records are written as."""
    decorators: Any = model.__pydantic_decorators__
    if decorators.model_serializers or model.__pydantic_root_model__ or model in outer:
        return None
    serialized = {name for each in decorators.field_serializers.values() for name in each.info.fields}
    by_alias = bool(model.model_config.get("serialize_by_alias")) and (bool(outer) or dict_schema(model) is None)
    columns: dict[str, Column] = {}
    for name, field in model.model_fields.items():
        if field.exclude:
            continue
        written = (field.serialization_alias if by_alias else None) or name
        own = name in serialized or "*" in serialized
        columns[written] = _UNKNOWN if own else _column(field.annotation, tuple(field.metadata), (*outer, model))
    for name, computed in model.model_computed_fields.items():
        written = (computed.alias if by_alias else None) or name
        columns[written] = _UNKNOWN if name in serialized else _column(computed.return_type, (), (*outer, model))
    return columns


def _column(annotation: Any, metadata: tuple[Any, ...], outer: tuple[Any, ...]) -> Column:
    """Return what a field of this type holds."""
    while True:
        if isinstance(annotation, typing.TypeVar) or any(isinstance(each, _SERIALIZERS) for each in metadata):
            return _UNKNOWN
        if typing.get_origin(annotation) is typing.Annotated:
            annotation, *more = typing.get_args(annotation)
            metadata = (*metadata, *more)
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            break
    known = _BY_NAME.get(annotation) if isinstance(annotation, type) else None
    if known is not None:
        return known
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Union or origin is types.UnionType:
        inner = [_column(arg, metadata, outer) for arg in args if arg is not type(None)]
        return reduce(_either, inner) if inner else _UNKNOWN
    if origin is Literal:
        return reduce(_either, [_of_value(value) for value in args])
    if origin is not None:
        return _generic(origin, args, outer)
    return _of_class(annotation, metadata, outer) if isinstance(annotation, type) else _UNKNOWN


def _generic(origin: Any, args: tuple[Any, ...], outer: tuple[Any, ...]) -> Column:
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            return _list_of(_column(args[0], (), outer))
        return _list_of(reduce(_either, [_column(arg, (), outer) for arg in args])) if args else _UNKNOWN
    if not isinstance(origin, type):
        return _UNKNOWN
    if issubclass(origin, Mapping) and len(args) == 2:
        key, item = _column(args[0], (), outer), _column(args[1], (), outer)
        return Column("map", item=item) if key.kind == "str" and _is_known(item) else _UNKNOWN
    if issubclass(origin, _LISTS) and len(args) == 1:
        return _list_of(_column(args[0], (), outer))
    if issubclass(origin, BaseModel):
        return _of_class(origin, (), outer)
    return _UNKNOWN


def _list_of(item: Column) -> Column:
    return Column("list", item=item) if _is_known(item) else _UNKNOWN


def _is_known(column: Column) -> bool:
    # Whether times have a zone, only values tell; inside of lists and maps, all of it has to be known.
    return column.kind != "unknown" and not (column.kind == "datetime" and column.aware is None)


def _of_class(class_: type, metadata: tuple[Any, ...], outer: tuple[Any, ...]) -> Column:
    if issubclass(class_, Enum):
        return reduce(_either, [_of_value(member.value) for member in class_]) if len(class_) else _UNKNOWN
    if issubclass(class_, BaseModel):
        fields = None if class_.model_config.get("extra") == "allow" else _fields(class_, outer)
        if not fields or not all(map(_is_known, fields.values())):
            return _UNKNOWN
        return Column("struct", fields=tuple(fields.items()))
    if issubclass(class_, _TEXTS) or class_.__module__ == "pydantic.networks":
        return Column("text")
    column = next((column for base, column in _BY_CLASS if issubclass(class_, base)), _UNKNOWN)
    if column.kind == "decimal":
        return Column("decimal", digits=_bound(metadata, "max_digits"), places=_bound(metadata, "decimal_places"))
    if column.kind == "str":
        return Column("str", length=_bound(metadata, "max_length"))
    return column


def _bound(metadata: tuple[Any, ...], name: str) -> int | None:
    found = [getattr(each, name, None) for each in metadata]
    return next((each for each in found if isinstance(each, int)), None)


def _of_value(value: Any) -> Column:
    if isinstance(value, Enum):
        value = value.value
    return _of_class(type(value), (), ())


def _either(one: Column, other: Column) -> Column:
    """Return what holds values of both columns."""
    if one == other:
        return one
    if {one.kind, other.kind} == {"int", "float"}:
        return Column("float")
    if one.kind == other.kind:
        return Column(one.kind) if one.kind in ("str", "decimal", "datetime") else _UNKNOWN
    return _UNKNOWN
