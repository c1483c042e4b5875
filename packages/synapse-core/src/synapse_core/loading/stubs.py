"""What is left on disk so that other processes find a plugin's private name again.

``<cache>/plugins/paths/<hash of the plugin's path>/<private name>/__init__.py`` is a stub that attaches
the plugin; its folder is put on ``sys.path``, which spawned and forkserver children inherit.
``<cache>/plugins/sources/<slug>_<digest>/`` keeps that version of the sources, for children of a process
whose plugin was edited after it had been loaded.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING

from synapse_core.cache import cache_folder, write_atomically
from synapse_core.private_names import PrivateName

if TYPE_CHECKING:
    import logging

__all__ = ["find_stubbed_folder", "has_stub", "kept_sources_folder", "leave_stub"]

_VERSIONS_KEPT = 20
_PATHS_KEPT = 500
_STUB = """\
from synapse_core.loading.isolation import attach

attach(__name__, {folder!r})
"""
_STUBBED = re.compile(r"^attach\(__name__, (.*)\)$", re.MULTILINE)


def _logger() -> logging.Logger:
    import logging  # only where something is wrong

    return logging.getLogger("synapse")


def _plugins_folder() -> str | None:
    cache = cache_folder()
    return os.path.join(cache, "plugins") if cache else None


def _place_of(plugins: str, folder: str) -> str:
    return os.path.join(plugins, "paths", hashlib.sha256(os.fsencode(folder)).hexdigest()[:16])


def _stub_in(place: str, name: str) -> str:
    return os.path.join(place, name, "__init__.py")


def kept_sources_folder(name: PrivateName) -> str | None:
    """Return the folder for this version's sources, which need not exist yet."""
    plugins = _plugins_folder()
    return os.path.join(plugins, "sources", f"{name.slug}_{name.digest}") if plugins else None


def leave_stub(name: PrivateName, folder: str, sources: Mapping[str, bytes]) -> None:
    """Write stub and sources where they are missing, and put the stub on ``sys.path``.

    A machine without a writable place does without: only child processes need it.
    """
    plugins, kept = _plugins_folder(), kept_sources_folder(name)
    if plugins is None or kept is None:
        _logger().info("no writable cache folder: child processes cannot find plugin classes")
        return
    place = _place_of(plugins, folder)
    try:
        if not _is_in_use(os.path.dirname(_stub_in(place, str(name)))):
            write_atomically(_stub_in(place, str(name)), _STUB.format(folder=folder).encode("utf-8", "surrogateescape"))
            _forget_oldest(place, re.compile("_.*"), _VERSIONS_KEPT)
            _forget_oldest(os.path.dirname(place), re.compile("[0-9a-f]+"), _PATHS_KEPT)
        os.utime(place)
        if not _is_in_use(kept):
            _keep_sources(kept, sources)
            versions = re.compile(re.escape(name.slug) + "_[0-9a-f]{16}")
            _forget_oldest(os.path.dirname(kept), versions, _VERSIONS_KEPT)
    except OSError as error:
        _logger().warning("child processes may not find plugin classes: %s", error)
    if place not in sys.path:
        sys.path.append(place)


def _is_in_use(folder: str) -> bool:
    """Say whether `folder` is there, and if so make it the newest, which is forgotten last."""
    try:
        os.utime(folder)
    except OSError:
        return os.path.isdir(folder)
    return True


def _keep_sources(kept: str, sources: Mapping[str, bytes]) -> None:
    os.makedirs(os.path.dirname(kept), exist_ok=True)
    temporary = tempfile.mkdtemp(prefix=".writing-", dir=os.path.dirname(kept))
    try:
        for relative, content in sources.items():
            path = os.path.join(temporary, *relative.split("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content)
        os.rename(temporary, kept)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        if not os.path.isdir(kept):  # unless somebody else was faster, with the same content
            raise


def _forget_oldest(folder: str, names: re.Pattern[str], count: int) -> None:
    found = []
    for entry in os.scandir(folder):
        if names.fullmatch(entry.name):
            try:
                found.append((entry.stat().st_mtime_ns, entry.path))
            except OSError:  # somebody else is forgetting too
                continue
    for _, path in sorted(found, reverse=True)[count:]:
        shutil.rmtree(path, ignore_errors=True)


def has_stub(folder: str, name: str) -> bool:
    """Say whether the plugin in `folder` was once loaded as `name`."""
    plugins = _plugins_folder()
    return plugins is not None and os.path.exists(_stub_in(_place_of(plugins, folder), name))


def find_stubbed_folder(name: str) -> str | None:
    """Return the folder of the plugin that was once loaded as `name`; ``None`` if nothing says so."""
    plugins = _plugins_folder()
    places = [place for place in sys.path if place]
    if plugins is not None:
        with contextlib.suppress(OSError):  # nothing was ever kept
            places += [entry.path for entry in os.scandir(os.path.join(plugins, "paths"))]
    for place in places:
        with contextlib.suppress(OSError), open(_stub_in(place, name), encoding="utf-8") as file:
            if (found := _STUBBED.search(file.read())) is not None:
                return str(ast.literal_eval(found[1]))
    return None
