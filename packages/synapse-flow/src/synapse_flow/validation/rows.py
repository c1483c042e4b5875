"""Validates chunks of raw records with a model."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter, ValidationError as PydanticValidationError
from pydantic_core import CoreSchema, SchemaSerializer, SchemaValidator, core_schema

from synapse_core.safe_text import safe_str
from synapse_flow.entries import RecordError
from synapse_flow.json_lines import json_line, json_lines
from synapse_flow.row_table import RowTable
from synapse_flow.validation.by_position import PositionalValidator, positional_validator
from synapse_flow.validation.dict_schema import dict_schema
from synapse_flow.validation.forgiving import forgiving

__all__ = ["NoValidator", "RowValidator"]


class NoValidator:
    """Lets every record pass as it is."""

    def validate(self, raws: Sequence[Any]) -> tuple[list[Any], dict[int, list[RecordError]]]:
        """Return the records."""
        return list(raws), {}

    def to_dict(self, value: Any) -> dict[str, Any]:
        """Return the record."""
        return cast("dict[str, Any]", value)

    def to_json_lines(self, values: list[Any]) -> bytes:
        """Return one line of JSON for each record."""
        return json_lines(None, None, values)

    def from_dict(self, row: dict[str, Any], value: Any = None) -> Any:
        """Return the row."""
        return row


class _Changed:
    """A record that hooks have changed since it was validated to an instance.

    Attributes:
        row: Its fields, as Python values.
    """

    __slots__ = ("row",)

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row


class RowValidator:
    """Validates many records in one call, and looks singly at those that fail.

    Records become dicts at once where the model allows it (`as_dicts`), and instances otherwise.

    Args:
        model: A pydantic model, or another type that pydantic validates mappings to.
        instances: Make instances of a model even where dicts would do.

    Attributes:
        as_dicts: Whether `validate` returns dicts.
    """

    def __init__(self, model: Any, *, instances: bool = False) -> None:
        self.model = model
        self._adapter: TypeAdapter[Any] = TypeAdapter(model)
        is_model = isinstance(model, type) and issubclass(model, BaseModel)
        if is_model:
            model.model_rebuild()
        # Given to the outermost schema too: that of a part is not always asked.
        config = cast("Any", self._adapter.core_schema).get("config")
        own = dict_schema(model) if is_model and not instances else None
        self._own = own
        self._by_position: tuple[tuple[str, ...], PositionalValidator | None] = ((), None)
        self.as_dicts = own is not None
        if own is not None:
            self._single = SchemaValidator(own)
            self._many = SchemaValidator(core_schema.list_schema(forgiving(own)))
            self._serializer = SchemaSerializer(_open(own), config)
            self._list_serializer = SchemaSerializer(core_schema.list_schema(_open(own)), config)
        else:
            many: TypeAdapter[Any] = TypeAdapter(list[model])
            self._single = cast("SchemaValidator", self._adapter.validator)
            self._many = SchemaValidator(_forgiving_items(many.core_schema))
            self._serializer = self._adapter.serializer

    def validate(self, raws: Sequence[Any]) -> tuple[list[Any], dict[int, list[RecordError]]]:
        """Return what each record that is valid became, and the errors of the others, by index."""
        try:
            values, invalid = self._at_once(raws)
        except Exception:  # code of the model raised what pydantic does not count as a failed validation
            values, invalid = [], list(range(len(raws)))
        return self._singly(raws, values, invalid) if invalid else (values, {})

    def _at_once(self, raws: Sequence[Any]) -> tuple[list[Any], list[int]]:
        """Return what those became that are valid, and the indexes of the others."""
        if isinstance(raws, RowTable):
            if (by_position := self._validator_of(raws.names)) is not None:
                with contextlib.suppress(ValueError):  # code of the model left a value out
                    return by_position.validate(raws.rows)
            raws = list(raws)
        values: list[Any] = self._many.validate_python(raws)
        if None not in values:
            return values, []
        invalid = [index for index, value in enumerate(values) if value is None]
        return [value for value in values if value is not None], invalid

    def _validator_of(self, names: tuple[str, ...]) -> PositionalValidator | None:
        if self._by_position[0] != names:
            self._by_position = names, None if self._own is None else positional_validator(self._own, names)
        return self._by_position[1]

    def to_dict(self, value: Any) -> dict[str, Any]:
        """Return the fields of a record that `validate` or `from_dict` returned, as Python values."""
        if self.as_dicts:
            return cast("dict[str, Any]", value)
        if isinstance(value, _Changed):
            return value.row
        dumped = self._adapter.dump_python(value, by_alias=False, warnings=False)
        return dumped if isinstance(dumped, dict) else {"value": dumped}

    def from_dict(self, row: dict[str, Any], value: Any = None) -> Any:
        """Return what serializes as `row`, which hooks may have changed since it was made of `value`."""
        if self.as_dicts:
            return row
        return value if value is not None and self.to_dict(value) == row else _Changed(row)

    def to_json_lines(self, values: list[Any]) -> bytes:
        """Return one line of JSON for each record, as pydantic writes it."""
        if self.as_dicts:
            return json_lines(self._list_serializer, self._serializer, values)
        return b"".join(
            json_line(self._json_of(value.row))
            if isinstance(value, _Changed)
            else self._serializer.to_json(value, warnings=False) + b"\n"
            for value in values
        )

    def _json_of(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return what the model writes of a row, with the fields that it has and those that hooks have added."""
        if not hasattr(self.model, "model_construct"):
            return row
        known = {name: row[name] for name in self.model.model_fields if name in row}
        more = {name: each for name, each in row.items() if name not in known}
        dumped = self.model.model_construct(**known).model_dump(mode="json", warnings=False)
        return {
            name: each for name, each in dumped.items() if name not in self.model.model_fields or name in row
        } | more

    def _singly(
        self, raws: Sequence[Any], values: list[Any], indexes: list[int]
    ) -> tuple[list[Any], dict[int, list[RecordError]]]:
        """Validate some records alone; whichever is valid after all goes where it belongs among the others."""
        problems: dict[int, list[RecordError]] = {}
        for index in indexes:
            try:
                values.insert(index - len(problems), self._single.validate_python(raws[index]))
            except Exception as error:
                problems[index] = _told(self._own_error(raws[index], error))
        return values, problems

    def _own_error(self, raw: Any, error: Exception) -> Exception:
        """Return what the model itself says of a record that failed in another way than by not being valid."""
        if self.as_dicts and not isinstance(error, PydanticValidationError):
            with contextlib.suppress(Exception):
                try:
                    self._adapter.validate_python(raw)
                except PydanticValidationError as own:
                    return own
        return error


def _told(error: Exception) -> list[RecordError]:
    if not isinstance(error, PydanticValidationError):
        return [{"loc": [], "msg": safe_str(error), "type": type(error).__name__}]
    return [
        {"loc": list(each["loc"]), "msg": each["msg"], "type": each["type"]}
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _forgiving_items(schema: Any) -> CoreSchema:
    """Return the schema of a list with items that are None where they do not fit."""
    if schema["type"] == "definitions":
        return cast("CoreSchema", {**schema, "schema": _forgiving_items(schema["schema"])})
    return cast("CoreSchema", {**schema, "items_schema": forgiving(schema["items_schema"])})


def _open(schema: Any) -> CoreSchema:
    """Return a schema of dicts that serializes further keys too, which hooks may have added."""
    fields = {name: {**field, "required": False} for name, field in schema["fields"].items()}
    return cast("CoreSchema", {**schema, "fields": fields, "extra_behavior": "allow"})
