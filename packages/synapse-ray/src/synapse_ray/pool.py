"""The warm actors of one process: made, lent, replaced and ended by it alone."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
import uuid
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import exceptions as ray_errors

from synapse_core.errors import BackendError, PluginError
from synapse_core.safe_text import safe_str
from synapse_ray.actor_maker import ActorMaker
from synapse_ray.connection import close_connection, open_connection
from synapse_ray.dispatcher import Refusal
from synapse_ray.event_pump import EventPump
from synapse_ray.hub import enter_hub, leave_hub
from synapse_ray.options import RayOptions
from synapse_ray.ray_internals import is_inside_worker, shows_worker_output
from synapse_ray.shared_pool import PoolTicket
from synapse_ray.shipping import Shipment, Shipped, upload_sdk
from synapse_ray.slot import Slot
from synapse_ray.start_notice import StartNotice
from synapse_ray.start_problem import start_problem
from synapse_ray.translation import translated

__all__ = ["ActorPool"]

_LOOK_SECONDS = 0.5
_RETRY_SECONDS = 10.0


class ActorPool:
    """A number of warm actors of one kind.

    Within its process a pool lends its actors under a lock of its own. Once a pickled copy of an executor exists,
    the dispatcher does it for all, and this process only makes, replaces and ends them.

    Args:
        options: What the actors are made with.
        folder: The folder that they get as their working directory.
        size: How many there are.

    Attributes:
        users: Tokens of the executors that use it.
        shows_output: Whether what actions print is to be shown by this package, and not by Ray.

    Raises:
        BackendError: There is no connection to the cluster that was asked for.
    """

    def __init__(self, options: RayOptions, folder: Path | None, size: int) -> None:
        self.id = uuid.uuid4().hex
        self.folder = folder
        self.users: set[int] = set()
        self._size = size
        self._shipment = Shipment(options, folder)
        self._connection = open_connection(options.address, start=True)
        try:
            self._inside_worker = is_inside_worker()
            self.shows_output = not shows_worker_output()
            package = upload_sdk() if options.include_sdk else None
            self._hub = enter_hub(str(ray.get_runtime_context().get_job_id()), package)
        except BaseException as error:
            close_connection(self._connection)
            if isinstance(error, PluginError) or not isinstance(error, Exception):
                raise
            raise translated(error, "making a pool of actors", address=self._connection.address) from error
        self._maker = ActorMaker(options, self._hub.dispatcher, self._connection.address)
        self._notice = StartNotice(options.resources())
        self._shipped: Shipped | None = None
        self._numbers = itertools.count(1)
        self._making = threading.RLock()
        self._changed = threading.Condition(threading.RLock())
        self._slots: dict[int, Slot] = {}  # all that live, or are on their way
        self._free: list[Slot] = []
        self._waiting = 0
        self._failures = 0
        self._failure: PluginError | None = None
        self._retry_at = 0.0
        self._is_shared = False
        self._is_closed = False

    @property
    def pump(self) -> EventPump:
        """Brings reports."""
        return self._hub.pump

    @property
    def is_current(self) -> bool:
        """Whether its actors can be reached, by the connection that they were made with, and what they report."""
        return not self._is_closed and not self.pump.is_lost and self._connection.is_current

    def borrow(self) -> Slot:
        """Return a free actor, waiting for one; give it back by `give_back`.

        Raises:
            BackendError: None can be made.
        """
        shipped = self._shipment.current()
        with self._changed:
            if self._free and shipped is self._shipped and len(self._slots) == self._size:
                return self._free.pop()  # the one used last is the warmest
            failures = self._failures
        self._provide(shipped)
        since = time.monotonic()
        while not self._is_shared:
            starting: list[Any] = []
            with self._changed:
                if self._is_closed:
                    raise _shut_down()
                if self._free:
                    return self._free.pop()
                if self._failure is not None and self._failures - failures >= self._size and not self._has_started():
                    raise self._failure
                if self._inside_worker:
                    starting = [slot.ready for slot in self._slots.values() if not slot.is_ready]
                lacks = len(self._slots) < self._size and (not self._slots or time.monotonic() >= self._retry_at)
                if not lacks and not starting:
                    self._waiting += 1
                    try:
                        self._changed.wait(_LOOK_SECONDS)
                    finally:
                        self._waiting -= 1
            if starting:
                # Only a `ray.wait` gives back the CPU of the task that we are in, and they may need it.
                ray.wait(starting, timeout=_LOOK_SECONDS)
            elif lacks:
                self._provide(shipped)
            if self._notice.due(since):
                self._tell_what_is_missing()
        return self._borrow_from_dispatcher()

    def give_back(self, slot: Slot, *, dead: bool) -> None:
        """Take an actor back; a dead one, or one whose call was given up, is ended and replaced by the next call."""
        if slot.lease is not None:
            lease, slot.lease = slot.lease, None
            self._hub.dispatcher.give_back.remote(self.id, slot.number, lease, dead)
            return
        with self._changed:
            stays = not dead and slot.shipped is self._shipped and not self._is_closed
            is_shared = self._is_shared
            if not stays:
                self._slots.pop(slot.number, None)
            elif not is_shared:
                self._free.append(slot)
            self._changed.notify()
        if not stays:
            slot.end()
        elif is_shared:
            self._hub.dispatcher.add.remote(self.id, slot.number, slot.actor, [slot.ready])
        if dead and not is_shared:
            self._drop_dead()

    def _drop_dead(self) -> None:
        """Ask all idle actors whether they live: what took one, a lost node say, may have taken others with it."""
        if not self.is_current:
            return
        with self._changed:
            idle, self._free = self._free, []
        asked = {slot.actor.ready.remote(): slot for slot in idle}
        answered = set(ray.wait(list(asked), num_returns=len(asked), timeout=_LOOK_SECONDS)[0]) if asked else set()
        gone = [slot for reference, slot in asked.items() if reference in answered and not _is_answer(reference)]
        with self._changed:
            living = [slot for slot in idle if slot not in gone and slot.number in self._slots]
            old = [slot for slot in living if slot.shipped is not self._shipped]  # another version came meanwhile
            for slot in (*gone, *old):
                self._slots.pop(slot.number, None)
            kept = [slot for slot in living if slot not in old]
            is_shared = self._is_shared
            if not is_shared:
                self._free[:0] = kept
            self._changed.notify_all()
        for slot in old:
            slot.end()
        if is_shared:
            for slot in kept:
                self._hub.dispatcher.add.remote(self.id, slot.number, slot.actor, [slot.ready])

    def share(self) -> PoolTicket:
        """Let the dispatcher lend the actors from now on, and return by what a copy finds them.

        Raises:
            BackendError: None can be made, or the dispatcher is lost.
        """
        with self._making:
            if not self._is_shared:
                dispatcher = self._hub.dispatcher
                self._ask(dispatcher.share.remote(self.id, self.pump.box))  # not under a lock that a callback takes
                with self._changed:
                    self._is_shared = True
                    free, self._free = self._free, []
                    lent = [slot for slot in self._slots.values() if slot in free or not slot.is_ready]
                    self._changed.notify_all()
                for slot in lent:
                    dispatcher.add.remote(self.id, slot.number, slot.actor, [slot.ready])
                self._hub.serve(self.id, self._on_gone, self._on_turn)
        self._provide(self._shipment.current())
        folder = None if self.folder is None else str(self.folder)
        return PoolTicket(self._hub.name, self.id, self._connection.address, folder)

    @property
    def is_idle(self) -> bool:
        """Whether nobody uses or waits for any of its actors, nor may do so unasked."""
        return not self._is_shared and not self._waiting and len(self._free) == len(self._slots)

    def close(self) -> None:
        """End all actors; whoever still waits for one of them gets an error."""
        with self._changed:
            if self._is_closed:
                return
            is_current = self.is_current  # else those at work may end it: nobody has a handle of theirs then
            self._is_closed = True
            slots, self._slots, self._free = list(self._slots.values()), {}, []
            self._changed.notify_all()
        self._hub.dismiss(self.id)
        if is_current:
            for slot in slots:
                slot.end()
            if self._is_shared:
                with contextlib.suppress(Exception):  # the cluster may be gone
                    self._hub.dispatcher.close.remote(self.id, "its owner has shut it down")
        leave_hub(self._hub)
        close_connection(self._connection)

    def _provide(self, shipped: Shipped) -> None:
        """See to it that all actors are there, and of the version `shipped`, as soon as may be."""
        with self._making:
            if self._is_closed:
                return
            with self._changed:
                if self._shipped is not None and shipped.version == self._shipped.version:
                    shipped = self._shipped
                else:
                    self._retry_at = 0.0  # what did not start was another version
                self._shipped = shipped
                old = [slot for slot in self._slots.values() if slot.shipped is not shipped]
                idle = [slot for slot in old if slot in self._free or not slot.is_ready]
                if not self._is_shared:
                    for slot in idle:
                        del self._slots[slot.number]
                    self._free = [slot for slot in self._free if slot.shipped is shipped]
                lives = self._has_started()
                missing = self._size - len(self._slots)
            if self._is_shared:
                for slot in old:
                    self._hub.dispatcher.withdraw.remote(self.id, slot.number)
            else:
                for slot in idle:
                    slot.end()
            if missing > 0 and (not lives or time.monotonic() >= self._retry_at):
                self._make(missing, shipped)

    def _make(self, count: int, shipped: Shipped) -> None:
        for actor, ready in self._maker.make(count, shipped):
            slot = Slot(next(self._numbers), actor, shipped, ready)
            with self._changed:
                is_closed = self._is_closed  # meanwhile: making them takes its time
                if not is_closed:
                    self._slots[slot.number] = slot
            if is_closed:
                slot.end()
                continue
            if self._is_shared:
                self._hub.dispatcher.add.remote(self.id, slot.number, actor, [ready])
            ready.future().add_done_callback(partial(self._settle, slot))

    def _settle(self, slot: Slot, future: Any) -> None:
        """Take in an actor that has started, or has not; called by a thread of Ray's, which may not wait for Ray."""
        error = future.exception()
        with self._changed:
            slot.is_ready = True
            if error is None:
                if slot.number in self._slots and not self._is_shared:
                    self._free.append(slot)
            elif self._slots.pop(slot.number, None) is not None:
                self._failures += 1
                self._failure = start_problem(error)
                self._retry_at = time.monotonic() + _RETRY_SECONDS
            self._changed.notify_all()

    def _has_started(self) -> bool:
        """Say whether any actor is known to live; where none is, and as many as there should be failed, all will."""
        return any(slot.is_ready for slot in self._slots.values())

    def _tell_what_is_missing(self) -> None:
        with self._changed:
            count = sum(not slot.is_ready for slot in self._slots.values())
        if count:
            self._notice.say(count)

    def _ask(self, reference: Any, seconds: float | None = None) -> Any:
        """Return what the dispatcher answers; without it nothing is lent, so the next call makes a new pool."""
        try:
            return ray.get(reference, timeout=seconds)
        except ray_errors.RayActorError as error:
            if self._is_closed:
                raise _shut_down() from error
            self.pump.lose()
            raise BackendError(
                "the actor that lends the actors of this pool is lost, and nothing was run. The next call of the "
                f"executor starts a new pool; copies of it have to be made anew ({type(error).__name__})"
            ) from error
        except ray_errors.GetTimeoutError:
            raise
        except Exception as error:  # the connection's
            raise translated(error, "asking for an actor", address=self._connection.address) from error

    def _borrow_from_dispatcher(self) -> Slot:
        reference = self._hub.dispatcher.borrow.remote(self.id)
        try:
            found = self._ask(reference, self._notice.patience)
        except ray_errors.GetTimeoutError:
            self._tell_what_is_missing()
            found = self._ask(reference)
        if isinstance(found, Refusal):
            raise BackendError(found.why)
        number, lease, actor = found
        slot = self._slots.get(number)
        if slot is None or slot.lease is not None:  # it has just been given up, or was taken back from another thread
            slot = Slot(number, actor, self._shipped, None)
        slot.lease = lease
        return slot

    def _on_gone(self, number: int) -> None:
        """End and replace an actor that is dead, or of an older version, and that nobody has any more."""
        with self._changed:
            slot = self._slots.pop(number, None)
        if slot is not None:
            slot.end()
        self._provide_or_tell()

    def _on_turn(self) -> None:
        """Look after a shared pool; called every now and then."""
        with self._changed:
            failed, self._failure = self._failure, None
            lacks = len(self._slots) < self._size and time.monotonic() >= self._retry_at
        if failed is not None:
            self._hub.dispatcher.fail.remote(self.id, safe_str(failed))
        self._provide_or_tell(only_new=not lacks)

    def _provide_or_tell(self, *, only_new: bool = False) -> None:
        try:
            shipped = self._shipment.current()  # of files that somebody may be writing just now
            if not only_new or shipped is not self._shipped:
                self._provide(shipped)
        except Exception as error:  # those who wait are to hear it
            with contextlib.suppress(Exception):
                self._hub.dispatcher.fail.remote(self.id, safe_str(error))


def _shut_down() -> BackendError:
    return BackendError("the executor was shut down while this call waited for an actor; nothing was run")


def _is_answer(reference: Any) -> bool:
    try:
        ray.get(reference)
    except ray.exceptions.RayError:
        return False
    return True
