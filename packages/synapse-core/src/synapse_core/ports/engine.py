"""Port: what maps work over chunks of records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar, runtime_checkable

__all__ = ["RecordEngine"]

ChunkT = TypeVar("ChunkT")
ResultT = TypeVar("ResultT")


@runtime_checkable
class RecordEngine(Protocol):
    """Applies one picklable callable to many chunks, lazily.

    An engine knows nothing of records, schemas or hooks. At most a bounded number of chunks has
    been taken from the source and not yet given back, so an endless source is fine. Called from
    one thread. Closing the returned iterator early cancels what has not started and frees what
    the engine holds. What `work` raises is raised to the caller at that chunk's place.
    """

    def run(
        self, work: Callable[[ChunkT], ResultT], chunks: Iterable[ChunkT], *, ordered: bool = True
    ) -> Iterator[ResultT]:
        """Yield ``work(chunk)`` for each chunk, exactly once; in input order unless `ordered` is false."""
        ...
