"""Results outside the cluster, in a folder that a URL names (``s3://…``, ``gs://…``, ``file:///…``).

A result is ``URL/JOB_ID/NAME.result``, where each submission has a NAME of its own, which the cluster knows. So a job
whose id was used before does not take the earlier one's result for its own.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synapse_core.errors import BackendError, BackendMissingError
from synapse_core.safe_text import safe_str
from synapse_ray.addresses import shown_url
from synapse_ray.names import check_job_id

__all__ = [
    "announce_result",
    "delete_result",
    "has_result",
    "newest_result",
    "open_result",
    "put_result",
    "require_storage",
]

_NAME = re.compile(r"([0-9a-f]{32})\.result")
_UNFINISHED = ".unfinished"
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


def announce_result(url: str, job_id: str, name: str) -> None:
    """Try with an empty file whether the result may be written, so that this is known before the work.

    Raises:
        BackendError: It may not, or cannot from here.
    """
    with _unfinished(url, job_id, name) as (system, path, target):
        target.close()
        with contextlib.suppress(Exception):  # who may write need not be allowed to delete
            system.rm_file(f"{path}{_UNFINISHED}")


def put_result(url: str, job_id: str, name: str, source: Path) -> None:
    """Copy a result to the storage; under another name until it is complete.

    Raises:
        BackendError: The storage does not take it.
    """
    with _unfinished(url, job_id, name) as (system, path, target):
        with source.open("rb") as file, target:
            shutil.copyfileobj(file, target, _PIECE)
        system.mv(f"{path}{_UNFINISHED}", path)


@contextlib.contextmanager
def _unfinished(url: str, job_id: str, name: str) -> Iterator[tuple[Any, str, Any]]:
    """Give a storage, the path of a result there, and the file that becomes it, open to be written."""
    system, root = _file_system(url)
    with _translated(f"writing the result of job {job_id!r} to", url, "Look whether it may be written from the node"):
        path = _path(root, job_id, name)
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        with system.open(f"{path}{_UNFINISHED}", "wb") as target:
            yield system, path, target


@contextlib.contextmanager
def open_result(url: str, job_id: str, name: str) -> Iterator[Iterator[bytes] | None]:
    """Give a result's bytes in pieces; ``None`` where it is not there.

    Raises:
        BackendError: The storage cannot be read.
    """
    system, root = _file_system(url)
    with _reading(job_id, url):
        path = _path(root, job_id, name)
        try:
            file = system.open(path, "rb")
        except FileNotFoundError:
            file = None
    if file is None:
        yield None
        return
    with file:
        yield _pieces(file, job_id, url)


def newest_result(url: str, job_id: str) -> str | None:
    """Return the name of the latest result of a job id, by the storage's own clock; ``None`` where there is none.

    Which submission made it only the cluster knows: for an id that was used twice it is that of the later one as soon
    as that has ended, and of the earlier one before, or where the later one left no result.

    Raises:
        BackendError: The storage cannot be read.
    """
    try:
        check_job_id(job_id)
    except ValueError:  # no job of ours; nor is anything looked for outside of the folder
        return None
    system, root = _file_system(url)
    with _reading(job_id, url):
        folder = _folder(root, job_id)
        try:
            system.invalidate_cache(folder)
            names = [_NAME.fullmatch(str(path).rpartition("/")[2]) for path in system.ls(folder, detail=False)]
        except (FileNotFoundError, NotADirectoryError):
            return None
        found = [match[1] for match in names if match]
        if len(found) < 2:  # not every kind of storage has a clock
            return found[0] if found else None
        return max(found, key=lambda name: system.modified(_path(root, job_id, name)))


def has_result(url: str, job_id: str, name: str) -> bool:
    """Say whether the storage has a result.

    Raises:
        BackendError: The storage cannot be read.
    """
    system, root = _file_system(url)
    with _reading(job_id, url):
        return bool(system.exists(_path(root, job_id, name)))


def delete_result(url: str, job_id: str, name: str) -> None:
    """Delete a result, where it is there, and the job's folder with the last one.

    Raises:
        BackendError: The storage does not let it go.
    """
    system, root = _file_system(url)
    with _translated(f"deleting the result of job {job_id!r} from", url, "Look whether it may be written from here"):
        for path in (_path(root, job_id, name), f"{_path(root, job_id, name)}{_UNFINISHED}"):
            with contextlib.suppress(FileNotFoundError):
                system.rm_file(path)
        with contextlib.suppress(Exception):  # there are no folders in this storage, or somebody else has deleted it
            if not system.ls(_folder(root, job_id), detail=False):
                system.rmdir(_folder(root, job_id))


def _pieces(file: Any, job_id: str, url: str) -> Iterator[bytes]:
    while True:
        with _reading(job_id, url):
            piece = file.read(_PIECE)
        if not piece:
            return
        yield piece


def _folder(root: str, job_id: str) -> str:
    return f"{root.rstrip('/')}/{check_job_id(job_id)}"


def _path(root: str, job_id: str, name: str) -> str:
    return f"{_folder(root, job_id)}/{name}.result"


def _reading(job_id: str, url: str) -> contextlib.AbstractContextManager[None]:
    return _translated(f"reading the result of job {job_id!r} from", url, "Look whether it may be read from here")


@contextlib.contextmanager
def _translated(doing: str, url: str, hint: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # every kind of storage has errors of its own
        raise BackendError(
            f"{doing} the storage {shown_url(url)} failed: {type(error).__name__}: {safe_str(error)}. "
            f"{hint}, and ask again"
        ) from error


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
        scheme = url.partition("://")[0]
        raise BackendError(
            f"storage={scheme}://… cannot be opened: {safe_str(error)}. What opens it is needed here and on the nodes"
        ) from error
    return found
