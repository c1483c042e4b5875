"""Run actions on warm Ray actors."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from synapse_core.arguments import refuse_unknown_arguments
from synapse_core.environment import PluginEnvironment
from synapse_core.errors import BackendError, WorkerLostError
from synapse_core.loading import loaded_plugin_folders
from synapse_core.model.enums import PackageManager
from synapse_core.ports.executor import Capabilities
from synapse_ray.action_spec import another_folder
from synapse_ray.base import BaseRayExecutor
from synapse_ray.capabilities import ACTOR_CAPABILITIES
from synapse_ray.options import MOST_RETRIES, check_together
from synapse_ray.pool_table import PoolUse
from synapse_ray.preparation import PreparedAction, Preparer
from synapse_ray.shared_pool import PoolTicket, SharedPool, attach
from synapse_ray.warm_call import Lender, call_warm, new_job_id
from synapse_ray.worker import open_reply

if TYPE_CHECKING:
    from synapse_core.ports.events import EventSink
    from synapse_core.ports.executor import ActionLike

__all__ = ["RayActorExecutor", "RayTaskExecutor"]


class RayActorExecutor(BaseRayExecutor):
    """Runs actions on a pool of Ray actors that stay warm between calls; results come back as they are.

    Safe to use from many threads, and, as a pickled copy, from Ray tasks: all share the same actors. The pool starts
    with the first call, where ``auto`` finds no cluster on a private one; it belongs to the process that made it, and
    ends with it or by `shutdown`. Executors of one process that are made with the same arguments share one pool.

    An action that raises leaves its actor warm. When an actor dies its call raises `WorkerLostError`, or is made once
    more on a new actor where the action is ``idempotent``. Edited code is picked up by the first call that starts
    more than a second after the edit, by new actors.

    A pickled copy has the job id and `debug` of the original, and shows on the terminal of its own process: `sink` does
    not travel.

    Args:
        env: As for `BaseRayExecutor`, and so are all up to `include_sdk`.
        job_id: Identity of every execution of this executor. Default: a new one for each.
        ray_address: ``auto``, ``local``, ``HOST:PORT`` or ``ray://HOST:10001``.
        runtime_env: Ray's runtime environment; never changed.
        working_dir: Folder to ship. Default: that of the first plugin of which an action is run.
        requirements_file: A requirements.txt. Default: the one in the folder that is shipped.
        package_manager: ``pip`` or ``uv``.
        package_manager_options: Options of the installer.
        wheels_dir: Folder of wheels to install, relative to `working_dir`.
        num_cpus: CPU cores of each actor. Default: Ray's own for actors, 1 to be placed and 0 while it lives.
        num_gpus: GPUs of each actor.
        memory: Bytes of each actor.
        include_sdk: Whether to ship the Synapse packages of this environment too.
        num_actors: How many actors there are, and so how many calls run at once.
        sink: Where logs, progress and metrics go. Default: the terminal.
        debug: Whether that terminal shows what `log_dev_event` reports.

    Example:
        ::

            with RayActorExecutor(num_actors=4, working_dir="examples/digits") as executor:
                executor.execute("plugin.train:TrainAction", {"epochs": 3})
    """

    capabilities: ClassVar[Capabilities] = ACTOR_CAPABILITIES

    @refuse_unknown_arguments
    def __init__(
        self,
        env: PluginEnvironment | Mapping[str, Any] | str | None = None,
        job_id: str | None = None,
        ray_address: str = "auto",
        runtime_env: Mapping[str, Any] | None = None,
        working_dir: str | os.PathLike[str] | None = None,
        requirements_file: str | os.PathLike[str] | None = None,
        package_manager: PackageManager | str = PackageManager.PIP,
        package_manager_options: Sequence[str] | None = None,
        wheels_dir: str = "wheels",
        num_cpus: float | None = None,
        num_gpus: float | None = None,
        memory: int | None = None,
        include_sdk: bool = False,
        num_actors: int = 1,
        *,
        sink: EventSink | None = None,
        debug: bool = True,
    ) -> None:
        begin = super().__init__
        check_together(
            lambda: begin(
                env, job_id, ray_address, runtime_env, working_dir, requirements_file, package_manager,
                package_manager_options, wheels_dir, num_cpus, num_gpus, memory, include_sdk, sink=sink, debug=debug,
            ),
            lambda: _check_count(num_actors),
        )  # fmt: skip
        self._num_actors = num_actors
        self._folder = self._options.working_dir
        self._lock = threading.RLock()
        self._use: PoolUse | None = None
        self._lender: Lender | None = None
        self._ticket: PoolTicket | None = None
        self._pid = os.getpid()

    def execute(
        self,
        action: ActionLike | None = None,
        params: Any = None,
        *,
        action_cls: ActionLike | None = None,
        entrypoint: ActionLike | None = None,
        **kwargs: Any,
    ) -> Any:
        """Run an action on a warm actor and return its result.

        Args:
            action: A `BaseAction` subclass, a callable ``(params, ctx)``, or an entrypoint string;
                also answers to `action_cls` and `entrypoint`.
            params: Its params.
            action_cls: Another name for `action`.
            entrypoint: Another name for `action`.
            **kwargs: Ignored.

        Raises:
            ValidationError: The params do not fit; nothing has left this process where the action imports here.
            ExecutionError: The action raised; the original exception is its cause where it can be rebuilt here.
            WorkerLostError: Its actor died, and the next call gets a new one.
            BackendError: The cluster or the environment cannot run it.
        """
        prepared = self._preparer.prepare(action, action_cls, entrypoint)
        work = prepared.with_params(params)
        lender = self._lender_for(prepared)
        job_id = self._options.job_id or new_job_id()
        try:
            retries = MOST_RETRIES if work.spec.idempotent else 0
            while True:
                try:
                    reply = call_warm(lender, work, job_id, self._open_sink)
                    break
                except WorkerLostError:
                    if retries == 0:
                        raise
                    retries -= 1
        finally:
            self._end_progress(job_id)
        return open_reply(reply)

    async def execute_async(self, action: ActionLike, params: Any = None) -> Any:
        """Do what `execute` does without blocking the running event loop; cancelling stops waiting, not the action."""
        return await asyncio.to_thread(self.execute, action, params)

    def shutdown(self) -> None:
        """End the actors, unless another executor of this process uses them too; the next call starts anew.

        A pickled copy leaves them to their owner, and lets go of its own connection.
        """
        self._close_sink()
        with self._lock:
            if isinstance(self._lender, SharedPool):
                lender, self._lender = self._lender, None
                lender.leave(self)
            use, self._use = self._use, None
            if use is None or self._pid != os.getpid():
                return
            self._lender = None
            self._finalizer.detach()
        use.close()

    def __enter__(self) -> RayActorExecutor:
        """Return the executor."""
        return self

    def __exit__(self, *_: object) -> None:
        """Shut it down."""
        self.shutdown()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a handle of the pool, which starts now if it has not; nothing secret travels with it."""
        if self._ticket is None:
            if self._folder is None and len(folders := loaded_plugin_folders()) == 1:
                # No call has said which plugin is meant, and the actors are made now: the one that is here.
                self._folder = Path(folders[0])
            self._pool_of(self._folder)
            assert self._use is not None
            ticket = self._use.pool.share()
        else:
            ticket = self._ticket
        return _attached_executor, (type(self), ticket, self._options.job_id, self._num_actors, self._debug)

    def _lender_for(self, prepared: PreparedAction) -> Lender:
        folder = prepared.folder
        lender = self._lender
        if lender is not None and (folder is None or folder is self._folder) and lender.is_current:
            return lender
        if self._ticket is not None:
            return self._lender_of(self._ticket, prepared)
        return self._pool_of(folder, prepared.spec.name)

    def _pool_of(self, folder: Path | None, name: str = "") -> Lender:
        with self._lock:
            if self._pid != os.getpid():  # a fork of the process that has the pool
                self._use, self._lender, self._pid = None, None, os.getpid()
            if folder is not None and self._folder is not None and folder.resolve() != self._folder.resolve():
                raise another_folder(name, folder, self._folder)
            if self._use is not None and self._folder is None and folder is not None:
                self._use.close(only_idle=True)
                self._use = None
            self._folder = folder if self._folder is None else self._folder
            if self._use is None or not self._use.pool.is_current:
                if self._use is not None:
                    self._use.close()
                self._use = PoolUse(self._options, self._folder, self._num_actors)
                self._finalizer = weakref.finalize(self, self._use.abandon)
                self._finalizer.atexit = False
            self._lender = self._use.pool
            return self._lender

    def _lender_of(self, ticket: PoolTicket, prepared: PreparedAction) -> Lender:
        if prepared.folder is not None and ticket.folder is None:
            raise BackendError(
                f"action {prepared.spec.name!r} belongs to the plugin in {prepared.folder}, and the pool of this "
                "executor was started before that was known. Name the folder where the executor is made: "
                f"working_dir={str(prepared.folder)!r}"
            )
        if prepared.folder is not None and ticket.folder != str(prepared.folder):
            raise another_folder(prepared.spec.name, prepared.folder, Path(str(ticket.folder)))
        self._folder = prepared.folder or self._folder
        self._lender = attach(ticket, self)
        return self._lender


RayTaskExecutor = RayActorExecutor
"""The same class under its older name."""


def _attached_executor(
    kind: type[RayActorExecutor], ticket: PoolTicket, job_id: str | None, num_actors: int, debug: bool
) -> RayActorExecutor:
    """Make a copy of an executor that uses the actors of the original."""
    executor = kind(job_id=job_id, num_actors=num_actors, debug=debug)
    executor._ticket = ticket
    if ticket.folder is not None:
        executor._preparer = Preparer(Path(ticket.folder))
        executor._folder = Path(ticket.folder)
    return executor


def _check_count(num_actors: Any) -> None:
    if isinstance(num_actors, bool) or not isinstance(num_actors, int):
        raise TypeError(f"num_actors has to be a whole number, not a {type(num_actors).__name__}")
    if num_actors < 1:
        raise ValueError(f"num_actors has to be 1 or more, not {num_actors}")
