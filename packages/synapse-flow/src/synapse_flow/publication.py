"""Files that are written, and published when they are whole."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

from synapse_core.errors import BackendMissingError, ExecutionError, PluginError, ValidationError
from synapse_flow.failures import OutputTakenError, store_error
from synapse_flow.file_systems import file_system, is_local, local_path, reason
from synapse_flow.local_places import Through, is_null, is_through, obstacle, real_path, take_access
from synapse_flow.urls import shown_url
from synapse_flow.used_files import UsedFile, used_file

__all__ = ["Publication"]

_AFRESH = "start afresh with --fresh"
_KEEP_BACK = {"s3", "s3a", "gs", "gcs"}  # stores where an upload shows when it is committed, and not before


class Publication:
    """A file that appears under its name when it is whole, and not before.

    Until then it lies beside its place as ``NAME.partial``, or, where an object store can do that, is kept back by
    the store. A run that is killed leaves something to go on with on this machine's disks only.

    A file that is replaced leaves its owner and its mode to the new one, also while that is not whole. Links are
    followed, and stay. What is no regular file (a device, a FIFO, a socket, ``/dev/stdout``) is written to directly;
    it is never replaced or removed.

    Args:
        target: Path, or a URL that fsspec knows.
        options: For the file system, such as credentials.
    """

    def __init__(self, target: str | os.PathLike[str], options: Mapping[str, Any] | None = None) -> None:
        self._url = os.fspath(target)
        self._options = dict(options or {})
        self.name = shown_url(self._url)
        self.is_local = is_local(self._url)
        self._path = Path(local_path(self._url))
        self._real: Path | None = None  # where links lead, as long as it is open
        self._given_up = False
        self._file: Any = None
        self._fs: Any = None
        self._places: tuple[str, str] | None = None  # where the file is, and where it belongs, if it has to be moved
        self.offset = 0
        self._flushed = False

    def used(self) -> Iterator[UsedFile]:
        """Yield the files that are written: this one, and its part."""
        if self.path is None:
            yield used_file(self._url, self._options)
            return
        yield UsedFile(self.name, self.path)
        if not self.is_through:
            yield UsedFile(str(self.partial), self.partial, role="unfinished {part}")

    @property
    def path(self) -> Path | None:
        """The path that the file is at, behind all links; None elsewhere than on this machine.

        Raises:
            OSError: Links lead to each other.
        """
        return real_path(self._path) if self.is_local else None

    @property
    def partial(self) -> Path:
        """Where the file lies until it is whole."""
        real = self._real or real_path(self._path)
        return real.with_name(real.name + ".partial")

    @property
    def is_through(self) -> bool:
        """Whether its place is no regular file, and is written to directly."""
        return self.is_local and is_through(self._path)

    @property
    def resumable(self) -> bool:
        """Whether a later run can go on with what was written; of the null device it always can."""
        return not self.is_through or is_null(self._path)

    def check(self) -> None:
        """See what is in the way of the file, before anything is made.

        Raises:
            ExecutionError: A folder is in its place, or a file in that of its folder.
        """
        if not self.is_local or self.is_through:
            return
        try:
            real = real_path(self._path)
            if real.is_dir():
                raise IsADirectoryError(21, "it is a folder; name a file in it")
            if (found := obstacle(real)) is not None:
                raise NotADirectoryError(20, f"{found} is a file, and no folder that something can be written to")
        except OSError as error:
            raise self._unwritable(error) from None

    def give_up(self) -> None:
        """Wait no longer for anybody who reads what is written; called by another thread, at any time."""
        self._given_up = True

    def open(self, offset: int = 0, *, whole: bool = False) -> None:
        """Begin the file, or go on with the part of it that is `offset` long.

        Args:
            offset: Length of the part.
            whole: Whether nothing is missing in it; then a file of that length in its place is the one, published by
                a run that was killed right behind that.

        Raises:
            ExecutionError: It cannot be written, another run writes it, or the part is gone.
            ValidationError: Its file system is one to read from.
        """
        self.check()
        self.offset = offset
        self._flushed = False
        try:
            self._real = self.path
            if self.is_through:
                self._open_through(offset)
            elif self.is_local and whole and not self.partial.exists():
                self._check_published(offset)
            elif self.is_local:
                self._open_part(offset, "r+b" if offset or whole else "ab")
            elif offset:
                raise OSError("what an earlier run wrote there was not kept; start afresh")
            else:
                self._open_elsewhere()
        except (ExecutionError, ValidationError, BackendMissingError):
            raise
        except Exception as error:  # every kind of storage has errors of its own
            raise self._unwritable(error) from error

    def _check_published(self, size: int) -> None:
        try:
            found = os.stat(self._path).st_size
        except FileNotFoundError:
            raise OSError(2, f"an earlier run has finished it, and it is gone; {_AFRESH}") from None
        if found != size:
            raise OSError(2, f"what an earlier run has finished was replaced since; {_AFRESH}")
        self._file = None

    def _open_through(self, offset: int) -> None:
        if offset and not is_null(self._path):
            raise OSError(f"it is no regular file, so nothing is gone on with there; {_AFRESH}")
        self._file = Through(self._path, lambda: self._given_up)

    def _open_part(self, offset: int, mode: str) -> None:
        assert self._real is not None
        self._real.parent.mkdir(parents=True, exist_ok=True)
        new = 0o600 if self._real.exists() else 0o666  # until it has the mode of that file
        try:
            file = open(self.partial, mode, buffering=0, opener=lambda path, flags: os.open(path, flags, new))  # noqa: SIM115 - closed by publish, discard
        except FileNotFoundError:
            raise OSError(2, f"what an unfinished run has left in {self.partial.name} is gone; {_AFRESH}") from None
        try:
            self._lock(file)
            take_access(file.fileno(), self._real, also=stat.S_IWUSR)  # or a later run could not go on with it
            size = os.fstat(file.fileno()).st_size
            if size < offset:
                raise OSError(5, f"{self.partial.name} is shorter than what was committed; {_AFRESH}")
            if size > offset:
                file.truncate(offset)
            file.seek(offset)
        except BaseException:
            file.close()
            raise
        self._file = file

    def _open_elsewhere(self) -> None:
        self._fs, path = file_system(self._url, self._options)
        protocols = {self._fs.protocol} if isinstance(self._fs.protocol, str) else set(self._fs.protocol)
        if protocols & _KEEP_BACK:
            self._file, self._places = self._fs.open(path, "wb", autocommit=False), None
            return
        partial = f"{path}.{uuid4().hex[:8]}.partial"  # nothing there could keep two runs apart
        with suppress(Exception):
            self._fs.makedirs(self._fs._parent(path), exist_ok=True)
        try:
            self._file, self._places = self._fs.open(partial, "wb"), (partial, path)
        except (NotImplementedError, io.UnsupportedOperation):
            raise ValidationError(
                f"{self.name} cannot be written: {self._url.partition('://')[0]}:// is to read from only. Name a path, "
                "or the URL of a store that takes files: s3://, gs://, abfs://, sftp://, …"
            ) from None

    def _lock(self, file: Any) -> None:
        """Take the part for this run, and see that it still is the part: another run may just have published it."""
        with suppress(ImportError):  # Windows has none, and refuses to open it twice
            fcntl: Any = import_module("fcntl")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                taken = not os.path.samestat(os.fstat(file.fileno()), os.stat(self.partial))
            except (BlockingIOError, FileNotFoundError):
                taken = True
            if taken:
                raise OutputTakenError(f"another run writes {self.name} now; wait for it, or choose another output")

    def write(self, data: bytes | memoryview) -> None:
        """Write behind what was written.

        Raises:
            ExecutionError: The disk is full, or gone.
        """
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        except Exception as error:
            raise self._unwritable(error) from error
        self.offset += len(data)

    def flush(self) -> None:
        """Bring the whole file to where it cannot get lost; nothing is written behind that.

        Raises:
            ExecutionError: The disk is full, or gone, or the place does not take it.
        """
        if self._flushed or self._file is None:
            return
        try:
            if isinstance(self._file, Through):
                self._file.flush()
            elif self.is_local:
                os.fsync(self._file.fileno())
            else:
                self._file.close()  # which sends what is left
        except Exception as error:
            raise self._unwritable(error) from error
        self._flushed = True

    def publish(self) -> None:
        """Put the whole file in its place.

        Raises:
            ExecutionError: The place does not take it.
        """
        if self._file is None:  # it is there
            self._end()
            return
        self.flush()
        try:
            if isinstance(self._file, Through):
                if self._file.lost:
                    raise OSError("nobody was waited for any more, so that records are missing in it")
                self._file.close()
            elif not self.is_local:
                self._move() if self._places else self._file.commit()
            else:
                self._replace()
        except Exception as error:
            raise self._unwritable(error) from error
        self._end()

    def _replace(self) -> None:
        assert self._real is not None
        if os.path.lexists(self._real) and not stat.S_ISREG(os.lstat(self._real).st_mode):
            raise OSError("something that is no file has come to be there meanwhile")
        take_access(self._file.fileno(), self._real)
        if os.name == "nt":  # where an open file cannot be moved
            self._file.close()
            self.partial.replace(self._real)
        else:
            self.partial.replace(self._real)  # before it is closed, which gives up the lock
            self._file.close()

    def _end(self) -> None:
        self._file = self._real = None
        self._given_up = False

    def _move(self) -> None:
        assert self._places is not None
        partial, path = self._places
        try:
            self._fs.mv(partial, path)
        except Exception:
            if not self._fs.exists(path):
                raise
            self._fs.rm(path)  # some do not move a file to where another one is
            self._fs.mv(partial, path)

    def keep(self) -> None:
        """Close the part, and leave it where a later run goes on with it."""
        if self._file is not None and not self.is_local:
            self.discard()
        elif self._file is not None:
            self._file.close()
        self._end()

    def discard(self) -> None:
        """Remove the part."""
        file, partial = self._file, self.partial if self._real else None
        self._end()
        if file is None:
            return
        if partial is not None and not isinstance(file, Through):
            with suppress(OSError):
                partial.unlink(missing_ok=True)
        if self.is_local:
            file.close()
            return
        if self._places is not None:
            with suppress(Exception):
                file.close()
            with suppress(Exception):
                self._fs.rm(self._places[0])
            return
        with suppress(Exception):
            file.discard()
        with suppress(Exception):
            file.closed = True  # or it would be uploaded once more when Python frees it

    def _unwritable(self, error: Exception) -> PluginError:
        kind = ExecutionError if self.is_local else store_error(error)
        return kind(f"{self.name} cannot be written: {reason(error, self._url, self._options)}")
