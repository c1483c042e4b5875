"""The executor: sends one request to a fresh process, hands its events on, returns its answer."""

import contextlib
import json
import logging
import os
import subprocess
import sys

from synapse_core.arguments import refuse_unknown_arguments
from synapse_core.errors import ActionLoadError, WorkerLostError
from synapse_core.model.outcome import Outcome
from synapse_core.model.tagged import encode
from synapse_core.ports.events import Event
from synapse_core.ports.executor import StatedCapabilities
from synapse_core.resolution import resolve_given
from synapse_core.stdlib_logging import LoggingSink

from synapse_subprocess.capabilities import SUBPROCESS_CAPABILITIES


class SubprocessExecutor(StatedCapabilities):
    """Runs each action in a fresh Python process."""

    capabilities = SUBPROCESS_CAPABILITIES

    @refuse_unknown_arguments
    def __init__(self, env=None, job_id=None, *, sink=None):
        self._env, self._job_id, self._sink = dict(env or {}), job_id, sink or LoggingSink()

    def execute(self, action=None, params=None, *, action_cls=None, entrypoint=None, **kwargs):
        resolved = resolve_given(action, action_cls, entrypoint)
        resolved.validate(params)  # before a process is started
        request = {
            "name": resolved.name,
            "plugin": resolved.plugin and resolved.plugin.folder,
            "entrypoint": None if resolved.plugin and resolved.plugin.folder else _entrypoint(resolved.target),
            "params": encode(dict(params or {})),
            "env": encode(self._env),
            "job_id": self._job_id,
            "sys_path": sys.path,  # where loaded plugins lie, too
        }
        command = [sys.executable, "-m", "synapse_subprocess.worker"]
        environ = {**os.environ, **{name: str(value) for name, value in self._env.items()}}
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environ, encoding="utf-8") as worker:
            with contextlib.suppress(BrokenPipeError):  # it died before it had read all; see below
                worker.stdin.write(json.dumps(request))
                worker.stdin.close()
            for line in worker.stdout:
                answer = json.loads(line)
                if "outcome" in answer:
                    return Outcome.from_dict(answer["outcome"]).unwrap()
                self._report(Event.from_dict(answer["event"]))
        raise WorkerLostError(
            f"action {resolved.name!r} failed: its process ended with exit code {worker.returncode} and no answer",
            details={"action": resolved.name, "job_id": self._job_id, "exit_code": worker.returncode},
        )

    def _report(self, event):
        try:
            self._sink.emit(event)
        except Exception:  # reporting never kills an action
            logging.getLogger("synapse").warning("a report is lost: the event sink fails", exc_info=True)


def _entrypoint(target):
    name = f"{target.__module__}:{target.__qualname__}"
    if "<" in name or target.__module__ == "__main__":
        raise ActionLoadError(f"{name} cannot be imported by another process; move it into a module", entrypoint=name)
    return name
