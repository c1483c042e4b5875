"""Whether an input has the columns that a model requires."""

from __future__ import annotations

from typing import Any

from synapse_core.errors import ValidationError, nearest

__all__ = ["check_columns"]


def check_columns(model: Any, columns: list[str] | None) -> None:
    """Compare a header with a model, before all records fail for the same reason.

    Args:
        model: What records are validated with, or None.
        columns: Names that every record has, where they are known.

    Raises:
        ValidationError: The model requires a column that is not there, and has no code that could make it.
    """
    fields = getattr(model, "model_fields", None)
    if not columns or fields is None or _sees_raw(model):
        return
    by_name = model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name")
    missing = []
    for name, field in fields.items():
        alias = field.validation_alias
        if not field.is_required() or not (alias is None or isinstance(alias, str)):
            continue
        wanted = {name if alias is None else alias} | ({name} if by_name else set())
        if not wanted & set(columns):
            missing.append(sorted(wanted)[0])
    if missing:
        raise ValidationError(
            f"the input has no column {', '.join(map(repr, missing))}, which {model.__name__} requires."
            f"{nearest(missing[0], columns)} It has: {', '.join(columns)}. {_advice(columns)}"
        )


def _advice(columns: list[str]) -> str:
    mark = next((mark for mark in ";\t|," if mark in columns[0]), None)
    if len(columns) == 1 and mark is not None:
        return f"If those are several columns, name what divides them: delimiter={mark!r}"
    return "Rename columns with FieldMapperHook, or give the fields an alias"


def _sees_raw(model: Any) -> bool:
    """Return whether code of the model sees raw records before they are validated, and may complete them."""
    if getattr(model, "__pydantic_root_model__", False) or getattr(model, "__pydantic_custom_init__", False):
        return True
    decorators = getattr(model, "__pydantic_decorators__", None)
    validators = getattr(decorators, "model_validators", {})
    return any(each.info.mode in ("before", "wrap") for each in validators.values())
