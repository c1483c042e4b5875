"""Ignore files as git reads them.

Written here and held against git by a test: the public libraries match a folder's pattern against everything below the
folder too, so that ``*``, ``!*/``, ``!*.py`` ("nothing but Python files") leaves out the folders or takes everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

__all__ = ["IGNORE_FILES", "Patterns", "is_never_packaged", "read_patterns"]

IGNORE_FILES = (".gitignore", ".rayignore", ".synapseignore")
"""In the order in which they are read: the last pattern that matches decides."""

_VCS = {".git", ".hg", ".svn"}
_CACHES = {"__pycache__", ".ipynb_checkpoints", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".tox", ".nox"}
_FOREIGN = {"node_modules", ".DS_Store"}
_SECRETS = {".env", ".envrc"}
_NEVER = frozenset(_VCS | _CACHES | _FOREIGN | _SECRETS)

_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": r"\x21-\x7e",
    "lower": "a-z",
    "print": r"\x20-\x7e",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\s",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}


def is_never_packaged(name: str) -> bool:
    """Say whether a file or folder of this name is left out whatever the ignore files say.

    Version control, caches, and the files that hold secrets. `synapse_core.folders` leaves out more, since it looks for
    code: here a hidden folder may hold data that the action reads.
    """
    # An editor's lock, .#name, is a link to nothing.
    return name in _NEVER or name.endswith(".pyc") or name.startswith((".env.", ".#"))


class Patterns:
    """The patterns of one folder.

    Args:
        lines: Lines of ignore files; a later one outweighs those before it.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        for_files: list[str] = []
        for_folders: list[str] = []
        self._keeps: tuple[list[bool], list[bool]] = ([], [])
        for keep, folders_only, expression in reversed(list(_parsed(lines))):
            for_folders.append(f"({expression})")
            self._keeps[1].append(keep)
            if not folders_only:
                for_files.append(f"({expression})")
                self._keeps[0].append(keep)
        # The first alternative that fits is taken, and the last pattern stands first.
        self._matches = tuple(
            re.compile("|".join(parts), re.DOTALL).fullmatch if parts else None for parts in (for_files, for_folders)
        )

    def keeps(self, path: str, is_folder: bool) -> bool | None:
        """Say whether an entry is taken in or left out; ``None`` where no pattern matches.

        Args:
            path: Relative to the folder of the patterns, with slashes.
            is_folder: Whether it is a folder.
        """
        match = self._matches[is_folder]
        found = match(path) if match is not None else None
        return self._keeps[is_folder][(found.lastindex or 1) - 1] if found is not None else None


@lru_cache(maxsize=512)
def read_patterns(*texts: str) -> Patterns:
    """Return the patterns of a folder's ignore files; the same texts are parsed once."""
    return Patterns(line for text in texts for line in text.removeprefix("\ufeff").split("\n"))


def _parsed(lines: Iterable[str]) -> Iterator[tuple[bool, bool, str]]:
    """Yield what each pattern does, whether it is for folders only, and its regular expression."""
    for line in lines:
        # An escaped space at the end is a part of the name.
        pattern = re.sub(r"(?<!\\) +$", "", line.rstrip("\r"))
        if pattern.startswith("#"):
            continue
        keep = pattern.startswith("!")
        pattern = pattern.removeprefix("!")
        folders_only = pattern.endswith("/")
        pattern = pattern.removesuffix("/")
        anchored = "/" in pattern
        pattern = pattern.removeprefix("/")
        expression = _translated(pattern) if pattern else None
        if expression is not None:  # git takes no notice of a broken pattern either
            yield keep, folders_only, expression if anchored else f"(?:.*/)?{expression}"


def _translated(pattern: str) -> str | None:
    """Return a pattern as a regular expression, or ``None`` if it can never match."""
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if character == "*":
            stars = len(pattern) - at - len(pattern[at:].lstrip("*"))
            after = pattern[at + stars : at + stars + 1]
            whole = stars > 1 and (at == 0 or pattern[at - 1] == "/") and after in ("", "/")
            at += stars
            if not whole:
                parts.append("[^/]*")
            elif after:
                parts.append("(?:.*/)?")
                at += 1
            else:
                parts.append(".*")
            continue
        if character == "?":
            parts.append("[^/]")
        elif character == "\\":
            at += 1
            if at == len(pattern):
                return None
            parts.append(re.escape(pattern[at]))
        elif character == "[":
            found = _bracket(pattern, at + 1)
            if found is None:
                return None
            expression, at = found
            parts.append(expression)
            continue
        else:
            parts.append(re.escape(character))
        at += 1
    return "".join(parts)


def _bracket(pattern: str, at: int) -> tuple[str, int] | None:
    """Return a set of characters as a regular expression, and where the pattern goes on behind it."""
    negated = pattern[at : at + 1] in ("!", "^") and at < len(pattern)
    at += negated
    first = at
    members: list[str] = []
    while at < len(pattern) and (pattern[at] != "]" or at == first):
        if pattern.startswith("[:", at) and (end := pattern.find(":]", at)) > 0:
            name = pattern[at + 2 : end]
            if name not in _CLASSES:
                return None
            members.append(_CLASSES[name])
            at = end + 2
            continue
        low, at = _member(pattern, at)
        high = low
        if pattern[at : at + 1] == "-" and pattern[at + 1 : at + 2] not in ("", "]"):
            high, at = _member(pattern, at + 1)
        if not low or not high:
            return None
        if low <= high:  # a range the wrong way round is an empty one
            members.append(re.escape(low) if low == high else f"{re.escape(low)}-{re.escape(high)}")
    if at >= len(pattern):
        return None
    if negated:
        return f"(?!/)[^{''.join(members)}]" if members else "[^/]", at + 1
    return f"(?!/)[{''.join(members)}]" if members else "(?!)", at + 1


def _member(pattern: str, at: int) -> tuple[str, int]:
    if pattern[at] == "\\":
        at += 1
    return pattern[at : at + 1], at + 1
