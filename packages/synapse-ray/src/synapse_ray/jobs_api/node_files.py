"""What a job's driver knows of the node it runs on, and where its files lie there."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from synapse_ray.jobs_api.segments import SegmentWriter

__all__ = ["LogCopier", "NodePlace", "find_place", "write_whole"]

_LOOK_EVERY = 0.025
_PIECE = 256 * 1024
_OPTION = re.compile(r"(?:^|[\0 ])--([a-z_-]+)(?:=([^\0 ]*))?")


@dataclass(frozen=True, slots=True)
class NodePlace:
    """Where a driver runs.

    Attributes:
        logs: Its node's log folder.
        job_log: The file that Ray writes the driver's output to.
        is_head: Whether the node is the cluster's head; one that is not known is not.
        cluster: Address of the cluster's control store.
    """

    logs: Path
    job_log: Path | None
    is_head: bool
    cluster: str


def find_place() -> NodePlace:
    """Find out where this process runs; Ray tells it to drivers only once they have connected.

    Raises:
        RuntimeError: It was not started by Ray's Jobs API.
    """
    options = _raylet_options()
    job_log = _file_of_output()
    logs = options.get("log_dir")
    if not logs and job_log is not None:
        logs = str(job_log.parent)
    if not logs:
        raise RuntimeError("this process finds no log folder of Ray: it is to be started as a job of Ray's Jobs API")
    return NodePlace(Path(logs), job_log, "head" in options, os.environ.get("RAY_ADDRESS", ""))


def write_whole(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """Write a file that is either not there or complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with unfinished.open("wb", buffering=0) as file:
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    rest = rest[file.write(rest) :]
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


class LogCopier:
    """Copies the job's log, as it grows, to where a reader can follow it.

    Args:
        job_log: The file that grows.
        writer: Where its bytes go.

    Attributes:
        each_time: What is to be done at every look as well.
    """

    def __init__(self, job_log: Path, writer: SegmentWriter) -> None:
        self.each_time: Callable[[], None] = _nothing
        self._source = job_log.open("rb", buffering=0)
        self._writer = writer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="synapse-log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Copy what is still there, and end."""
        self._stop.set()
        self._thread.join()
        self._source.close()
        self._writer.close()

    def _run(self) -> None:
        while True:
            stops = self._stop.wait(_LOOK_EVERY)  # looked at before the file: what was written before the end is there
            self.each_time()
            while piece := self._source.read(_PIECE):
                if (taken := self._writer.write(piece)) < len(piece):  # the disk is full: the rest at another look
                    self._source.seek(taken - len(piece), os.SEEK_CUR)
                    break
            if stops:
                return


def _nothing() -> None:
    pass


def _file_of_output() -> Path | None:
    with contextlib.suppress(OSError):
        path = Path(os.readlink("/proc/self/fd/1"))
        if path.is_file():
            return path
    return None


def _raylet_options(read: Callable[[str], str] | None = None) -> dict[str, str]:
    """Return the options that this node's raylet was started with: the parent of this process's parent."""
    read = read or _read
    with contextlib.suppress(OSError, ValueError, IndexError):
        parent = read(f"/proc/{os.getppid()}/stat").rpartition(")")[2].split()[1]
        return dict(_OPTION.findall(read(f"/proc/{parent}/cmdline")))
    return {}


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8", errors="replace")
