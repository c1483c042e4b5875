"""Which fields of a model are declared secret, by their annotation: ``SecretStr``, ``SecretBytes`` and their like."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from synapse_core.redaction import looks_secret

__all__ = ["SecretFields", "texts_of"]

_DEEPEST = 20


class SecretFields:
    """The names, aliases included, of fields at any depth below `model` that hold secrets.

    Args:
        model: A pydantic model.
    """

    def __init__(self, model: Any) -> None:
        self._names: set[str] = set()  # fields that are a secret, or a list or mapping of some
        self._above: set[str] = set()  # fields whose own fields are
        self._walked: dict[Any, bool] = {}
        self._root = self._is_secret(model)[0]

    def covers(self, path: tuple[int | str, ...]) -> bool:
        """Say whether what stands at `path` is, or may hold, a secret."""
        return self._root or any(part in self._names for part in path) or (path != () and path[-1] in self._above)

    def are_in(self, value: Any) -> bool:
        """Say whether one of the fields is given somewhere in `value`."""
        return any(True for _ in self._found(value, 0))

    def texts_in(self, value: Any) -> Iterator[str]:
        """Yield the texts of everything in `value` that is declared secret, or that has a secret's name."""
        if self._root:
            yield from texts_of(value)
        for found in self._found(value, 0, by_name=True):
            yield from texts_of(found)

    def _found(self, value: Any, depth: int, by_name: bool = False) -> Iterator[Any]:
        if depth > _DEEPEST:
            return
        if isinstance(value, (list, tuple, set, frozenset)):
            for item in value:
                yield from self._found(item, depth + 1, by_name)
            return
        for name, item in _members(value).items():
            if name in self._names or (by_name and looks_secret(str(name))):
                yield item
            else:
                yield from self._found(item, depth + 1, by_name)

    def _is_secret(self, annotation: Any, depth: int = 0) -> tuple[bool, bool]:
        """Say whether `annotation` is a secret or a collection of some, and whether a class in it has secret fields."""
        if depth > _DEEPEST:
            return False, False
        for attribute in ("__value__", "__supertype__", "__bound__"):  # type X = …, NewType, TypeVar
            if not isinstance(annotation, type) and getattr(annotation, attribute, None) is not None:
                annotation = getattr(annotation, attribute)
        inner = [self._is_secret(argument, depth + 1) for argument in typing.get_args(annotation)]
        origin = typing.get_origin(annotation) or annotation
        if isinstance(origin, type):
            if hasattr(origin, "get_secret_value"):
                return True, False
            inner.append(self._has_secret_fields(origin, depth))
        return any(secret for secret, _ in inner), any(holds for _, holds in inner)

    def _has_secret_fields(self, cls: type, depth: int) -> tuple[bool, bool]:
        """Say of a class whether its only field is a secret, and whether some are."""
        if cls in self._walked:
            return False, self._walked[cls]
        self._walked[cls] = False  # it may contain itself
        holds = False
        for names, annotation in _fields(cls):
            secret, above = self._is_secret(annotation, depth + 1)
            if secret and names == {"root"} and hasattr(cls, "__pydantic_root_model__"):
                return True, False
            if secret:
                self._names |= names
            elif above:
                self._above |= names
            holds = holds or secret or above
        self._walked[cls] = holds
        return False, holds


def _fields(cls: Any) -> Iterator[tuple[set[str], Any]]:
    """Yield names and annotation of every field of a model, dataclass, named tuple or typed dict."""
    if isinstance(fields := getattr(cls, "model_fields", None), Mapping):
        for name, field in fields.items():
            yield {name, *_aliases(field.alias), *_aliases(field.validation_alias)}, field.annotation
    elif dataclasses.is_dataclass(cls) or hasattr(cls, "__required_keys__") or hasattr(cls, "_fields"):
        try:
            hints = typing.get_type_hints(cls)
        except Exception:  # an annotation that only pydantic can resolve
            hints = getattr(cls, "__annotations__", {})
        for name, annotation in hints.items():
            yield {name}, annotation


def _aliases(alias: Any) -> Iterator[str]:
    if isinstance(alias, str):
        yield alias
    elif choices := getattr(alias, "choices", None):  # AliasChoices
        for choice in choices:
            yield from _aliases(choice)
    elif path := getattr(alias, "path", None):  # AliasPath
        yield [part for part in path if isinstance(part, str)][-1]


def _members(value: Any) -> Mapping[Any, Any]:
    if isinstance(value, Mapping):
        return value
    members = getattr(value, "__dict__", None)
    return members if isinstance(members, dict) else {}


def texts_of(value: Any, depth: int = 0) -> Iterator[str]:
    """Yield the texts of a secret, or of all that are in a collection."""
    if depth > _DEEPEST or value is None or isinstance(value, bool):
        return
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if isinstance(value, (bytes, bytearray)):
        value = bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, str):
        yield value
    elif isinstance(value, (int, float)):
        yield str(value)
    else:
        items = value if isinstance(value, (list, tuple, set, frozenset)) else _members(value).values()
        for item in items:
            yield from texts_of(item, depth + 1)
