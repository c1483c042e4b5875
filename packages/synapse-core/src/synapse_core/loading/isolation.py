"""Import a plugin folder under a private name, so that no plugin ever sees another one's modules.

Each plugin gets a private top-level package whose search path is the plugin's folder. Its modules
run with an ``__import__`` of their own, by which absolute imports of the plugin's own modules
(``import plugin.model``) resolve to private names: at import, later inside functions, and from any
thread, because a function keeps the builtins of the module that defined it.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import logging
import os
import sys
import sysconfig
import threading
from collections.abc import Mapping, Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

from synapse_core.folders import is_skipped_folder
from synapse_core.loading.private_names import PREFIX, PrivateName
from synapse_core.loading.sources import read_sources, source_digest
from synapse_core.loading.stubs import find_stub_folder, kept_sources_folder

__all__ = ["Attached", "attach", "attached"]

_INSTALLED = tuple(
    {os.path.realpath(sysconfig.get_path(key)) for key in ("stdlib", "platstdlib", "purelib", "platlib")}
)

_lock = threading.RLock()
_attached: dict[str, Attached] = {}


class Attached:
    """A plugin folder under its private name.

    Attributes:
        name: The private top-level name.
        folder: The plugin's folder, absolute.
        search_folder: Where sources are read from: `folder`, or a kept copy of this version where
            the folder has changed since.
    """

    def __init__(self, name: str, folder: str, search_folder: str) -> None:
        self.name = name
        self.folder = folder
        self.search_folder = search_folder
        self.builtins: dict[str, Any] = {**vars(builtins), "__import__": self._import}
        self._importlib = _ImportlibView(self)
        self._owned: dict[str, bool] = {}

    def import_module(self, name: str, package: str | None = None) -> ModuleType:
        """Import `name` as the plugin's own code would; for its own modules, by the name it uses for them."""
        if name.startswith(".") or not self.owns(name.partition(".")[0]):
            return importlib.import_module(name, package)
        try:
            return importlib.import_module(f"{self.name}.{name}")
        except ModuleNotFoundError as error:
            self._show_plain_name(error)
            raise

    def owns(self, top: str) -> bool:
        """Say whether a top-level name is a module of the plugin.

        As on ``sys.path``, a folder without ``__init__.py`` gives way to an installed package of that name.
        """
        owned = self._owned.get(top)
        if owned is None:
            owned = self._owned[top] = self._decide(top)
        return owned

    def _decide(self, top: str) -> bool:
        if self._spec_of_own(top) is not None:
            return True
        path = os.path.join(self.search_folder, top)
        if is_skipped_folder(path, top) or not _holds_python(path):
            return False
        if top in sys.builtin_module_names:
            return False
        elsewhere = PathFinder.find_spec(top)
        if elsewhere is None or elsewhere.origin is None:  # nothing, or a folder without __init__.py too
            return True
        return not os.path.realpath(elsewhere.origin).startswith(_INSTALLED)

    def _spec_of_own(self, top: str) -> ModuleSpec | None:
        """Return the spec of a regular module or package of the plugin."""
        spec = PathFinder.find_spec(f"{self.name}.{top}", [self.search_folder])
        if spec is not None and spec.origin is not None:
            return spec
        init = os.path.join(self.search_folder, "__init__.py")
        if top == os.path.basename(self.folder) and os.path.exists(init):  # the folder is itself a package
            return importlib.util.spec_from_file_location(
                f"{self.name}.{top}", init, submodule_search_locations=[self.search_folder]
            )
        return None

    def find_spec(self, fullname: str, path: Sequence[str] | None) -> ModuleSpec | None:
        """Return the spec of one of the plugin's modules, by its private name."""
        rest = fullname[len(self.name) + 1 :]
        if not rest:
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [self.search_folder]
            return spec
        found = self._spec_of_own(rest) if "." not in rest else None
        found = found or PathFinder.find_spec(fullname, path)
        if found is not None and isinstance(found.loader, SourceFileLoader):
            found.loader = _IsolatedLoader(fullname, found.loader.path, self)
        return found

    def real_path(self, path: str) -> str:
        """Return the path in the plugin's folder for a path in the kept sources."""
        return os.path.join(self.folder, os.path.relpath(path, self.search_folder))

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level == 0:
            top = name.partition(".")[0]
            if self.owns(top):
                self.import_module(name)
                if not fromlist:
                    return sys.modules[f"{self.name}.{top}"]
                return builtins.__import__(f"{self.name}.{name}", globals, locals, fromlist)
            if top == "importlib" and (name == top or not fromlist):
                builtins.__import__(name, globals, locals, fromlist)
                return self._importlib
        try:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        except ModuleNotFoundError as error:
            self._show_plain_name(error)
            if level == 0 and self._owned.get(top) is False:
                del self._owned[top]  # the action may be about to write a module of this name
            raise

    def _show_plain_name(self, error: ModuleNotFoundError) -> None:
        prefix = f"{self.name}."
        if error.name and error.name.startswith(prefix):
            error.name = error.name.removeprefix(prefix)
            error.msg = str(error.msg).replace(prefix, "")
            error.args = (error.msg,)


class _ImportlibView(ModuleType):
    """``importlib`` as a plugin sees it: ``import_module`` knows the plugin's own names."""

    def __init__(self, attached: Attached) -> None:
        super().__init__("importlib", importlib.__doc__)
        self.__dict__["import_module"] = attached.import_module

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib, name)

    def __dir__(self) -> list[str]:
        return dir(importlib)


class _IsolatedLoader(SourceFileLoader):
    """Runs a module of a plugin with the plugin's own builtins."""

    def __init__(self, fullname: str, path: str, attached: Attached) -> None:
        super().__init__(fullname, path)
        self._attached = attached

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self._attached.builtins
        if self._attached.search_folder != self._attached.folder:
            module.__file__ = self._attached.real_path(self.path)  # data files lie beside the real one
        super().exec_module(module)

    def get_code(self, fullname: str) -> CodeType | None:
        if self._attached.search_folder == self._attached.folder:
            return super().get_code(fullname)
        return self.source_to_code(self.get_data(self.path), self.path)  # leaves no bytecode among kept sources


class _AliasLoader(Loader):
    """Serves an unknown version of a plugin by the one that is loaded."""

    def __init__(self, real_name: str) -> None:
        self._real_name = real_name

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = importlib.import_module(self._real_name)


class _Finder:
    """Finds private names; the first on ``sys.meta_path``, and silent about any other name."""

    @staticmethod
    def find_spec(fullname: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        if not fullname.startswith(PREFIX):
            return None
        top, _, rest = fullname.partition(".")
        found = _attached.get(top)
        if found is not None:
            return found.find_spec(fullname, path)
        if not rest and (stub := _stub_spec(top)) is not None:
            return stub
        other = _other_version(top)
        if other is None:
            return None
        if not rest:
            logging.getLogger("synapse").warning("%s is not on this machine; using %s for it", top, other)
        return ModuleSpec(fullname, _AliasLoader(f"{other}.{rest}".rstrip(".")), is_package=True)


def _stub_spec(top: str) -> ModuleSpec | None:
    spec = PathFinder.find_spec(top)
    if spec is None and (place := find_stub_folder(top)) is not None:
        spec = PathFinder.find_spec(top, [place])
    return spec


def _other_version(top: str) -> str | None:
    """Return the loaded version of the same plugin that is closest to `top`: same sources, else the latest."""
    wanted = PrivateName.parse(top)
    if wanted is None:
        return None
    known = [(name, parsed) for name in reversed(_attached) if (parsed := PrivateName.parse(name))]
    same_code = [(name, parsed) for name, parsed in known if parsed.slug == wanted.slug]
    same_sources = [name for name, parsed in same_code if parsed.digest == wanted.digest]
    return next(iter(same_sources or [name for name, _ in same_code]), None)


def _holds_python(folder: str) -> bool:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return False
    return any(entry.name.endswith(".py") for entry in entries) or any(
        entry.is_dir() and not is_skipped_folder(entry.path, entry.name) and _holds_python(entry.path)
        for entry in entries
    )


def attached(name: str) -> Attached | None:
    """Return the plugin of that private name, if it is attached."""
    return _attached.get(name)


def attach(name: str, folder: str, *, digest: str | None = None) -> Attached:
    """Make the modules of `folder` importable below `name`; a second call changes nothing.

    Args:
        name: A private name.
        folder: The plugin's folder, absolute.
        digest: Of the folder's sources, where the caller has just read them.

    Raises:
        ImportError: The folder has other sources than `name` says, and no copy of those was kept.
    """
    with _lock:
        if name in _attached:
            return _attached[name]
        parsed = PrivateName.parse(name)
        if parsed is None:
            raise ImportError(f"{name!r} is not a private plugin name", name=name)
        search_folder = folder
        if (digest or source_digest(read_sources(folder))) != parsed.digest:
            search_folder = kept_sources_folder(parsed) or ""
            if not os.path.isdir(search_folder):
                raise ImportError(
                    f"plugin {parsed.slug!r}: {folder} was edited, moved or deleted since it was loaded as {name}, "
                    "and no copy of that version was kept; load the plugin again",
                    name=name,
                )
        result = Attached(name, folder, search_folder)
        importlib.invalidate_caches()
        _attached[name] = result
        if not any(finder is _Finder for finder in sys.meta_path):
            sys.meta_path.insert(0, _Finder)
        if (module := sys.modules.get(name)) is not None:  # we are called by the stub
            module.__path__ = [search_folder]
        return result
