"""One chunk after another, in this process."""

from __future__ import annotations

from typing import Any

from synapse_flow.executors.base import BaseExecutor

__all__ = ["SyncFifoExecutor"]


class SyncFifoExecutor(BaseExecutor):
    """Works in this process, in order: for small data, for debugging, and for what must come at once.

    Args:
        schema_model: What records are validated with: a pydantic model, or None for nothing.
    """

    def __init__(self, schema_model: Any = None) -> None:
        super().__init__(schema_model)
