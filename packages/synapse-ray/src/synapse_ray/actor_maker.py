"""Making the actors of a pool."""

from __future__ import annotations

from typing import Any

import ray

from synapse_ray.options import RayOptions
from synapse_ray.placement import refuse_impossible
from synapse_ray.shipping import Shipped, upload
from synapse_ray.translation import translated
from synapse_ray.warm_actor import WarmActor

__all__ = ["ActorMaker"]


class ActorMaker:
    """Makes warm actors of one kind.

    Args:
        options: What they ask for.
        dispatcher: Takes their reports.
        address: The cluster's, for messages.
    """

    def __init__(self, options: RayOptions, dispatcher: Any, address: str) -> None:
        self._resources = options.resources()
        self._dispatcher = dispatcher
        self._address = address
        self._class: Any = ray.remote(WarmActor)

    def make(self, count: int, shipped: Shipped) -> list[tuple[Any, Any]]:
        """Return so many new actors, each with a reference that answers when it has started.

        Raises:
            BackendError: No node can ever have one, or what they need cannot be brought into the cluster.
        """
        try:
            refuse_impossible(self._resources)
            upload(shipped)
            kind = self._class.options(
                runtime_env=shipped.runtime_env, max_restarts=0, max_task_retries=0, **self._resources
            )
            actors = [kind.remote(shipped.settings, self._dispatcher) for _ in range(count)]
            return [(actor, actor.ready.remote()) for actor in actors]
        except Exception as error:
            raise translated(error, "starting workers", address=self._address) from error
