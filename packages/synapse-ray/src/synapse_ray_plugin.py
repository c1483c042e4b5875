"""What synapse-ray offers, without importing Ray."""

from __future__ import annotations

from synapse_core.plugins.descriptions import CommandDescription, EngineDescription, ExecutorDescription
from synapse_core.plugins.hookspecs import hookimpl
from synapse_ray.capabilities import ACTOR_CAPABILITIES, JOB_CAPABILITIES, JOBS_API_CAPABILITIES

_SHARED = (
    "env", "job_id", "ray_address", "runtime_env", "working_dir", "requirements_file", "package_manager",
    "package_manager_options", "wheels_dir", "num_cpus", "num_gpus", "memory", "include_sdk", "sink", "debug",
)  # fmt: skip


@hookimpl
def synapse_executors() -> list[ExecutorDescription]:
    """Offer warm actors, detached jobs, and the Jobs API."""
    return [
        ExecutorDescription(
            name="task",
            target="synapse_ray.actor_executor:RayActorExecutor",
            help="on warm Ray actors; for many short calls",
            capabilities=ACTOR_CAPABILITIES,
            options=(*_SHARED, "num_actors"),
            needs="reference",
        ),
        ExecutorDescription(
            name="ray-job",
            target="synapse_ray.job_executor:RayJobExecutor",
            help="as a detached Ray actor; outlives this process",
            capabilities=JOB_CAPABILITIES,
            options=(*_SHARED, "start_ray"),
            run_with="submit",
            needs="reference",
        ),
        ExecutorDescription(
            name="job",
            target="synapse_ray.jobs_api.executor:RayJobsApiExecutor",
            help="as a job of Ray's Jobs API, over HTTP; for long work with logs",
            capabilities=JOBS_API_CAPABILITIES,
            options=(*_SHARED, "dashboard_address", "storage", "start_ray"),
            run_with="submit",
            needs="reference",
        ),
    ]


@hookimpl
def synapse_engines() -> list[EngineDescription]:
    """Offer the record engine."""
    return [
        EngineDescription(
            name="ray",
            target="synapse_ray.engine:RayEngine",
            help="on actors of a Ray cluster; for work that computes, on many machines",
        )
    ]


@hookimpl
def synapse_commands() -> list[CommandDescription]:
    """Offer ``synapse job``."""
    return [CommandDescription(name="job", target="synapse_ray.cli:job", help="Follow, read and stop jobs on Ray.")]
