"""The code of one plugin folder, ready to be imported from."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from synapse_core.entrypoint import import_entrypoint
from synapse_core.loading.isolation import Attached, attach, attached
from synapse_core.loading.sources import read_sources, source_digest
from synapse_core.loading.stubs import leave_stub
from synapse_core.private_names import PrivateName

__all__ = ["PluginCode", "load_plugin_code"]

_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class PluginCode:
    """One version of a plugin's code.

    Attributes:
        name: Its private top-level name, in this process and every other.
        folder: Its folder.
    """

    name: str
    folder: str
    _attached: Attached

    def import_module(self, name: str) -> ModuleType:
        """Import a module by the name that the plugin uses for it; an installed one where it has none."""
        if self._attached.owns(name.partition(".")[0]) or not self._has(name.partition(".")[0]):
            return self._attached.import_module(name)
        return self._attached.import_own(name)

    def import_entrypoint(self, entrypoint: str) -> Any:
        """Import what an entrypoint of ``config.yaml`` names.

        Raises:
            ActionLoadError: With the plugin's own traceback.
        """
        return import_entrypoint(entrypoint, self.import_module)

    def _has(self, top: str) -> bool:
        return os.path.isdir(os.path.join(self.folder, top))


def load_plugin_code(folder: str | os.PathLike[str], code: str) -> PluginCode:
    """Attach the sources of `folder` as they are now; edited sources get another name than before.

    Nothing of the plugin is imported by this.
    """
    path = os.path.abspath(folder)
    sources = read_sources(path)
    name = PrivateName.of(code, source_digest(sources))
    with _lock:
        taken = attached(str(name))
        if taken is not None and os.path.realpath(taken.folder) != os.path.realpath(path):
            name = name.at(path)  # the same sources a second time in this process; __file__ has to tell them apart
        result = attach(str(name), path, sources=sources, is_loaded=True)
    leave_stub(name, path, sources)
    return PluginCode(str(name), path, result)
