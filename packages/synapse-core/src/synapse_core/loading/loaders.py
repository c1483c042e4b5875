"""The loaders of a plugin's modules."""

from __future__ import annotations

import os
from importlib.machinery import ModuleSpec, SourceFileLoader, SourcelessFileLoader
from importlib.util import cache_from_source
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.readers import FileReader

    from _typeshed import ReadableBuffer

__all__ = ["IsolatedLoader", "IsolatedSourcelessLoader"]


def _new_module(name: str, its_builtins: dict[str, Any]) -> ModuleType:
    # Set before the module runs and without a frame of ours around it, which every traceback would show.
    module = ModuleType(name)
    module.__dict__["__builtins__"] = its_builtins
    return module


class IsolatedLoader(SourceFileLoader):
    """Runs a module of a plugin with the plugin's own builtins.

    Args:
        fullname: Private name of the module.
        path: The file to read: `real_path`, or the copy that was kept of another version of it.
        real_path: The file in the plugin's folder.
        its_builtins: Builtins of the plugin.
    """

    def __init__(self, fullname: str, path: str, real_path: str, its_builtins: dict[str, Any]) -> None:
        super().__init__(fullname, path)
        self._real_path = real_path
        self._builtins = its_builtins

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return an empty module with the plugin's builtins."""
        return _new_module(spec.name, self._builtins)

    def get_data(self, path: str) -> bytes:
        """Read source, bytecode or a data file; no bytecode that may be out of date."""
        if path.endswith(".pyc") and path == cache_from_source(self.path) and self._is_outdated(path):
            raise OSError(f"{path} may belong to another version of {self.path}")
        return super().get_data(path)

    def set_data(self, path: str, data: ReadableBuffer, *, _mode: int = 0o666) -> None:
        """Write bytecode, except among the kept sources."""
        if self.path == self._real_path:
            super().set_data(path, data, _mode=_mode)

    def get_resource_reader(self, name: str | None = None) -> FileReader:
        """Return what `importlib.resources` asks for the files beside the module."""
        from importlib.readers import FileReader  # brings zipfile along

        return FileReader(SourceFileLoader(self.name, self._real_path))  # data files lie beside the real one

    def _is_outdated(self, bytecode: str) -> bool:
        # Python compares whole seconds and the size: an edit in the second of the import goes unnoticed.
        try:
            return self.path != self._real_path or os.stat(bytecode).st_mtime_ns <= os.stat(self.path).st_mtime_ns
        except OSError:
            return True


class IsolatedSourcelessLoader(SourcelessFileLoader):
    """Runs a module that was delivered as bytecode with the plugin's own builtins."""

    def __init__(self, fullname: str, path: str, its_builtins: dict[str, Any]) -> None:
        super().__init__(fullname, path)
        self._builtins = its_builtins

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return an empty module with the plugin's builtins."""
        return _new_module(spec.name, self._builtins)
