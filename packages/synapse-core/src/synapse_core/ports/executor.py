"""Ports: what runs actions, and what it is able to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, runtime_checkable

from synapse_core.errors import CapabilityError

if TYPE_CHECKING:
    from synapse_core.actions import BaseAction
    from synapse_core.model.progress import PipelineProgress
    from synapse_core.model.status import JobStatus, RunStatus
    from synapse_core.ports.action import RunnableAction

__all__ = [
    "ALIASES",
    "ActionLike",
    "Capabilities",
    "ClosableExecutor",
    "ExecutorProtocol",
    "FollowableExecutor",
    "JobExecutorProtocol",
    "OPERATIONS",
    "PipelineExecutorProtocol",
    "StatedCapabilities",
]

ActionLike: TypeAlias = "type[BaseAction[Any, Any]] | Callable[..., Any] | RunnableAction | str"
"""What may be passed as an action.

A `BaseAction` subclass, a callable ``(params, ctx)``, an entrypoint string, or an action that is
resolved already, which is what `run_plugin` passes. That one keeps its own name, also where another
process resolves it anew from its entrypoint; `synapse_core.resolution.resolve_given` takes all four.
"""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an executor claims. A claim is a promise; an operation that is not claimed raises `CapabilityError`.

    Attributes:
        returns_result: `execute` returns the action's result.
        shares_memory: Results are the very objects that the action returned.
        isolated: An action that kills its process does not kill the caller.
        jobs: `submit` hands over the work and returns a job id, by which its status and result can be had.
        detached: What was submitted goes on when the process that submitted it has ended.
        logs: Logs can be had by job id.
        cancel: Running work can be stopped by job id.
        parallel: Several calls at once run at once.
        gpu: GPUs can be asked for.
        environment: `env=` reaches the action as ``ctx.env``.
        events: Logs, progress and metrics reach the caller while the work runs.
    """

    returns_result: bool = False
    shares_memory: bool = False
    isolated: bool = False
    jobs: bool = False
    detached: bool = False
    logs: bool = False
    cancel: bool = False
    parallel: bool = False
    gpu: bool = False
    environment: bool = False
    events: bool = False

    def names(self) -> tuple[str, ...]:
        """Return the names of what is claimed."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name))


OPERATIONS: Mapping[str, str] = MappingProxyType(
    {
        "execute": "returns_result",
        "submit": "jobs",
        "get_status": "jobs",
        "get_result": "jobs",
        "wait": "jobs",
        "get_logs": "logs",
        "stream_logs": "logs",
        "cancel": "cancel",
        "stop": "cancel",
    }
)
"""Operation of an executor → the capability that claims it."""

ALIASES: Mapping[str, str] = MappingProxyType({"stop": "cancel"})
"""Operation that is another name → the operation that it means; an executor need not have it."""


class StatedCapabilities:
    """Base of executors that state what they can do: an operation that is not claimed raises at once.

    Attributes:
        capabilities: What the executor claims.
    """

    capabilities: ClassVar[Capabilities] = Capabilities()

    def shutdown(self) -> None:
        """Free what the executor holds, as `ClosableExecutor` says; here that is nothing."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            claim = OPERATIONS.get(name)
            kind = type(self).__name__
            if claim is None:
                raise AttributeError(f"{kind!r} object has no attribute {name!r}")
            if not getattr(self.capabilities, claim):
                raise CapabilityError(
                    f"{kind} cannot {name}(): it does not claim {claim!r}. "
                    f"It claims: {', '.join(self.capabilities.names()) or '(nothing)'}. "
                    "`synapse executors` shows which ones do"
                )
            if name in ALIASES:
                return getattr(self, ALIASES[name])
            raise CapabilityError(
                f"{kind} claims {claim!r} and has no {name}(): that is a fault of {kind}, not of its caller. "
                f"Give it the method, or take {claim!r} out of its capabilities"
            )


@runtime_checkable
class ExecutorProtocol(Protocol):
    """Runs one action at a time for each caller and returns its result.

    May be called from any thread, several at once; a call blocks its own thread only. Ctrl-C in
    the calling thread stops waiting, and the action where the executor claims to be able to.
    """

    def execute(self, action: ActionLike, params: dict[str, Any], **kwargs: Any) -> Any:
        """Run an action and return what its ``execute`` returns.

        Args:
            action: A `BaseAction` subclass, a callable ``(params, ctx)``, an entrypoint string, or an
                action that is resolved already.
            params: Validated before anything leaves this process, where the model is known here.
            **kwargs: Ignored.

        Raises:
            ValidationError: The params do not fit; nothing has run.
            ExecutionError: The action raised; its cause is the original where that can be rebuilt.
            BackendError: The backend could not run it at all.
        """
        ...


@runtime_checkable
class ClosableExecutor(Protocol):
    """An executor that can be told to let go of what it holds: actors, processes, connections.

    `StatedCapabilities` has a ``shutdown`` that does nothing, for executors that hold nothing.
    """

    def shutdown(self) -> None:
        """Free what the executor holds, once no call of it is running; jobs that are detached go on.

        Called by whoever made the executor, and by nobody else: one that was passed in, or that is a
        pickled copy, is left to its owner. A second call does nothing. Raises nothing for a backend
        that is gone.
        """
        ...


@runtime_checkable
class JobExecutorProtocol(ExecutorProtocol, Protocol):
    """Takes work over and answers for it by job id. Claimed by ``jobs``.

    Where ``detached`` is claimed, the work outlives the process that submitted it, and any process
    that knows the id can ask; otherwise this process only.
    """

    def submit(self, action: ActionLike, params: dict[str, Any], *, job_id: str | None = None) -> str:
        """Hand the work over and return its id at once.

        Raises:
            ValidationError: The params do not fit; nothing was handed over.
            JobExistsError: `job_id` is taken; the job that has it was left alone.
        """
        ...

    def get_status(self, job_id: str) -> JobStatus:
        """Return the job's status; ``UNKNOWN`` for an unknown id."""
        ...

    def get_result(self, job_id: str, timeout: float | None = None) -> Any:
        """Wait for the job and return its result, as often as asked.

        Raises:
            ExecutionTimeoutError: `timeout` seconds have passed; the job goes on.
            ExecutionCancelledError: It was stopped.
            JobNotFoundError: There is no such job.
            ExecutionError: It failed.
        """
        ...

    def wait(self, job_id: str, timeout_seconds: float = 300) -> str:
        """Wait for the job and return its final status; raises as `get_result` does."""
        ...

    def get_logs(self, job_id: str) -> str:
        """Return everything that the job has logged so far. Claimed by ``logs``."""
        ...

    def stream_logs(self, job_id: str, timeout: float | None = None) -> Iterator[str]:
        """Yield whole lines with their newline, from the first one on, until the job has ended. Claimed by ``logs``.

        Raises:
            ExecutionTimeoutError: `timeout` seconds have passed; the job goes on.
            JobNotFoundError: There is no such job.
        """
        ...

    def cancel(self, job_id: str) -> bool:
        """Stop the job; ``False`` if it had already ended. Claimed by ``cancel``."""
        ...


@runtime_checkable
class FollowableExecutor(Protocol):
    """A job executor that can show what a job reports where its caller is, as if it ran there."""

    def follow(self, job_id: str, timeout: float | None = None) -> None:
        """Hand what the job has reported and will report to the executor's sink, and print what it prints.

        Returns when the job has ended, whatever came of it. Ctrl-C stops following, and not the job.

        Raises:
            ExecutionTimeoutError: `timeout` seconds have passed; the job goes on.
            JobNotFoundError: There is no such job.
        """
        ...


@runtime_checkable
class PipelineExecutorProtocol(Protocol):
    """Runs several actions in order, each with the results of those before it."""

    def submit(
        self, pipeline: Any, params: dict[str, Any], *, name: str | None = None, resume_from: str | None = None
    ) -> str:
        """Record the run and start it; returns its id at once."""
        ...

    def get_status(self, run_id: str) -> RunStatus:
        """Return the run's status."""
        ...

    def get_progress(self, run_id: str) -> PipelineProgress:
        """Return progress, action by action."""
        ...

    def stream_progress(self, run_id: str, timeout: float = 3600.0) -> Iterator[PipelineProgress]:
        """Yield progress as it changes, until the run has ended."""
        ...

    def wait(self, run_id: str, timeout_seconds: float = 3600) -> PipelineProgress:
        """Wait for the run. Raises `ExecutionError` where it failed, `ExecutionTimeoutError` where it goes on."""
        ...

    def get_result(self, run_id: str, timeout: float | None = None) -> Any:
        """Return the last action's result."""
        ...

    def cancel(self, run_id: str) -> None:
        """Stop the run and whatever works for it."""
        ...
