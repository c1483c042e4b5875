"""Which folders below a plugin are never looked into."""

from __future__ import annotations

import os

__all__ = ["is_skipped_folder"]

_SKIPPED_NAMES = frozenset({"__pycache__", "node_modules", "site-packages"})


def is_skipped_folder(path: str, name: str) -> bool:
    """Say whether a folder never holds code of the plugin: hidden, a virtual environment, a cache."""
    return (
        name.startswith(".")
        or name in _SKIPPED_NAMES
        or name.endswith(".egg-info")
        or os.path.exists(os.path.join(path, "pyvenv.cfg"))
    )
