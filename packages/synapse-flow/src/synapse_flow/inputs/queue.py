"""Records from queues, as they come."""

from __future__ import annotations

import asyncio
import queue as queues
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from synapse_core.errors import ExecutionError, ValidationError
from synapse_core.safe_text import safe_str
from synapse_flow.chunks import ChunkSizes
from synapse_flow.hooks.base import BaseHook
from synapse_flow.inputs.base import BaseInputAdapter, Block, Start, block_of
from synapse_flow.inputs.iterable import as_record

__all__ = ["AsyncQueueInputAdapter", "QueueInputAdapter"]

_LOOKS = 0.01  # seconds that an empty queue is waited for at a time
_SHUT_DOWN: tuple[type[Exception], ...] = tuple(
    each
    for module in (queues, asyncio)
    if (each := getattr(module, "QueueShutDown", getattr(module, "ShutDown", None)))
)


class _QueueInput(BaseInputAdapter):
    """What inputs from queues share: they take what goes into the next chunk, and leave the rest for others."""

    def __init__(
        self,
        queue: Any,
        *,
        sentinel: Any = None,
        id_generator: Callable[[], Any] | None = None,
        pre_hooks: Iterable[BaseHook] | None = None,
        post_hooks: Iterable[BaseHook] | None = None,
    ) -> None:
        super().__init__(id_generator=id_generator, pre_hooks=pre_hooks, post_hooks=post_hooks)
        self._queue = queue
        self._sentinel = sentinel

    def take(self, most: int) -> tuple[list[Any], bool]:
        """Return items that are there, or come soon, and whether the sentinel stood behind them."""
        raise NotImplementedError

    @property
    def generator(self) -> Iterator[Any]:
        """The records, one by one."""
        ended = False
        while not ended:
            items, ended = self.take(1)
            yield from map(as_record, items)

    def blocks(self, sizes: ChunkSizes, start: Start) -> Generator[Block]:
        """Yield what is in the queue, in blocks, until the sentinel comes."""
        ended = False
        while not ended:
            items, ended = self.take(sizes.rows)
            yield block_of([as_record(item) for item in items]) if items else Block(0, [])

    def _is_end(self, item: Any) -> bool:
        # A sentinel that came from another process is an equal one, not the same.
        sentinel = self._sentinel
        return item is sentinel or (type(item) is type(sentinel) and bool(item == sentinel))

    def _until_end(self, get: Callable[[], Any], most: int) -> tuple[list[Any], bool]:
        """Return what `get` gives until it raises that there is nothing, and whether the sentinel came."""
        items: list[Any] = []
        try:
            while len(items) < most:
                item = get()
                if self._is_end(item):
                    return items, True
                items.append(item)
        except (queues.Empty, asyncio.QueueEmpty):
            pass
        except _SHUT_DOWN:
            return items, True
        except Exception as error:  # the queue was closed, or its process is gone
            raise ExecutionError(f"the queue cannot be read any further: {safe_str(error) or repr(error)}") from error
        return items, False


class QueueInputAdapter(_QueueInput):
    """Reads records from a queue of threads or processes, until its sentinel comes.

    Dicts, pydantic models and dataclasses are records; other items fail, and the others go on.

    Args:
        queue: A `queue.Queue`, a `multiprocessing.Queue`, or anything with their `get`.
        sentinel: What ends the input; it is taken out of the queue.
        id_generator: Makes an id for each record, in order.
        pre_hooks: Hooks of this input, before the validation.
        post_hooks: Hooks of this input, after the validation.
    """

    def take(self, most: int) -> tuple[list[Any], bool]:
        """Return items that are there, or come soon, and whether the sentinel stood behind them."""
        items, ended = self._until_end(lambda: self._queue.get(timeout=_LOOKS), 1)
        if items and most > 1:
            more, ended = self._until_end(lambda: self._queue.get(False), most - 1)
            items += more
        return items, ended


class AsyncQueueInputAdapter(_QueueInput):
    """Reads records from an `asyncio.Queue`, whose event loop runs in another thread, until its sentinel comes.

    Dicts, pydantic models and dataclasses are records; other items fail, and the others go on.

    Example::

        async def main():
            queue = asyncio.Queue(1000)
            report = Pipe(AsyncQueueInputAdapter(queue), …).start()
            await fill(queue)
            await queue.put(None)
            await report.wait_async(raise_on_error=True)

    Args:
        queue: An `asyncio.Queue`.
        sentinel: What ends the input; it is taken out of the queue.
        loop: The queue's event loop. Default: the one that runs where the adapter is made.
        id_generator: Makes an id for each record, in order.
        pre_hooks: Hooks of this input, before the validation.
        post_hooks: Hooks of this input, after the validation.
    """

    def __init__(
        self,
        queue: asyncio.Queue[Any],
        *,
        sentinel: Any = None,
        loop: asyncio.AbstractEventLoop | None = None,
        id_generator: Callable[[], Any] | None = None,
        pre_hooks: Iterable[BaseHook] | None = None,
        post_hooks: Iterable[BaseHook] | None = None,
    ) -> None:
        super().__init__(
            queue, sentinel=sentinel, id_generator=id_generator, pre_hooks=pre_hooks, post_hooks=post_hooks
        )
        self._loop = loop if loop is not None else _running_loop()
        self._asked: Future[tuple[list[Any], bool]] | None = None
        self._closed = False

    def open(self) -> None:
        """See that the queue's loop can run meanwhile.

        Raises:
            ValidationError: It is not known, or runs in this thread, which the pipe would hold up.
        """
        if self._loop is None:
            raise ValidationError(
                "the event loop of the queue is not known: make the adapter in a coroutine, or give it loop="
            )
        if self._loop is _running_loop():
            raise ValidationError(
                "the queue's event loop runs in this thread, where the pipe would hold it up; start the pipe with "
                "start(), and wait for it with: await report.wait_async()"
            )
        self._asked, self._closed = None, False

    def close(self) -> None:
        """Take no more out of the queue."""
        self._closed = True

    def take(self, most: int) -> tuple[list[Any], bool]:
        """Return items that are there, or come soon, and whether the sentinel stood behind them.

        Raises:
            ExecutionError: The loop was closed before the sentinel came.
        """
        assert self._loop is not None, "open() comes first"
        if self._asked is None:
            self._asked = Future()
            with suppress(RuntimeError):  # it is closed
                self._loop.call_soon_threadsafe(self._answer, self._asked, most)
        try:
            answer = self._asked.result(_LOOKS)
        except TimeoutError:
            if self._loop.is_closed():
                raise ExecutionError("the event loop of the queue was closed before the sentinel came") from None
            return [], False
        self._asked = None
        return answer

    def _answer(self, asked: Future[tuple[list[Any], bool]], most: int, again: bool = True) -> None:
        """Take what there is, on the queue's loop; where nothing is, look again a little later."""
        if self._closed:
            return
        try:
            items, ended = self._until_end(self._queue.get_nowait, most)
        except ExecutionError as error:
            asked.set_exception(error)
            return
        if again and not items and not ended:
            assert self._loop is not None
            self._loop.call_later(_LOOKS, self._answer, asked, most, False)
        else:
            asked.set_result((items, ended))


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
