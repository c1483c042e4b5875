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


class LeavesAnObject(BaseHook):
    """Leaves what no JSON can hold in one record."""

    def execute(self, entries: Any, store: Any) -> None:
        for entry in entries:
            if entry["validated_data"]["id"] == 7:
                entry["validated_data"]["name"] = object()


class Leaves(BaseHook):
    """Raises what ends programs, at one record."""

    def __init__(self, kind: type[BaseException], at: int = 3) -> None:
        super().__init__()
        self.kind, self.at = kind, at

    def execute(self, entries: Any, store: Any) -> None:
        if any(str(entry["raw_data"]["id"]) == str(self.at) for entry in entries):
            raise self.kind(4)


class LeavesLater(Leaves):
    """Does so in a coroutine."""

    async def execute(self, entries: Any, store: Any) -> None:  # type: ignore[override]
        Leaves.execute(self, entries, store)


class LeavesFromATaskOfItsOwn(Leaves):
    """Does so in a task of its own."""

    async def execute(self, entries: Any, store: Any) -> None:  # type: ignore[override]
        async def leave() -> None:
            Leaves.execute(self, entries, store)

        await asyncio.create_task(leave())


class LeavesAtTheEnds(BaseHook):
    """Raises it in `setup` or `teardown`."""

    def __init__(self, *methods: str) -> None:
        super().__init__()
        self.methods = methods

    async def setup(self, store: Any) -> None:  # type: ignore[override]
        if "setup" in self.methods:
            raise SystemExit(5)

    async def teardown(self, store: Any) -> None:  # type: ignore[override]
        if "teardown" in self.methods:
            raise SystemExit(5)
