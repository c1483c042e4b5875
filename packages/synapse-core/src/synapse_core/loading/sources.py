"""The source files of a plugin folder, and the digest that names a version of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES

from synapse_core.folders import is_skipped_folder

__all__ = ["read_sources", "source_digest"]

_SUFFIXES = (".py", *EXTENSION_SUFFIXES)
_DIGEST_CHARACTERS = 16


def _source_files(folder: str) -> Iterator[str]:
    seen = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not is_skipped_folder(os.path.join(parent, name), name))
        for name in files:
            if name.endswith(_SUFFIXES):
                yield os.path.relpath(os.path.join(parent, name), folder)


def read_sources(folder: str) -> dict[str, bytes]:
    """Return the content of every source file by its path in the folder, with ``/``, in sorted order."""
    sources = {}
    for relative in _source_files(folder):
        with open(os.path.join(folder, relative), "rb") as file:
            sources[relative.replace(os.sep, "/")] = file.read()
    return dict(sorted(sources.items()))


def source_digest(sources: dict[str, bytes]) -> str:
    """Return 16 hex digits that change when any source file does, wherever the folder lies."""
    digest = hashlib.sha256()
    for path, content in sources.items():
        digest.update(f"{path}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:_DIGEST_CHARACTERS]
