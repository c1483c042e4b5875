"""One warm actor, as whoever calls it sees it."""

from __future__ import annotations

from typing import Any

from synapse_ray.ending import end_actor
from synapse_ray.shipping import Shipped

__all__ = ["Slot"]


class Slot:
    """One warm actor of a pool.

    Attributes:
        number: Its number in the pool.
        actor: The handle.
        run: Its method, made once.
        shipped: The version of code and environment that it has, where that is known.
        ready: Answers when its constructor is done.
        is_ready: Whether it has answered.
        known: Keys of the actions that it has been sent.
        lease: Number of the loan, where the dispatcher lends it.
    """

    __slots__ = ("actor", "is_ready", "known", "lease", "number", "ready", "run", "shipped")

    def __init__(self, number: int, actor: Any, shipped: Shipped | None, ready: Any) -> None:
        self.number = number
        self.actor = actor
        self.run = actor.run
        self.shipped = shipped
        self.ready = ready
        self.is_ready = False
        self.known: set[str] = set()
        self.lease: int | None = None

    def end(self) -> None:
        """End the actor, whatever it does; no matter whether it lives."""
        end_actor(self.actor)
