"""What happens in the calling process before any work leaves it: find the action, check its params, name its folder."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from synapse_core.config_file import CONFIG_NAMES
from synapse_core.errors import ActionLoadError, PluginNotFoundError
from synapse_core.loading import load_plugin_code
from synapse_core.model.references import ActionReference, PluginReference
from synapse_core.resolution import ResolvedAction, resolve_action
from synapse_ray.action_spec import ActionSpec, spec_of
from synapse_ray.wire import Packed, pack

__all__ = ["Prepared", "PreparedAction", "Preparer"]

_FRESH_SECONDS = 0.9  # who calls a second after an edit gets the edited code


@dataclass(frozen=True, slots=True)
class PreparedAction:
    """An action as workers find it.

    Attributes:
        spec: How they find it.
        folder: What has to be their working directory; ``None`` for none.
        resolved: The action in this process, where it imports here.
    """

    spec: ActionSpec
    folder: Path | None
    resolved: ResolvedAction | None

    def with_params(self, params: Any) -> Prepared:
        """Check params and return the work.

        Raises:
            ValidationError: They do not fit; found here where the action imports here.
            TypeError: They can be neither written as data nor pickled.
        """
        if self.resolved is not None:
            self.resolved.validate(params)
        return Prepared(self.spec, pack({} if params is None else params), self.folder)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Work that is ready to leave this process.

    Attributes:
        spec: The action.
        params: Its params, packed.
        folder: What has to be the worker's working directory.
    """

    spec: ActionSpec
    params: Packed
    folder: Path | None


class Preparer:
    """Prepares the actions of one executor.

    Args:
        working_dir: The folder that it ships, where its caller has said so.
    """

    def __init__(self, working_dir: Path | None) -> None:
        self._working_dir = working_dir
        self._last: tuple[Any, PreparedAction | None, float] = (None, None, 0.0)

    def prepare(self, *candidates: Any) -> PreparedAction:
        """Prepare the first candidate that is not ``None``.

        It may be a class, a function, an entrypoint, a reference, or an action that is resolved already.

        Raises:
            ActionLoadError: It does not import, and nothing that is installed for the workers could mend that.
            TypeError: It is no action, or cannot be sent.
            BackendError: It belongs to another plugin than the one that this executor ships.
        """
        given = next((candidate for candidate in candidates if candidate is not None), None)
        known, prepared, until = self._last  # read at once: another thread may replace it
        if prepared is None or given is not known or time.monotonic() > until:
            # What a text or a reference names may be edited: its params model too, which is asked here.
            is_named = isinstance(given, (str, ActionReference))
            until = time.monotonic() + _FRESH_SECONDS if is_named else math.inf
            prepared = self._prepare(given)
            self._last = (given, prepared, until)
        return prepared

    def _prepare(self, given: Any) -> PreparedAction:
        if isinstance(given, ActionReference):
            return self._by_reference(given)
        if isinstance(given, str) and self._working_dir is not None:
            return self._by_entrypoint(given, self._working_dir)
        return self._resolved(resolve_action(given))

    def _resolved(self, action: ResolvedAction) -> PreparedAction:
        spec, folder = spec_of(action, self._working_dir)
        return PreparedAction(spec, folder, action)

    def _by_reference(self, reference: ActionReference) -> PreparedAction:
        plugin = reference.plugin
        if plugin.folder is None or reference.entrypoint is None:
            raise PluginNotFoundError(
                f"there is no plugin {plugin.code!r} on this machine, and Ray modes ship it from here. "
                "Name its folder: --path FOLDER, or run_plugin('path/to/plugin', …)"
            )
        return self._in_folder(
            reference.entrypoint, Path(plugin.folder), plugin, reference.name, idempotent=reference.idempotent
        )

    def _by_entrypoint(self, entrypoint: str, folder: Path) -> PreparedAction:
        if not (folder / entrypoint.replace(":", ".").split(".")[0]).exists() and not _is_module_in(folder, entrypoint):
            return self._resolved(resolve_action(entrypoint))  # an installed module; says so where there is none
        return self._in_folder(entrypoint, folder, PluginReference(_code_of(folder), str(folder)), None)

    def _in_folder(
        self, entrypoint: str, folder: Path, plugin: PluginReference, name: str | None, *, idempotent: bool = False
    ) -> PreparedAction:
        try:
            target = load_plugin_code(folder, plugin.code).import_entrypoint(entrypoint)
        except ActionLoadError as error:
            if not isinstance(error.__cause__, ModuleNotFoundError):  # which the workers may get installed
                raise
            spec = ActionSpec(name or entrypoint, entrypoint, plugin.code, idempotent=idempotent)
            return PreparedAction(spec, folder, None)
        resolved = replace(resolve_action(target), plugin=plugin, entrypoint=entrypoint)
        if name is not None:
            resolved = replace(resolved, name=name, idempotent=idempotent or resolved.idempotent)
        return self._resolved(resolved)


def _is_module_in(folder: Path, entrypoint: str) -> bool:
    return (folder / f"{entrypoint.replace(':', '.').split('.')[0]}.py").is_file()


def _code_of(folder: Path) -> str:
    from synapse_core.discovery import PluginDiscovery

    if any((folder / name).is_file() for name in CONFIG_NAMES):
        return PluginDiscovery.from_path(folder).code
    return folder.resolve().name
