"""Validates rows by the positions of their values, so that no dict is made of what was read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic_core import CoreSchema, SchemaValidator, core_schema

from synapse_flow.row_table import dict_maker
from synapse_flow.validation.forgiving import forgiving

__all__ = ["PositionalValidator", "positional_validator"]

_BY_NAME = ("populate_by_name", "validate_by_name", "validate_by_alias")


class PositionalValidator:
    """Validates rows to tuples, many in one call, and makes dicts of those that fit.

    Args:
        schema: Of one row.
        config: Of the model.
        keys: Name of the field in each position; None for a column that belongs to none.
        fields: Names of all fields, in the order that they have in a dict.
    """

    def __init__(
        self,
        schema: CoreSchema,
        config: Any,
        keys: tuple[str | None, ...],
        fields: tuple[str, ...],
    ) -> None:
        self._many = SchemaValidator(core_schema.list_schema(forgiving(schema), strict=False), config)
        self._dicts: Callable[[Sequence[Sequence[Any]]], list[dict[str, Any]]] = dict_maker(keys, fields)

    def validate(self, rows: Sequence[Sequence[Any]]) -> tuple[list[dict[str, Any]], list[int]]:
        """Return dicts of the rows that are valid, and the indexes of the others.

        Raises:
            Exception: Code of the model raised what pydantic does not count as a failed validation.
            ValueError: Code of the model left a value out, and nobody knows whose.
        """
        values: list[Any] = self._many.validate_python(rows)
        if all(values):
            return self._dicts(values), []
        invalid = [index for index, value in enumerate(values) if value is None]
        return self._dicts([value for value in values if value is not None]), invalid


def positional_validator(schema: Any, names: tuple[str, ...]) -> PositionalValidator | None:
    """Return what validates rows to the same dicts as a schema does dicts, None where the two may differ.

    They may where a field is not read from one column of its own.

    Args:
        schema: Of a typed dict, as `dict_schema` makes it.
        names: Of the columns.
    """
    config: dict[str, Any] = schema.get("config") or {}
    fields: dict[str, Any] = schema["fields"]
    read: dict[str, str] = {}
    for name, field in fields.items():
        alias = field.get("validation_alias")
        if alias is not None and (not isinstance(alias, str) or any(key in config for key in _BY_NAME)):
            return None
        read[name if alias is None else alias] = name
    if len(read) < len(fields) or not set(read) <= set(names):
        return None
    if schema.get("extra_behavior") == "forbid" and len(names) > len(read):
        return None
    keys = tuple(read.get(name) for name in names)
    items = [core_schema.any_schema() if key is None else fields[key]["schema"] for key in keys]
    return PositionalValidator(core_schema.tuple_schema(items, strict=False), config or None, keys, tuple(fields))
