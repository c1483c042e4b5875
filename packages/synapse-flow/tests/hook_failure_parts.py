"""Hooks that fail in different ways, and a model, where other processes can import them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pydantic import BaseModel

from synapse_flow import BaseHook


class Misspells(BaseHook):
    def execute(self, entries: Any, store: Any) -> Any:
        for entry in entries:
            entry["raw_data"]["agee"]  # line of the mistake
        return entries


class Parses(BaseHook):
    """Fails inside the standard library."""

    def execute(self, entries: Any, store: Any) -> Any:
        json.loads("{")  # line of the parse


class Waits(BaseHook):
    """Fails in a task of a group."""

    async def execute(self, entries: Any, store: Any) -> Any:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._one())

    async def _one(self) -> None:
        raise RuntimeError  # line of the task


class Unwraps(BaseHook):
    """Returns records instead of entries."""

    def execute(self, entries: Any, store: Any) -> Any:
        return [entry["raw_data"] for entry in entries]


class Optional(BaseModel):
    id: int | None = None
    name: str | None = None
