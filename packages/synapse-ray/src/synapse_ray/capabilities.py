"""What the Ray executors claim; light, so that the plugin host can say it without Ray."""

from __future__ import annotations

from synapse_core.ports.executor import Capabilities

__all__ = ["ACTOR_CAPABILITIES", "JOBS_API_CAPABILITIES", "JOB_CAPABILITIES"]

ACTOR_CAPABILITIES = Capabilities(
    returns_result=True, isolated=True, parallel=True, gpu=True, environment=True, events=True
)
JOB_CAPABILITIES = Capabilities(
    returns_result=True,
    isolated=True,
    jobs=True,
    detached=True,
    logs=True,
    cancel=True,
    parallel=True,
    gpu=True,
    environment=True,
    events=True,
)
JOBS_API_CAPABILITIES = JOB_CAPABILITIES
