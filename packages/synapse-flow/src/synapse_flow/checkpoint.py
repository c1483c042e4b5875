"""What a run has committed, so that another one goes on behind it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from synapse_core.errors import ConfigError, ExecutionError

__all__ = ["Checkpoint", "Commit"]

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Commit:
    """What is written, up to the end of one chunk.

    Attributes:
        position: Of the first record that is not.
        cursor: The input's.
        output: State of the output.
        errors: State of the output of errors.
        counts: The report's numbers.
        identity: Of the flow: its input, its model, its hooks.
        ids: How many ids the input's generator has made up to there.
        publishing: Whether everything is written, and all that is left is to publish it.
    """

    position: int
    cursor: Any
    output: Any
    errors: Any
    counts: dict[str, Any]
    identity: Any
    ids: int = 0
    publishing: bool = False
    version: int = _VERSION


class Checkpoint:
    """A file that holds the last commit of a run that has not ended.

    It is replaced as a whole, so a process that is killed leaves the last one or the one before it.
    The death of processes loses nothing; the loss of power may, since nothing waits for the disk.

    Args:
        path: The file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._next = self.path.with_name(self.path.name + ".next")

    def load(self) -> Commit | None:
        """Return the last commit, or None where there is none.

        Raises:
            ConfigError: The file is damaged, or of another version.
        """
        try:
            data = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ConfigError(f"{self.path} is no checkpoint: {error}. Remove it to start afresh") from None
        if not isinstance(data, dict) or data.get("version") != _VERSION:
            raise ConfigError(f"{self.path} is no checkpoint of this version. Remove it to start afresh")
        try:
            return Commit(**data)
        except TypeError:
            raise ConfigError(f"{self.path} is no checkpoint of this version. Remove it to start afresh") from None

    def save(self, commit: Commit) -> None:
        """Replace the last commit.

        Raises:
            ExecutionError: The file cannot be written; the last commit stays.
        """
        data = memoryview(json.dumps(asdict(commit), default=str).encode())
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._next, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            try:
                while data:
                    data = data[os.write(descriptor, data) :]
            finally:
                os.close(descriptor)
            self._next.replace(self.path)
        except OSError as error:
            raise ExecutionError(f"the checkpoint {self.path} cannot be written: {error.strerror or error}") from error

    def remove(self) -> None:
        """Forget it: the run has ended, and its outputs are in their places."""
        self._next.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
