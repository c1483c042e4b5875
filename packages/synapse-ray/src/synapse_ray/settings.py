"""What travels to workers besides the work: values of ``env=`` and the credentials of the Synapse backend."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["CREDENTIALS", "travelling_values"]

CREDENTIALS = {"SYNAPSE_HOST": "host", "SYNAPSE_ACCESS_TOKEN": "access_token", "SYNAPSE_TENANT": "tenant"}
"""Variables with the credentials of the Synapse backend, and their keys in ``~/.synapse/config.json``."""


def travelling_values(env: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what ``ctx.env`` on a worker holds above the worker's own environment.

    Credentials come from ``os.environ``, else from ``~/.synapse/config.json``; those in `env` win.
    """
    values: dict[str, Any] = {name: os.environ[name] for name in CREDENTIALS if os.environ.get(name)}
    if "SYNAPSE_ACCESS_TOKEN" not in values:
        stored = _stored_credentials()
        values |= {name: stored[key] for name, key in CREDENTIALS.items() if name not in values and stored.get(key)}
    return values | dict(env or {})


def _stored_credentials() -> dict[str, Any]:
    try:
        found = json.loads((Path.home() / ".synapse" / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError):  # none, unreadable, or a user without a home
        return {}
    return found if isinstance(found, dict) else {}
