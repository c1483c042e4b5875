"""Why a worker did not start, in words that help."""

from __future__ import annotations

import re

from synapse_core.errors import BackendError, PluginError
from synapse_core.safe_text import safe_str
from synapse_ray.translation import translated

__all__ = ["start_problem"]

_MISSING = re.compile(r"No module named '(synapse_\w+|ray|pydantic)[\w.]*'")
_LAST_LINES = 15


def start_problem(error: BaseException) -> PluginError:
    """Return the error to raise for a worker that did not start."""
    text = safe_str(error)
    if (missing := _MISSING.search(text)) is not None:
        name = missing.group(1).replace("_", "-")
        problem: PluginError = BackendError(
            f"starting a worker: {name} is not installed on the node. Install it there (pip install synapse-ray), "
            "name it in the plugin's requirements.txt, or ship this environment's with include_sdk=True"
        )
    else:
        problem = translated(error, "starting a worker")
        if not isinstance(problem, BackendError):  # "whether it had finished": nothing had begun
            lines = [line for line in text.splitlines() if line.strip()]
            problem = BackendError("starting a worker: it died at once:\n" + "\n".join(lines[-_LAST_LINES:]))
    problem.__cause__ = error
    return problem
