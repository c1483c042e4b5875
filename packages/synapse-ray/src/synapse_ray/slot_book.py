"""Which actors of a shared pool are free, and who waits for one."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

__all__ = ["Lease", "PoolClosedError", "SlotBook"]

Lease = tuple[int, int, Any]
"""Number of the slot, number of the lease, handle of the actor."""


class PoolClosedError(Exception):
    """The pool gives out no actors any more, or cannot make any; the text says why."""


@dataclass
class _Slot:
    number: int
    actor: Any
    lease: int | None = None
    withdrawn: bool = False


class SlotBook:
    """Lends the actors of one pool, first come first served; to be used on one event loop."""

    def __init__(self) -> None:
        self._slots: dict[int, _Slot] = {}
        self._free: deque[_Slot] = deque()
        self._waiting: deque[asyncio.Future[Lease]] = deque()
        self._leases = 0

    def add(self, number: int, actor: Any) -> None:
        """Take an actor in; it is free."""
        slot = self._slots[number] = _Slot(number, actor)
        self._hand_out(slot)

    async def borrow(self) -> Lease:
        """Wait for a free actor and lend it.

        Raises:
            PoolClosedError: As `fail` was told.
        """
        if self._free:
            return self._lend(self._free.pop())  # the one used last is the warmest
        future: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return await future

    def give_back(self, number: int, lease: int, *, dead: bool) -> bool:
        """Take an actor back; return whether it is out of the book now, and its owner has to end or replace it."""
        slot = self._slots.get(number)
        if slot is None or slot.lease != lease:  # it was reclaimed meanwhile
            return False
        slot.lease = None
        if dead or slot.withdrawn:
            del self._slots[number]
            return True
        self._hand_out(slot)
        return False

    def withdraw(self, number: int) -> bool:
        """Lend an actor no more; return whether it is out of the book now, or else when it is given back."""
        slot = self._slots.get(number)
        if slot is None:
            return False
        if slot.lease is not None:
            slot.withdrawn = True
            return False
        self._free.remove(slot)
        del self._slots[number]
        return True

    def fail(self, why: str) -> None:
        """Tell those who wait that there will be no actor."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(PoolClosedError(why))

    @property
    def lent(self) -> list[Lease]:
        """What is lent at the moment."""
        return [(slot.number, slot.lease, slot.actor) for slot in self._slots.values() if slot.lease is not None]

    @property
    def is_empty(self) -> bool:
        """Whether there is no actor, lent or free."""
        return not self._slots

    def knows(self, number: int) -> bool:
        """Say whether an actor is in the book."""
        return number in self._slots

    def _hand_out(self, slot: _Slot) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():  # whoever waited may have been cancelled
                future.set_result(self._lend(slot))
                return
        self._free.append(slot)

    def _lend(self, slot: _Slot) -> Lease:
        self._leases += 1
        slot.lease = self._leases
        return slot.number, slot.lease, slot.actor
