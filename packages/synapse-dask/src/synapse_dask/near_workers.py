"""Whether results can be fetched from the workers themselves: through the scheduler each is copied twice more."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import Any

from distributed import Client
from distributed.comm.addressing import get_local_address_for

__all__ = ["NearWorkers"]

_ANSWER_SECONDS = 1.0
_MOST_TRIES = 3  # the first one may come while it is busy


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
        self._tries: Counter[str] = Counter()
        self._reached: set[str] = set()
        self.are_all = False

    async def look(self) -> None:
        """Look which workers there are now, in the client's event loop, and ask each a few times at most."""
        try:
            workers = set(await self._client.nthreads())
        except Exception:  # the scheduler is lost, or the client closed, as others notice who need them
            workers = set()
        self._reached &= workers
        new = {worker for worker in workers - self._reached if self._tries[worker] < _MOST_TRIES}
        self.are_all = workers == self._reached != set()  # as long as new ones are asked, too
        if new and all(map(_is_here, workers)):
            await asyncio.gather(*map(self._try, new))
            self.are_all = workers == self._reached

    async def _try(self, worker: str) -> None:
        self._tries[worker] += 1
        with contextlib.suppress(Exception):  # whatever else than a worker of Dask's listens there
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._client.rpc(worker).identity()
            self._reached.add(worker)


def _is_here(worker: str) -> bool:
    """Return whether an address is one of this machine: those are reached from themselves."""
    try:
        return worker.startswith(f"{get_local_address_for(worker)}:")
    except (OSError, ValueError):  # no network, or an address of another kind
        return False
