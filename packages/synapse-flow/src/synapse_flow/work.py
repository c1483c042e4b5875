"""What an engine applies to chunks, here or in other processes."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from threading import local

from synapse_core.errors import ExecutionError, ValidationError
from synapse_core.safe_text import safe_str
from synapse_flow.chunk_worker import ChunkWorker, FlowParts
from synapse_flow.chunks import Chunk, ChunkResult
from synapse_flow.hooks.steps import hook_name

__all__ = ["AsyncChunkWork", "ChunkWork", "SentWork", "sent"]


class ChunkWork(FlowParts):
    """What an engine applies to chunks."""

    def __call__(self, chunk: Chunk) -> ChunkResult:
        """Work on one chunk, as a worker of its own."""
        with self.in_worker() as apply:
            return apply(chunk)

    @contextmanager
    def in_worker(self) -> Iterator[Callable[[Chunk], ChunkResult]]:
        """Set up the hooks, give what works on chunks, and tear the hooks down."""
        worker = ChunkWorker(self)
        worker.driver.set_up()
        try:
            yield worker.process
        finally:
            worker.driver.tear_down()


class AsyncChunkWork(ChunkWork):
    """The same, for an engine whose workers are tasks of an event loop."""

    @asynccontextmanager
    async def in_worker(self) -> AsyncIterator[Callable[[Chunk], Awaitable[ChunkResult]]]:  # type: ignore[override]
        """Set up the hooks, give a coroutine function that works on chunks, and tear the hooks down."""
        worker = ChunkWorker(self)
        await worker.driver.set_up_async()
        try:
            yield worker.process_async
        finally:
            await worker.driver.tear_down_async()


class SentWork:
    """A `ChunkWork` without hooks for workers that are other processes; classes without a home there go by value.

    It is unpacked once in each thread that calls it.

    Attributes:
        may_fork: Whether it calls nobody's code but that of this package and compiled one.

    Raises:
        ValidationError: A part of it cannot be sent, which the message names.
    """

    def __init__(self, work: ChunkWork) -> None:
        # Which a worker, who only gets it, does not need.
        import cloudpickle

        from synapse_flow.validation.compiled import is_compiled
        from synapse_flow.validation.sending import to_be_sent

        parts = (work.decoder, work.good, work.bad)
        own = all(type(part).__module__.partition(".")[0] == __package__ for part in parts)
        compiled = is_compiled(work.model)
        self.may_fork = own and not work.hooks and compiled
        self._made = local()
        try:
            light = replace(work, model=to_be_sent(work.model)) if compiled else work
            self._sent: bytes = cloudpickle.dumps(light)
        except Exception as error:
            raise ValidationError(
                f"{_unsendable(work)} cannot be sent to another process: {safe_str(error)}"
            ) from error

    def __getstate__(self) -> bytes:
        return self._sent

    def __setstate__(self, sent: bytes) -> None:
        self._sent, self._made = sent, local()

    def __call__(self, chunk: Chunk) -> ChunkResult:
        """Work on one chunk."""
        if not hasattr(self._made, "worker"):
            self._made.worker = ChunkWorker(self._unpacked())
        worker: ChunkWorker = self._made.worker
        return worker.process(chunk)

    def _unpacked(self) -> ChunkWork:
        try:
            work: ChunkWork = pickle.loads(self._sent)
        except ImportError as error:
            raise ExecutionError(
                f"a worker of the flow cannot import what the flow is made of: {error}. Install the package with the "
                "model and the hooks where workers run, or define them in the script itself, from where they are sent"
            ) from error
        return work


class SentScopedWork(SentWork):
    """The same for one with hooks, which a worker sets up before its first chunk and tears down at the end."""

    def __call__(self, chunk: Chunk) -> ChunkResult:
        """Work on one chunk, as a worker of its own."""
        with self.in_worker() as apply:
            return apply(chunk)

    @contextmanager
    def in_worker(self) -> Iterator[Callable[[Chunk], ChunkResult]]:
        """Do as `ChunkWork.in_worker` does."""
        with self._unpacked().in_worker() as apply:
            yield apply


def sent(work: ChunkWork) -> SentWork:
    """Return what stands for a `ChunkWork` on workers that are other processes.

    Raises:
        ValidationError: A part of it cannot be sent, which the message names.
    """
    return SentScopedWork(work) if work.hooks else SentWork(work)


def _unsendable(work: ChunkWork) -> str:
    import cloudpickle

    for part, name in (
        *((hook, f"the hook {hook_name(hook)}") for hook in work.hooks),
        (work.model, f"the model {getattr(work.model, '__name__', work.model)}"),
        (work.decoder, "the input adapter"),
    ):
        try:
            cloudpickle.dumps(part)
        except Exception:
            return name
    return "the flow"
