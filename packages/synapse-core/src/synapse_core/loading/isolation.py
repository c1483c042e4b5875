"""Import a plugin folder under a private name, so that no plugin ever sees another one's modules.

Each plugin gets a private top-level package whose search path is the plugin's folder. Its modules
run with an ``__import__`` of their own, by which absolute imports of the plugin's own modules
(``import plugin.model``) resolve to private names: at import, later inside functions, and from any
thread, because a function keeps the builtins of the module that defined it.

A private name stands for one version of the sources. A file that was edited or deleted since is read
from the copy that was kept of that version; a file that is new since is imported like any other.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import os
import re
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader, SourcelessFileLoader
from types import ModuleType, TracebackType
from typing import Any

from synapse_core.folders import is_skipped_folder
from synapse_core.loading.loaders import IsolatedLoader, IsolatedSourcelessLoader
from synapse_core.loading.sources import (
    file_fingerprint,
    fingerprint,
    holds_python,
    read_sources,
    source_digest,
)
from synapse_core.loading.stubs import kept_sources_folder
from synapse_core.loading.views import views_for
from synapse_core.private_names import PrivateName, with_plain_names

__all__ = ["Attached", "all_attached", "attach", "attached"]

_lock = threading.RLock()
_attached: dict[str, Attached] = {}


class Attached:
    """One version of a plugin folder under its private name.

    Attributes:
        name: The private top-level name.
        folder: The plugin's folder, absolute.
        builtins: What its modules have as builtins.
        is_loaded: Whether it was asked for in this process, rather than needed by a pickle.
    """

    def __init__(self, name: PrivateName, folder: str, sources: Mapping[str, bytes]) -> None:
        self.name = str(name)
        self.folder = folder
        self.is_loaded = False
        self.builtins: dict[str, Any] = {**vars(builtins), "__import__": self._import}
        self._kept = kept_sources_folder(name)
        self._fingerprints = {path: fingerprint(content) for path, content in sources.items()}
        self._root_names = {os.path.basename(folder), name.slug}
        self._views = views_for(self.private, self._show_plain_name)
        self._owned: dict[str, bool] = {}

    def import_module(self, name: str) -> ModuleType:
        """Import `name` as the plugin's own code would; for its own modules, by the name it uses for them."""
        return self.import_own(name) if self.owns(name.partition(".")[0]) else importlib.import_module(name)

    def import_own(self, name: str) -> ModuleType:
        """Import one of the plugin's own modules, also where an installed one goes before it."""
        private = f"{self.name}.{name}"
        try:
            builtins.__import__(private)
        except ModuleNotFoundError as error:
            self._show_plain_name(error)
            raise
        return sys.modules[private]

    def private(self, name: str) -> str:
        """Return the private name for one of the plugin's own modules (``m`` or ``m:attribute``), others unchanged."""
        if name.startswith(".") or not self.owns(re.split("[.:]", name, maxsplit=1)[0]):
            return name
        return f"{self.name}.{name}"

    def owns(self, top: str) -> bool:
        """Say whether a top-level name is a module of the plugin.

        As on ``sys.path``, builtin modules come first, and a folder without ``__init__.py`` gives way to
        an installed package of that name.
        """
        known = self._owned.get(top)
        if known is not None:
            return known
        owned = self._decide(top)
        if owned:  # while an action may be about to write a module that is not there yet
            self._owned[top] = True
        return owned

    def _decide(self, top: str) -> bool:
        if not top or top == "__main__" or top in sys.builtin_module_names:
            return False
        builtins.__import__(self.name)  # PathFinder looks at the parent's path
        found = self._find_top(f"{self.name}.{top}", top)
        if found is None or found.origin is not None:
            return found is not None
        return self._holds_python(top) and not _is_installed(top)

    def find_spec(self, fullname: str, path: Sequence[str] | None, *, anew: bool = False) -> ModuleSpec | None:
        """Return the spec of one of the plugin's modules, by its private name.

        Args:
            fullname: The private name.
            path: Search path of the package it is in.
            anew: Whether it is being reloaded, which is a wish for the file as it is now.
        """
        rest = fullname[len(self.name) + 1 :]
        if not rest:
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [self.folder]
            return spec
        if "." not in rest:
            found = self._find_top(fullname, rest, anew=anew)
        else:
            found = self._find_version(fullname, path or (), anew=anew)
        if found is None or found.origin is None:
            return found
        path_read, found.origin = found.origin, self._in(self.folder, found.origin)
        if isinstance(found.loader, SourceFileLoader):
            found.loader = IsolatedLoader(fullname, path_read, found.origin, self.builtins)
        elif isinstance(found.loader, SourcelessFileLoader):
            found.loader = IsolatedSourcelessLoader(fullname, path_read, self.builtins)
        found.cached = None
        if found.submodule_search_locations is not None:
            found.submodule_search_locations = [
                self._in(self.folder, place) for place in found.submodule_search_locations
            ]
        return found

    def _find_top(self, fullname: str, top: str, *, anew: bool = False) -> ModuleSpec | None:
        found = self._find_version(fullname, [self.folder], anew=anew)
        if found is not None and (found.origin is not None or self._holds_python(top)):
            return found
        if top not in self._root_names or "__init__.py" not in self._fingerprints:
            return found
        init = os.path.join(self.folder, "__init__.py")  # the folder is itself a package
        kept = os.path.join(self._kept or "", "__init__.py")
        if not anew and not self._is_as_it_was(init) and os.path.isfile(kept):
            init = kept
        return importlib.util.spec_from_file_location(fullname, init, submodule_search_locations=[self.folder])

    def _holds_python(self, top: str) -> bool:
        path = os.path.join(self.folder, top)
        return any(file.startswith(f"{top}/") for file in self._fingerprints) or (
            not is_skipped_folder(path, top) and holds_python(path)
        )

    def _find_version(self, fullname: str, path: Iterable[str], *, anew: bool = False) -> ModuleSpec | None:
        path = list(path)
        now = _look(fullname, [self._in(self.folder, place) for place in path])
        if now is not None and (anew or (now.origin is not None and self._is_as_it_was(now.origin))):
            return now
        kept = self._kept
        before = _look(fullname, [self._in(kept, place) for place in path]) if kept and os.path.isdir(kept) else None
        if now is None or (before is not None and before.origin is not None):
            return before
        return now

    def _is_as_it_was(self, file: str) -> bool:
        expected = self._fingerprints.get(os.path.relpath(file, self.folder).replace(os.sep, "/"))
        return expected is not None and expected == file_fingerprint(file)

    def _in(self, base: str, place: str) -> str:
        """Return the place in `base` for one in the plugin's folder or among the kept sources."""
        for known in (self._kept, self.folder):
            if known and (place == known or place.startswith(known + os.sep)):
                return base + place[len(known) :]
        return place

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        try:
            top = name.partition(".")[0]
            own = level == 0 and self.owns(top)
            module = builtins.__import__(f"{self.name}.{name}" if own else name, globals, locals, fromlist or (), level)
            if own and not fromlist:
                return sys.modules[f"{self.name}.{top}"]
            if level == 0 and not own:
                self._owned.setdefault(top, False)
                return self._views.get(name if fromlist else top, module)
            self._check_names(module, fromlist or ())
            return module
        except BaseException as error:
            if isinstance(error, ModuleNotFoundError):
                self._show_plain_name(error)
            error.__traceback__ = _without_own_frames(error.__traceback__)
            raise

    def _check_names(self, module: ModuleType, names: Sequence[str]) -> None:
        """Do what ``from module import name`` does next, whose message would show the private name."""
        for name in names:
            if name == "*" or hasattr(module, name) or f"{module.__name__}.{name}" in sys.modules:
                continue
            plain = with_plain_names(f"{module.__name__}.").rstrip(".") or os.path.basename(self.folder)
            file = getattr(module, "__file__", None)
            circular = getattr(getattr(module, "__spec__", None), "_initializing", False)
            raise ImportError(
                f"cannot import name {name!r} from {'partially initialized module ' if circular else ''}{plain!r} "
                f"{'(most likely due to a circular import) ' if circular else ''}({file or 'unknown location'})",
                name=plain,
                path=file,
            )

    def _show_plain_name(self, error: ModuleNotFoundError) -> None:
        prefix = f"{self.name}."
        if error.name and error.name.startswith(prefix):
            error.name = error.name.removeprefix(prefix)
            error.msg = str(error.msg).replace(prefix, "")
            error.args = (error.msg,)


def _without_own_frames(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


def _look(fullname: str, places: list[str]) -> ModuleSpec | None:
    found = PathFinder.find_spec(fullname, places)
    if found is None:  # perhaps just written: what Python knows of a folder may be some milliseconds old
        for place in places:
            sys.path_importer_cache.pop(place, None)
        found = PathFinder.find_spec(fullname, places)
    return found


@cache
def _installed_places() -> tuple[str, ...]:
    import sysconfig  # reads a large module of settings

    keys = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple({os.path.realpath(sysconfig.get_path(key)) + os.sep for key in keys})


def _is_installed(top: str) -> bool:
    """Say whether a regular module of that name is there for everybody, not just in this folder or another plugin."""
    from synapse_core.config_file import CONFIG_NAMES

    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    if spec is None or spec.origin is None:  # nothing, or a folder without __init__.py too
        return False
    if spec.origin in ("built-in", "frozen"):
        return True
    origin = os.path.realpath(spec.origin)
    if origin.startswith(_installed_places()):
        return True
    above = os.path.dirname(os.path.dirname(origin) if spec.submodule_search_locations is not None else origin)
    passing = {os.path.realpath(place) for place in (os.getcwd(), sys.path[0] if sys.path else "")}
    return above not in passing and not any(os.path.isfile(os.path.join(above, name)) for name in CONFIG_NAMES)


def attached(name: str) -> Attached | None:
    """Return the plugin of that private name, if it is attached."""
    return _attached.get(name)


def all_attached() -> list[Attached]:
    """Return what is attached, the latest first."""
    return list(_attached.values())[::-1]


def attach(name: str, folder: str, *, sources: Mapping[str, bytes] | None = None, is_loaded: bool = False) -> Attached:
    """Make the modules of `folder` importable below `name`; a second call changes nothing.

    Args:
        name: A private name.
        folder: The plugin's folder, absolute.
        sources: Of the folder, where the caller has just read them.
        is_loaded: Whether somebody asks for this very version.

    Raises:
        ImportError: The folder has other sources than `name` says, and no copy of those was kept.
    """
    with _lock:
        result = _attached.get(name)
        if result is None:
            parsed = PrivateName.parse(name)
            if parsed is None:
                raise ImportError(f"{name!r} is not a private plugin name", name=name)
            result = Attached(parsed, folder, _sources_of(parsed, folder) if sources is None else sources)
            _forget_stand_ins(name)
            if (module := sys.modules.get(name)) is not None:  # we are called by the stub
                module.__path__ = [folder]
        if is_loaded:
            result.is_loaded = True
            _attached.pop(name, None)  # to stand last: it is the latest now
        _attached.setdefault(name, result)
        return result


def _sources_of(name: PrivateName, folder: str) -> dict[str, bytes]:
    for place in (folder, kept_sources_folder(name)):
        if place is not None and os.path.isdir(place):
            sources = read_sources(place)
            if source_digest(sources) == name.digest:
                return sources
    raise ImportError(
        f"plugin {name.slug!r}: {folder} was edited, moved or deleted since it was loaded as {name}, "
        "and no copy of that version was kept; load the plugin again",
        name=str(name),
    )


def _forget_stand_ins(name: str) -> None:
    """Drop modules of another version that have served for this one until now."""
    for known in [key for key in sys.modules if key == name or key.startswith(f"{name}.")]:
        if getattr(sys.modules.get(known), "__name__", known) != known:
            del sys.modules[known]
