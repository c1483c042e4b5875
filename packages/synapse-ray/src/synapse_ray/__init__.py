"""Run Synapse actions on Ray: warm actors, detached jobs, and jobs over HTTP."""

from typing import TYPE_CHECKING

from synapse_core.lazy import lazy_exports

if TYPE_CHECKING:
    from synapse_core.model.status import JobStatus as JobStatus
    from synapse_ray.actor_executor import RayActorExecutor as RayActorExecutor, RayTaskExecutor as RayTaskExecutor
    from synapse_ray.base import BaseRayExecutor as BaseRayExecutor
    from synapse_ray.engine import RayEngine as RayEngine
    from synapse_ray.job_executor import RayJobExecutor as RayJobExecutor
    from synapse_ray.jobs_api.executor import RayJobsApiExecutor as RayJobsApiExecutor

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "synapse_core.model.status": ("JobStatus",),
        "synapse_ray.actor_executor": ("RayActorExecutor", "RayTaskExecutor"),
        "synapse_ray.base": ("BaseRayExecutor",),
        "synapse_ray.engine": ("RayEngine",),
        "synapse_ray.job_executor": ("RayJobExecutor",),
        "synapse_ray.jobs_api.executor": ("RayJobsApiExecutor",),
    },
)

__all__ = [
    "BaseRayExecutor",
    "JobStatus",
    "RayActorExecutor",
    "RayEngine",
    "RayJobExecutor",
    "RayJobsApiExecutor",
    "RayTaskExecutor",
]
