"""One call of a warm actor, from borrowing it to the last report."""

from __future__ import annotations

import hashlib
import itertools
import os
import uuid
from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from typing import Any, Protocol

import ray
from ray import exceptions as ray_errors

from synapse_core.errors import PluginError
from synapse_core.ports.events import EventSink
from synapse_ray.action_spec import ActionSpec
from synapse_ray.event_pump import CallReports, EventPump
from synapse_ray.preparation import Prepared
from synapse_ray.slot import Slot
from synapse_ray.translation import translated
from synapse_ray.warm_actor import FORGOTTEN
from synapse_ray.worker import MOST_KNOWN, Reply

__all__ = ["Lender", "call_warm", "new_job_id"]

_LONG_SECONDS = 0.03  # a call that takes longer has its reports fetched while it runs
_numbers = itertools.count(1)
_prefix = ""


class Lender(Protocol):
    """Lends warm actors."""

    shows_output: bool

    @property
    def pump(self) -> EventPump:
        """Brings reports."""
        ...

    @property
    def is_current(self) -> bool:
        """Whether its actors can be reached."""
        ...

    def borrow(self) -> Slot:
        """Wait for a free actor."""
        ...

    def give_back(self, slot: Slot, *, dead: bool) -> None:
        """Take it back."""
        ...


def call_warm(lender: Lender, prepared: Prepared, job_id: str, open_sink: Callable[[], EventSink]) -> Reply:
    """Run an action on an actor of `lender`, wait for it in this thread, and return what came of it.

    Raises:
        WorkerLostError: The actor died.
        BackendError: No actor could be made.
        KeyboardInterrupt: Somebody pressed Ctrl-C; the action has been stopped.
    """
    spec = prepared.spec
    key = _key_of(spec)
    reports = CallReports(open_sink, lender.shows_output)
    pump = lender.pump
    slot = lender.borrow()
    number = next(_numbers)
    dead = True
    try:
        pump.watch(number, reports)
        kind: Any = FORGOTTEN
        while kind == FORGOTTEN:
            work = [key, None if key in slot.known else spec, *prepared.params, job_id, pump.box, number]
            slot.known.discard(key)
            reference = slot.run.remote(work)
            try:
                kind, value, outcome, first, rest = ray.get(reference, timeout=_LONG_SECONDS)
            except ray_errors.GetTimeoutError:
                with pump.fetching(reports):
                    kind, value, outcome, first, rest = ray.get(reference)
        dead = False
        if len(slot.known) > MOST_KNOWN:
            slot.known.clear()
        slot.known.add(key)
    except PluginError:
        raise
    except Exception as error:
        dead = not isinstance(error, (ray_errors.RayTaskError, ray_errors.TaskCancelledError))
        raise translated(error, f"running action {spec.name!r}") from error
    finally:
        lender.give_back(slot, dead=dead)
        if dead:
            pump.forget(number)
    try:
        if first:
            with pump.fetching(reports):
                reports.finish(first, rest)
        elif rest:
            reports.take(0, rest)
    finally:
        pump.forget(number)
    return (None, outcome) if kind is None else ((kind, value), None)


def new_job_id() -> str:
    """Return an identity for one execution; asking the system for random bytes each time would cost ten times more."""
    return f"{_prefix}{next(_numbers):012x}"


def _take_prefix() -> None:
    global _prefix
    _prefix = uuid.uuid4().hex[:20]


_take_prefix()
os.register_at_fork(after_in_child=_take_prefix)


@lru_cache(maxsize=32)
def _key_of(spec: ActionSpec) -> str:
    """Return by what actors know an action when they have seen it once; the same in every process."""
    text = repr([getattr(spec, field.name) for field in fields(spec) if field.name != "pickled"]).encode()
    return hashlib.blake2b(text + (spec.pickled or b""), digest_size=12).hexdigest()
