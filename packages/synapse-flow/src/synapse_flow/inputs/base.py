"""What an input is."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from threading import Condition, Event, Thread
from typing import Any, ClassVar

from synapse_flow.chunks import ChunkSizes, Decoder
from synapse_flow.entries import EntryTypedDict
from synapse_flow.hooks.base import BaseHook
from synapse_flow.inputs.row_decoding import RowDecoder
from synapse_flow.used_files import UsedFile

__all__ = [
    "BaseAsyncInputAdapter",
    "BaseInputAdapter",
    "Block",
    "RowReader",
    "Start",
    "block_of",
    "from_async",
]

_LOOKS = 0.01  # seconds between looks for new records; what was read is passed on within 50 ms
_PATIENCE = 0.5  # seconds that a thread gets to leave the code of others, before that is closed
_AT_ONCE = 100  # records that an async iterable that never waits may give without letting go


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin: at the first record, or behind what an earlier run has committed.

    Attributes:
        position: Of the first record that is wanted.
        cursor: What the input gave with the last block before it; None if it gave none.
    """

    position: int = 0
    cursor: Any = None


@dataclass(slots=True)
class Block:
    """Some records of an input, as it read them.

    Attributes:
        count: Records in it; 0 where none has come for a while.
        payload: For the decoder.
        cursor: Where the next block begins, as JSON data: None where that is only the next position.
        line: Line of the file where it begins, from 1.
        ids: One for each record, where the records bring their own.
        positions: One for each record, where the records bring their own.
    """

    count: int
    payload: Any
    cursor: Any = None
    line: int | None = None
    ids: list[Any] | None = None
    positions: list[int | None] | None = None


class BaseInputAdapter(ABC):
    """Where records come from. One's own need `generator` only.

    Where it `waits`, a thread of the run's own reads it, at most one chunk ahead. The run's end is waited for by that
    thread where it can be: one that is blocked inside `generator` stays there, and drops what comes then.

    Args:
        id_generator: Makes an id for each record, in order. Default: random ones, where somebody sees them.
        pre_hooks: Hooks of this input, before the validation.
        post_hooks: Hooks of this input, after the validation.

    Attributes:
        waits: Whether the next record may be long in coming, so that what has come must not wait for it.
    """

    waits: ClassVar[bool] = True

    def __init__(
        self,
        *,
        id_generator: Callable[[], Any] | None = None,
        pre_hooks: Iterable[BaseHook] | None = None,
        post_hooks: Iterable[BaseHook] | None = None,
    ) -> None:
        self.id_generator = id_generator
        self.pre_hooks = list(pre_hooks or ())
        self.post_hooks = list(post_hooks or ())

    @property
    @abstractmethod
    def generator(self) -> Iterable[EntryTypedDict | dict[str, Any]]:
        """The records, one by one: entries with ``raw_data``, or raw data itself."""

    def open(self) -> None:
        """Get ready to read; called before anything is read."""

    def close(self) -> None:
        """Free what `open` took; called once, also after an error."""

    # -- for inputs that know more --

    def decoder(self) -> Decoder:
        """Return what makes records of the payloads of `blocks`, on workers."""
        return RowDecoder()

    def blocks(self, sizes: ChunkSizes, start: Start) -> Generator[Block]:
        """Yield the records in blocks, at most ``sizes.rows`` in each."""
        yield from RowReader(self.generator, sizes, start.position, waits=self.waits).blocks()

    def columns(self) -> list[str] | None:
        """Return the names that every record has, where they are known beforehand."""
        return None

    def done(self) -> tuple[int, int] | None:
        """Return how much has been read and how much there is, in any unit; None where that is unknown."""
        return None

    def used_files(self) -> Iterable[UsedFile]:
        """Return the files that it reads, which no output of the run may write over."""
        return ()

    def would_read(self, file: UsedFile) -> str | None:
        """Return the folder or pattern, as it may be shown, by which a later run would read a file; None for none."""
        return None

    def identity(self) -> Any:
        """Return JSON data by which a run that goes on knows that its input is the same one."""
        return {"adapter": type(self).__name__}


class BaseAsyncInputAdapter(BaseInputAdapter):
    """Where records come from, one at a time, on an event loop. One's own need `async_generator` only."""

    @property
    @abstractmethod
    def async_generator(self) -> AsyncIterator[EntryTypedDict | dict[str, Any]]:
        """The records, one by one."""

    @property
    def generator(self) -> Iterator[EntryTypedDict | dict[str, Any]]:
        """The same records; read on an event loop of the reading thread."""
        return from_async(self.async_generator, Event())

    def blocks(self, sizes: ChunkSizes, start: Start) -> Generator[Block]:
        """Yield the records in blocks; what has come does not wait for what has not."""
        yield from RowReader(self.async_generator, sizes, start.position).blocks()


_END: Any = object()


class RowReader:
    """Makes blocks of what an iterable yields; takes no more out of it than the next chunk may hold.

    Args:
        source: Records, or entries; an async iterable is read on an event loop of its own.
        sizes: How large the next block may be, each time that it is asked for.
        skip: Records to pass over at the beginning.
        waits: Whether the next record may be long in coming, so that another thread has to wait for it.
        record: Makes a record of what the iterable yields.
    """

    def __init__(
        self,
        source: Iterable[Any] | AsyncIterable[Any],
        sizes: ChunkSizes,
        skip: int,
        *,
        waits: bool = True,
        record: Callable[[Any], Any] | None = None,
    ) -> None:
        self._source: Iterable[Any] | AsyncIterable[Any] = source
        self._sizes = sizes
        self._skip = skip
        self._waits = waits
        self._record = record
        self._read: deque[Any] = deque()
        self._taken = 0  # records out of the source, by the thread
        self._leave = 0  # how many of them it may take
        self._error: BaseException | None = None
        self._ended = False
        self._stopped = Event()
        self._changed = Condition()

    def blocks(self) -> Generator[Block]:
        """Yield the records in blocks; an empty one where none has come for a while.

        When it is closed, the thread has left the iterable, unless it is blocked there.
        """
        if not self._waits:
            yield from self._directly()
            return
        thread = Thread(target=self._read_all, name="synapse-flow-input", daemon=True)
        given = 0
        try:
            while True:
                with self._changed:
                    self._leave = given + self._sizes.rows
                    self._changed.notify_all()
                if thread.ident is None:
                    thread.start()
                ended = self._ended  # asked before the records: what came before the end is seen
                if self._read:
                    rows = [self._read.popleft() for _ in range(min(self._sizes.rows, len(self._read)))]
                    given += len(rows)
                    yield block_of(rows)
                elif ended:
                    break
                elif not self._is_filled():
                    yield Block(0, [])
        finally:
            self._stopped.set()
            with self._changed:
                self._changed.notify_all()
            thread.join(_PATIENCE)
        if self._error is not None:
            raise self._error

    def _is_filled(self) -> bool:
        """Wait a moment until the thread has read all that it may, and return whether there is anything to do."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._taken >= self._leave, _LOOKS)
        return self._ended or bool(self._read)

    def _directly(self) -> Generator[Block]:
        rows: list[Any] = []
        for record in self._records():
            rows.append(record)
            if len(rows) >= self._sizes.rows:
                yield block_of(rows)
                rows = []
        if rows:
            yield block_of(rows)

    def _records(self) -> Generator[Any]:
        source, self._source = self._source, ()  # a generator that nobody else has ends with this one
        if isinstance(source, AsyncIterable):
            source = from_async(source, self._stopped, lambda: self._leave - self._taken)
        for number, record in enumerate(source):
            if number >= self._skip:
                yield record if self._record is None else self._record(record)

    def _read_all(self) -> None:
        records = self._records()
        try:
            while self._may_read() and (record := next(records, _END)) is not _END:
                self._taken += 1
                self._read.append(record)
            records.close()
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _may_read(self) -> bool:
        """Wait until one more record may be taken; return false where none is wanted any more."""
        if self._taken >= self._leave:
            with self._changed:
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._taken < self._leave or self._stopped.is_set())
        return not self._stopped.is_set()


def from_async(
    source: AsyncIterable[Any], stopped: Event, room: Callable[[], int] = lambda: 1
) -> Generator[Any, None, None]:
    """Yield what an async iterable does, and end when `stopped` is set, even while it waits.

    Args:
        source: Is read on an event loop of the thread that iterates.
        stopped: Asked every now and then.
        room: Returns how many records may be taken out of it now.
    """
    read: deque[Any] = deque()
    some = asyncio.Event()

    async def begin() -> AsyncIterator[Any]:
        return aiter(source)

    async def take(most: int) -> bool:
        """Return whether that was all."""
        for _ in range(most):
            if (item := await anext(records, _END)) is _END:
                return True
            read.append(item)
            some.set()
        return False

    async def look(taking: asyncio.Task[bool] | None) -> asyncio.Task[bool]:
        some.clear()
        taking = taking or asyncio.ensure_future(take(max(1, min(room(), _AT_ONCE))))
        waiting = asyncio.ensure_future(some.wait())
        await asyncio.wait({taking, waiting}, timeout=2 * _LOOKS, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        return taking

    with asyncio.Runner() as runner:  # whose end cancels what waits, and closes async generators
        records = runner.run(begin())
        taking: asyncio.Task[bool] | None = None
        while not stopped.is_set():
            taking = runner.run(look(taking))
            ended = taking.done()  # asked before the records: what came before the end is seen
            while read:
                yield read.popleft()
            if ended:
                if taking.result():
                    return
                taking = None


def block_of(rows: list[Any]) -> Block:
    """Return a block of raw data, whatever mix of entries and raw data was read."""
    if not any(map(_is_entry, rows)):
        return Block(len(rows), rows)
    entries = [row if _is_entry(row) else {"raw_data": row} for row in rows]
    ids = [entry.get("id") for entry in entries]
    positions = [entry.get("position") for entry in entries]
    return Block(
        len(rows),
        [entry["raw_data"] for entry in entries],
        ids=ids if any(ids) else None,
        positions=None if positions.count(None) == len(positions) else positions,
    )


_ENTRY_KEYS = frozenset(EntryTypedDict.__annotations__)


def _is_entry(row: Any) -> bool:
    return isinstance(row, dict) and "raw_data" in row and row.keys() <= _ENTRY_KEYS
