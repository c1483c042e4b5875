"""Files that are read, of any place and compression, from any offset."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from synapse_core.errors import BackendUnreachableError, ExecutionError, ValidationError
from synapse_flow.compression import DamagedError, compression_of, decompressed
from synapse_flow.failures import DamagedInputError, PlaceNotFoundError, store_error
from synapse_flow.file_systems import beside, file_system, reason
from synapse_flow.urls import shown_url
from synapse_flow.used_files import UsedFile, used_file

__all__ = ["SourceFile"]

_BEGINNINGS = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}


class SourceFile:
    """A file that is read from its beginning to its end.

    Args:
        source: Path, or a URL that fsspec knows.
        compression: ``"infer"``, ``"gzip"``, ``"zstd"`` or None.
        options: For the file system, such as credentials.

    Raises:
        ValidationError: There is no such file, or it is a folder, or may not be read.
    """

    def __init__(
        self, source: str | os.PathLike[str], compression: str | None, options: Mapping[str, Any] | None = None
    ) -> None:
        self._url = os.fspath(source)
        self._options = dict(options or {})
        self.name = shown_url(self._url)
        self.compression = compression_of(self.name, compression)
        self._raw: Any = None
        self._stream: Any = None
        self.size = 0

    def used(self, role: str = "") -> UsedFile:
        """Return the file as one that a run uses."""
        return used_file(self._url, self._options, role=role)

    def open(self, offset: int = 0) -> None:
        """Open the file at an offset of what it holds uncompressed.

        Raises:
            ValidationError: There is no such file, or it is a folder, or may not be read.
            AuthenticationError: Its store has no credentials.
            BackendUnreachableError: Nobody answers at its store.
            ExecutionError: It cannot be opened, or it is shorter than `offset`.
        """
        fs, path = file_system(self._url, self._options)
        try:
            fs.invalidate_cache(path)  # it remembers listings for as long as the process lives
            self.size = fs.size(path) or 0
            self._raw = fs.open(path, "rb")
        except FileNotFoundError as error:
            silence = error.__cause__  # which some file systems take for a missing file
            if silence is not None and store_error(silence) is BackendUnreachableError:
                raise BackendUnreachableError(f"{self.name} cannot be opened: {self._reason(silence)}") from error
            raise PlaceNotFoundError(f"there is no file {self.name}{beside(self.name)}") from None
        except (IsADirectoryError, PermissionError) as error:
            raise ValidationError(f"{self.name} cannot be read: {self._reason(error)}") from None
        except Exception as error:  # every kind of storage has errors of its own
            raise store_error(error)(f"{self.name} cannot be opened: {self._reason(error)}") from error
        self._stream = decompressed(self._raw, self.compression)
        if offset and self.compression is None:
            self._raw.seek(offset)
            return
        while offset:
            passed = len(self.read(min(offset, 1 << 20)))
            if not passed:
                raise ExecutionError(f"{self.name} is {offset:,} bytes shorter than it was when a run stopped there")
            offset -= passed

    @property
    def raw(self) -> Any:
        """The open file as it is, for those who read it in another order."""
        return self._raw

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most `size`; none at the end.

        Raises:
            DamagedInputError: The file is cut off, or damaged.
            ExecutionError: It is gone.
        """
        try:
            return self._stream.read(size)  # type: ignore[no-any-return]
        except EOFError:
            raise DamagedInputError(
                f"{self.name} ends in the middle of its {self.compression} data: the file is cut off, and what follows "
                "is missing"
            ) from None
        except DamagedError as error:
            raise DamagedInputError(f"{self.name} is no whole {self.compression} file: {error}") from error
        except Exception as error:  # every kind of storage has errors of its own
            raise ExecutionError(f"{self.name} cannot be read any further: {self._reason(error)}") from error

    def hint(self, beginning: bytes) -> str:
        """Return why a file that begins so is no text in UTF-8, and what to type; nothing where it may be."""
        for name, mark in _BEGINNINGS.items():
            if beginning.startswith(mark) and self.compression is None:
                return f"it begins as {name} data does: compression={name!r} reads that"
        if beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
            return "it begins with the mark of UTF-16: encoding='utf-16' reads that"
        if b"\0" in beginning:
            return "it holds NUL characters, as text in UTF-16 does: name the file's encoding with encoding="
        return ""

    def progress(self) -> tuple[int, int] | None:
        """Return how many bytes of the file have been read, and how many there are."""
        with suppress(Exception):
            return self._raw.tell(), self.size
        return None

    def close(self) -> None:
        """Close it."""
        for stream in (self._stream, self._raw):
            if stream is not None:
                with suppress(Exception):
                    stream.close()
        self._stream = self._raw = None

    def identity(self) -> dict[str, Any]:
        """Return what tells this file from another one of the same name."""
        fs, path = file_system(self._url, self._options)
        info = fs.info(path)
        changed = info.get("mtime") or info.get("LastModified") or info.get("ETag")
        found = {"file": self.name, "size": info.get("size"), "changed": str(changed)}
        if self.name != self._url:  # what is not shown may tell two files apart
            found["url"] = hashlib.sha256(self._url.encode()).hexdigest()[:16]
        return found

    def _reason(self, error: BaseException) -> str:
        return reason(error, self._url, self._options)
