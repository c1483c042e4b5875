"""Documented path of `RayJobExecutor`; importing it needs no Ray."""

from synapse_sdk._facade import facade

__getattr__, __dir__ = facade(
    __name__,
    {
        "RayJobExecutor": ("synapse_ray", "synapse-ray"),
    },
)
