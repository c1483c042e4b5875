"""A pool of another process, as the copy of an executor sees it that was pickled there."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from typing import Any

import ray

from synapse_core.errors import BackendError
from synapse_ray.connection import close_connection, open_connection, when_forked, worker_connection
from synapse_ray.dispatcher import Refusal
from synapse_ray.event_pump import EventPump
from synapse_ray.names import NAMESPACE
from synapse_ray.ray_internals import is_inside_worker, shows_worker_output
from synapse_ray.slot import Slot
from synapse_ray.translation import translated

__all__ = ["PoolTicket", "SharedPool", "attach"]

_lock = threading.RLock()
_attached: dict[PoolTicket, SharedPool] = {}
_pumps: dict[str, EventPump] = {}


@dataclass(frozen=True, slots=True)
class PoolTicket:
    """What travels of a pool.

    Attributes:
        dispatcher: Name of the actor that lends.
        pool: The pool's id there.
        address: The cluster, for a process that is no worker of it.
        folder: The folder that was shipped, as its owner names it.
    """

    dispatcher: str
    pool: str
    address: str
    folder: str | None


class SharedPool:
    """Borrows actors, and gives them back. It never makes, replaces or ends one: that is their owner's.

    Args:
        ticket: Which pool.

    Attributes:
        shows_output: Whether what actions print is to be shown by this package, and not by Ray.

    Raises:
        BackendError: Its owner has ended.
    """

    def __init__(self, ticket: PoolTicket) -> None:
        self._ticket = ticket
        self._pool = ticket.pool
        self._connection = worker_connection() if is_inside_worker() else open_connection(ticket.address)
        try:
            self._dispatcher = ray.get_actor(ticket.dispatcher, namespace=NAMESPACE)
        except ValueError as error:
            close_connection(self._connection)
            raise _ended(type(error).__name__) from error
        except BaseException:
            close_connection(self._connection)
            raise
        self.shows_output = not shows_worker_output()
        pump = _pumps.get(ticket.dispatcher)
        if pump is None or pump.is_lost:
            pump = _pumps[ticket.dispatcher] = EventPump(self._dispatcher)
        self.pump = pump
        self._known: dict[int, Slot] = {}
        self._users: weakref.WeakSet[Any] = weakref.WeakSet()

    @property
    def is_current(self) -> bool:
        """Whether its actors can be reached: by the connection that they were found with, and with their reports."""
        return self._connection.is_current and not self.pump.is_lost

    def borrow(self) -> Slot:
        """Return a free actor, waiting for one; the CPU of the task that we are in is free meanwhile.

        Raises:
            BackendError: There is none, and will be none.
        """
        try:
            found: Any = ray.get(self._dispatcher.borrow.remote(self._pool))
        except ray.exceptions.RayActorError as error:
            self.detach()
            raise _ended(type(error).__name__) from error
        except Exception as error:  # the connection's
            raise translated(error, "asking for an actor", address=self._connection.address) from error
        if isinstance(found, Refusal):
            if found.is_final:
                self.detach()
            raise BackendError(f"no actor of the pool can be had: {found.why}")
        number, lease, actor = found
        slot = self._known.get(number)
        if slot is None or slot.lease is not None:
            slot = self._known[number] = Slot(number, actor, None, None)
        slot.lease = lease
        return slot

    def give_back(self, slot: Slot, *, dead: bool) -> None:
        """Give an actor back; a dead one, or one whose call was given up, is ended and replaced by its owner."""
        lease, slot.lease = slot.lease, None
        self._dispatcher.give_back.remote(self._pool, slot.number, lease, dead)
        if dead:
            self._known.pop(slot.number, None)

    def leave(self, user: object) -> None:
        """Know that a copy was shut down; the last one of this process lets go of the connection."""
        with _lock:
            self._users.discard(user)
            if not self._users:
                self.detach()

    def detach(self) -> None:
        """Let go of a pool that is gone, or of one by a connection that is; with its dispatcher's last, of its mail."""
        with _lock:
            if _attached.get(self._ticket) is not self:
                return
            del _attached[self._ticket]
            if not any(ticket.dispatcher == self._ticket.dispatcher for ticket in _attached):
                _pumps.pop(self._ticket.dispatcher, self.pump).close()
        close_connection(self._connection)


def attach(ticket: PoolTicket, user: object) -> SharedPool:
    """Return this process's view of a pool; one for all copies.

    Args:
        ticket: Which pool.
        user: The copy of an executor that uses it, until `SharedPool.leave`.

    Raises:
        BackendError: Its owner has ended, or no connection can be made.
    """
    with _lock:
        found = _attached.get(ticket)
        if found is not None and not found.is_current:
            found.detach()
            found = None
        if found is None:
            found = _attached[ticket] = SharedPool(ticket)
        found._users.add(user)
        return found


def _ended(how: str) -> BackendError:
    return BackendError(
        "the pool of this executor is gone: it ends with the process that made it, or with its shutdown(). "
        f"Keep that process until the work is done ({how})"
    )


def _forget() -> None:
    """Forget the pools of the process that this one was forked from."""
    global _lock
    _lock = threading.RLock()
    _attached.clear()
    _pumps.clear()


when_forked(_forget)
