"""Models and hooks of the tests, where other processes can import them."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from synapse_flow import BaseHook


class Person(BaseModel):
    id: int
    name: str = Field(min_length=1)
    age: int = Field(ge=0, le=150)
    balance: Decimal = Decimal(0)
    born: date | None = None


RANDOM = random.Random()


class Drawn(BaseModel):
    """A number that is drawn by whoever validates a record without one."""

    number: int = Field(default_factory=lambda: RANDOM.getrandbits(64))


def people(count: int, *, bad_every: int = 7) -> list[dict[str, Any]]:
    """Return raw records, of which each `bad_every`-th is too old."""
    return [
        {"id": str(i), "name": f"name {i}", "age": "200" if i % bad_every == bad_every - 1 else str(i % 100),
         "balance": f"{i}.50", "born": "2000-01-02"}
        for i in range(count)
    ]  # fmt: skip


class Upper(BaseHook):
    """Changes raw data."""

    def execute(self, entries, store):
        for entry in entries:
            entry["raw_data"]["name"] = entry["raw_data"]["name"].upper()
        return entries


class FailsOn(BaseHook):
    """Raises when it meets one of some ids."""

    def __init__(self, *ids: int, priority: int = 50) -> None:
        super().__init__(priority)
        self.ids = {str(each) for each in ids}

    def execute(self, entries, store):
        for entry in entries:
            entry["metadata"]["seen"] = entry["metadata"].get("seen", 0) + 1
            if str(entry["raw_data"]["id"]) in self.ids:
                raise ValueError(f"no {entry['raw_data']['id']}")
        return entries


class FailsOnOnce(FailsOn):
    """The same, and may not be called twice."""

    idempotent = False


class Drops(BaseHook):
    """Leaves out odd ids."""

    def execute(self, entries, store):
        return [entry for entry in entries if int(entry["raw_data"]["id"]) % 2 == 0]


class Doubles(BaseHook):
    """Makes a second entry of each."""

    def execute(self, entries, store):
        return [each for entry in entries for each in (entry, {"raw_data": dict(entry["raw_data"])})]


class Keeps(BaseHook):
    """Returns nothing."""

    def execute(self, entries, store):
        store["calls"] = store.get("calls", 0) + 1


class Adds(BaseHook):
    """Changes validated data."""

    def execute(self, entries, store):
        for entry in entries:
            entry["validated_data"]["twice"] = entry["validated_data"]["id"] * 2
            entry["validated_data"]["age"] += 1
        return entries


class AsyncAdds(BaseHook):
    """Does the same as a coroutine."""

    async def setup(self, store):
        store["loop"] = asyncio.get_running_loop()

    async def execute(self, entries, store):
        await asyncio.sleep(0)
        assert store.loop is asyncio.get_running_loop()
        return Adds.execute(self, entries, store)


class Journal(BaseHook):
    """Writes a line for each set-up and tear-down, with the process and thread."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def _write(self, word: str) -> None:
        with open(self.path, "a") as file:
            file.write(f"{word} {os.getpid()} {threading.get_ident()}\n")

    def setup(self, store):
        store["sum"] = 0
        self._write("setup")

    def execute(self, entries, store):
        store.sum += len(entries)
        self._write("execute")
        return entries

    def teardown(self, store):
        self._write(f"teardown:{store.sum}")


class Returns(BaseHook):
    """Returns what it was given to return."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def execute(self, entries, store):
        return self.value


class Unpicklable(BaseHook):
    """Holds a lock."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


class KillsWorkerOnce(BaseHook):
    """Ends its process hard, the first time that a marker file is not there."""

    def __init__(self, marker: Path, at: int) -> None:
        super().__init__()
        self.marker, self.at = marker, str(at)

    def execute(self, entries, store):
        if any(entry["raw_data"]["id"] == self.at for entry in entries) and not self.marker.exists():
            self.marker.touch()
            os._exit(9)
        return entries


class KillsWorkerAt(BaseHook):
    """Ends its process hard, each time that it sees a record."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = str(at)

    def execute(self, entries, store):
        if any(entry["raw_data"]["id"] == self.at for entry in entries):
            os._exit(9)
        return entries


class Loose(BaseModel):
    """Takes nearly everything."""

    id: int | str
    when: date | None = None
    tags: set[int] = set()
    more: Any = None


class Nothing(BaseModel):
    """Another model."""
