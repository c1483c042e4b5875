"""What a run has committed, so that another one goes on behind it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from synapse_core.errors import ConfigError, ExecutionError
from synapse_core.safe_text import shorten
from synapse_flow.report import FlowReport

__all__ = ["Checkpoint", "Commit"]

_VERSION = 2


@dataclass(frozen=True, slots=True)
class Commit:
    """What is written, up to the end of one chunk.

    Attributes:
        position: Of the first record that is not.
        cursor: The input's.
        output: State of the output.
        errors: State of the output of errors.
        counts: The report's numbers.
        identity: Of the flow: its input, its model, its hooks, its outputs.
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

    A run goes on there only where its flow is the same one: the input, the model's schema, the hooks and what they are
    made with, the outputs. Of those it holds names and digests. The code of hooks and validators is not compared, so
    a hook may be mended in between.

    It is replaced as a whole, so a process that is killed leaves the last one or the one before it.
    The death of processes loses nothing; the loss of power may, since nothing waits for the disk.

    Args:
        path: The file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._next = self.path.with_name(self.path.name + ".next")
        self._is_afresh = False

    @property
    def files(self) -> tuple[Path, Path]:
        """The file, and the one that replaces it."""
        return self.path, self._next

    def start_afresh(self) -> None:
        """Take no notice of what is there.

        It is left alone for now: the run may be refused, and another one, which is at work, may be whose it is.
        """
        self._is_afresh = True

    def load(self) -> Commit | None:
        """Return the last commit, or None where there is none.

        Raises:
            ConfigError: The file is damaged, or of another version.
        """
        if self._is_afresh:
            return None
        try:
            data = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (ValueError, RecursionError) as error:
            raise self.damaged(str(error)) from None
        if not isinstance(data, dict):
            raise self.damaged("it holds no object")
        if data.get("version") != _VERSION:
            raise ConfigError(f"{self.path} is no checkpoint of this version. Remove it to start afresh")
        if wrong := list(_wrong(data)):
            raise self.damaged("; ".join(wrong))
        return Commit(**data)

    def damaged(self, why: str) -> ConfigError:
        """Return the error that says that the file holds no checkpoint."""
        return ConfigError(f"{self.path} is no checkpoint: {why}. Remove it to start afresh")

    def forget_what_is_not_continued(self) -> None:
        """Remove what `start_afresh` took no notice of, as soon as an output of that run belongs to this one."""
        if self._is_afresh:
            self.remove()

    def check(self, commit: Commit, identity: Any, limit: int | None) -> None:
        """Refuse to go on with what another flow has committed, or behind the last record that is wanted.

        Args:
            commit: What `load` returned.
            identity: Of the flow that is to go on.
            limit: Records that it is to read, at most.

        Raises:
            ConfigError: The flow is not the one that stopped there, or has read more.
        """
        changed = [key for key, value in identity.items() if commit.identity.get(key) != value]
        if changed:
            raise ConfigError(
                f"the unfinished run in {self.path} is of another flow: its {' and '.join(changed)} changed since. "
                "Start afresh with --fresh, or remove that file"
            )
        if limit is not None and commit.position > limit:
            raise ConfigError(
                f"the unfinished run in {self.path} has read {commit.position:,} records, and limit {limit:,} was "
                "asked for. Leave it out to go on; start afresh with --fresh, or remove that file"
            )

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
            self._is_afresh = False  # what is there now is this run's own
        except OSError as error:
            raise ExecutionError(f"the checkpoint {self.path} cannot be written: {error.strerror or error}") from error

    def remove(self) -> None:
        """Forget it: the run has ended, and its outputs are in their places; or another one has begun."""
        self._is_afresh = False
        self._next.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


def _wrong(data: dict[str, Any]) -> Iterator[str]:
    """Yield what keeps data from being a commit."""
    names = [each.name for each in fields(Commit)]
    if missing := [name for name in names if name not in data]:
        yield f"it has no {', '.join(map(repr, missing))}"
    if more := [name for name in data if name not in names]:
        yield f"it has {', '.join(map(repr, more))} too"
    for name in ("position", "ids"):
        if name in data and not _is_count(data[name]):
            yield f"{name!r} is {shorten(data[name])}, and no whole number from 0 on"
    if not isinstance(data.get("publishing", False), bool):
        yield f"'publishing' is {shorten(data['publishing'])}, and neither true nor false"
    if not isinstance(data.get("identity", {}), dict):
        yield f"'identity' is {shorten(data['identity'])}, and no object"
    counts = data.get("counts", {})
    known = FlowReport()._counts()
    if not isinstance(counts, dict):
        yield f"'counts' is {shorten(counts)}, and no object"
        return
    for name, count in counts.items():
        if name not in known:
            yield f"'counts' has {name!r}, which is none"
        elif not _fits(count, known[name]):
            yield f"{name!r} in 'counts' is {shorten(count)}"
    if _is_count(data.get("position")) and counts.get("read_count", data["position"]) != data["position"]:
        yield f"'position' is {data['position']}, and {shorten(counts['read_count'])} records were read"


def _fits(count: Any, example: Any) -> bool:
    if isinstance(example, int):
        return _is_count(count)
    return isinstance(count, dict) and all(map(_is_count, count.values()))


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0
