"""Documented path of `RayJobExecutor` and `JobStatus`; importing it needs no Ray."""

from synapse_sdk._facade import facade

__getattr__, __dir__ = facade(
    __name__,
    {
        "JobStatus": ("synapse_ray", "synapse-ray"),
        "RayJobExecutor": ("synapse_ray", "synapse-ray"),
    },
)
