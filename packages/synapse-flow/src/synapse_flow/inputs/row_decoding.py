"""Makes records of raw data that is there already, on workers: a module that is imported quickly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from synapse_flow.chunks import Chunk, Records, rows_at_once

__all__ = ["UNSENDABLE", "RowDecoder"]

UNSENDABLE = "a record that cannot be sent"
"""Stands first in the tuple that goes to a worker instead of such a record; why, and its text, stand behind it."""


class RowDecoder:
    """For inputs whose payloads are lists of raw data already."""

    def decode(self, chunk: Chunk) -> Iterator[Records]:
        """Yield the payload; what is no mapping cannot be read."""
        payload = chunk.payload
        step = rows_at_once(len(payload[0]) if isinstance(payload[0], (dict, list)) else 1)
        for first in range(0, len(payload), step):
            yield self.records(payload[first : first + step])

    def records(self, raws: list[Any]) -> Records:
        """Return the records of a part; decoders of payloads that are to become raw data override this."""
        if all(type(raw) is dict for raw in raws):
            return Records(raws)
        made: list[dict[str, Any]] = []
        records = Records(made)
        for index, raw in enumerate(raws):
            if isinstance(raw, Mapping):
                made.append(dict(raw))
            elif isinstance(raw, tuple) and raw[:1] == (UNSENDABLE,):
                made.append({"value": raw[2]})
                records.problems[index] = [{"type": "PackingError", "message": raw[1]}]
            else:
                made.append({"value": raw})
                records.problems[index] = [
                    {"type": "InputError", "message": f"a record is a {type(raw).__name__}; it has to be a dict"}
                ]
        return records
