"""The one small actor beside the pools of a process: lends their actors to pickled copies, and passes reports on."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

from synapse_ray.mailbox import Mail, Mailbox
from synapse_ray.report_outbox import Report
from synapse_ray.slot_book import Lease, PoolClosedError, SlotBook

__all__ = ["Dispatcher", "GONE", "REPORTS", "Refusal"]

REPORTS = "reports"
"""Mail for whoever runs a call: its number, how many reports there were before, reports."""

GONE = "gone"
"""Mail for a pool's owner: the pool, and the number of an actor that is dead, or not lent any more."""

_PROBE_AFTER = 2.0  # seconds of waiting for an actor after which, each time, those who have one are looked at
_GRACES = (5.0, 1.0)  # seconds that an actor may be lent and idle before it is asked again, and then taken back


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to who cannot have an actor.

    Attributes:
        why: For a message.
        is_final: Whether the pool is gone, and will lend none later either.
    """

    why: str
    is_final: bool


class Dispatcher:
    """An async actor without resources, made and ended by the process whose pools it serves."""

    def __init__(self) -> None:
        self._mail = Mailbox()
        self._books: dict[str, SlotBook] = {}
        self._owners: dict[str, str] = {}
        self._problems: dict[str, str] = {}
        self._withdrawn: set[tuple[str, int]] = set()
        self._probes: dict[tuple[str, int], asyncio.Task[None]] = {}

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

    async def add(self, pool: str, number: int, actor: Any, started: list[Any]) -> None:
        """Take in an actor of a pool, when it has started; whether it does is its owner's to see.

        What is waited for is the answer that its owner gets, the one reference in `started` (in a list, in which Ray
        leaves it one). Asking again would let whoever borrows the actor end it before its owner has heard that it
        ever started.
        """
        try:
            await started[0]
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

    async def borrow(self, pool: str) -> Lease | Refusal:
        """Lend an actor, or say why there will be none."""
        book = self._books.get(pool)
        if book is None or (book.is_empty and pool in self._problems):
            return self._refusal(pool, "the pool's owner does not share it any more")
        watch = asyncio.create_task(self._look_after(pool, book))
        try:
            return await book.borrow()
        except PoolClosedError as error:
            return self._refusal(pool, str(error))
        finally:
            watch.cancel()

    async def give_back(self, pool: str, number: int, lease: int, dead: bool) -> None:
        """Take an actor back, which `dead` says has to be replaced."""
        book = self._books.get(pool)
        if book is not None and book.give_back(number, lease, dead=dead):
            self._tell_gone(pool, number)

    def _refusal(self, pool: str, why: str) -> Refusal:
        return Refusal(self._problems.get(pool, why), is_final=pool not in self._books)

    def _tell_gone(self, pool: str, number: int) -> None:
        self._mail.put(self._owners[pool], (GONE, (pool, number)))

    async def _look_after(self, pool: str, book: SlotBook) -> None:
        """While somebody waits, take back what is lent to a process that died: its actor is idle.

        Again and again: who got an actor meanwhile may have died too.
        """
        while True:
            await asyncio.sleep(_PROBE_AFTER)
            for lease in book.lent:
                if (pool, lease[1]) not in self._probes:  # one for all who wait
                    self._probes[pool, lease[1]] = asyncio.create_task(self._reclaim_when_idle(pool, lease))

    async def _reclaim_when_idle(self, pool: str, lease: Lease) -> None:
        number, which, actor = lease
        dead = False
        for grace in _GRACES:
            try:
                await actor.ready.remote()  # in the queue of the actor, behind the call that it works on
            except Exception:  # dead, and whoever had it did not tell
                dead = True
            await asyncio.sleep(grace)  # whoever had it may be about to use it, or to give it back
        del self._probes[pool, which]
        with contextlib.suppress(KeyError):
            await self.give_back(pool, number, which, dead)
