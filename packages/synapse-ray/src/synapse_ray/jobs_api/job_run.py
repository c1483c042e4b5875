"""The run of a job's action in its driver.

It never calls ``ray.init``, which the action may want to do itself, and which would take half of the time of a short
job. Its output is the job's log; everything else goes to files beside that log, which text on it cannot forge.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

from synapse_core.errors import ExecutionError, PluginError
from synapse_core.model.outcome import Outcome
from synapse_core.redaction import redact
from synapse_core.safe_text import safe_str
from synapse_ray.event_relay import OUTPUT, log_text
from synapse_ray.job_errors import interrupted
from synapse_ray.jobs_api.end_signals import end_was_asked_for
from synapse_ray.jobs_api.entrypoint import side_folder
from synapse_ray.jobs_api.event_file import EventFile
from synapse_ray.jobs_api.node_files import LogCopier, NodePlace, find_place, write_whole
from synapse_ray.jobs_api.result_files import outcome_file
from synapse_ray.jobs_api.segments import SegmentWriter
from synapse_ray.jobs_api.work import DriverWork, unpack_work
from synapse_ray.jobs_api.work_fetching import WorkFetching
from synapse_ray.worker import ActionRunner, without_secrets
from synapse_ray.worker_output import flush_output

__all__ = ["run_job"]


def run_job(nonce: str, fetching: WorkFetching) -> int:
    """Run the action of a job and return the exit status."""
    try:
        return _run(nonce, fetching)
    finally:
        flush_output()


def _run(nonce: str, fetching: WorkFetching) -> int:
    place = find_place()  # before the action's own environment, which may name another cluster
    folder = place.logs / side_folder(nonce)
    folder.mkdir(parents=True, exist_ok=True)
    copier = None if place.job_log is None else LogCopier(place.job_log, SegmentWriter(folder, "log"))
    try:
        content = fetching.content()
        if content is None:
            sys.stderr.write("synapse: the work of this job is gone: it was stopped before it began, or began before\n")
            return 1
        work = unpack_work(content)
        del content
        events = EventFile(SegmentWriter(folder, "events"), holds=copier is not None)
        if copier is not None:
            copier.each_time = events.flush
        return _work(work, place, folder, events)
    finally:
        if copier is not None:
            flush_output()
            copier.close()


def _work(work: DriverWork, place: NodePlace, folder: Path, events: EventFile) -> int:
    log = sys.stdout

    def emit(report: dict[str, Any]) -> None:
        events.write(report)
        if report["kind"] != OUTPUT:  # what it prints is in the log already
            with contextlib.suppress(OSError):  # a full disk of the node is no failure of the action
                log.write(log_text(report))
                log.flush()

    runner = ActionRunner(work.settings)
    value: Any = None
    outcome: Outcome | None = None
    try:
        try:
            if work.storage is not None:
                from synapse_ray.jobs_api.storage import announce_result

                announce_result(work.storage, work.job_id, folder.name)
            value = runner.call(work.spec, work.params, work.job_id, emit)
        except KeyboardInterrupt:
            if end_was_asked_for():
                raise
            raise interrupted(work.job_id) from None
    except PluginError as error:
        outcome = Outcome.from_dict(without_secrets(Outcome.of_error(error).to_dict(), runner.secrets))
        sys.stderr.write(redact(_described(error), runner.secrets))
    finally:
        events.close()
    return _keep_result(outcome, value, work, place, folder)


def _keep_result(outcome: Outcome | None, value: Any, work: DriverWork, place: NodePlace, folder: Path) -> int:
    from synapse_ray.jobs_api.delivery import keep_result

    try:
        keep_result(outcome, value, work, place, folder)
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
