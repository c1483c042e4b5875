"""Noticing that a folder was edited, without reading it each time."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence

from synapse_ray.packaging.errors import PackagingError
from synapse_ray.packaging.package import Package, PackagedFile, absolute, package_of
from synapse_ray.packaging.walking import FoundFile, walk

__all__ = ["FolderWatch"]

_FRESH_SECONDS = 1.0
# The clock of a file system ticks: two writes within one tick leave the same time behind.
_UNSURE_NS = 2_000_000_000


class FolderWatch:
    """The package of a folder as it is now, an edit being seen after a second at the latest.

    Safe to be used from many threads: one looks, and the others wait for what it finds.

    Args:
        folder: The folder.
        extra_excludes: As those of `pack`.
        clock: Seconds, never going back.

    Example:
        >>> watch = FolderWatch("/path/to/plugin")  # doctest: +SKIP
        >>> watch.current() is watch.current()  # doctest: +SKIP
        True
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        extra_excludes: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = absolute(folder)
        self._excludes = tuple(extra_excludes)
        self._clock = clock
        self._lock = threading.Lock()
        self._package: Package | None = None
        self._fresh_until = float("-inf")
        self._known: dict[FoundFile, PackagedFile] = {}

    def current(self) -> Package:
        """Return the package; the same object for as long as its contents are the same.

        Raises:
            PackagingError: As `pack` does; the next call looks again.
        """
        # Without the lock: the package is set before the time is, so that a time in the future vouches for it.
        if self._clock() < self._fresh_until and self._package is not None:
            return self._package
        with self._lock:
            if self._package is None or self._clock() >= self._fresh_until:
                try:
                    self._package = self._look(self._package)
                except PackagingError as error:
                    if not isinstance(error.__cause__, FileNotFoundError):
                        raise
                    self._package = self._look(self._package)  # an editor's own file, there for a moment only
                self._fresh_until = self._clock() + _FRESH_SECONDS
            return self._package

    def _look(self, before: Package | None) -> Package:
        now = time.time_ns()
        # Taken before the files are read: what changes meanwhile looks different next time.
        found = walk(self.folder, self._excludes)
        if before is not None and len(found) == len(self._known) and all(file in self._known for file in found):
            return before
        package = package_of(self.folder, found, self._known)
        self._known = {
            file: packaged
            for file, packaged in zip(found, package.files, strict=True)
            if abs(now - file.mtime_ns) >= _UNSURE_NS
        }
        return before if before is not None and before.digest == package.digest else package
