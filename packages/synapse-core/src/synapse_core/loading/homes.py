"""Where a plugin's class or function is at home, for those who have to find it in another process or machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from synapse_core.loading.isolation import all_attached, attached
from synapse_core.loading.sources import read_sources, source_digest
from synapse_core.private_names import PrivateName

__all__ = ["PluginHome", "find_plugin_home", "loaded_plugin_folders"]


@dataclass(frozen=True, slots=True)
class PluginHome:
    """The plugin that an object was loaded from.

    Attributes:
        code: The plugin's identity, in the form in which its private name holds it; `load_plugin_code` with
            this code and the same sources gives the same private name, so that pickles fit.
        folder: The plugin's folder on this machine.
        entrypoint: ``module:qualname``, as the plugin itself names the module.
        digest: Of the sources that it was loaded from.
    """

    code: str
    folder: str
    entrypoint: str
    digest: str

    def is_in(self, folder: str | os.PathLike[str]) -> bool:
        """Say whether `folder` holds the very sources that it was loaded from: the same folder, or a copy."""
        return os.path.isdir(folder) and source_digest(read_sources(os.fspath(folder))) == self.digest


def find_plugin_home(target: Any) -> PluginHome | None:
    """Return where `target` is at home; ``None`` where no loaded plugin has it, or it is a local object."""
    module, qualname = getattr(target, "__module__", None), getattr(target, "__qualname__", "<unknown>")
    if not isinstance(module, str) or "<" in qualname:
        return None
    private = PrivateName.parse(module)
    plugin = attached(module.partition(".")[0]) if private is not None else None
    if private is None or plugin is None:
        return None
    return PluginHome(private.slug, plugin.folder, f"{module.partition('.')[2]}:{qualname}", private.digest)


def loaded_plugin_folders() -> list[str]:
    """Return the folders of the plugins that were loaded in this process, the latest first."""
    return list(dict.fromkeys(plugin.folder for plugin in all_attached() if plugin.is_loaded))
