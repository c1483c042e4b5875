"""What the fixtures for plugin authors do, apart from being fixtures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

from synapse_core.context import RuntimeContext
from synapse_core.environment import PluginEnvironment
from synapse_core.execution import run_action
from synapse_core.ports.events import Event, RecordingSink
from synapse_core.resolution import resolve_action

__all__ = ["ActionRun", "run_recorded", "write_plugin"]


@dataclass(frozen=True, slots=True)
class ActionRun:
    """What came of running an action in a test.

    Attributes:
        result: What the action returned.
        events: What it reported, in order.
    """

    result: Any
    events: list[Event]

    def reported(self, kind: str) -> list[Event]:
        """Return the events of one kind, such as ``log``, ``progress`` or ``metrics``."""
        return [event for event in self.events if event.kind == kind]


def run_recorded(
    action: Any, params: Any = None, *, env: Mapping[str, Any] | None = None, job_id: str | None = None
) -> ActionRun:
    """Run an action in this thread as every executor does, recording what it reports."""
    sink = RecordingSink()
    overlay = PluginEnvironment.from_environ().merge(env or {})
    result = run_action(resolve_action(action), params, RuntimeContext(sink=sink, env=overlay, job_id=job_id))
    return ActionRun(result, sink.events)


def write_plugin(folder: Path, files: Mapping[str, str | bytes | Mapping[str, Any]]) -> Path:
    """Write the files of a plugin below `folder` and return it.

    Args:
        folder: Made if need be.
        files: Content by path. Text loses its common indentation; a mapping is written as YAML.
    """
    import yaml

    for relative, content in files.items():
        path = folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(dedent(content).lstrip("\n"), encoding="utf-8")
        else:
            path.write_text(yaml.safe_dump(dict(content), allow_unicode=True, sort_keys=False), encoding="utf-8")
    return folder
