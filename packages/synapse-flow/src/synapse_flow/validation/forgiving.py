"""A schema that never fails."""

from __future__ import annotations

from pydantic_core import CoreSchema, core_schema

__all__ = ["forgiving"]


def forgiving(schema: CoreSchema) -> CoreSchema:
    """Return a schema that makes None of what does not fit."""
    return core_schema.with_default_schema(schema, default=None, on_error="default")
