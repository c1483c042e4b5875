"""What an action is given besides its params: settings, identity, and somewhere to report to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from synapse_core.environment import PluginEnvironment
from synapse_core.reporting import Reporter

if TYPE_CHECKING:
    import logging

    from synapse_core.ports.events import Event, EventSink

__all__ = ["PluginEnvironment", "RuntimeContext"]

_MOST_COMPLAINTS = 100
_first_use = threading.Lock()


def _not_cancelled() -> bool:
    return False


class _Making:
    """A lock that a copied or pickled context has anew."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a factory may ask for what is made already

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type[_Making], tuple[()]]:
        return _Making, ()


class RuntimeContext(Reporter):
    """The context of one execution.

    Everything is optional, so that a test can write ``MyAction(params, RuntimeContext())``. Ids,
    environment and loggers are made when they are first asked for.

    Args:
        logger: Where reports go, as an `EventSink`; the same as `sink`. A logger of the standard library
            gets them as its records.
        env: Settings; a callable is asked once, at first use. Default: a snapshot of ``os.environ``.
        job_id: Identity of the execution. Default: a new one.
        client: Whatever client the executor provides.
        checkpoint: State that an earlier attempt left.
        sink: Where reports go; a callable is asked once, at the first report. Default: the standard
            library's logger ``synapse``.
        cancelled: Asked by `is_cancelled`.

    Example:
        >>> ctx = RuntimeContext(env={"EPOCHS": "3"}, job_id="train-001")
        >>> ctx.env.get_int("EPOCHS"), ctx.job_id, ctx.is_cancelled
        (3, 'train-001', False)
    """

    __slots__ = ("_cancelled", "_env", "_job_id", "_lock", "_logger", "_sink", "_warned", "checkpoint", "client")

    _lock: _Making  # made when it is first needed

    def __init__(
        self,
        logger: EventSink | Callable[[], EventSink] | logging.Logger | None = None,
        env: PluginEnvironment | Mapping[str, Any] | Callable[[], PluginEnvironment] | None = None,
        job_id: str | None = None,
        client: Any = None,
        checkpoint: Any = None,
        *,
        sink: EventSink | Callable[[], EventSink] | None = None,
        cancelled: Callable[[], bool] = _not_cancelled,
    ) -> None:
        self._sink = logger if sink is None else sink
        self._env = env
        self._job_id = job_id
        self._cancelled = cancelled
        self._logger: logging.Logger | None = None
        self._warned: set[str] | None = None
        self.client = client
        self.checkpoint = checkpoint

    @property
    def env(self) -> PluginEnvironment:
        """Settings: ``os.environ``, below ``config.yaml``'s ``env``, below ``--env`` and ``env=``."""
        env = self._env
        return env if isinstance(env, PluginEnvironment) else self._make_env()

    def _make_env(self) -> PluginEnvironment:
        with self._making():
            env = self._env
            if not isinstance(env, PluginEnvironment):
                if env is None:
                    env = PluginEnvironment.from_environ()
                elif isinstance(env, Mapping):
                    env = PluginEnvironment(env)
                else:
                    env = env()
                self._env = env
            return env

    @property
    def job_id(self) -> str:
        """Identity of this execution; never ``None``."""
        if self._job_id is None:
            with _first_use:  # an action's threads may ask at the same time, and get one answer
                if self._job_id is None:
                    import uuid

                    self._job_id = uuid.uuid4().hex
        return self._job_id

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody asked for this execution to stop."""
        return self._cancelled()

    @property
    def logger(self) -> logging.Logger:
        """A standard library logger whose records are reported as messages of this execution."""
        if self._logger is None:
            with self._making():
                if self._logger is None:
                    from synapse_core.stdlib_logging import ActionLogger

                    self._logger = ActionLogger("synapse.action", self)
        return self._logger

    def _making(self) -> _Making:
        """Return the lock under which this context makes what it has one of.

        One for all contexts would let a factory that waits for another thread wait for ever.
        """
        with _first_use:
            try:
                lock = self._lock
            except AttributeError:
                lock = self._lock = _Making()
            return lock

    def _reporting_job_id(self) -> str:
        return self.job_id

    def _report(self, event: Event) -> None:
        try:
            self._open_sink().emit(event)
        except Exception:
            if self._warn_once("sink"):
                import logging

                logging.getLogger("synapse").warning("reports are lost: the event sink fails", exc_info=True)

    def _open_sink(self) -> EventSink:
        sink: Any = self._sink
        if not hasattr(sink, "emit"):
            sink = self._make_sink()
        opened: EventSink = sink
        return opened

    def _make_sink(self) -> Any:
        from synapse_core.stdlib_logging import LoggingSink, is_logger

        with self._making():
            sink: Any = self._sink
            if sink is None:
                sink = LoggingSink()
            elif not hasattr(sink, "emit"):
                made = sink if is_logger(sink) else sink()
                sink = LoggingSink(made) if is_logger(made) else made
            self._sink = sink
            return sink

    def _complain(self, problem: str) -> None:
        if self._warn_once(problem):
            super()._complain(problem)

    def _warn_once(self, key: str) -> bool:
        if self._warned is None:
            self._warned = set()
        if key in self._warned or len(self._warned) >= _MOST_COMPLAINTS:
            return False
        self._warned.add(key)
        return True
