"""Why a worker did not start, in words that help."""

from __future__ import annotations

from synapse_core.errors import BackendError, PluginError
from synapse_core.safe_text import safe_str
from synapse_ray.translation import translated

__all__ = ["start_problem"]

_LAST_LINES = 15


def start_problem(error: BaseException) -> PluginError:
    """Return the error to raise for a worker that did not start."""
    problem = translated(error, "starting a worker")
    if not isinstance(problem, BackendError):  # "whether it had finished": nothing had begun
        lines = [line for line in safe_str(error).splitlines() if line.strip()]
        problem = BackendError("starting a worker: it died at once:\n" + "\n".join(lines[-_LAST_LINES:]))
    problem.__cause__ = error
    return problem
