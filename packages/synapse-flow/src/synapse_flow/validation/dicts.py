"""Validates chunks of raw records to dicts, with pydantic-core alone, which is imported quickly."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, cast

from pydantic_core import CoreSchema, SchemaSerializer, SchemaValidator, ValidationError, core_schema

from synapse_flow.entries import RecordError
from synapse_flow.json_lines import json_lines
from synapse_flow.row_table import RowTable
from synapse_flow.validation.by_position import PositionalValidator, positional_validator
from synapse_flow.validation.forgiving import forgiving
from synapse_flow.validation.singly import split_up, validate_singly

__all__ = ["DictValidator"]


class DictValidator:
    """Validates many records in one call, and looks singly at those that fail.

    Args:
        schema: Of a typed dict, as `dict_schema` makes it.
        validate_by_model: Validates a record to an instance, as the model itself does.
    """

    def __init__(self, schema: CoreSchema, validate_by_model: Callable[[Any], Any]) -> None:
        self._schema = schema
        self._validate_by_model = validate_by_model
        self._by_position: tuple[tuple[str, ...], PositionalValidator | None] = ((), None)
        self._single = SchemaValidator(schema)
        self._many = SchemaValidator(core_schema.list_schema(forgiving(schema)))
        # Given to the outermost schema too: that of a part is not always asked.
        config = cast("dict[str, Any]", schema).get("config")
        self._serializer = SchemaSerializer(_open(schema), config)
        self._list_serializer = SchemaSerializer(core_schema.list_schema(_open(schema)), config)

    def validate(self, raws: Sequence[Any]) -> tuple[list[Any], dict[int, list[RecordError]]]:
        """Return what each record that is valid became, and the errors of the others, by index."""
        try:
            values, invalid = self._at_once(raws)
        except Exception:  # code of the model raised what pydantic does not count as a failed validation
            values, invalid = [], list(range(len(raws)))
        return validate_singly(self._validate_one, raws, values, invalid) if invalid else (values, {})

    def _at_once(self, raws: Sequence[Any]) -> tuple[list[Any], list[int]]:
        """Return what those became that are valid, and the indexes of the others."""
        if isinstance(raws, RowTable):
            if (by_position := self._validator_of(raws.names)) is not None:
                with contextlib.suppress(ValueError):  # code of the model left a value out
                    return by_position.validate(raws.rows)
            raws = list(raws)
        return split_up(self._many.validate_python(raws))

    def _validator_of(self, names: tuple[str, ...]) -> PositionalValidator | None:
        if self._by_position[0] != names:
            self._by_position = names, positional_validator(self._schema, names)
        return self._by_position[1]

    def _validate_one(self, raw: Any) -> Any:
        try:
            return self._single.validate_python(raw)
        except ValidationError:
            raise
        except Exception as error:  # which the model itself may count as a failed validation
            raise self._error_by_model(raw) or error from None

    def _error_by_model(self, raw: Any) -> ValidationError | None:
        try:
            self._validate_by_model(raw)
        except ValidationError as error:
            return error
        except Exception:  # then what the schema raised says as much
            return None
        return None

    def to_dict(self, value: Any) -> dict[str, Any]:
        """Return the fields of a record that `validate` or `from_dict` returned, as Python values."""
        return cast("dict[str, Any]", value)

    def from_dict(self, row: dict[str, Any], value: Any = None) -> Any:
        """Return what serializes as `row`, which hooks may have changed since it was made of `value`."""
        return row

    def to_json_lines(self, values: list[Any]) -> bytes:
        """Return one line of JSON for each record, as pydantic writes it."""
        return json_lines(self._list_serializer, self._serializer, values)


def _open(schema: Any) -> CoreSchema:
    """Return a schema of dicts that serializes further keys too, which hooks may have added."""
    fields = {name: {**field, "required": False} for name, field in schema["fields"].items()}
    return cast("CoreSchema", {**schema, "fields": fields, "extra_behavior": "allow"})
