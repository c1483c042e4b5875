"""Hooks for what many flows do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from synapse_flow.entries import EntryTypedDict
from synapse_flow.hooks.base import BaseHook, HookPriority, HookStore

__all__ = ["FieldMapperHook", "TimestampHook"]


class TimestampHook(BaseHook):
    """Writes the time at which an entry is processed, in UTC, to its metadata.

    Args:
        field: Key in the metadata.
        priority: When it runs among the others, the lowest first.
    """

    def __init__(self, field: str = "processed_at", priority: int = HookPriority.NORMAL) -> None:
        super().__init__(priority)
        self.field = field

    def execute(self, entries: list[EntryTypedDict], store: HookStore) -> list[EntryTypedDict]:
        """Write the time."""
        now = datetime.now(UTC)
        for entry in entries:
            entry["metadata"][self.field] = now
        return entries


class FieldMapperHook(BaseHook):
    """Renames fields of the raw data, or computes them.

    Args:
        mapping: New field → the old field's name, or a function of the raw data.
        priority: When it runs among the others, the lowest first.
    """

    def __init__(
        self, mapping: Mapping[str, str | Callable[[dict[str, Any]], Any]], priority: int = HookPriority.NORMAL
    ) -> None:
        super().__init__(priority)
        self.mapping = dict(mapping)

    def execute(self, entries: list[EntryTypedDict], store: HookStore) -> list[EntryTypedDict]:
        """Set the new fields; a renamed one leaves its old name."""
        renamed = {source for source in self.mapping.values() if isinstance(source, str)}
        for entry in entries:
            raw = entry["raw_data"]
            new = {
                field: raw[source] if isinstance(source, str) else source(raw)
                for field, source in self.mapping.items()
                if not isinstance(source, str) or source in raw
            }
            entry["raw_data"] = {key: value for key, value in raw.items() if key not in renamed} | new
        return entries
