"""Where inputs read and outputs write: paths and URLs, as they are and as they may be shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synapse_flow.adapter_types import type_by_place
from synapse_flow.local_places import is_null, is_through
from synapse_flow.outputs.files import FileOutputAdapter
from synapse_flow.urls import shown_url

__all__ = ["file_of", "is_database", "is_nowhere", "place_of", "shown_place"]


def place_of(adapter: Any) -> str | None:
    """Return the path or URL that an adapter reads or writes; None where it has none, or does not say."""
    found = getattr(adapter, "path", None)
    return found if isinstance(found, str) else None


def file_of(output: Any) -> str | None:
    """Return the file that an output writes; None for a table or a device, or where there is none."""
    place = place_of(output)
    if place is not None and "://" not in place and is_through(Path(place)):
        return None
    kind = None if place is None else type_by_place(place)
    is_file = isinstance(output, FileOutputAdapter) or (kind is not None and kind.name not in ("sql", "duckdb"))
    return place if is_file else None


def is_nowhere(output: Any) -> bool:
    """Say whether an output is the null device."""
    place = place_of(output)
    return place is not None and "://" not in place and is_null(Path(place))


def is_database(place: str) -> bool:
    """Say whether a place is the URL of a database."""
    found = type_by_place(place)
    return found is not None and found.name == "sql"


def shown_place(adapter: Any, known: str | None = None) -> str | None:
    """Return where an adapter reads or writes, or else its class; None for no adapter.

    Args:
        adapter: An input or an output.
        known: Where it is, for one that does not say it itself.
    """
    if adapter is None:
        return None
    place = place_of(adapter) or known
    return type(adapter).__name__ if place is None else shown_url(place)
