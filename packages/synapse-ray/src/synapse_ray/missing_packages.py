"""What to say where the Python of a node lacks a package that every worker needs."""

from __future__ import annotations

import re

__all__ = ["missing_package"]

_MISSING = re.compile(r"No module named '?(synapse_core|synapse_ray|ray|pydantic)\b")


def missing_package(text: str) -> str | None:
    """Return how to bring a package to the nodes where `text`, of an error there, says that they lack it."""
    found = _MISSING.search(text)
    if found is None:
        return None
    name = found.group(1).replace("_", "-")
    return (
        f"the Python of the cluster has no {name}. Install it on every node (pip install synapse-ray), "
        "name it in the plugin's requirements.txt, or ship this environment's with include_sdk=True (--debug-sdk)"
    )
