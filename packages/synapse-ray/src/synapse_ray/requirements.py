"""What is to be installed on a worker: requirement files and the wheels that travel with a plugin."""

from __future__ import annotations

import codecs
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qsl

from packaging.requirements import InvalidRequirement, Requirement

from synapse_core.errors import ConfigError, nearest
from synapse_core.redaction import HIDDEN, looks_secret, looks_secret_value
from synapse_ray.packaging.package import pack
from synapse_ray.packaging.wheels import below, find_wheels

__all__ = [
    "Requirements",
    "WORKING_DIR",
    "find_wheels",
    "hide_passwords",
    "holds_password",
    "read_lines",
    "read_requirements",
    "wheel_lines",
]

WORKING_DIR = "${RAY_RUNTIME_ENV_CREATE_WORKING_DIR}"
"""Where the package lies on the node that installs; pip and uv put the folder in its place (Ray 2.51 and later)."""

_PATHS = {"-r": "-r", "--requirement": "-r", "-c": "-c", "--constraint": "-c"}
_EDITABLE = {"-e", "--editable"}
_LINKS = {"-f", "--find-links"}
_WITH_VALUE = {
    "-i", "--index-url", "--pypi-url", "--extra-index-url", "--no-binary", "--only-binary", "--trusted-host",
    "--use-feature", *_LINKS,
}  # fmt: skip
_WITHOUT_VALUE = {"--no-index", "--prefer-binary", "--require-hashes", "--pre"}
_KNOWN = {*_PATHS, *_EDITABLE, *_WITH_VALUE, *_WITHOUT_VALUE}

_COMMENT = re.compile(r"(^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
_ARCHIVE = re.compile(r"\.(?:whl|zip|tar\.(?:gz|bz2|xz|lzma|Z)|tgz|tbz|txz|tlz|tar)$", re.IGNORECASE)
_LINE_OPTION = re.compile(r"\s--?[A-Za-z].*$")  # as in ``numpy==2.0 --hash=sha256:…``
_EXTRAS = re.compile(r"\[[\w.,\s-]*\]$")
_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:(?P<user>[^\s/@]*)@)?[^\s?#]*(?:\?(?P<query>[^\s#]*))?", re.I)
_LONGEST_USER = 19
_MARK_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Requirements:
    """What requirement lines ask for.

    Attributes:
        packages: Requirement lines; a file that travels with the plugin is named below `WORKING_DIR`, with a comment
            that changes with its contents.
        options: Lines such as ``--index-url …``, to stand before the packages.
        travelling: The files and folders that have to be on the node, relative to the working directory.
    """

    packages: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    travelling: tuple[str, ...] = ()


def read_requirements(path: str | os.PathLike[str], *, working_dir: Path | None = None) -> Requirements:
    """Read a requirements file as pip does, with the files that it includes.

    Args:
        path: The file.
        working_dir: The folder that travels. Without one, a relative path to a wheel is an error.

    Raises:
        ConfigError: The file or one that it includes is missing, includes itself, or has a line that is broken, would
            show a password, or asks for something that is not there on a worker.
    """
    reader = _Reader(working_dir)
    reader.read_file(Path(path).expanduser().absolute(), None)
    return reader.result()


def read_lines(lines: Sequence[str], what: str, *, working_dir: Path | None = None) -> Requirements:
    """Read requirement lines that stand in code, as ``runtime_env['pip']`` has them.

    Args:
        lines: The lines; relative paths start in `working_dir`, else in the current folder.
        what: Where they stand, for messages.
        working_dir: The folder that travels.

    Raises:
        ConfigError: As `read_requirements`.
    """
    reader = _Reader(working_dir)
    base = working_dir or Path.cwd()
    for index, line in enumerate(lines):
        if not isinstance(line, str):
            raise ConfigError(f"{what}[{index}]: expected a requirement as text, found a {type(line).__name__}")
        reader.read_line(_COMMENT.sub("", line).strip(), _Place(f"{what}[{index}]", base))
    return reader.result()


# -- passwords --------------------------------------------------------------------------------


def holds_password(text: str) -> bool:
    """Say whether a requirement or an option has a password or a token in it.

    ``${NAME}`` is none: pip and uv put in what that variable is on the node.
    """
    text = _VARIABLE.sub("", text)
    if looks_secret_value(text):
        return True
    for url in _URL.finditer(text):
        user = url["user"] or ""
        if user.rpartition(":")[2] and ":" in user:
            return True
        if len(user) > _LONGEST_USER and "ssh" not in url["scheme"].lower():
            return True  # a token in the user's place; git@ and the like are short
        if any(value and looks_secret(name) for name, value in parse_qsl(url["query"] or "")):
            return True
    return False


def hide_passwords(text: str) -> str:
    """Return `text` for a message: without what stands before the host and behind the ``?`` in its URLs."""

    def hidden(url: re.Match[str]) -> str:
        shown = url[0]
        if url["query"] and holds_password(shown):
            shown = shown.replace(f"?{url['query']}", f"?{HIDDEN}")
        if url["user"] and holds_password(f"{url['scheme']}://{url['user']}@host"):
            shown = shown.replace(f"://{url['user']}@", f"://{HIDDEN}@", 1)
        return shown

    text = _URL.sub(hidden, text)
    return HIDDEN if holds_password(text.replace(HIDDEN, "")) else text


# -- lines ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a line stands, and the folder that its relative paths start in."""

    name: str
    base: Path
    file: Path | None = None
    line: int | None = None

    def error(self, problem: str) -> ConfigError:
        return ConfigError(f"{self.name}: {problem}", path=str(self.file) if self.file else None, line=self.line)


@dataclass
class _Reader:
    working_dir: Path | None
    packages: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    travelling: list[str] = field(default_factory=list)
    open_files: list[Path] = field(default_factory=list)

    def result(self) -> Requirements:
        unique = (tuple(dict.fromkeys(lines)) for lines in (self.packages, self.options, self.travelling))
        return Requirements(*unique)

    def read_file(self, path: Path, place: _Place | None) -> None:
        """Read a requirements file, which `place` includes."""
        name = path.resolve()
        if name in self.open_files:
            chain = " -> ".join(str(file) for file in [*self.open_files, name])
            raise (place or _Place(str(path), path.parent)).error(
                f"a requirements file that includes itself: {chain}; remove one of these lines"
            )
        self.open_files.append(name)
        for number, line in _logical_lines(_text(path, place)):
            self.read_line(line, _Place(f"{path}:{number}", path.parent, path, number))
        self.open_files.pop()

    def read_line(self, line: str, place: _Place) -> None:
        """Read a line without its comment."""
        if not line:
            return
        if holds_password(line):
            raise place.error(
                "a password or token stands here, and Ray shows what a worker installs in clear text, in its dashboard "
                "and to every client. Remove it, and give it to the nodes: in pip.conf or uv.toml, in ~/.netrc, by a "
                "keyring, or as ${NAME} of a variable that the nodes' own environment has"
            )
        if line.startswith("-"):
            self._read_option(line, place)
        elif (path := _local_path(line)) is not None:
            reference, mark = self._reference(path, place)
            if re.match(r"[\w.-]+(?:\[[^\]]*\])?\s*@", line):
                reference = f"file://{reference}"  # a named requirement takes URLs only
            self.packages.append(line.replace(path, reference, 1) + mark)
        else:
            _check_requirement(line, place)
            self.packages.append(line)

    def _read_option(self, line: str, place: _Place) -> None:
        name, value = _split_option(line)
        if name not in _KNOWN:
            raise place.error(
                f"unknown option {name!r}.{nearest(name, _KNOWN)} A requirements file may have "
                f"{', '.join(sorted(_KNOWN - _EDITABLE))}; options of the command line belong in "
                "package_manager_options"
            )
        if (value is None) != (name in _WITHOUT_VALUE):
            raise place.error(f"{name} {'takes no value' if value else 'needs a value'}")
        if name in _EDITABLE:
            raise place.error(
                f"{line!r}: nothing can be installed editable on a worker. The files of working_dir are importable "
                "there as they are; to install a folder of it as a package, write its path without -e"
            )
        if value is None or (name not in _PATHS and name not in _LINKS) or _VARIABLE.search(value):
            self.options.append(line)
        elif "://" in value:
            if _PATHS.get(name) == "-r":
                raise place.error(f"{name} takes no URL on a worker; download the file and name the copy")
            self.options.append(line)
        elif _PATHS.get(name) == "-r":
            self.read_file(_resolved(value, place), place)
        else:
            if name in _PATHS:
                # What it holds back is for the installer to read; here it only has to be there and to be sound.
                constraints = _Reader(self.working_dir, open_files=self.open_files)
                constraints.read_file(_resolved(value, place), place)
            reference, mark = self._reference(value, place)
            self.options.append(f"{name} {reference}{mark}")

    def _reference(self, path: str, place: _Place) -> tuple[str, str]:
        """Return what a local path is on the node, and a comment that changes with the contents.

        Ray keeps an installed environment under its list of requirements: without the comment, a wheel that was built
        again under its old name would never be installed.
        """
        if _VARIABLE.search(path):
            return path, ""
        found = _resolved(path, place)
        inside = below(found, self.working_dir) if self.working_dir is not None else None
        if inside is None:
            if os.path.isabs(path) or path.startswith("~"):
                return path, ""  # something that lies on the nodes
            where = (
                f"outside of working_dir ({self.working_dir})" if self.working_dir else "and there is no working_dir"
            )
            raise place.error(
                f"{path!r} is a path on this machine, {where}: it does not travel to the workers. Put it into the "
                "plugin's folder, or name an absolute path that every node has"
            )
        if not found.exists():
            raise place.error(f"there is no {path!r} at {found}")
        self.travelling.append(inside)
        return (WORKING_DIR if inside == "." else f"{WORKING_DIR}/{inside}"), content_mark(found)


def _split_option(line: str) -> tuple[str, str | None]:
    """Return the name of an option and its value: ``--name value``, ``--name=value``, ``-n value``, ``-nvalue``."""
    name, value = [*re.split(r"[\s=]+", line, maxsplit=1), ""][:2]
    if not name.startswith("--") and len(name) > 2 and name[:2] in _KNOWN:
        name, value = name[:2], f"{name[2:]} {value}".strip()
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1]
    return name, value or None


def _check_requirement(line: str, place: _Place) -> None:
    if _VARIABLE.search(line) or re.match(r"[a-z+]+://", line, re.IGNORECASE):
        return  # only the installer can tell
    try:
        Requirement(_LINE_OPTION.sub("", line))
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0].rstrip(". ")
        raise place.error(f"{hide_passwords(line)!r} is not a requirement: {hide_passwords(reason)}") from None


def _local_path(line: str) -> str | None:
    """Return the path in a requirement that names a file or folder of this machine."""
    bare = _LINE_OPTION.sub("", re.split(r"\s;|;\s", line, maxsplit=1)[0]).strip()
    named = re.match(r"[\w.-]+(?:\[[^\]]*\])?\s*@\s*(\.{1,2}/.*)$", bare)
    if named:
        return named[1].strip()
    path = _EXTRAS.sub("", bare).strip()
    if "://" in path or " @" in path or path.startswith("file:"):
        return None
    return path if path.startswith((".", "/", "~")) or "/" in path or _ARCHIVE.search(path) else None


def _resolved(path: str, place: _Place) -> Path:
    return Path(os.path.normpath(place.base / Path(path).expanduser()))


def content_mark(path: Path) -> str:
    """Return a comment that names the contents of a file or folder."""
    if path.is_dir():
        return f"  # {pack(path).digest[:_MARK_LENGTH]}"
    status = path.stat()
    return f"  # {_file_digest(path, status.st_size, status.st_mtime_ns, status.st_ino)[:_MARK_LENGTH]}"


@lru_cache(maxsize=256)
def _file_digest(path: Path, size: int, mtime_ns: int, inode: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(path: Path, place: _Place | None) -> str:
    """Return the text of a requirements file; PowerShell writes UTF-16."""
    try:
        content = path.read_bytes()
    except OSError as error:
        problem = f"the requirements file {path} cannot be read: {error.strerror or error}"
        raise (place.error(problem) if place else ConfigError(problem, path=str(path))) from error
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 text: {error.reason}", path=str(path), line=line) from None


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines without comments, those that end with a backslash joined, each with the number of its first."""
    joined: list[str] = []
    first = 0
    for number, line in enumerate(text.splitlines(), 1):
        comment = line.lstrip().startswith("#")
        first = first if joined else number
        if line.endswith("\\") and not comment:
            joined.append(line.rstrip("\\"))
            continue
        joined.append(f" {line}" if comment else line)
        yield first, _COMMENT.sub("", "".join(joined)).strip()
        joined = []
    if joined:
        yield first, _COMMENT.sub("", "".join(joined)).strip()


# -- wheels -----------------------------------------------------------------------------------


def wheel_lines(working_dir: Path, wheels: Iterable[str]) -> Requirements:
    """Return wheels of the working directory as requirements."""
    found = tuple(wheels)
    lines = tuple(f"{WORKING_DIR}/{wheel}{content_mark(working_dir / wheel)}" for wheel in found)
    return Requirements(packages=lines, travelling=found)
