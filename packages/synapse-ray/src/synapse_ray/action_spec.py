"""Which action is meant, in a form that a worker can find it by; `action_loading` is where it does."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synapse_core.errors import BackendError
from synapse_core.loading import PluginHome, find_plugin_home
from synapse_core.resolution import ResolvedAction
from synapse_core.safe_text import safe_str

__all__ = ["ActionSpec", "another_folder", "spec_of"]


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """How a worker finds an action. Plain values only, so that it can be pickled before any plugin is attached.

    Attributes:
        name: Its name, for messages and its context.
        entrypoint: ``module:qualname``; ``None`` where the action travels by value.
        plugin: The plugin's code where the entrypoint is seen from a plugin's folder, which is the worker's
            working directory.
        pickled: The action by value, where no worker could import it: from ``__main__``, or a local one.
        idempotent: Whether it may run again after its worker died.
        package: The name by which the folder itself is imported, where the plugin is a package and not a folder
            with packages in it.
    """

    name: str
    entrypoint: str | None = None
    plugin: str | None = None
    pickled: bytes | None = None
    idempotent: bool = False
    package: str | None = None


def spec_of(action: ResolvedAction, working_dir: Path | None) -> tuple[ActionSpec, Path | None]:
    """Return how a worker finds `action`, and the folder that has to be its working directory, if any.

    Args:
        action: The action.
        working_dir: The folder that is shipped, where the caller has said so.

    Raises:
        TypeError: It has no importable name, and cannot be pickled.
        BackendError: It belongs to another plugin than the one in `working_dir`.
    """
    home = find_plugin_home(action.target)
    code, folder, entrypoint = (home.code, home.folder, home.entrypoint) if home else (None, None, None)
    if action.plugin is not None and action.plugin.folder is not None and action.entrypoint is not None:
        code, folder, entrypoint = action.plugin.code, action.plugin.folder, action.entrypoint
    elif action.plugin is not None and home is None:  # a package that was named as a module, without a config
        found = _package_folder(action.entrypoint)
        code, folder, entrypoint = action.plugin.code, None if found is None else str(found), action.entrypoint
    if folder is not None:
        shipped = _same_or_raise(Path(folder), working_dir, action.name, home)
        package = None if home is not None else _package_name(entrypoint, Path(folder))
        return ActionSpec(action.name, entrypoint, code, idempotent=action.idempotent, package=package), shipped
    if (name := _importable_name(action.target)) is not None:
        return ActionSpec(action.name, name, idempotent=action.idempotent), working_dir
    from ray import cloudpickle  # importing Ray takes half a second, and most actions have a name

    try:
        pickled = cloudpickle.dumps(action.target)  # type: ignore[no-untyped-call]
    except Exception as error:  # pickling runs the user's code
        raise TypeError(
            f"action {action.name!r} cannot be sent to a worker: no module holds it by name, and pickling it fails: "
            f"{type(error).__name__}: {safe_str(error)}. Define it at the top level of a module"
        ) from error
    return ActionSpec(action.name, pickled=pickled, idempotent=action.idempotent), working_dir


def _package_name(entrypoint: str | None, folder: Path) -> str | None:
    """Return the top-level name of an entrypoint that is seen from beside the folder, and not from within it."""
    top = (entrypoint or "").replace(":", ".").partition(".")[0]
    is_within = (folder / top).exists() or (folder / f"{top}.py").exists()
    return top if top and top == folder.name and not is_within else None


def _package_folder(entrypoint: str | None) -> Path | None:
    """Return the folder of the package that an entrypoint is in; ``None`` for one that workers have installed too."""
    top = sys.modules.get((entrypoint or "").replace(":", ".").partition(".")[0])
    places = list(getattr(top, "__path__", ()))
    if len(places) != 1 or {"site-packages", "dist-packages"} & set(Path(places[0]).parts):
        return None
    return Path(places[0])


def _same_or_raise(folder: Path, working_dir: Path | None, name: str, home: PluginHome | None) -> Path:
    if working_dir is None or folder.resolve() == working_dir.resolve():
        return folder
    if home is not None and home.is_in(working_dir):  # in a Ray task, say, that found a copy which a worker has
        return working_dir
    raise another_folder(name, folder, working_dir)


def another_folder(name: str, folder: Path, shipped: Path) -> BackendError:
    """Return the error for an action of another plugin than the one that an executor ships."""
    return BackendError(
        f"action {name!r} belongs to the plugin in {folder}, and this executor ships {shipped}. "
        f"Make another executor with working_dir={str(folder)!r}"
    )


def _importable_name(target: Any) -> str | None:
    """Return ``module:qualname`` where importing that gives `target` again, also in another process."""
    module, qualname = getattr(target, "__module__", None), getattr(target, "__qualname__", "<unknown>")
    if not isinstance(module, str) or module == "__main__" or "<" in qualname:
        return None
    if not all(part.isidentifier() for part in module.split(".")):  # loaded from a path, which has no such name
        return None
    try:
        found: Any = importlib.import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
    except Exception:  # no module of that name any more, or one that cannot be imported twice
        return None
    return f"{module}:{qualname}" if found is target else None
