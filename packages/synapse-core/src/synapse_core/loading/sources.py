"""The source files of a plugin folder, and the digest that names a version of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping

from synapse_core.folders import is_skipped_folder

__all__ = ["file_fingerprint", "fingerprint", "holds_python", "read_sources", "source_digest"]

_SUFFIXES = (".py", ".pyc", ".so", ".pyd")  # on every platform, so that the digest is the same on every platform
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
            if name.endswith(_SUFFIXES) and not name.startswith("."):  # '.#train.py' is an editor's lock
                yield os.path.relpath(os.path.join(parent, name), folder)


def read_sources(folder: str) -> dict[str, bytes]:
    """Return the content of every source file by its path in the folder, with ``/``, in sorted order.

    What cannot be read cannot be imported either, and is left out.
    """
    sources = {}
    for relative in _source_files(folder):
        path = os.path.join(folder, relative)
        if (content := _content(path)) is not None:
            sources[relative.replace(os.sep, "/")] = content
    return dict(sorted(sources.items()))


def holds_python(folder: str) -> bool:
    """Say whether there is a source file anywhere below `folder`."""
    return next(_source_files(folder), None) is not None


def _content(path: str) -> bytes | None:
    if not os.path.isfile(path):  # a broken link, or a pipe, which would never end
        return None
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def fingerprint(content: bytes) -> bytes:
    """Return a short stand-in for the content of one file."""
    return hashlib.sha256(content).digest()


def file_fingerprint(path: str) -> bytes | None:
    """Return the fingerprint of a file's content as it is now; ``None`` where it cannot be read."""
    content = _content(path)
    return None if content is None else fingerprint(content)


def source_digest(sources: Mapping[str, bytes]) -> str:
    """Return 16 hex digits that change when any source file does, wherever the folder lies."""
    digest = hashlib.sha256()
    for path, content in sources.items():
        digest.update(f"{path}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
        digest.update(content)
    return digest.hexdigest()[:_DIGEST_CHARACTERS]
