"""Renders records as JSON, on workers: a module that is imported quickly."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from synapse_flow.collecting import Validator, error_row
from synapse_flow.entries import EntryTypedDict
from synapse_flow.json_lines import json_line

__all__ = ["ItemCollector", "LineCollector"]


@dataclass
class LineCollector:
    """Lines of JSON, with their line ends."""

    envelope: bool

    @property
    def sees_entries(self) -> bool:
        """Whether id, position, status and metadata are written."""
        return self.envelope

    def of_values(self, values: list[Any], entries: Sequence[EntryTypedDict] | None, validator: Validator) -> bytes:
        """Return a line for each value."""
        lines = validator.to_json_lines(values)
        if not self.envelope or entries is None:
            return lines
        return b"".join(
            json_line({key: entry.get(key) for key in ("id", "position", "status", "metadata")})[:-2]
            + b',"validated_data":'
            + line
            + b"}\n"
            for entry, line in zip(entries, lines.splitlines(), strict=True)
        )

    def joined(self, parts: list[bytes]) -> bytes:
        """Return what is written of a chunk."""
        return b"".join(parts)

    def of_failed(self, entries: list[EntryTypedDict]) -> bytes:
        """Return position, line, raw data and reasons of each."""
        return b"".join(json_line(error_row(entry)) for entry in entries)


@dataclass
class ItemCollector:
    """Items of an array, with commas between them."""

    lines: LineCollector
    indent: int | None

    @property
    def sees_entries(self) -> bool:
        """Whether id, position, status and metadata are written."""
        return self.lines.sees_entries

    def of_values(self, values: list[Any], entries: Sequence[EntryTypedDict] | None, validator: Validator) -> bytes:
        """Return a line for each value."""
        return self.lines.of_values(values, entries, validator)

    def joined(self, parts: list[bytes]) -> bytes:
        """Return what is written of a chunk."""
        return self._items(self.lines.joined(parts))

    def of_failed(self, entries: list[EntryTypedDict]) -> bytes:
        """Return position, line, raw data and reasons of each."""
        return self._items(self.lines.of_failed(entries))

    def _items(self, lines: bytes) -> bytes:
        if self.indent is None:
            return lines[:-1].replace(b"\n", b",\n")
        texts = (json.dumps(json.loads(line), indent=self.indent, ensure_ascii=False) for line in lines.splitlines())
        return ",\n".join(texts).encode()
