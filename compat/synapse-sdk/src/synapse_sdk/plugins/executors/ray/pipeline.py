"""Documented path of `RayPipelineExecutor` and `PipelineDefinition`; importing it needs no Ray."""

from synapse_sdk._facade import facade

__getattr__, __dir__ = facade(
    __name__,
    {
        "PipelineDefinition": ("synapse_pipeline", "synapse-pipeline[ray]"),
        "RayPipelineExecutor": ("synapse_pipeline", "synapse-pipeline[ray]"),
    },
)
