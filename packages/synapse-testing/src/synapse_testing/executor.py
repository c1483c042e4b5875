"""An executor in memory that behaves as one on another machine: everything crosses as JSON text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from synapse_core.arguments import refuse_unknown_arguments
from synapse_core.context import RuntimeContext
from synapse_core.environment import PluginEnvironment
from synapse_core.execution import run_to_outcome
from synapse_core.model.outcome import Outcome
from synapse_core.model.tagged import decode, encode
from synapse_core.ports.action import RunnableAction
from synapse_core.ports.events import Event, EventSink, RecordingSink
from synapse_core.ports.executor import Capabilities, StatedCapabilities
from synapse_core.resolution import resolve_given

if TYPE_CHECKING:
    from synapse_core.ports.executor import ActionLike

__all__ = ["InMemoryExecutor"]


class InMemoryExecutor(StatedCapabilities):
    """Runs actions in the calling thread, and hands params, events, results and errors on as data.

    The reference for whoever writes an executor: its four steps, `_send`, `_context`, `_work` and
    `_receive`, are what any other has to do across its own boundary.

    Args:
        env: Settings above ``os.environ``.
        job_id: Identity of every execution. Default: a new one for each.
        sink: Where logs, progress and metrics go. Default: a `RecordingSink`.

    Attributes:
        sink: Where logs, progress and metrics go.

    Example:
        >>> from synapse_testing import InMemoryExecutor
        >>> InMemoryExecutor().execute(lambda params, ctx: (params["a"], {1}), {"a": 1})
        (1, {1})
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        returns_result=True, parallel=True, environment=True, events=True
    )

    @refuse_unknown_arguments
    def __init__(
        self,
        env: PluginEnvironment | Mapping[str, Any] | None = None,
        job_id: str | None = None,
        *,
        sink: EventSink | None = None,
    ) -> None:
        self.sink: EventSink = RecordingSink() if sink is None else sink
        self._overlay = dict(env or {})
        self._job_id = job_id

    def execute(
        self,
        action: ActionLike | None = None,
        params: Any = None,
        *,
        action_cls: ActionLike | None = None,
        entrypoint: ActionLike | None = None,
        **kwargs: Any,
    ) -> Any:
        """Run an action and return its result; `action` also answers to `action_cls` and `entrypoint`."""
        resolved = resolve_given(action, action_cls, entrypoint)
        resolved.validate(params)
        ctx = self._context(self._job_id, self.sink)
        return self._receive(self._work(resolved, self._send(params), ctx))

    def _send(self, params: Any) -> str:
        """Return params as they go to the worker."""
        return json.dumps(encode(dict(params or {})))

    def _context(
        self, job_id: str | None, sink: EventSink, cancelled: Callable[[], bool] = lambda: False
    ) -> RuntimeContext:
        """Return the context that the worker makes."""
        env = PluginEnvironment.from_environ().merge(self._overlay)
        return RuntimeContext(env=env, job_id=job_id, sink=_Wire(sink), cancelled=cancelled)

    def _work(self, action: RunnableAction, sent: str, ctx: RuntimeContext) -> str:
        """Run the action, on the worker, and return what came of it."""
        outcome = run_to_outcome(action, decode(json.loads(sent)), ctx, allow_pickle=False)
        return json.dumps(outcome.to_dict())

    def _receive(self, answer: str) -> Any:
        """Return the result that came back, or raise the error."""
        return Outcome.from_dict(json.loads(answer)).unwrap()


class _Wire:
    """Carries events to a sink as JSON text."""

    def __init__(self, sink: EventSink) -> None:
        self._sink = sink

    def emit(self, event: Event) -> None:
        self._sink.emit(Event.from_dict(json.loads(json.dumps(event.to_dict()))))

    def close(self) -> None:
        self._sink.close()
