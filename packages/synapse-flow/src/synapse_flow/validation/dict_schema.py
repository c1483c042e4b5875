"""The schema that validates a model's records to dicts, where an instance of the model makes no difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import core_schema

__all__ = ["SCALARS", "dict_schema", "has_own_methods"]

SCALARS = {
    "any", "none", "bool", "int", "float", "decimal", "str", "bytes", "date", "time", "datetime", "timedelta",
    "literal", "enum", "uuid", "url", "multi-host-url", "complex",
}  # fmt: skip
_CONTAINERS = {
    "list", "set", "frozenset", "tuple", "dict", "nullable", "default", "union", "chain", "lax-or-strict",
    "json-or-python", "is-instance",
}  # fmt: skip
_FUNCTIONS = {"function-before", "function-after", "function-wrap", "function-plain"}
_INNER = ("schema", "items_schema", "keys_schema", "values_schema", "lax_schema", "strict_schema", "json_schema",
          "python_schema")  # fmt: skip
_OWN_METHODS = ("model_dump", "__iter__", "__getattribute__", "__setattr__", "__init__", "__new__")
_FIELD_KEYS = ("validation_alias", "serialization_alias")


def dict_schema(model: Any) -> core_schema.CoreSchema | None:
    """Return a schema that makes dicts of what `model` makes instances of, or None where the two may differ.

    They may where it is no model of pydantic, where the model as a whole is validated, built or serialized by code,
    where a field's serializer is a method, where a field is a model itself, and wherever the schema has a part that
    this function does not know.
    """
    if not isinstance(model, type) or not issubclass(model, BaseModel):
        return None
    model.model_rebuild()
    schema: Any = model.__pydantic_core_schema__
    if schema.get("type") != "model" or any(schema.get(key) for key in ("custom_init", "root_model", "serialization")):
        return None
    if schema.get("post_init") or has_own_methods(model):
        return None
    fields: Any = schema["schema"]
    config: dict[str, Any] = dict(schema.get("config") or {})
    if fields.get("type") != "model-fields" or fields.get("computed_fields") or fields.get("extras_schema"):
        return None
    extra: Any = fields.get("extra_behavior") or config.get("extra_fields_behavior") or "ignore"
    if extra == "allow" or fields.get("serialization"):
        return None
    made: dict[str, core_schema.TypedDictField] = {}
    for name, field in fields["fields"].items():
        inner = field["schema"]
        if field.get("serialization_exclude") or field.get("serialization_exclude_if") or not _alone(inner):
            return None
        more = {key: field[key] for key in _FIELD_KEYS if field.get(key) is not None}
        made[name] = core_schema.typed_dict_field(inner, required=inner["type"] != "default", **more)
    return core_schema.typed_dict_schema(
        made,
        extra_behavior=extra,
        strict=schema.get("strict"),
        config=config or None,  # type: ignore[arg-type]
    )


def has_own_methods(model: type[BaseModel]) -> bool:
    """Return whether a model is made or dumped by methods of its own."""
    return any(getattr(model, name) is not getattr(BaseModel, name) for name in _OWN_METHODS)


def _alone(schema: Mapping[str, Any]) -> bool:
    """Return whether a schema sees nothing but the value that it is for."""
    kind = schema.get("type")
    if kind not in SCALARS and kind not in _CONTAINERS and kind not in _FUNCTIONS:
        return False
    if kind in _FUNCTIONS and schema["function"]["type"] != "no-info":
        return False
    if schema.get("default_factory_takes_data") or _changes_the_dump(schema.get("serialization") or {}):
        return False
    inner = [schema[key] for key in _INNER if isinstance(schema.get(key), Mapping)]
    inner += schema["items_schema"] if isinstance(schema.get("items_schema"), list) else []
    for key in ("steps", "choices"):
        inner += [item[0] if isinstance(item, tuple) else item for item in schema.get(key) or []]
    return all(map(_alone, inner))


def _changes_the_dump(serialization: Mapping[str, Any]) -> bool:
    """Return whether a serializer may see the instance, or make something else of a value than JSON."""
    if serialization.get("is_field_serializer"):
        return True
    function = serialization.get("function")
    own = getattr(function, "__module__", "").startswith("pydantic.")  # those change nothing but JSON
    return function is not None and not own and not str(serialization.get("when_used")).startswith("json")
