"""Whether results can be fetched from the workers themselves: through the scheduler each is copied twice more."""

from __future__ import annotations

import asyncio
from typing import Any

from distributed import Client
from distributed.comm.addressing import get_local_address_for

__all__ = ["NearWorkers"]

_ANSWER_SECONDS = 1.0


class NearWorkers:
    """Workers on the machine of a client, which it reaches.

    Others it may not reach where it reaches their scheduler, and would wait half a minute to find out. Nor does an
    address of this machine say enough: it may be that of another one, whose scheduler is reached through a tunnel.

    Args:
        client: Of the cluster.

    Attributes:
        are_all: Whether all workers of the cluster were such at the last look.
    """

    def __init__(self, client: Client) -> None:
        self._client: Any = client
        self._reached: set[str] = set()
        self.are_all = False

    async def look(self) -> None:
        """Look which workers there are now; in the client's event loop."""
        try:
            workers = set(await self._client.nthreads())
        except OSError:  # the scheduler is lost, as others will notice
            workers = set()
        self._reached &= workers
        new = workers - self._reached
        if all(map(_is_here, new)):
            await asyncio.gather(*map(self._try, new))
        self.are_all = bool(workers) and workers == self._reached

    async def _try(self, worker: str) -> None:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._client.rpc(worker).identity()
        except OSError:  # a timeout, too
            return
        self._reached.add(worker)


def _is_here(worker: str) -> bool:
    """Return whether an address is one of this machine: those are reached from themselves."""
    try:
        return worker.startswith(f"{get_local_address_for(worker)}:")
    except (OSError, ValueError):  # no network, or an address of another kind
        return False
