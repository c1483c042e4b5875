"""The one small actor beside the pools of a process: lends their actors to pickled copies, and passes reports on."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from synapse_ray.mailbox import Mail, Mailbox
from synapse_ray.report_outbox import Report
from synapse_ray.slot_book import Lease, PoolClosedError, SlotBook

__all__ = ["Dispatcher", "GONE", "REPORTS"]

REPORTS = "reports"
"""Mail for whoever runs a call: its number, how many reports there were before, reports."""

GONE = "gone"
"""Mail for a pool's owner: the pool, and the number of an actor that is dead, or not lent any more."""

_PROBE_AFTER = 2.0  # seconds of waiting for an actor after which those who have one are looked at
_GRACE = 5.0  # seconds that an idle actor may be lent before it is taken back


class Dispatcher:
    """An async actor without resources, made and ended by the process whose pools it serves."""

    def __init__(self) -> None:
        self._mail = Mailbox()
        self._books: dict[str, SlotBook] = {}
        self._owners: dict[str, str] = {}
        self._problems: dict[str, str] = {}
        self._withdrawn: set[tuple[str, int]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def push(self, call: tuple[str, int], first: int, reports: list[Report]) -> None:
        """Take reports of a running call; returns when they are in its caller's box."""
        await self._mail.put_when_there_is_room(call[0], (REPORTS, (call[1], first, reports)))

    async def take(self, box: str, seconds: float) -> list[Mail]:
        """Return the mail of one process, waiting up to `seconds` for some."""
        return await self._mail.take(box, seconds)

    async def share(self, pool: str, owner: str) -> None:
        """Begin to lend the actors of a pool; `owner` is the box of the process that makes them."""
        self._books.setdefault(pool, SlotBook())
        self._owners[pool] = owner

    async def add(self, pool: str, number: int, actor: Any) -> None:
        """Take in an actor of a pool, when it has started; whether it does is its owner's to see."""
        try:
            await actor.ready.remote()
        except Exception:
            return
        if (pool, number) in self._withdrawn:
            self._withdrawn.discard((pool, number))
            self._tell_gone(pool, number)
        elif (book := self._books.get(pool)) is not None:
            self._problems.pop(pool, None)
            book.add(number, actor)

    async def withdraw(self, pool: str, number: int) -> None:
        """Lend an actor no more; its owner is told when it is free."""
        book = self._books[pool]
        if not book.knows(number):
            self._withdrawn.add((pool, number))
        elif book.withdraw(number):
            self._tell_gone(pool, number)

    async def fail(self, pool: str, why: str) -> None:
        """Let those who wait for an actor know that none can be made, and those who come until one is there."""
        if (book := self._books.get(pool)) is not None:
            self._problems[pool] = why
            book.fail(why)

    async def close(self, pool: str, why: str) -> None:
        """Forget a pool."""
        if (book := self._books.pop(pool, None)) is not None:
            self._problems[pool] = why
            book.fail(why)

    async def borrow(self, pool: str) -> Lease | str:
        """Lend an actor; returns a text that says why where there will be none."""
        book = self._books.get(pool)
        if book is None or (book.is_empty and pool in self._problems):
            return self._problems.get(pool, "the pool's owner does not share it any more")
        watch = asyncio.create_task(self._look_after(pool, book))
        try:
            return await book.borrow()
        except PoolClosedError as error:
            return str(error)
        finally:
            watch.cancel()

    async def give_back(self, pool: str, number: int, lease: int, dead: bool) -> None:
        """Take an actor back, which `dead` says has to be replaced."""
        book = self._books.get(pool)
        if book is not None and book.give_back(number, lease, dead=dead):
            self._tell_gone(pool, number)

    def _tell_gone(self, pool: str, number: int) -> None:
        self._mail.put(self._owners[pool], (GONE, (pool, number)))

    async def _look_after(self, pool: str, book: SlotBook) -> None:
        """While somebody waits, take back what is lent to a process that died: its actor is idle."""
        await asyncio.sleep(_PROBE_AFTER)
        for lease in book.lent:
            task = asyncio.create_task(self._reclaim_when_idle(pool, lease))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _reclaim_when_idle(self, pool: str, lease: Lease) -> None:
        number, which, actor = lease
        dead = False
        try:
            await actor.ready.remote()  # in the queue of the actor, behind the call that it works on
        except Exception:  # dead, and whoever had it did not tell
            dead = True
        # Whoever had it may be about to give it back, or to use it.
        await asyncio.sleep(_GRACE)
        with contextlib.suppress(KeyError):
            await self.give_back(pool, number, which, dead)
