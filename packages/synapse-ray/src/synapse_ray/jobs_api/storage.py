"""Results outside the cluster, in a folder that a URL names (``s3://…``, ``gs://…``, ``file:///…``)."""

from __future__ import annotations

import contextlib
import importlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synapse_core.errors import BackendError, BackendMissingError
from synapse_core.safe_text import safe_str

__all__ = ["open_result", "put_result", "require_storage"]

_PIECE = 1024 * 1024
_INSTALL = 'pip install "synapse-ray[storage]"'


def require_storage(url: str) -> None:
    """Raise where results cannot be written to `url` from here, before any work begins.

    Raises:
        BackendMissingError: fsspec is not installed.
        BackendError: It is no URL that fsspec knows.
    """
    if "://" not in url:
        raise BackendError(f"storage={url!r} is no URL. It looks like s3://bucket/folder or file:///shared/folder")
    _file_system(url)


def put_result(url: str, job_id: str, name: str, source: Path) -> None:
    """Copy a result to the storage; under another name until it is complete.

    Raises:
        BackendError: The storage does not take it.
    """
    system, root = _file_system(url)
    path = _path(root, job_id, name)
    try:
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        with source.open("rb") as file, system.open(f"{path}.unfinished", "wb") as target:
            shutil.copyfileobj(file, target, _PIECE)
        system.mv(f"{path}.unfinished", path)
    except Exception as error:  # every kind of storage has errors of its own
        raise BackendError(f"writing the result to the storage failed: {safe_str(error)}") from error


@contextlib.contextmanager
def open_result(url: str, job_id: str, name: str) -> Iterator[Iterator[bytes] | None]:
    """Give a result's bytes in pieces; ``None`` where it is not there."""
    system, root = _file_system(url)
    path = _path(root, job_id, name)
    try:
        file = system.open(path, "rb")
    except FileNotFoundError:
        yield None
        return
    except Exception as error:
        raise BackendError(f"reading the result from the storage failed: {safe_str(error)}") from error
    with file:
        yield iter(lambda: file.read(_PIECE), b"")


def _path(root: str, job_id: str, name: str) -> str:
    return f"{root.rstrip('/')}/{job_id}/{name}.result"


def _file_system(url: str) -> tuple[Any, str]:
    try:
        fsspec = importlib.import_module("fsspec")
    except ModuleNotFoundError:
        raise BackendMissingError(
            f"storage= needs fsspec, which is not installed: {_INSTALL}", install=_INSTALL
        ) from None
    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(url)
    except Exception as error:  # an unknown scheme, or a driver that is not installed
        raise BackendError(f"storage={url.partition('://')[0]}://… cannot be opened: {safe_str(error)}") from error
    return found
