"""Chunks on the workers of a Dask cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

import cloudpickle

from synapse_core.engines import closing, in_window
from synapse_core.whole_numbers import whole_number
from synapse_dask.chunk_tasks import ChunkTasks
from synapse_dask.clients import opened

__all__ = ["DaskEngine"]

ChunkT = TypeVar("ChunkT")
ResultT = TypeVar("ResultT")


class DaskEngine:
    """Works on several chunks at once, as tasks of a Dask cluster: for work that computes, on many machines.

    Where a worker dies, the chunks that it had are worked on again by others. A cluster that runs already is never shut
    down, nor is a client that this process has.

    Args:
        address: Of a scheduler, such as ``"tcp://host:8786"``. Left out, it is that of the current client, else of a
            cluster of processes that is started for the run, so a script needs ``if __name__ == "__main__":``.
        max_inflight: Chunks taken from the source and not yet given back, at most.
        max_workers: Workers that are used. Default: all; of a cluster that is started, as many as there are CPUs.

    Raises:
        ValidationError: An argument is no such number.

    Example:
        ::

            for total in DaskEngine("tcp://host:8786").run(sum, [[1, 2], [3, 4]]):
                print(total)
    """

    def __init__(self, address: str | None = None, *, max_inflight: int = 20, max_workers: int | None = None) -> None:
        self._address = address
        self._limit = whole_number("max_inflight", max_inflight)
        self._workers = None if max_workers is None else whole_number("max_workers", max_workers)

    def run(
        self, work: Callable[[ChunkT], ResultT], chunks: Iterable[ChunkT], *, ordered: bool = True
    ) -> Generator[ResultT]:
        """Yield ``work(chunk)`` for each chunk; in input order unless `ordered` is false.

        Raises:
            WorkerLostError: Several workers died of the same chunk.
            BackendUnreachableError: No scheduler answers, or it was lost.
            BackendError: What the work needs is not installed on the cluster; or a cluster could not be started.
        """
        with closing(chunks) as source:
            packed = cloudpickle.dumps(work)
            with opened(self._address, self._workers) as (client, own_cluster):
                tasks = ChunkTasks(client, packed, self._workers, own_cluster)
                try:
                    yield from in_window(tasks.submit, source, limit=self._limit, ordered=ordered)
                finally:
                    if not sys.is_finalizing():  # else nobody answers any more, and the scheduler ends the run
                        tasks.end()
                tasks.raise_what_leaving_raised()
