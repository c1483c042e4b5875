"""Which files a source of Arrow data means."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from fsspec.utils import glob_translate

from synapse_core.errors import PluginError, ValidationError
from synapse_flow.failures import PlaceNotFoundError, store_error
from synapse_flow.file_systems import beside, file_system, is_local, reason
from synapse_flow.urls import shown_url
from synapse_flow.used_files import UsedFile, used_file

__all__ = ["FORMATS", "DataFile", "find_files", "identity_of", "means", "used_now"]

FORMATS = ("auto", "parquet", "arrow")

_PARQUET_SUFFIXES = (".parquet", ".pq", ".parq")
_ARROW_SUFFIXES = (".arrow", ".arrows", ".feather", ".ipc")
_SUFFIXES = {
    "auto": _PARQUET_SUFFIXES + _ARROW_SUFFIXES,
    "parquet": _PARQUET_SUFFIXES,
    "arrow": _ARROW_SUFFIXES,
}
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_PARTITION = re.compile(r"([^/=]+)=([^/]*)")


@dataclass(frozen=True)
class DataFile:
    """One file of a source.

    Attributes:
        name: For messages; without a password.
        path: In its file system.
        size: In bytes.
        changed: When, or another mark by which a changed file is known.
        options: Of the file system, which may hold secrets.
        partition: Columns that its folders name, as in ``year=2024/``.
    """

    fs: Any
    name: str
    path: str
    size: int
    changed: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    partition: Mapping[str, int | str | None] = field(default_factory=dict)

    @property
    def is_local(self) -> bool:
        """Whether it is a file of this machine."""
        return _is_local(self.fs)

    def reason(self, error: Exception) -> str:
        """Return what an error says, without secrets, in a line."""
        return reason(error, self.name, self.options).partition("\n")[0]


def find_files(sources: Sequence[str], format: str, options: Mapping[str, Any]) -> list[DataFile]:
    """Return the files that paths, URLs, folders and patterns mean, in the order of the sources, and by name in each.

    Raises:
        ValidationError: One of them means no file.
    """
    return [found for source in sources for found in _files_of(source, format, options)]


def used_now(sources: Sequence[str], format: str, options: Mapping[str, Any]) -> Iterator[UsedFile]:
    """Yield the files that sources mean now; those of stores as they are written."""
    for source in sources:
        if not is_local(source.rpartition("::")[2]):
            yield used_file(source, options)
            continue
        with suppress(Exception):  # it is said when it is opened
            for found in find_files([source], format, options):
                yield replace(used_file(found.path), name=found.name)


def means(source: str, format: str, options: Mapping[str, Any], file: UsedFile) -> bool:
    """Say whether a folder or a pattern means a file, be it there or not."""
    where, at = used_file(source, options).at, file.at
    if isinstance(where, Path) and isinstance(at, Path):
        folder, path = str(where), str(at)
    elif isinstance(where, tuple) and isinstance(at, tuple) and where[:-1] == at[:-1]:
        folder, path = str(where[-1]), str(at[-1])
    else:
        return False
    if any(mark in folder for mark in "*?["):
        return re.match(glob_translate(folder), path) is not None
    inner = path.removeprefix(folder.rstrip("/") + "/")
    hidden = any(part.startswith((".", "_")) for part in inner.split("/"))
    return inner != path and not hidden and path.lower().endswith(_SUFFIXES[format])


def _files_of(source: str, format: str, options: Mapping[str, Any]) -> list[DataFile]:
    fs, path = file_system(source, options)
    name = shown_url(source)
    try:
        fs.invalidate_cache(path)  # it remembers listings for as long as the process lives
        if fs.isfile(path):
            return [_data_file(fs, path, fs.info(path), options, name)]
        if any(mark in path for mark in "*?["):
            infos = {each: info for each, info in fs.glob(path, detail=True).items() if info.get("type") == "file"}
            if not infos:
                raise PlaceNotFoundError(f"no file matches {name}")
            return [_data_file(fs, each, infos[each], options) for each in sorted(infos)]
        if fs.isdir(path):
            return _files_in(fs, path, format, options, name)
    except PluginError:
        raise
    except Exception as error:  # every kind of storage has errors of its own
        kind = store_error(error, ValidationError)
        raise kind(f"{name} cannot be read: {reason(error, source, options)}") from error
    raise PlaceNotFoundError(f"there is no file or folder {name}{beside(source)}")


def _files_in(fs: Any, folder: str, format: str, options: Mapping[str, Any], name: str) -> list[DataFile]:
    """Return the files of a folder and those below it; names that begin with ``.`` or ``_`` are those of tools."""
    base = folder.rstrip("/") + "/"
    infos = {
        path: info
        for path, info in fs.find(folder, detail=True).items()
        if not any(part.startswith((".", "_")) for part in path.removeprefix(base).split("/"))
    }
    wanted = {path: info for path, info in infos.items() if path.lower().endswith(_SUFFIXES[format])}
    if not wanted and format != "auto":
        wanted = infos  # files of some tools have no suffix, and the format is said
    if not wanted:
        some = ", ".join(sorted(path.removeprefix(base) for path in infos)[:5]) or "no files"
        raise ValidationError(
            f"the folder {name} has no file that ends with {', '.join(_SUFFIXES[format])}; it has: {some}. Where they "
            "are Parquet or Arrow files of other names, say so with format="
        )
    texts = {path: _partition_of(path.removeprefix(base)) for path in wanted}
    numbers = {
        key
        for key in {key for each in texts.values() for key in each}
        if all(re.fullmatch(r"-?\d{1,18}", text) for each in texts.values() if (text := each.get(key)) is not None)
    }
    files = []
    for path in sorted(wanted):
        partition = {
            key: int(text) if text is not None and key in numbers else text for key, text in texts[path].items()
        }
        files.append(replace(_data_file(fs, path, wanted[path], options), partition=partition))
    return files


def _partition_of(path: str) -> dict[str, str | None]:
    parts = (_PARTITION.fullmatch(part) for part in path.split("/")[:-1])
    texts = {match[1]: unquote(match[2]) for match in parts if match}
    return {key: None if text == _NO_VALUE else text for key, text in texts.items()}


def _data_file(
    fs: Any, path: str, info: Mapping[str, Any], options: Mapping[str, Any], name: str | None = None
) -> DataFile:
    if name is None:
        name = path if _is_local(fs) else shown_url(str(fs.unstrip_protocol(path)))
    changed = info.get("mtime") or info.get("LastModified") or info.get("ETag")
    return DataFile(fs, name, path, info.get("size") or 0, str(changed), options)


def _is_local(fs: Any) -> bool:
    return "file" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)


def identity_of(files: Iterable[DataFile]) -> dict[str, Any]:
    """Return what tells these files from others; of a size that does not grow with their number."""
    files = list(files)
    digest = hashlib.sha256()
    for each in files:
        digest.update(f"{each.name}\0{each.size}\0{each.changed}\n".encode())
    return {"file": files[0].name if files else None, "files": len(files), "digest": digest.hexdigest()[:32]}
