"""JSON lines and JSON arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from synapse_core.errors import ValidationError
from synapse_core.whole_numbers import whole_number_or_none
from synapse_flow.collecting import Collector
from synapse_flow.hooks.base import BaseHook
from synapse_flow.outputs.files import FileOutputAdapter
from synapse_flow.outputs.json_collecting import ItemCollector, LineCollector

__all__ = ["JSONOutputAdapter"]


class JSONOutputAdapter(FileOutputAdapter):
    """Writes records as JSON, one to a line, or as one array; with their types as pydantic writes them.

    Failed entries are written with position, line, raw data and errors.

    Args:
        target: Path, or a URL that fsspec knows.
        format: ``"jsonl"``, ``"array"``, or ``"auto"``: an array for a name that ends with ``.json``.
        indent: Spaces, for an array that people read.
        envelope: Write id, position, status and metadata too, and the record as ``validated_data``.
        compression: ``"infer"`` (by the suffix), ``"gzip"``, ``"zstd"`` or None.
        storage_options: For the file system, such as credentials.
        pre_hooks: Hooks of this output, before the validation.
        post_hooks: Hooks of this output, after the validation.
    """

    def __init__(
        self,
        target: str | os.PathLike[str],
        *,
        format: str = "auto",
        indent: int | None = None,
        envelope: bool = False,
        compression: str | None = "infer",
        storage_options: Mapping[str, Any] | None = None,
        pre_hooks: Iterable[BaseHook] | None = None,
        post_hooks: Iterable[BaseHook] | None = None,
    ) -> None:
        super().__init__(
            target, compression=compression, storage_options=storage_options, pre_hooks=pre_hooks, post_hooks=post_hooks
        )
        if format not in ("auto", "jsonl", "array"):
            raise ValidationError(f"format is {format!r}; it may be 'jsonl', 'array' or 'auto'")
        bare = self.path.removesuffix(".gz").removesuffix(".zst")
        self._array = format == "array" or (format == "auto" and bare.endswith(".json"))
        self._indent = whole_number_or_none("indent", indent, least=0)
        self._envelope = envelope

    def lines(self) -> Collector:
        """Return what makes lines of JSON."""
        lines = LineCollector(self._envelope)
        return ItemCollector(lines, self._indent) if self._array else lines

    def head(self) -> bytes:
        """Return what opens an array."""
        return b"[\n" if self._array else b""

    def between(self) -> bytes:
        """Return what separates items of an array."""
        return b",\n" if self._array else b""

    def tail(self) -> bytes:
        """Return what closes an array."""
        return b"\n]\n" if self._array else b""
