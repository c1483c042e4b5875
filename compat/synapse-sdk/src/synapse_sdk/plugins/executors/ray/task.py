"""Documented path of `RayActorExecutor` and `RayTaskExecutor`; importing it needs no Ray."""

from synapse_sdk._facade import facade

__getattr__, __dir__ = facade(
    __name__,
    {
        "RayActorExecutor": ("synapse_ray", "synapse-ray"),
        "RayTaskExecutor": ("synapse_ray", "synapse-ray"),
    },
)
