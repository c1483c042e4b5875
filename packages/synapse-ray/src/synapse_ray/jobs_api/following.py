"""How a job's log is followed: a state machine without I/O. `log_stream` drives it, once plainly and once on a loop.

The log is two files: what the head writes while the job's environment is made and, where the job runs elsewhere, what
its own node writes after that. Of each, the number of bytes that were delivered is known; whatever breaks, reading
goes on from there. The job's driver copies its log into a row of short files (`segments`), which are read often;
before that, and after its end, the file is read as it is.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from synapse_core.errors import AuthenticationError, BackendError, BackendUnreachableError, JobNotFoundError
from synapse_core.model.status import JobStatus
from synapse_ray.jobs_api.answers import JobDetails
from synapse_ray.jobs_api.entrypoint import nonce_of, side_folder
from synapse_ray.jobs_api.patience import Failures, Pace
from synapse_ray.jobs_api.rest_paths import job_log_name
from synapse_ray.jobs_api.segments import SegmentReader

__all__ = [
    "AskHead",
    "AskJob",
    "Deliver",
    "NextPiece",
    "OpenFile",
    "Pause",
    "ReadFile",
    "Step",
    "Steps",
    "follow_log",
    "read_log",
]


@dataclass(frozen=True, slots=True)
class AskJob:
    """Answer with the `JobDetails`, or ``None``."""


@dataclass(frozen=True, slots=True)
class AskHead:
    """Answer with the id of the head node."""


@dataclass(frozen=True, slots=True)
class ReadFile:
    """Answer with the content of a short file, or ``None`` where there is none."""

    node_id: str
    name: str


@dataclass(frozen=True, slots=True)
class OpenFile:
    """Open a file of any length, and answer whether it is there."""

    node_id: str
    name: str


@dataclass(frozen=True, slots=True)
class NextPiece:
    """Answer with the next bytes of the file that was opened; ``None`` at its end."""


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand these lines to the reader."""

    lines: list[str]


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    seconds: float


Step: TypeAlias = "AskJob | AskHead | ReadFile | OpenFile | NextPiece | Deliver | Pause"
Steps: TypeAlias = "Generator[Step, Any, None]"

_LIVE_PAUSE = 0.06
_WHOLE_PAUSE = 0.25
_LONGEST_PAUSE = 1.0
_LONGEST_PAUSE_OF_RUNNING = 0.25
_STATUS_EVERY = 5  # looks at the live files
_STUCK_AFTER = 30  # looks without anything new, after which the log itself is looked at
_SHORT_LOG = 1024 * 1024
_BYTES_PER_SECOND = 20 * 1024 * 1024


@dataclass(slots=True)
class _Cursor:
    """How far one file was delivered."""

    node_id: str
    name: str
    offset: int = 0


@dataclass(slots=True)
class _Lines:
    """Bytes as whole lines; a character may lie across two pieces."""

    held: list[bytes] = field(default_factory=list)

    def feed(self, data: bytes) -> list[str]:
        end = data.rfind(b"\n") + 1
        if not end:
            if data:
                self.held.append(data)
            return []
        whole = b"".join([*self.held, data[:end]])
        self.held = [data[end:]] if end < len(data) else []
        return [f"{line}\n" for line in whole.decode("utf-8", "replace")[:-1].split("\n")]

    def rest(self) -> list[str]:
        """Return a last line that has no newline, with one."""
        last, self.held = b"".join(self.held), []
        return [last.decode("utf-8", "replace") + "\n"] if last else []


def follow_log(job_id: str, info: JobDetails) -> Steps:
    """Follow a job's log from its first line to its end.

    Args:
        job_id: The job.
        info: What is known of it now.
    """
    lines, failures, pace = _Lines(), Failures(), Pace()
    cursor = _Cursor((yield from _patiently(AskHead(), failures)), job_log_name(job_id))
    nonce = nonce_of(info.metadata)
    reader = None if nonce is None else SegmentReader(f"{side_folder(nonce)}/log")
    live_offset = looks = idle = 0
    while True:
        if looks % _STATUS_EVERY == 0:
            asked = yield from _patiently(AskJob(), failures)
            if asked is None:
                raise JobNotFoundError(f"job {job_id!r} was deleted while its log was read", details={"job_id": job_id})
            if asked.status != info.status:
                pace.news()
            info = asked
        looks += 1
        longest = _LONGEST_PAUSE_OF_RUNNING if info.status == JobStatus.RUNNING else _LONGEST_PAUSE
        if info.node_id is not None and info.node_id != cursor.node_id:
            yield from _read_whole(cursor, lines, failures)
            yield Deliver(lines.rest())
            cursor = _Cursor(info.node_id, cursor.name)
        if info.has_ended():
            yield from _read_rest(cursor, lines, failures)
            return
        content = None
        if reader is not None and info.node_id is not None and not reader.ended:
            content = yield from _patiently(ReadFile(info.node_id, reader.wanted()), failures)
        if reader is None or content is None:
            before = cursor.offset
            yield from _read_whole(cursor, lines, failures)
            looks = 0
            if cursor.offset != before:
                pace.news()
            shortest = _WHOLE_PAUSE if cursor.offset == before else _LIVE_PAUSE
            yield Pause(max(pace.pause(shortest, longest), cursor.offset / _BYTES_PER_SECOND))
            continue
        new = reader.feed(content)
        for payload in new:
            live_offset += len(payload)
            if fresh := payload[max(0, cursor.offset - (live_offset - len(payload))) :]:
                cursor.offset += len(fresh)
                yield Deliver(lines.feed(fresh))
        idle = 0 if new else idle + 1
        if new:
            pace.news()
        if reader.ended:
            looks = 0
        if idle and idle % _STUCK_AFTER == 0 and cursor.offset < _SHORT_LOG:
            yield from _read_whole(cursor, lines, failures)  # its copier may be held up by the action
        if not reader.behind:
            yield Pause(pace.pause(_LIVE_PAUSE, longest))


def read_log(job_id: str, info: JobDetails) -> Steps:
    """Read what a job has logged so far."""
    lines, failures = _Lines(), Failures()
    head = yield from _patiently(AskHead(), failures)
    for node_id in dict.fromkeys([head, info.node_id or head]):
        yield from _read_rest(_Cursor(node_id, job_log_name(job_id)), lines, failures)


def _read_rest(cursor: _Cursor, lines: _Lines, failures: Failures) -> Steps:
    """Deliver the rest of a file as it is now; where its node is lost, a line says so."""
    try:
        yield from _read_whole(cursor, lines, failures)
    except (AuthenticationError, BackendUnreachableError):
        raise
    except BackendError as error:
        failures.count = 0
        yield Deliver(lines.rest())
        lost = f"the rest of the log is on node {cursor.node_id[:12]}, which does not give it: {error}"
        yield Deliver([f"synapse: {lost}\n"])
        return
    yield Deliver(lines.rest())


def _read_whole(cursor: _Cursor, lines: _Lines, failures: Failures) -> Steps:
    """Deliver what a file holds after the cursor, however often the connection breaks."""
    while True:
        try:
            if not (yield OpenFile(cursor.node_id, cursor.name)):
                return
            skip = cursor.offset
            while (piece := (yield NextPiece())) is not None:
                if skip >= len(piece):
                    skip -= len(piece)
                    continue
                fresh, skip = piece[skip:], 0
                cursor.offset += len(fresh)
                failures.count = 0
                yield Deliver(lines.feed(fresh))
            failures.count = 0
            return
        except BackendError as error:
            yield Pause(failures.pause(error))


def _patiently(step: Step, failures: Failures) -> Generator[Step, Any, Any]:
    """Take a step again where the connection breaks."""
    while True:
        try:
            answer = yield step
        except BackendError as error:
            yield Pause(failures.pause(error))
            if isinstance(step, ReadFile) and not isinstance(error, BackendUnreachableError):
                return None  # its node may just be lost, which the job's status will say
        else:
            failures.count = 0
            return answer
