"""Finding an action on a worker, by its `ActionSpec`."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import importlib
import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from synapse_core.entrypoint import import_entrypoint
from synapse_core.errors import ActionLoadError
from synapse_core.loading import load_plugin_code
from synapse_core.resolution import ResolvedAction, resolve_action
from synapse_ray.action_spec import ActionSpec

__all__ = ["load_action"]


def load_action(spec: ActionSpec, folder: str | None = None) -> ResolvedAction:
    """Find the action on a worker.

    Args:
        spec: Which one.
        folder: Folder of the shipped plugin. Default: the working directory.

    Raises:
        ActionLoadError: It does not import here.
    """
    target: Any
    if spec.pickled is not None:
        from ray import cloudpickle

        target = cloudpickle.loads(spec.pickled)
    elif spec.entrypoint is None:
        raise ActionLoadError(f"action {spec.name!r} was sent without a name to import it by")
    elif spec.package is not None:
        _make_importable(spec.package, folder or os.getcwd())
        target = import_entrypoint(spec.entrypoint)
    elif spec.plugin is not None:
        target = load_plugin_code(folder or os.getcwd(), spec.plugin).import_entrypoint(spec.entrypoint)
    else:
        target = import_entrypoint(spec.entrypoint)
    resolved = resolve_action(target)
    if resolved.name == spec.name and resolved.idempotent == spec.idempotent:
        return resolved
    return replace(resolved, name=spec.name, idempotent=spec.idempotent)


def _make_importable(package: str, folder: str) -> None:
    """Let a worker import its working directory under the name that the package has."""
    with contextlib.suppress(ImportError):
        importlib.import_module(package)
        return
    beside = _place_of_link(folder)
    with contextlib.suppress(FileExistsError):  # of another worker with the same folder
        os.symlink(folder, os.path.join(beside, package))
    sys.path.append(beside)
    importlib.invalidate_caches()


def _place_of_link(folder: str) -> str:
    """Return where a link to `folder` may lie: in the session of Ray, else until this process ends.

    Workers may be killed at any time, and then remove nothing; so those of one folder share one place.
    """
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        from synapse_ray.ray_internals import session_folder

        beside = Path(session_folder(), "synapse-packages", hashlib.sha256(folder.encode()).hexdigest()[:16])
        beside.mkdir(parents=True, exist_ok=True)
        return str(beside)
    made = tempfile.mkdtemp(prefix="synapse-package-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made
