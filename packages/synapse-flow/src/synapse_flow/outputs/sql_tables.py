"""Tables for records: their columns' types in a database, and values as these take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from importlib import import_module
from typing import Any
from uuid import UUID

from synapse_flow.columns import Column
from synapse_flow.json_lines import json_line, json_value

__all__ = ["column_of_values", "sql_type", "sql_value"]

_NATIVE = frozenset({bool, int, float, str, bytes, datetime, date, time, timedelta, Decimal, UUID})
_NESTED = (dict, list, tuple, set, frozenset)


def sql_type(column: Column, dialect: str) -> Any:
    """Return the type of a column in a new table.

    SQLite has neither exact decimals nor times with a zone, so there they are text; elsewhere than in PostgreSQL, so
    are decimals without bounds, durations and UUIDs. Lists, dicts and models are JSON.
    """
    sa = import_module("sqlalchemy")
    postgres = dialect == "postgresql"
    match column.kind:
        case "bool":
            return sa.Boolean()
        case "int":
            return sa.BigInteger()
        case "float":
            return sa.Double()
        case "bytes":
            return sa.LargeBinary()
        case "date":
            return sa.Date()
        case "datetime":
            if dialect == "sqlite" and column.aware is not False:
                return sa.Text()
            return sa.DateTime(timezone=column.aware is not False)
        case "time":
            return sa.Time()
        case "timedelta":
            return sa.Interval() if postgres else sa.Text()
        case "decimal":
            bounded = column.digits is not None and column.places is not None
            if dialect == "sqlite" or not (bounded or postgres):
                return sa.Text()
            return sa.Numeric(column.digits, column.places) if bounded else sa.Numeric()
        case "uuid":
            return sa.Uuid() if postgres else sa.String(36)
        case "str" if column.length is not None:
            return sa.String(column.length)
        case "list" | "map" | "struct":
            return _json(postgres)
    return sa.Text()


def _json(postgres: bool) -> Any:
    if postgres:
        return import_module("sqlalchemy.dialects.postgresql").JSONB(none_as_null=True)
    return import_module("sqlalchemy").JSON(none_as_null=True)


def column_of_values(values: Iterable[Any]) -> Column:
    """Return what holds these values; text, where they are of several kinds."""
    values = [value.value if isinstance(value, Enum) else value for value in values if value is not None]
    kinds = {_kind_of(value) for value in values}
    if kinds == {"int", "float"}:
        return Column("float")
    if kinds == {"int", "decimal"}:
        return Column("decimal")
    if len(kinds) != 1:
        return Column("text")
    [kind] = kinds
    if kind == "datetime":
        zones = {value.tzinfo is not None for value in values}
        return Column("datetime", aware=zones.pop() if len(zones) == 1 else None)
    return Column(kind)  # type: ignore[arg-type]


def _kind_of(value: Any) -> str:
    kinds: Mapping[type, str] = {
        bool: "bool", int: "int", float: "float", str: "str", bytes: "bytes", datetime: "datetime", date: "date",
        time: "time", timedelta: "timedelta", Decimal: "decimal", UUID: "uuid",
    }  # fmt: skip
    if isinstance(value, _NESTED):
        return "map"
    return next((kind for type_, kind in kinds.items() if isinstance(value, type_)), "text")


def sql_value(type: Any) -> Callable[[Any], Any]:
    """Return what makes of a value what a column of this type takes.

    What a database has no type for is text there; in a column of JSON, all values become JSON data. A time with a
    zone becomes UTC in a column without one.
    """
    sa = import_module("sqlalchemy")
    if isinstance(type, sa.JSON):
        return lambda value: value if value is None else json_value(value)
    if isinstance(type, sa.String):
        return _as_text
    if isinstance(type, sa.ARRAY):
        return lambda value: list(value) if isinstance(value, (set, frozenset, tuple)) else value
    if isinstance(type, sa.DateTime) and not type.timezone:
        return _without_zone
    return _native


def _native(value: Any) -> Any:
    if value is None or value.__class__ in _NATIVE:
        return value
    if isinstance(value, Enum):
        return _native(value.value)
    if isinstance(value, _NESTED):
        return _as_text(value)
    return value if isinstance(value, tuple(_NATIVE)) else str(value)


def _as_text(value: Any) -> Any:
    if value is None or value.__class__ is str:
        return value
    if isinstance(value, Enum):
        return _as_text(value.value)
    if isinstance(value, (*_NESTED, bool, timedelta)):
        return json_value(value) if isinstance(value, timedelta) else json_line(value).decode().rstrip()
    if isinstance(value, (date, time)):
        return value.isoformat()
    return value if isinstance(value, (str, bytes)) else str(value)


def _without_zone(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return _native(value)
