"""Reports of running calls, on their way from workers to the processes that wait for them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Mail", "Mailbox"]

Mail = tuple[str, Any]
"""What it is (``reports``, ``gone``), and the thing itself."""

_MOST_HELD = 2000  # pieces of mail, each up to some thousand reports
_PATIENCE = 5.0  # seconds for a full box to be emptied; its process may have died
_STALE = 600.0  # seconds without a look into a box after which its process is taken to be gone


@dataclass
class _Box:
    looked: float
    kept: deque[Mail] = field(default_factory=deque)
    mail: deque[Mail] = field(default_factory=deque)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    emptied: asyncio.Event = field(default_factory=asyncio.Event)


class Mailbox:
    """One box for each process that waits; to be used on one event loop.

    A box into which its process has not looked for ten minutes is thrown away with the reports in it.

    Args:
        clock: Seconds, from anywhere.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._boxes: dict[str, _Box] = {}

    def put(self, box: str, mail: Mail) -> None:
        """Put something into a box that has to arrive: it is never dropped."""
        found = self._box(box)
        found.kept.append(mail)
        found.changed.set()

    async def put_when_there_is_room(self, box: str, mail: Mail) -> None:
        """Put reports into a box; while it is full, wait, and for one that nobody empties drop the oldest.

        Whoever takes the rest tells by the numbers of the reports how many are missing.
        """
        found = self._box(box)
        if len(found.mail) >= _MOST_HELD:
            found.emptied.clear()
            try:
                await asyncio.wait_for(found.emptied.wait(), _PATIENCE)
            except TimeoutError:
                if found.mail:
                    found.mail.popleft()
        found.mail.append(mail)
        found.changed.set()

    async def take(self, box: str, seconds: float) -> list[Mail]:
        """Return what is in a box, waiting up to `seconds` for something to be there."""
        found = self._box(box)
        found.looked = self._clock()
        if not found.mail and not found.kept:
            found.changed.clear()
            try:
                await asyncio.wait_for(found.changed.wait(), seconds)
            except TimeoutError:
                return []
        taken = [*found.kept, *found.mail]
        found.kept.clear()
        found.mail.clear()
        found.emptied.set()
        return taken

    def _box(self, box: str) -> _Box:
        found = self._boxes.get(box)
        if found is None:
            self._forget_stale()
            found = self._boxes[box] = _Box(self._clock())
        return found

    def _forget_stale(self) -> None:
        long_ago = self._clock() - _STALE
        for name in [name for name, box in self._boxes.items() if box.looked < long_ago and not box.kept]:
            del self._boxes[name]
