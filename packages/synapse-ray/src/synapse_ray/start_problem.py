"""Why a worker did not start, in words that help."""

from __future__ import annotations

from synapse_core.errors import BackendError, PluginError
from synapse_core.safe_text import safe_str
from synapse_ray.ray_texts import last_lines
from synapse_ray.translation import translated

__all__ = ["start_problem"]


def start_problem(error: BaseException) -> PluginError:
    """Return the error to raise for a worker that did not start."""
    problem = translated(error, "starting a worker")
    if not isinstance(problem, BackendError):  # "whether it had finished": nothing had begun
        problem = BackendError(f"starting a worker: it died at once:\n{last_lines(safe_str(error))}")
    problem.__cause__ = error
    return problem
