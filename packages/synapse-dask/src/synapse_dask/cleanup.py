"""What runs on the scheduler: it ends a run whose client is gone."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from distributed import SchedulerPlugin

__all__ = ["EndWithClient"]


class EndWithClient(SchedulerPlugin):
    """Takes the work of a run from all workers when its client is gone without having done so: it was killed, say.

    Args:
        run_id: Under which the workers have it.
        client_id: Of the client, as the scheduler knows it.
    """

    def __init__(self, run_id: str, client_id: str) -> None:
        self.name = f"{run_id}-end"
        self._run_id = run_id
        self._client_id = client_id
        self._ending: asyncio.Future[None] | None = None

    def remove_client(self, scheduler: Any, client: str) -> None:
        """Hear that a client is gone."""
        if client == self._client_id:
            self._ending = asyncio.ensure_future(self._end(scheduler))

    async def _end(self, scheduler: Any) -> None:
        with contextlib.suppress(Exception):  # nobody is there to be told
            await scheduler.unregister_worker_plugin(comm=None, name=self._run_id)
        with contextlib.suppress(Exception):
            scheduler.remove_plugin(self.name)
