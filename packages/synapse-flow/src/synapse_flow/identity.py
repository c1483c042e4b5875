"""What a flow is made of, as JSON data by which a run that goes on knows that it is the same one."""

from __future__ import annotations

import hashlib
import json
import re
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import partial
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, cast
from uuid import UUID

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue

from synapse_core.private_names import with_plain_names

__all__ = ["digest_of", "identity_of_model", "identity_of_part", "ran"]


def identity_of_model(model: Any) -> Any:
    """Return a model's name, and a digest of its schema: fields, types, constraints, defaults and settings.

    Titles and descriptions are left out, and the code of validators is not compared. Where pydantic knows no schema
    of a type, the type's name stands for it.
    """
    if model is None:
        return None
    settings = getattr(model, "model_config", None)
    if isinstance(settings, dict):
        settings = {key: each for key, each in settings.items() if key not in _TEXTS}
    schemas = [_schema(model, mode) for mode in ("validation", "serialization")]
    return {
        "name": getattr(model, "__qualname__", None) or _name_of_type(model),
        "schema": digest_of(settings, schemas),
    }


def identity_of_part(part: Any) -> dict[str, str]:
    """Return the class of a hook or an adapter, and a digest of its state, which is that of another process too.

    The state is what ``__getstate__`` gives, by default all attributes. Plain data in it is compared deeply, and of
    anything else the type. The code of the class is not compared: who has mended a hook wants to go on with it.

    What a run has changed in a part does not count in a later run of this process.
    """
    state = _digest_of_state(part)
    changed = _CHANGED.get(id(part))
    if changed is not None and changed[0]() is part and changed[1] == state:
        state = changed[2]
    return {"class": _name_of_type(type(part)), "state": state}


def ran(parts: Iterable[tuple[Any, dict[str, str]]]) -> None:
    """Note what a run has made of the state of hooks and adapters.

    Args:
        parts: Each part, and its identity before the run.
    """
    for part, before in parts:
        with suppress(Exception):  # it has slots, and cannot be referred to; or a hook that hangs still changes it
            key = id(part)
            reference = weakref.ref(part, lambda _, key=key: _CHANGED.pop(key, None))  # type: ignore[misc]
            _CHANGED[key] = (reference, _digest_of_state(part), before["state"])


def digest_of(*values: Any) -> str:
    """Return a digest of values: of plain data deeply, and of anything else its type's name."""
    try:
        return _hashed(_text(values, ()))
    except RecursionError:
        return _hashed("too deep")


_CHANGED: dict[int, tuple[Callable[[], Any], str, str]] = {}
"""Part → the digest of its state when a run had ended, and before."""


# -- values ----------------------------------------------------------------------------------

_ATOMS = (type(None), bool, int, float, complex, str, bytes, bytearray, range, slice)
_VALUES = (date, datetime, time, timedelta, timezone, Decimal, Fraction, UUID, PurePath, re.Pattern)


def _digest_of_state(part: Any) -> str:
    try:
        state = part.__getstate__()
    except Exception:  # it has one of its own, which fails outside of a pickle
        state = None
    itself = getattr(part, "_compares_itself", ())
    if itself and isinstance(state, dict):
        state = {name: each for name, each in state.items() if name not in itself}
    return digest_of(state)


def _text(value: Any, around: tuple[int, ...]) -> str:
    """Return a text of a value, the same in every process; `around` are the containers that it is in."""
    kind = type(value)
    if kind in _ATOMS:
        return f"{kind.__name__} {value!r}"
    if isinstance(value, type):
        return f"type {_name_of_type(value)}"
    if id(value) in around:
        return "itself"
    parts = _parts(value, (*around, id(value)))
    return _name_of_type(kind) if parts is None else f"{_name_of_type(kind)} {_hashed(chr(10).join(parts))}"


def _parts(value: Any, around: tuple[int, ...]) -> list[str] | None:
    """Return the texts that a value is made of; None where nothing but its type is known."""
    if isinstance(value, Enum):
        return [value.name or repr(value.value)]
    if isinstance(value, dict):
        return sorted(f"{_text(key, around)}: {_text(each, around)}" for key, each in list(value.items()))
    if isinstance(value, (list, tuple)):
        return [_text(each, around) for each in list(value)]
    if isinstance(value, (set, frozenset)):
        return sorted(_text(each, around) for each in list(value))
    if isinstance(value, _VALUES):
        return [repr(value)]
    if isinstance(value, (bool, int, float, str, bytes)):  # of a class of its own
        base = next(each for each in (int, float, str, bytes) if isinstance(value, each))
        return [base.__repr__(cast("Any", value))]
    if isinstance(value, (FunctionType, BuiltinFunctionType, MethodType)):
        return [f"{with_plain_names(str(value.__module__) + '.')}{value.__qualname__}"]
    if isinstance(value, partial):
        return [_text(each, around) for each in (value.func, value.args, value.keywords)]
    if is_dataclass(value):
        return [f"{each.name}: {_text(getattr(value, each.name, None), around)}" for each in fields(value)]
    if isinstance(value, BaseModel):
        return [_text(value.__dict__, around), _text(value.__pydantic_extra__, around)]
    return None


def _name_of_type(kind: Any) -> str:
    if not isinstance(kind, type):
        return _ADDRESS.sub("", with_plain_names(repr(kind)))
    return with_plain_names(f"{kind.__module__}.") + kind.__qualname__


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


# -- schemas ---------------------------------------------------------------------------------

_TEXTS = ("title", "description", "examples", "json_schema_extra")
_BY_NAME = ("properties", "patternProperties", "$defs")
_VALUES_OF_USERS = ("default", "const", "enum")


class _Schema(GenerateJsonSchema):
    """Makes schemas of whatever there is, and the same ones in every process."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - that is how it is declared

    def encode_default(self, dft: Any) -> Any:
        """Return a digest, since a set has no order."""
        return digest_of(dft)

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        """Return the name of what JSON knows nothing of."""
        return {"type": schema["type"], "class": _name_of_type(schema.get("cls"))}


def _schema(model: Any, mode: JsonSchemaMode) -> Any:
    try:
        schema = TypeAdapter(model).json_schema(schema_generator=_Schema, mode=mode)
        return with_plain_names(json.dumps(_without_texts(schema)))
    except Exception:  # of a type that pydantic knows nothing of, or of the model's own code
        return _name_of_type(model)


def _without_texts(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_texts(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {}
    for key, each in schema.items():
        if key in _BY_NAME and isinstance(each, dict):
            found[key] = {name: _without_texts(one) for name, one in each.items()}
        elif key not in _TEXTS:
            found[key] = each if key in _VALUES_OF_USERS else _without_texts(each)
    return found
