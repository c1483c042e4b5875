"""Records from whatever can be iterated over."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import asdict, is_dataclass
from threading import Event
from typing import Any

from pydantic import BaseModel

from synapse_core.errors import ValidationError
from synapse_flow.chunks import ChunkSizes
from synapse_flow.hooks.base import BaseHook
from synapse_flow.inputs.base import BaseInputAdapter, Block, RowReader, Start, from_async

__all__ = ["IterableInputAdapter", "as_record"]

_AT_HAND = (list, tuple, set, frozenset, deque)  # whose items are there already

Source = Iterable[Any] | AsyncIterable[Any]


def as_record(item: Any) -> Any:
    """Return raw data for an item: of a mapping, a pydantic model or a dataclass; others are returned as they are.

    What is returned as it is fails alone, where records are decoded.
    """
    if type(item) is dict:
        return item
    try:
        if isinstance(item, BaseModel):
            return item.model_dump()
        if isinstance(item, Mapping):
            return dict(item)
        if is_dataclass(item) and not isinstance(item, type):
            return asdict(item)
    except Exception:  # code of the item's class
        return item
    return item


class IterableInputAdapter(BaseInputAdapter):
    """Reads dicts, pydantic models and dataclasses from an iterable; other items fail, and the others go on.

    Example::

        Pipe(IterableInputAdapter(lambda: fetch_pages()), MultiProcessingExecutor(Page), …).run()

    Args:
        iterable: Records; or a function that returns them, so that the pipe can run more than once. They may come
            one at a time, also from an async iterable, which is read on an event loop of its own. With a limit, no
            record behind it is taken out. A run that is aborted has taken up to a chunk more than it wrote, and, where
            the iterable blocks at that moment, takes its next record too.
        id_generator: Makes an id for each record, in order.
        pre_hooks: Hooks of this input, before the validation.
        post_hooks: Hooks of this input, after the validation.

    Raises:
        ValidationError: It is nothing of the kind.
    """

    def __init__(
        self,
        iterable: Source | Callable[[], Source],
        *,
        id_generator: Callable[[], Any] | None = None,
        pre_hooks: Iterable[BaseHook] | None = None,
        post_hooks: Iterable[BaseHook] | None = None,
    ) -> None:
        super().__init__(id_generator=id_generator, pre_hooks=pre_hooks, post_hooks=post_hooks)
        self._given = iterable
        self._is_function = callable(iterable) and not isinstance(iterable, (Iterable, AsyncIterable))
        if not self._is_function:
            _checked(iterable)
        self._source: Source = ()
        self._read_once = False
        self._closed = Event()

    def open(self) -> None:
        """Get the iterable.

        Raises:
            ValidationError: It can be read once only, and was; or the function returned something else.
        """
        self._source = _checked(self._given()) if self._is_function else self._given  # type: ignore[assignment, operator]
        if self._source is self._given and _is_iterator(self._source):
            if self._read_once:
                raise ValidationError(
                    f"a {type(self._source).__name__} can be read once, and an earlier run did; to run again, give a "
                    "list, or a function that returns a new one"
                )
            self._read_once = True
        self._closed = Event()

    def close(self) -> None:
        """Stop reading."""
        self._closed.set()

    @property
    def generator(self) -> Iterator[Any]:
        """The records, one by one."""
        if isinstance(self._source, AsyncIterable):
            return map(as_record, from_async(self._source, self._closed))
        return map(as_record, self._source)

    def blocks(self, sizes: ChunkSizes, start: Start) -> Generator[Block]:
        """Yield the records in blocks; what has come does not wait for what has not."""
        waits = not isinstance(self._source, _AT_HAND)
        yield from RowReader(self._source, sizes, start.position, waits=waits, record=as_record).blocks()


def _checked(source: Any) -> Source:
    if isinstance(source, (str, bytes, Mapping)) or not isinstance(source, (Iterable, AsyncIterable)):
        if inspect.iscoroutine(source):
            source.close()
        raise ValidationError(
            f"records cannot be read from a {type(source).__name__}; give an iterable of dicts, such as a list or a "
            "generator, or a function that returns one"
        )
    return source


def _is_iterator(source: Source) -> bool:
    """Return whether it is at its end after it was read."""
    return isinstance(source, (Iterator, AsyncIterator))
