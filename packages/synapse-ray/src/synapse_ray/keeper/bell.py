"""Waking those who wait for news of a job."""

from __future__ import annotations

import asyncio
from collections import defaultdict

__all__ = ["Bell"]


class Bell:
    """Wakes whoever waits for a name; of one event loop."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)

    def ring(self, name: str) -> None:
        """Wake everybody who waits for `name` now."""
        for waiting in self._waiting.pop(name, ()):
            if not waiting.done():
                waiting.set_result(None)

    async def wait(self, name: str, timeout: float) -> None:
        """Return when `name` is rung, or after `timeout` seconds.

        Nothing is awaited between the caller's look and the wait, so no ring is missed.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[name].add(future)
        try:
            await asyncio.wait((future,), timeout=timeout)
        finally:
            found = self._waiting.get(name)
            if found is not None:
                found.discard(future)
                if not found:
                    del self._waiting[name]
