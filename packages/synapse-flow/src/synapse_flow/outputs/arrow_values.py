"""Python values as Arrow arrays, strictly: what would be cut, rounded or guessed is refused."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import reduce
from importlib import import_module
from itertools import chain, islice
from pathlib import PurePath
from typing import Any
from uuid import UUID

from pydantic import BaseModel, SecretBytes, SecretStr

from synapse_core.safe_text import safe_str
from synapse_flow.columns import Column

__all__ = ["MisfitError", "array_of", "arrow_type", "common_type"]

_GROUPS: dict[type, str] = {
    bool: "bool", int: "int", float: "float", str: "str", bytes: "bytes", bytearray: "bytes", memoryview: "bytes",
    date: "date", datetime: "datetime", time: "time", timedelta: "timedelta", Decimal: "decimal", list: "list",
    tuple: "list", set: "list", frozenset: "list", dict: "dict",
}  # fmt: skip
_TEXTS = (
    UUID, PurePath, SecretStr, SecretBytes, ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network,
    ipaddress.IPv6Network, ipaddress.IPv4Interface, ipaddress.IPv6Interface,
)  # fmt: skip
_TO_BE_MADE_PLAIN = {"enum", "text", "model"}


class MisfitError(Exception):
    """A value does not fit a column.

    Attributes:
        column: Name of the column.
        index: Of the record among those that were given.
        value: The value, or the part of it that does not fit.
        type: Of the column, where it has one already.
    """

    def __init__(self, reason: str, value: Any, *, column: str = "", index: int = 0, type: Any = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.value = value
        self.column = column
        self.index = index
        self.type = type


def arrow_type(column: Column) -> Any:
    """Return the type of a column, or None where values decide.

    Decimals without bounds become text, which keeps each digit; so do UUIDs, paths and addresses.
    """
    pa = import_module("pyarrow")
    match column.kind:
        case "unknown":
            return None
        case "datetime":
            return None if column.aware is None else pa.timestamp("us", "UTC" if column.aware else None)
        case "decimal":
            if column.digits is None or column.places is None or column.digits > 76:
                return pa.string()
            return (pa.decimal128 if column.digits <= 38 else pa.decimal256)(column.digits, column.places)
        case "list":
            assert column.item is not None
            return pa.list_(arrow_type(column.item))
        case "map":
            assert column.item is not None
            return pa.map_(pa.string(), arrow_type(column.item))
        case "struct":
            return pa.struct([(name, arrow_type(each)) for name, each in column.fields])
        case kind:
            return _simple_type(kind)


def array_of(name: str, values: list[Any], type: Any = None) -> Any:
    """Return values as an array.

    Args:
        name: Of the column.
        values: One for each record.
        type: Of the column; None where the values decide.

    Raises:
        MisfitError: A value does not fit; the first one is named.
    """
    pa = import_module("pyarrow")
    try:
        return _array(values, type)
    except (MisfitError, pa.ArrowException, OverflowError, ValueError, TypeError) as error:
        raise _located(name, values, type, error) from error


def common_type(one: Any, other: Any) -> Any:
    """Return the type that holds the values of both, or None where there is none."""
    pa = import_module("pyarrow")
    types = pa.types
    if one == other or types.is_null(other):
        return one
    if types.is_null(one):
        return other
    if {one, other} == {pa.int64(), pa.float64()}:
        return pa.float64()
    if types.is_decimal(one) and types.is_decimal(other):
        return pa.decimal128(38, max(one.scale, other.scale))
    for number, decimal in ((one, other), (other, one)):
        if number == pa.int64() and types.is_decimal(decimal):
            return pa.decimal128(38, decimal.scale)
    if types.is_list(one) and types.is_list(other):
        item = common_type(one.value_type, other.value_type)
        return None if item is None else pa.list_(item)
    if types.is_struct(one) and types.is_struct(other):
        merged = {field.name: field.type for field in one}
        for field in other:
            merged[field.name] = common_type(merged.get(field.name, pa.null()), field.type)
        return None if None in merged.values() else pa.struct(list(merged.items()))
    return None


def _array(values: list[Any], type: Any) -> Any:
    pa = import_module("pyarrow")
    if type is None:
        values = _plain(values)
        type = _type_of(values)
    exact = _exact(type)
    made = pa.array(_fitted(values, type), exact)
    return made if exact is type else made.cast(type)  # which refuses what would be cut


def _located(name: str, values: list[Any], type: Any, error: Exception) -> MisfitError:
    """Return what says which value it is that does not fit."""
    pa = import_module("pyarrow")
    seen = pa.null()
    for index, value in enumerate(values):
        try:
            found = _array([value], type).type
        except (MisfitError, pa.ArrowException, OverflowError, ValueError, TypeError) as problem:
            own = problem if isinstance(problem, MisfitError) else MisfitError(safe_str(problem), value)
            return MisfitError(own.reason, own.value, column=name, index=index, type=type)
        both = common_type(seen, found)
        if both is None:
            return MisfitError(f"those before it are {seen}, and it is {found}", value, column=name, index=index)
        seen = both
    return MisfitError(safe_str(error), None, column=name, type=type)


def _exact(type: Any) -> Any:
    """Return the type that holds what Python's times hold, where `type` holds less; else `type`."""
    pa = import_module("pyarrow")
    types = pa.types
    if types.is_timestamp(type) and type.unit in ("s", "ms"):
        return pa.timestamp("us", type.tz)
    if types.is_time32(type):
        return pa.time64("us")
    return pa.duration("us") if types.is_duration(type) and type.unit in ("s", "ms") else type


# -- kinds of values --------------------------------------------------------------------------


_FOUND_GROUPS = dict(_GROUPS)


def _group_of(class_: type) -> str:
    found = _FOUND_GROUPS.get(class_)
    if found is None:
        found = _FOUND_GROUPS[class_] = _find_group(class_)
    return found


def _find_group(class_: type) -> str:
    for base, group in ((Enum, "enum"), (BaseModel, "model"), *((each, "text") for each in _TEXTS)):
        if issubclass(class_, base):
            return group
    if class_.__module__ == "pydantic.networks":
        return "text"
    for base, group in _GROUPS.items():
        if issubclass(class_, base) and not (base is date and issubclass(class_, datetime)):
            return group
    return f"a {class_.__name__}"


def _groups(values: Iterable[Any]) -> set[str]:
    return set(map(_group_of, set(map(type, values)) - {type(None)}))


def _plain(values: list[Any]) -> list[Any]:
    """Return values of which none is a member of an Enum, or one that is written as text."""
    if not _groups(values) & _TO_BE_MADE_PLAIN:
        return values
    return list(map(_plain_value, values))


def _plain_value(value: Any) -> Any:
    match _group_of(type(value)):
        case "enum":
            return _plain_value(value.value)
        case "text":
            return str(value)
        case "model":
            return value.model_dump()
    return value


# -- types of values --------------------------------------------------------------------------


def _simple_type(group: str) -> Any:
    pa = import_module("pyarrow")
    made: dict[str, Callable[[], Any]] = {
        "bool": pa.bool_,
        "int": pa.int64,
        "float": pa.float64,
        "str": pa.string,
        "text": pa.string,
        "uuid": pa.string,
        "bytes": pa.binary,
        "date": pa.date32,
        "time": lambda: pa.time64("us"),
        "timedelta": lambda: pa.duration("us"),
    }
    return made[group]() if group in made else None


def _type_of(values: list[Any]) -> Any:
    """Return the type of values.

    Raises:
        MisfitError: They are of kinds that do not go together, or of one that has no type.
    """
    pa = import_module("pyarrow")
    values = _plain([value for value in values if value is not None])
    if not values:
        return pa.null()
    groups = _groups(values)
    if groups == {"int", "float"}:
        return pa.float64()
    if groups == {"decimal"} or groups == {"int", "decimal"}:
        return reduce(common_type, map(_decimal_type, values))
    if len(groups) > 1:
        first = _group_of(type(values[0]))
        other = next(value for value in values if _group_of(type(value)) != first)
        raise MisfitError(f"others are {first}, and it is {_group_of(type(other))}", other)
    [group] = groups
    if group == "int":
        _refuse(values, lambda value: not -(2**63) <= value < 2**63, "it is beyond 64 bits")
    if group == "datetime":
        aware = values[0].tzinfo is not None
        _refuse(
            values, lambda value: (value.tzinfo is not None) is not aware, "some times have a zone, and some have none"
        )
        return pa.timestamp("us", "UTC" if aware else None)
    if group == "list":
        return pa.list_(_type_of(list(chain.from_iterable(values))))
    if group == "dict":
        _refuse(values, lambda value: not all(isinstance(key, str) for key in value), "a key in it is no text")
        names = dict.fromkeys(chain.from_iterable(values))
        return pa.struct([(name, _type_of([value.get(name) for value in values])) for name in names])
    found = _simple_type(group)
    if found is None:
        raise MisfitError("Arrow has no type for it", values[0])
    return found


def _decimal_type(value: Decimal | int) -> Any:
    pa = import_module("pyarrow")
    exponent = Decimal(value).as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -38:
        raise MisfitError("a column of decimals cannot hold it", value)
    return pa.decimal128(38, max(0, -exponent))


def _refuse(values: Iterable[Any], bad: Callable[[Any], bool], reason: str) -> None:
    for value in values:
        if value is not None and bad(value):
            raise MisfitError(reason, value)


# -- values for a type ------------------------------------------------------------------------


def _fitted(values: list[Any], type: Any) -> list[Any]:
    """Return values as pyarrow takes them for a type, so that it changes none of them.

    Raises:
        MisfitError: A value is of another kind.
    """
    types = import_module("pyarrow").types
    allowed = _allowed(type)
    if allowed is None:
        return values
    values = _plain(values)
    groups = _groups(values)
    if (types.is_string(type) or types.is_large_string(type)) and "decimal" in groups:
        values = [str(value) if isinstance(value, Decimal) else value for value in values]
        groups = _groups(values)
    if not groups <= allowed:
        _refuse(values, lambda value: _group_of(value.__class__) not in allowed, f"the column is {type}")
    if types.is_timestamp(type):
        _refuse(
            values,
            lambda value: (value.tzinfo is None) is not (type.tz is None),
            "it has no zone, and the column has one" if type.tz else "it has a zone, and the column has none",
        )
    elif types.is_time(type):
        _refuse(values, lambda value: value.tzinfo is not None, "it has a zone, and the column has none")
    elif "list" in allowed:
        return _fitted_lists(values, type)
    elif types.is_struct(type):
        return _fitted_structs(values, type)
    elif types.is_map(type):
        return _fitted_maps(values, type)
    return values


def _allowed(type: Any) -> set[str] | None:
    """Return the kinds of values that a type takes, or None for a type that is not known here."""
    types = import_module("pyarrow").types
    for is_one, allowed in (
        (types.is_null, set()),
        (types.is_boolean, {"bool"}),
        (types.is_integer, {"int"}),
        (types.is_floating, {"int", "float"}),
        (types.is_string, {"str"}),
        (types.is_large_string, {"str"}),
        (types.is_binary, {"bytes"}),
        (types.is_large_binary, {"bytes"}),
        (types.is_date, {"date"}),
        (types.is_timestamp, {"datetime"}),
        (types.is_time, {"time"}),
        (types.is_duration, {"timedelta"}),
        (types.is_decimal, {"int", "decimal"}),
        (types.is_list, {"list"}),
        (types.is_large_list, {"list"}),
        (types.is_struct, {"dict"}),
        (types.is_map, {"dict"}),
    ):
        if is_one(type):
            return allowed
    return None


def _fitted_lists(values: list[Any], type: Any) -> list[Any]:
    items = list(chain.from_iterable(value for value in values if value is not None))
    fitted = iter(_fitted(items, type.value_type))
    return [None if value is None else list(islice(fitted, len(value))) for value in values]


def _fitted_structs(values: list[Any], type: Any) -> list[Any]:
    names = {field.name for field in type}
    for value in values:
        if value is not None and not value.keys() <= names:
            more = next(key for key in value if key not in names)
            raise MisfitError(f"the column has no part {more!r} (it is {type})", value)
    parts = {
        field.name: _fitted([None if value is None else value.get(field.name) for value in values], field.type)
        for field in type
    }
    return [
        None if value is None else {name: part[index] for name, part in parts.items()}
        for index, value in enumerate(values)
    ]


def _fitted_maps(values: list[Mapping[Any, Any] | None], type: Any) -> list[Any]:
    present = [value for value in values if value is not None]
    keys = iter(_fitted(list(chain.from_iterable(present)), type.key_type))
    items = iter(_fitted(list(chain.from_iterable(value.values() for value in present)), type.item_type))
    return [
        None if value is None else list(zip(islice(keys, len(value)), islice(items, len(value)), strict=True))
        for value in values
    ]
