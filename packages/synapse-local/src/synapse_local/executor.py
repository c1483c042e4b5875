"""Run actions in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from synapse_core.arguments import refuse_unknown_arguments
from synapse_core.context import RuntimeContext
from synapse_core.environment import PluginEnvironment
from synapse_core.execution import run_action, run_action_async
from synapse_core.ports.executor import Capabilities, StatedCapabilities
from synapse_core.resolution import ResolvedAction, resolve_action, resolve_given
from synapse_local.capabilities import LOCAL_CAPABILITIES

if TYPE_CHECKING:
    from synapse_core.ports.events import EventSink
    from synapse_core.ports.executor import ActionLike
    from synapse_local.console import ConsoleLogger

__all__ = ["LocalExecutor"]

_first_use = threading.Lock()


class LocalExecutor(StatedCapabilities):
    """Runs actions synchronously in the calling thread; debuggers work, results come back as they are.

    Safe to use from many threads: each call runs in its own.

    Args:
        env: Settings above ``os.environ``, which itself is never changed.
        job_id: Identity of every execution of this executor. Default: a new one for each.
        sink: Where logs, progress and metrics go. Default: a `ConsoleLogger` on stderr.
        debug: Whether that `ConsoleLogger` shows what `log_dev_event` reports.

    Example:
        >>> from synapse_local import LocalExecutor
        >>> LocalExecutor().execute(lambda params, ctx: params["a"] + 1, {"a": 1})
        2
    """

    capabilities: ClassVar[Capabilities] = LOCAL_CAPABILITIES

    @refuse_unknown_arguments
    def __init__(
        self,
        env: PluginEnvironment | Mapping[str, Any] | None = None,
        job_id: str | None = None,
        *,
        sink: EventSink | None = None,
        debug: bool = True,
    ) -> None:
        if env is not None and not isinstance(env, Mapping):
            raise TypeError(f"env has to be a mapping or a PluginEnvironment, not a {type(env).__name__}")
        self._overlay = env
        self._job_id = job_id
        self._debug = debug
        self._console: ConsoleLogger | None = None
        self._sink: EventSink | Callable[[], EventSink] = self._open_console if sink is None else sink
        self._make_environment = self._environment
        self._last: tuple[Any, ResolvedAction | None] = (None, None)

    def execute(
        self,
        action: ActionLike | None = None,
        params: Any = None,
        *,
        action_cls: ActionLike | None = None,
        entrypoint: ActionLike | None = None,
        **kwargs: Any,
    ) -> Any:
        """Run an action and return what it returns, unchanged.

        Args:
            action: A `BaseAction` subclass, a callable ``(params, ctx)``, or an entrypoint string;
                also answers to `action_cls` and `entrypoint`.
            params: Its params.
            action_cls: Another name for `action`.
            entrypoint: Another name for `action`.
            **kwargs: Ignored.

        Raises:
            ValidationError: The params do not fit; nothing has run.
            ExecutionError: The action raised; the original exception is its cause.
        """
        resolved = resolve_given(action_cls, entrypoint) if action is None else self._resolve(action)
        ctx = RuntimeContext(self._sink, self._make_environment, self._job_id)
        try:
            return run_action(resolved, params, ctx)
        finally:
            if self._console is not None and self._console.follows_progress:
                self._console.end(ctx.job_id)

    async def execute_async(self, action: ActionLike, params: Any = None) -> Any:
        """Do what `execute` does without blocking the running event loop."""
        ctx = RuntimeContext(self._sink, self._make_environment, self._job_id)
        try:
            return await run_action_async(self._resolve(action), params, ctx)
        finally:
            if self._console is not None and self._console.follows_progress:
                self._console.end(ctx.job_id)

    def _resolve(self, action: ActionLike) -> ResolvedAction:
        known, resolved = self._last  # read at once: another thread may replace it
        if resolved is None or action is not known:
            resolved = resolve_action(action)
            self._last = (action, resolved)
        return resolved

    def _open_console(self) -> ConsoleLogger:
        if self._console is None:
            from synapse_local.console import ConsoleLogger

            with _first_use:  # threads share one console, so that one bar is on the screen
                if self._console is None:
                    self._console = ConsoleLogger(debug=self._debug)
        return self._console

    def _environment(self) -> PluginEnvironment:
        return PluginEnvironment.from_environ().merge(self._overlay or {})
