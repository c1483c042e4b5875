"""What a worker has installed, and what of it keeps an action from being imported there."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys

from synapse_core.errors import ActionLoadError, BackendError, PluginError
from synapse_core.resolution import ResolvedAction
from synapse_core.safe_text import format_traceback, safe_str
from synapse_ray.action_loading import load_action
from synapse_ray.action_spec import ActionSpec

__all__ = ["load_reported", "worker_report"]

_FACADE = "synapse_sdk"
_MARK = "_facade.py"  # a module that only ours has
_DISTRIBUTION = "synapse-sdk-compat"
_OTHERS = "synapse-sdk"
_PACKAGES = ("synapse-core", "synapse-ray", "synapse-local", _DISTRIBUTION, _OTHERS)


def worker_report() -> dict[str, str]:
    """Return the versions of what counts for an action; of ``synapse_sdk`` whose it is: ours, another's, or missing."""
    report = {"Python": platform.python_version()}
    for name in ("ray", *_PACKAGES):
        try:
            report[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    report[_FACADE] = _whose_facade()
    return report


def load_reported(spec: ActionSpec, folder: str | None) -> ResolvedAction:
    """Do what `load_action` does; where ``synapse_sdk`` is in the way, say what the worker has and what to install.

    Raises:
        ActionLoadError: It does not import here, or cannot be opened.
        BackendError: It is written to ``synapse_sdk``, and that is missing here, or somebody else's.
    """
    was_there = _FACADE in sys.modules
    try:
        found = load_action(spec, folder)
    except Exception as error:
        if _is_about_facade(error) and (problem := _facade_problem(spec.name, error)) is not None:
            raise problem from error
        if isinstance(error, PluginError):
            raise
        raise ActionLoadError(
            f"action {spec.name!r} cannot be opened on the worker: {type(error).__name__}: {safe_str(error)}. "
            "Install there what it needs (requirements.txt), or put it into a module of the plugin's folder",
            entrypoint=spec.entrypoint,
            traceback=format_traceback(error),
        ) from error
    if not was_there and _FACADE in sys.modules and (problem := _facade_problem(spec.name, None)) is not None:
        raise problem
    return found


def _facade_problem(action: str, error: BaseException | None) -> BackendError | None:
    whose = _whose_facade()
    if whose == "ours":
        return None
    has = "has none" if whose == "missing" else "has another product of that name, whose classes are not ours"
    report = ", ".join(f"{name} {version}" for name, version in worker_report().items())
    remove = f"pip uninstall {_OTHERS}; " if whose != "missing" else ""
    why = "" if error is None else f" ({type(error).__name__}: {safe_str(error)})"
    return BackendError(
        f"action {action!r} imports {_FACADE}, and the worker {has}{why}. Install ours there "
        f"({remove}pip install {_DISTRIBUTION}), name it in the plugin's requirements.txt, or ship this environment's "
        f"with include_sdk=True (--debug-sdk). The worker has: {report}"
    )


def _is_about_facade(error: BaseException | None) -> bool:
    while error is not None:
        if _FACADE in safe_str(error) or _FACADE in sys.modules:
            return True
        error = error.__cause__
    return False


def _whose_facade() -> str:
    spec = importlib.util.find_spec(_FACADE)  # imports nothing
    if spec is None:
        return "missing"
    places = spec.submodule_search_locations or ()
    return "ours" if any(os.path.exists(os.path.join(place, _MARK)) for place in places) else "foreign"
