"""The contents of a folder under a name that follows from them."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from synapse_core.config_file import CONFIG_NAMES
from synapse_ray.packaging.config_values import without_values
from synapse_ray.packaging.errors import LargePackageWarning, PackagingError
from synapse_ray.packaging.ignoring import IGNORE_FILES
from synapse_ray.packaging.walking import FoundFile, cannot_be_read, found_file, reason, walk

__all__ = ["Package", "PackagedFile", "absolute", "pack", "pack_module", "package_of"]

_MIB = 1024 * 1024
_MOST_BYTES = 512 * _MIB  # ray._private.runtime_env.packaging.GCS_STORAGE_MAX_SIZE
_LARGE_BYTES = 50 * _MIB
_CHUNK = _MIB
_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip knows
_WEIGHTY = 0.8

_warned_of: set[str] = set()


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """One file of a package.

    Attributes:
        path: Relative to the package's folder, with slashes.
        size: Bytes.
        executable: Whether its owner may run it.
        digest: SHA-256 of its bytes, hexadecimal.
    """

    path: str
    size: int
    executable: bool
    digest: str


@dataclass(frozen=True, slots=True)
class Package:
    """The contents of a folder, named by them: equal contents have one name on every machine.

    Attributes:
        digest: SHA-256 over path, executable bit and bytes of every file, hexadecimal; times and owners do not matter.
        folder: Where the files lie.
        size: Bytes, uncompressed.
        files: Sorted by path.

    Example:
        >>> package = pack("/path/to/plugin")  # doctest: +SKIP
        >>> package.uri  # doctest: +SKIP
        'gcs://synapse_0f2a….zip'
    """

    digest: str
    folder: Path
    size: int
    files: tuple[PackagedFile, ...]

    @property
    def file_name(self) -> str:
        """Name of the zip, the same in the whole cluster."""
        return f"synapse_{self.digest[:40]}.zip"

    @property
    def uri(self) -> str:
        """Address under which Ray's workers find the zip once it is in the cluster's store."""
        return f"gcs://{self.file_name}"

    def require(self, paths: Iterable[str]) -> None:
        """Make sure that files or folders which the workers are told to install travel.

        Args:
            paths: Relative to the folder, with slashes.

        Raises:
            PackagingError: Some do not.
        """
        there = {file.path for file in self.files}
        there.update(parent for path in list(there) for parent in _parents(path))
        missing = sorted(set(paths) - there - {"."})
        if missing:
            raise PackagingError(
                f"the workers are to install {', '.join(missing)} of {self.folder}, and the ignore files "
                f"({', '.join(IGNORE_FILES)}) leave that out; take it in by a line such as '!{missing[0]}' in "
                f"{self.folder / IGNORE_FILES[-1]}"
            )

    def to_zip(self) -> bytes:
        """Return the files as a zip: the same bytes for the same contents.

        Raises:
            PackagingError: A file has changed or gone since the package was made, or the zip is too large for Ray.
        """
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for file in self.files:
                info = zipfile.ZipInfo(file.path, _DATE)
                info.compress_type = zipfile.ZIP_DEFLATED
                info.create_system = 3  # Unix, wherever it is written: the mode counts
                info.external_attr = (stat.S_IFREG | (0o755 if file.executable else 0o644)) << 16
                info.file_size = file.size
                with archive.open(info, "w") as member:
                    found = _read(self.folder, file.path, member.write)
                if found != file:
                    raise PackagingError(
                        f"{self.folder / file.path} has changed while it was packaged; start again when nothing "
                        "writes to it, or leave it out by a line in .synapseignore"
                    )
        content = buffer.getvalue()
        if len(content) >= _MOST_BYTES:
            raise _too_large(self.folder, self.files, len(content))
        return content


def pack(folder: str | os.PathLike[str], *, extra_excludes: Sequence[str] = ()) -> Package:
    """Return the contents of a folder as a package, to be unpacked as a working directory.

    Left out are what ``.gitignore``, ``.rayignore`` and ``.synapseignore`` say, in every folder and as git reads them
    (those above `folder` are not looked at), virtual environments, version control, caches and ``.env`` files. The
    ``config.yaml`` of the folder itself always travels, without the values of its ``env``.

    Args:
        folder: The folder; its own name is no part of the package.
        extra_excludes: Further patterns, as lines of an ignore file of `folder`; no file takes in what they leave out.

    Raises:
        PackagingError: There is no such folder, a file of it cannot be read, or it is too large for Ray.
    """
    root = absolute(folder)
    return package_of(root, walk(root, extra_excludes))


def pack_module(path: str | os.PathLike[str], *, extra_excludes: Sequence[str] = ()) -> Package:
    """Return a package to be unpacked beside others on the import path, as Ray's ``py_modules`` are.

    Args:
        path: A folder, whose name is kept, or a single ``.py`` file.
        extra_excludes: As those of `pack`.

    Raises:
        PackagingError: As `pack` does.
    """
    module = absolute(path)
    if module.suffix == ".py" and module.is_file():
        return package_of(module.parent, [found_file(module.name, module.stat())])
    if module.is_file():
        raise PackagingError(
            f"py_modules: {module} is neither a folder nor a .py file; a wheel is installed from the folder that "
            "wheels_dir names"
        )
    found = walk(module, extra_excludes)
    return package_of(module.parent, [file._replace(path=f"{module.name}/{file.path}") for file in found])


def absolute(folder: str | os.PathLike[str]) -> Path:
    """Return a path that stays the same when the process changes its folder."""
    return Path(folder).expanduser().absolute()


def package_of(
    folder: Path, found: Sequence[FoundFile], known: Mapping[FoundFile, PackagedFile] | None = None
) -> Package:
    """Return the package of files that were found; those in `known` are not read again."""
    known = known or {}
    size = sum(file.size for file in found)
    if size > _MOST_BYTES:
        raise _too_large(folder, found, size)
    files = tuple(known.get(file) or _read(folder, file.path) for file in found)
    digest = hashlib.sha256()
    for file in files:
        # No path holds a NUL, and both ends have a fixed length: no two lists of files give the same bytes.
        digest.update(f"{file.path}\0{int(file.executable)}{file.digest}".encode())
    package = Package(digest.hexdigest(), folder, sum(file.size for file in files), files)
    if package.size > _LARGE_BYTES and package.digest not in _warned_of:
        _warned_of.add(package.digest)
        warnings.warn(
            f"{folder}: {_amount(package.size)} travel to every node that runs the action. The biggest: "
            f"{_biggest(files)}. What the workers do not need is left out by a line in {folder / IGNORE_FILES[-1]}",
            LargePackageWarning,
            stacklevel=3,
        )
    return package


def _read(folder: Path, path: str, sink: Callable[[bytes], object] | None = None) -> PackagedFile:
    """Return what a file holds now, as it travels, its bytes also handed to `sink`."""
    digest = hashlib.sha256()
    size = 0
    try:
        with open(folder / path, "rb") as file:
            executable = bool(os.fstat(file.fileno()).st_mode & stat.S_IXUSR)
            while chunk := file.read(-1 if path in CONFIG_NAMES else _CHUNK):
                if path in CONFIG_NAMES:
                    chunk = without_values(chunk)
                digest.update(chunk)
                size += len(chunk)
                if sink is not None:
                    sink(chunk)
    except FileNotFoundError as error:
        raise PackagingError(
            f"{folder / path} has gone while it was packaged: {reason(error)}; start again when nothing writes to it, "
            "or leave it out by a line in .synapseignore"
        ) from error
    except OSError as error:
        raise cannot_be_read(folder, path, error) from error
    return PackagedFile(path, size, executable, digest.hexdigest())


def _too_large(folder: Path, files: Collection[FoundFile | PackagedFile], size: int) -> PackagingError:
    return PackagingError(
        f"{folder} holds {_amount(size)} in {len(files):,} files, and Ray takes packages of up to "
        f"{_amount(_MOST_BYTES)}. The biggest: {_biggest(files)}. Leave out what the workers do not need by a line per "
        f"file or folder in {folder / IGNORE_FILES[-1]} (written as in .gitignore), and keep large data where every "
        "node can read it"
    )


def _amount(size: int) -> str:
    return f"{size / _MIB:,.1f} MiB" if size >= _MIB / 10 else f"{size:,} bytes"


def _parents(path: str) -> list[str]:
    """Return the folders that a path lies in, outermost first."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _biggest(files: Iterable[FoundFile | PackagedFile], count: int = 5) -> str:
    """Name what weighs most: a folder where its weight is spread, else the file or folder in it that has the weight."""
    below: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for file in files:
        steps = ["", *(f"{parent}/" for parent in _parents(file.path)), file.path]
        for above, step in pairwise(steps):
            below[above][step] = below[above].get(step, 0) + file.size
    weights: dict[str, int] = {}
    for entry, weight in below[""].items():
        place = entry
        while place.endswith("/"):
            heaviest = max(below[place], key=below[place].__getitem__)
            if below[place][heaviest] < _WEIGHTY * weight:
                break
            place, weight = heaviest, below[place][heaviest]
        weights[place] = weight
    named = sorted(weights.items(), key=lambda item: (-item[1], item[0]))[:count]
    return ", ".join(f"{place} ({_amount(weight)})" for place, weight in named)
