"""Port: what maps work over chunks of records."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Protocol, TypeVar, runtime_checkable

__all__ = ["RecordEngine"]

ChunkT = TypeVar("ChunkT")
ResultT = TypeVar("ResultT")


@runtime_checkable
class RecordEngine(Protocol):
    """Applies one picklable callable to many chunks, lazily.

    Work may have a method ``in_worker`` that returns a context manager: each worker enters one before its
    first chunk, calls what that gives with its chunks, and leaves it when the run has ended. What leaving raises
    is raised after all results.

    Work may say of itself ``may_fork = True``: that it calls no code to which it could matter whether a worker is a
    fork of the calling process or a new one. An engine whose workers are new ones anyhow need not ask.

    An engine knows nothing of records, schemas or hooks. At most a bounded number of chunks has
    been taken from the source and not yet given back, so an endless source is fine. Called from
    one thread. ``close()`` of the returned generator cancels what has not started, frees what the
    engine holds for this run, and closes the source where that can be closed; so does an error, and
    the end. What `work` raises, or the source, is raised to the caller at that chunk's place and
    ends the run.
    """

    def run(
        self, work: Callable[[ChunkT], ResultT], chunks: Iterable[ChunkT], *, ordered: bool = True
    ) -> Generator[ResultT]:
        """Yield ``work(chunk)`` for each chunk, exactly once; in input order unless `ordered` is false.

        Nothing is taken from the source before the first result is asked for.
        """
        ...
