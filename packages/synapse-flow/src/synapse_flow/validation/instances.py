"""Validates chunks of raw records to instances of a model, or whatever else pydantic makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from pydantic import TypeAdapter
from pydantic_core import CoreSchema, SchemaValidator

from synapse_flow.entries import RecordError
from synapse_flow.json_lines import json_line
from synapse_flow.validation.forgiving import forgiving
from synapse_flow.validation.singly import split_up, validate_singly

__all__ = ["InstanceValidator"]


class _Changed:
    """A record that hooks have changed since it was validated.

    Attributes:
        row: Its fields, as Python values.
    """

    __slots__ = ("row",)

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row


class InstanceValidator:
    """Validates many records in one call, and looks singly at those that fail.

    Args:
        model: A pydantic model, or another type that pydantic validates mappings to.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._adapter: TypeAdapter[Any] = TypeAdapter(model)
        many: TypeAdapter[Any] = TypeAdapter(list[model])
        self._many = SchemaValidator(_forgiving_items(many.core_schema))
        self._single = cast("SchemaValidator", self._adapter.validator)
        self._serializer = self._adapter.serializer

    def validate(self, raws: Sequence[Any]) -> tuple[list[Any], dict[int, list[RecordError]]]:
        """Return what each record that is valid became, and the errors of the others, by index."""
        try:
            values, invalid = split_up(self._many.validate_python(list(raws)))
        except Exception:  # code of the model raised what pydantic does not count as a failed validation
            values, invalid = [], list(range(len(raws)))
        return validate_singly(self._single.validate_python, raws, values, invalid) if invalid else (values, {})

    def to_dict(self, value: Any) -> dict[str, Any]:
        """Return the fields of a record that `validate` or `from_dict` returned, as Python values."""
        if isinstance(value, _Changed):
            return value.row
        dumped = self._adapter.dump_python(value, by_alias=False, warnings=False)
        return dumped if isinstance(dumped, dict) else {"value": dumped}

    def from_dict(self, row: dict[str, Any], value: Any = None) -> Any:
        """Return what serializes as `row`, which hooks may have changed since it was made of `value`."""
        return value if value is not None and self.to_dict(value) == row else _Changed(row)

    def to_json_lines(self, values: list[Any]) -> bytes:
        """Return one line of JSON for each record, as pydantic writes it."""
        return b"".join(
            json_line(self._json_of(value.row))
            if isinstance(value, _Changed)
            else self._serializer.to_json(value, warnings=False) + b"\n"
            for value in values
        )

    def _json_of(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return what the model writes of a row, with the fields that it has and those that hooks have added."""
        if not hasattr(self._model, "model_construct"):
            return row
        known = {name: row[name] for name in self._model.model_fields if name in row}
        more = {name: each for name, each in row.items() if name not in known}
        dumped = self._model.model_construct(**known).model_dump(mode="json", warnings=False)
        return {
            name: each for name, each in dumped.items() if name not in self._model.model_fields or name in row
        } | more


def _forgiving_items(schema: Any) -> CoreSchema:
    """Return the schema of a list with items that are None where they do not fit."""
    if schema["type"] == "definitions":
        return cast("CoreSchema", {**schema, "schema": _forgiving_items(schema["schema"])})
    return cast("CoreSchema", {**schema, "items_schema": forgiving(schema["items_schema"])})
