"""What runs on the cluster for a job: ``python -m synapse_ray.jobs_api.driver NONCE``.

It never calls ``ray.init``, which the action may want to do itself, and which would take half of the time of a short
job. Its output is the job's log; everything else goes to files beside that log, which text on it cannot forge.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from synapse_core.errors import ExecutionError, PluginError
from synapse_core.model.outcome import Outcome
from synapse_core.redaction import redact
from synapse_core.safe_text import safe_str
from synapse_ray.event_relay import OUTPUT, log_text
from synapse_ray.job_errors import interrupted
from synapse_ray.jobs_api.entrypoint import secret_name, side_folder
from synapse_ray.jobs_api.event_file import EventFile
from synapse_ray.jobs_api.node_files import LogCopier, NodePlace, find_place, write_whole
from synapse_ray.jobs_api.process_tree import adopt_orphans, end_descendants
from synapse_ray.jobs_api.result_files import outcome_file
from synapse_ray.jobs_api.segments import SegmentWriter
from synapse_ray.jobs_api.work import JobWork, unpack_work
from synapse_ray.ray_internals import take_secret
from synapse_ray.worker import ActionRunner, without_secrets
from synapse_ray.worker_output import flush_output

__all__ = ["main"]

_GRACE = 2.0  # Ray kills what is left three seconds after it asked for the end
_ENDS = (signal.SIGTERM, signal.SIGINT)
_TERMINATED = 128 + signal.SIGTERM


def main(nonce: str) -> int:
    """Run the action and return the exit status."""
    adopt_orphans()
    _end_on_signal()
    try:
        return _run(nonce)
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return _TERMINATED
    finally:
        flush_output()


def _run(nonce: str) -> int:
    place = find_place()  # before the action's own environment, which may name another cluster
    folder = place.logs / side_folder(nonce)
    folder.mkdir(parents=True, exist_ok=True)
    copier = None if place.job_log is None else LogCopier(place.job_log, SegmentWriter(folder, "log"))
    try:
        work = _take_work(place.cluster, nonce)
        if work is None:
            sys.stderr.write("synapse: the work of this job is gone: it was stopped before it began, or began before\n")
            return 1
        events = EventFile(SegmentWriter(folder, "events"), holds=copier is not None)
        if copier is not None:
            copier.each_time = events.flush
        return _work(work, place, folder, events)
    finally:
        if copier is not None:
            flush_output()
            copier.close()


def _take_work(cluster: str, nonce: str) -> JobWork | None:
    content = take_secret(cluster, f"gcs://{secret_name(nonce)}")
    return unpack_work(content) if content else None


def _work(work: JobWork, place: NodePlace, folder: Path, events: EventFile) -> int:
    log = sys.stdout

    def emit(report: dict[str, Any]) -> None:
        events.write(report)
        if report["kind"] != OUTPUT:  # what it prints is in the log already
            log.write(log_text(report))
            log.flush()

    runner = ActionRunner(work.settings)
    value: Any = None
    outcome: Outcome | None = None
    try:
        try:
            value = runner.call(work.spec, work.params, work.job_id, emit)
        except KeyboardInterrupt:
            if any(signal.getsignal(number) is not _interrupt for number in _ENDS):  # Ray has asked for the end
                raise
            raise interrupted(work.job_id) from None
    except PluginError as error:
        outcome = Outcome.from_dict(without_secrets(Outcome.of_error(error).to_dict(), runner.secrets))
        sys.stderr.write(redact(_described(error), runner.secrets))
    finally:
        events.close()
    return _deliver(outcome, value, work, place, folder)


def _deliver(outcome: Outcome | None, value: Any, work: JobWork, place: NodePlace, folder: Path) -> int:
    from synapse_ray.jobs_api.delivery import deliver

    try:
        deliver(outcome, value, work, place, folder)
    except (OSError, PluginError, MemoryError) as error:
        problem = ExecutionError(
            f"action {work.spec.name!r} finished, and its result could not be kept: {safe_str(error)}",
            original_type=type(error).__name__,
            original_message=safe_str(error),
            details={"action": work.spec.name, "job_id": work.job_id},
        )
        sys.stderr.write(f"{problem}\n")
        with contextlib.suppress(OSError):
            lost = Outcome.of_error(problem)
            write_whole(folder / "result", outcome_file(lost, None))
        return 1
    return 0 if outcome is None else 1


def _described(error: PluginError) -> str:
    traceback = getattr(error, "remote_traceback", "").rstrip()
    return f"{traceback}\n{error}\n" if traceback else f"{error}\n"


def _end_on_signal() -> None:
    """End the action as Ctrl-C would when Ray asks for it, and everything that it has started with it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in _ENDS:
        signal.signal(number, _interrupt)
    threading.Thread(target=_insist, args=(reader,), name="synapse-stop", daemon=True).start()


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # once is enough: a second one would tear the action's own clean-up
    raise KeyboardInterrupt


def _insist(reader: int) -> None:
    """End the process some time after the signal, also where the action never looks up."""
    while os.read(reader, 1)[0] not in _ENDS:
        pass
    threading.Event().wait(_GRACE)
    end_descendants(0.5)
    os._exit(_TERMINATED)


if __name__ == "__main__":
    status = main(sys.argv[1])
    if status == _TERMINATED:
        end_descendants()
    sys.exit(status)
