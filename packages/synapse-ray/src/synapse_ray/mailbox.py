"""Reports of running calls, on their way from workers to the processes that wait for them."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Mail", "Mailbox"]

Mail = tuple[str, Any]
"""What it is (``reports``, ``gone``), and the thing itself."""

_MOST_HELD = 2000  # pieces of mail, each up to some thousand reports
_PATIENCE = 5.0  # seconds for a full box to be emptied; its process may have died


@dataclass
class _Box:
    mail: deque[Mail] = field(default_factory=deque)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    emptied: asyncio.Event = field(default_factory=asyncio.Event)


class Mailbox:
    """One box for each process that waits; to be used on one event loop."""

    def __init__(self) -> None:
        self._boxes: dict[str, _Box] = {}

    def put(self, box: str, mail: Mail) -> None:
        """Put something into a box."""
        found = self._box(box)
        found.mail.append(mail)
        found.changed.set()

    async def put_when_there_is_room(self, box: str, mail: Mail) -> None:
        """Put something into a box; while it is full, wait, and for one that nobody empties drop the oldest."""
        found = self._box(box)
        if len(found.mail) >= _MOST_HELD:
            found.emptied.clear()
            try:
                await asyncio.wait_for(found.emptied.wait(), _PATIENCE)
            except TimeoutError:
                found.mail.popleft()
        self.put(box, mail)

    async def take(self, box: str, seconds: float) -> list[Mail]:
        """Return what is in a box, waiting up to `seconds` for something to be there."""
        found = self._box(box)
        if not found.mail:
            found.changed.clear()
            try:
                await asyncio.wait_for(found.changed.wait(), seconds)
            except TimeoutError:
                return []
        taken = list(found.mail)
        found.mail.clear()
        found.emptied.set()
        return taken

    def forget(self, box: str) -> None:
        """Throw a box away."""
        self._boxes.pop(box, None)

    def _box(self, box: str) -> _Box:
        found = self._boxes.get(box)
        if found is None:
            found = self._boxes[box] = _Box()
        return found
