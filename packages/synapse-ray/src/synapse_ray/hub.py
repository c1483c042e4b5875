"""What all pools of this process share: their dispatcher, and the thread that takes its mail."""

from __future__ import annotations

import contextlib
import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from synapse_ray.connection import when_forked
from synapse_ray.dispatcher import Dispatcher
from synapse_ray.ending import end_actor
from synapse_ray.event_pump import EventPump
from synapse_ray.names import NAMESPACE
from synapse_ray.ray_internals import is_client_connection

__all__ = ["Hub", "enter_hub", "leave_hub"]

_MOST_AT_ONCE = 100_000  # who waits for an actor may not keep out who gives one back
_lock = threading.RLock()
_hubs: dict[tuple[str, str | None], Hub] = {}


class Hub:
    """A dispatcher of this process, and its mail.

    Args:
        package: Address of the package that holds the Synapse packages, where they are shipped along.

    Attributes:
        name: Of the dispatcher, in our namespace; by it a pickled executor finds it.
        dispatcher: The actor. It is no detached one, and ends with this process at the latest.
        pump: Takes the mail.
        uses: How many have entered it, and not left.
    """

    def __init__(self, package: str | None) -> None:
        self.uses = 0
        self.name = f"synapse-dispatcher-{uuid.uuid4().hex}"
        self.dispatcher: Any = (
            ray.remote(Dispatcher)
            .options(
                name=self.name,
                namespace=NAMESPACE,
                num_cpus=0,
                max_concurrency=_MOST_AT_ONCE,
                runtime_env={"py_modules": [package]} if package else {},
                scheduling_strategy=_near_us(),
            )
            .remote()
        )
        self.pump = EventPump(self.dispatcher, self._on_gone)
        self._owners: dict[str, Callable[[int], None]] = {}
        self._turns: dict[str, Callable[[], None]] = {}
        self._complained: set[str] = set()

    def serve(self, pool: str, on_gone: Callable[[int], None], on_turn: Callable[[], None]) -> None:
        """Take mail for a pool from now on."""
        self._owners[pool] = on_gone
        self._turns[pool] = on_turn
        self.pump.pin(self._on_turn)

    def dismiss(self, pool: str) -> None:
        """Take no more mail for a pool."""
        self._owners.pop(pool, None)
        self._turns.pop(pool, None)

    def close(self) -> None:
        """End the dispatcher."""
        self.pump.close()
        if self.pump.is_connected():  # Ray 2.51 aborts a process that names an actor of a connection before this one
            end_actor(self.dispatcher)

    def _on_gone(self, pool: str, number: int) -> None:
        if (owner := self._owners.get(pool)) is not None:
            with self._guarded(pool):
                owner(number)

    def _on_turn(self) -> None:
        for pool, turn in list(self._turns.items()):
            with self._guarded(pool):
                turn()

    @contextlib.contextmanager
    def _guarded(self, pool: str) -> Iterator[None]:
        """Keep the thread that takes the mail of all pools from ending over one of them."""
        try:
            yield
        except Exception:
            if pool not in self._complained:
                self._complained.add(pool)
                logging.getLogger("synapse").warning(
                    "looking after a pool of actors fails; it is tried again", exc_info=True
                )


def _near_us() -> Any:
    """Return where a dispatcher is to be: on the node of its owner, with which it ends. A client is on no node."""
    if is_client_connection():
        return "DEFAULT"
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)


def enter_hub(session: str, package: str | None = None) -> Hub:
    """Return this process's hub in a session, made if need be; let go of it by `leave_hub`.

    Args:
        session: Of the connection that it belongs to.
        package: As in `Hub`; it has to be in the cluster.
    """
    with _lock:
        hub = _hubs.get((session, package))
        if hub is None or hub.pump.is_lost:
            hub = _hubs[session, package] = Hub(package)
        hub.uses += 1
        return hub


def leave_hub(hub: Hub) -> None:
    """Let go of a hub; its last user ends it."""
    with _lock:
        hub.uses -= 1
        if hub.uses > 0:
            return
        for key in [key for key, found in _hubs.items() if found is hub]:
            del _hubs[key]
    hub.close()


def _forget() -> None:
    """Forget the hubs of the process that this one was forked from."""
    global _lock
    _lock = threading.RLock()
    _hubs.clear()


when_forked(_forget)
