"""Documented path of the Ray executors; importing it needs no Ray."""

from synapse_sdk._facade import facade

__getattr__, __dir__ = facade(
    __name__,
    {
        "BaseRayExecutor": ("synapse_ray", "synapse-ray"),
        "JobStatus": ("synapse_ray", "synapse-ray"),
        "PipelineDefinition": ("synapse_pipeline", "synapse-pipeline[ray]"),
        "RayActorExecutor": ("synapse_ray", "synapse-ray"),
        "RayJobExecutor": ("synapse_ray", "synapse-ray"),
        "RayJobsApiExecutor": ("synapse_ray", "synapse-ray"),
        "RayPipelineExecutor": ("synapse_pipeline", "synapse-pipeline[ray]"),
        "RayTaskExecutor": ("synapse_ray", "synapse-ray"),
    },
)
