"""One chunk after another, in the calling thread."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

from synapse_core.engines import closing, worker_scope

__all__ = ["SerialEngine"]

ChunkT = TypeVar("ChunkT")
ResultT = TypeVar("ResultT")


class SerialEngine:
    """Works on each chunk in the calling thread, when its result is asked for.

    Example:
        ::

            for total in SerialEngine().run(sum, [[1, 2], [3, 4]]):
                print(total)
    """

    def run(
        self, work: Callable[[ChunkT], ResultT], chunks: Iterable[ChunkT], *, ordered: bool = True
    ) -> Generator[ResultT]:
        """Yield ``work(chunk)`` for each chunk, in input order."""
        with closing(chunks) as source, worker_scope(work) as apply:
            for chunk in source:
                yield apply(chunk)
