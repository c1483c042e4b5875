"""What is left on disk so that other processes find a plugin's private name again.

``<cache>/plugins/paths/<hash of the plugin's path>/<private name>/__init__.py`` is a stub that attaches
the plugin; its folder is put on ``sys.path``, which spawned and forkserver children inherit.
``<cache>/plugins/sources/<slug>_<digest>/`` keeps that version of the sources, for children of a process
whose plugin was edited after it had been loaded.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sys

from synapse_core.cache import cache_folder, write_atomically
from synapse_core.loading.private_names import PrivateName

__all__ = ["find_stub_folder", "kept_sources_folder", "leave_stub"]

_VERSIONS_KEPT = 20
_STUB = """\
from synapse_core.loading.isolation import attach

attach(__name__, {folder!r})
"""


def _plugins_folder() -> str | None:
    cache = cache_folder()
    return os.path.join(cache, "plugins") if cache else None


def kept_sources_folder(name: PrivateName) -> str | None:
    """Return the folder for this version's sources, which need not exist yet."""
    plugins = _plugins_folder()
    return os.path.join(plugins, "sources", f"{name.slug}_{name.digest}") if plugins else None


def leave_stub(name: PrivateName, folder: str, sources: dict[str, bytes]) -> None:
    """Write stub and sources where they are missing, and put the stub on ``sys.path``.

    A machine without a writable place does without: only child processes need it.
    """
    plugins, kept = _plugins_folder(), kept_sources_folder(name)
    if plugins is None or kept is None:
        logging.getLogger("synapse").info("no writable cache folder: child processes cannot find plugin classes")
        return
    place = os.path.join(plugins, "paths", hashlib.sha256(folder.encode()).hexdigest()[:16])
    try:
        if not os.path.exists(os.path.join(place, str(name), "__init__.py")):
            write_atomically(os.path.join(place, str(name), "__init__.py"), _STUB.format(folder=folder).encode())
            _forget_oldest(place)
        if not os.path.isdir(kept):
            _keep_sources(kept, sources)
            _forget_oldest(os.path.dirname(kept), only=f"{name.slug}_")
    except OSError as error:
        logging.getLogger("synapse").warning("child processes may not find plugin classes: %s", error)
    if place not in sys.path:
        sys.path.append(place)


def _keep_sources(kept: str, sources: dict[str, bytes]) -> None:
    temporary = f"{kept}.writing-{os.getpid()}"
    for relative, content in sources.items():
        write_atomically(os.path.join(temporary, *relative.split("/")), content)
    os.makedirs(temporary, exist_ok=True)
    try:
        os.rename(temporary, kept)
    except OSError:  # another process was faster, with the same content
        shutil.rmtree(temporary, ignore_errors=True)


def _forget_oldest(folder: str, only: str = "") -> None:
    entries = [entry for entry in os.scandir(folder) if entry.name.startswith(only) and entry.is_dir()]
    entries.sort(key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in entries[_VERSIONS_KEPT:]:
        shutil.rmtree(entry.path, ignore_errors=True)


def find_stub_folder(name: str) -> str | None:
    """Return a folder that holds the stub of `name`, wherever its plugin lies; ``None`` if there is none."""
    plugins = _plugins_folder()
    if plugins is None:
        return None
    try:
        places = [entry.path for entry in os.scandir(os.path.join(plugins, "paths"))]
    except OSError:
        return None
    return next((place for place in places if os.path.exists(os.path.join(place, name, "__init__.py"))), None)
