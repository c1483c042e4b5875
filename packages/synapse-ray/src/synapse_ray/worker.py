"""Run one action on a worker, whatever started it there: a warm actor, a job's actor, or a job's driver."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, TypeAlias

from synapse_core.context import RuntimeContext
from synapse_core.environment import PluginEnvironment
from synapse_core.errors import PluginError
from synapse_core.execution import run_action
from synapse_core.model.outcome import Outcome
from synapse_core.ports.events import Event
from synapse_core.redaction import redact, secret_values
from synapse_ray.action_spec import ActionSpec
from synapse_ray.job_errors import outside_action
from synapse_ray.wire import Packed, is_plain, pack_outcome, unpack, unpack_outcome
from synapse_ray.worker_output import OutputCapture
from synapse_ray.worker_report import load_reported

__all__ = ["ActionRunner", "MOST_KNOWN", "Reply", "WorkerSettings", "open_reply", "without_secrets"]

Reply: TypeAlias = "tuple[Packed | None, dict[str, Any] | None]"
"""What came of an action: its result packed, or else its outcome as plain types."""

MOST_KNOWN = 64
"""How many actions a worker keeps: each one that is sent by value may hold data of its own."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker is given once. It travels as a constructor argument only: it holds secrets.

    Attributes:
        env: Values above the worker's own ``os.environ``, types kept: config, overrides, credentials.
        variables: Environment variables that were taken out of ``runtime_env`` because they look like secrets.
    """

    env: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"WorkerSettings({len(self.env)} values, {len(self.variables)} variables)"


class ActionRunner:
    """Runs actions with the settings of one executor.

    Args:
        settings: Of the executor.
        folder: Folder of the plugin. Default: the working directory.
    """

    def __init__(self, settings: WorkerSettings, folder: str | None = None) -> None:
        self._settings = settings
        self._load = lru_cache(maxsize=MOST_KNOWN)(partial(load_reported, folder=folder))
        self._environment: PluginEnvironment | None = None
        self.secrets = [*secret_values(settings.env), *settings.variables.values()]
        self._output = OutputCapture(self.secrets)
        # In the process's environment, where clients and subprocesses of the action look for them. What a process
        # sets itself shows in none of Ray's interfaces.
        os.environ.update({key: _as_text(value) for key, value in settings.env.items() if value is not None})
        os.environ.update(settings.variables)

    def run(
        self,
        spec: ActionSpec,
        params: Packed,
        job_id: str,
        emit: Callable[[dict[str, Any]], None],
        *,
        allow_pickle: bool = True,
    ) -> Reply:
        """Run an action and return what came of it.

        Args:
            spec: Which one.
            params: Its params, packed.
            job_id: Identity of the execution.
            emit: Takes what the action reports: events as `Event.to_dict` writes them, and
                ``{"kind": "output", "stream": …, "text": …}`` for what it prints.
            allow_pickle: Whether a result without a form as data may travel as a pickle.
        """
        try:
            result = self.call(spec, params, job_id, emit)
        except PluginError as error:
            # Arguments of the exception too: an outcome may lie on a disk of the cluster for days.
            return None, without_secrets(pack_outcome(Outcome.of_error(error)), self.secrets)
        return _reply(result, allow_pickle)

    def call(self, spec: ActionSpec, params: Packed, job_id: str, emit: Callable[[dict[str, Any]], None]) -> Any:
        """Run an action and return its result as it is; the arguments are those of `run`.

        What a fork of this process reports is dropped: it has no part of what brings reports to their caller.

        Raises:
            PluginError: It failed, or it or its params cannot be opened here.
        """
        own = os.getpid()

        def emit_here(report: dict[str, Any]) -> None:
            if os.getpid() == own:
                emit(report)

        def emit_output(stream: str, text: str) -> None:
            emit_here({"kind": "output", "job_id": job_id, "time": time.time(), "stream": stream, "text": text})

        ctx = RuntimeContext(env=self._env, job_id=job_id, sink=_Emitter(emit_here, self.secrets))

        self._output.begin(emit_output)
        try:
            action = self._load(spec)
            try:
                opened = unpack(params)
            except Exception as error:
                raise outside_action(f"action {spec.name!r}", job_id, error) from error
            return run_action(action, opened, ctx)
        finally:
            self._output.end()

    def _env(self) -> PluginEnvironment:
        return PluginEnvironment.from_environ().merge(self._settings.env)


def open_reply(reply: Reply) -> Any:
    """Return the result, or raise the error."""
    result, outcome = reply
    if outcome is None:
        assert result is not None
        return unpack(result)
    return unpack_outcome(outcome).unwrap()


def _reply(result: Any, allow_pickle: bool) -> Reply:
    if allow_pickle and is_plain(result):
        return ("plain", result), None
    return None, pack_outcome(Outcome.of_value(result, allow_pickle=allow_pickle))


class _Emitter:
    """An event sink that hands events on as plain types, with secrets hidden."""

    def __init__(self, emit: Callable[[dict[str, Any]], None], secrets: list[str]) -> None:
        self._emit = emit
        self._secrets = secrets

    def emit(self, event: Event) -> None:
        data = event.to_dict()
        self._emit(without_secrets(data, self._secrets) if self._secrets else data)

    def close(self) -> None:
        pass


def without_secrets(value: Any, secrets: list[str]) -> Any:
    """Return plain data with every secret in its texts hidden, at any depth, keys included."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {without_secrets(key, secrets): without_secrets(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [without_secrets(item, secrets) for item in value]
    return value


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
