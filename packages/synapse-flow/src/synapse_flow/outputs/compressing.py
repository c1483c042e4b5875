"""Compresses what goes to files, on workers: a module that is imported quickly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from synapse_flow.collecting import Collector, Validator
from synapse_flow.compression import compressed
from synapse_flow.entries import EntryTypedDict

__all__ = ["CompressingCollector"]


@dataclass
class CompressingCollector:
    """A collector whose bytes are compressed on the worker."""

    inner: Collector
    compression: str

    @property
    def sees_entries(self) -> bool:
        """Whether the inner one needs entries."""
        return self.inner.sees_entries

    def of_values(self, values: list[Any], entries: Sequence[EntryTypedDict] | None, validator: Validator) -> Any:
        """Return what the inner one makes of values."""
        return self.inner.of_values(values, entries, validator)

    def joined(self, parts: list[Any]) -> Any:
        """Return the bytes of a chunk, compressed."""
        return self._compressed(self.inner.joined(parts))

    def of_failed(self, entries: list[EntryTypedDict]) -> Any:
        """Return the bytes of entries that failed, compressed."""
        return self._compressed(self.inner.of_failed(entries))

    def _compressed(self, data: bytes) -> bytes:
        return compressed(data, self.compression) if data else b""
