"""Run actions as jobs on Ray: each in an actor of its own, which outlives the process that submitted it."""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from synapse_core.arguments import refuse_unknown_arguments
from synapse_core.environment import PluginEnvironment
from synapse_core.errors import BackendUnreachableError, PluginError
from synapse_core.model.enums import PackageManager
from synapse_core.ports.executor import Capabilities
from synapse_ray.addresses import parse_address, private_cluster
from synapse_ray.base import BaseRayExecutor
from synapse_ray.capabilities import JOB_CAPABILITIES
from synapse_ray.connection import Connection, close_connection, found_no_cluster, open_connection
from synapse_ray.event_relay import Relay
from synapse_ray.job_errors import tell_id
from synapse_ray.job_launch import launch
from synapse_ray.job_questions import JobQuestions
from synapse_ray.keeper.answers import ended_outcome, fetched_outcome, open_outcome, relay_reports
from synapse_ray.keeper.client import KeeperClient
from synapse_ray.keeper.records import JobState
from synapse_ray.names import check_job_id
from synapse_ray.pending_notice import told_while_pending
from synapse_ray.placement import refuse_impossible
from synapse_ray.ray_internals import shows_worker_output
from synapse_ray.shipping import Shipments, upload
from synapse_ray.translation import translated

if TYPE_CHECKING:
    from synapse_core.ports.events import EventSink
    from synapse_core.ports.executor import ActionLike

__all__ = ["RayJobExecutor"]

_WEEK = 7 * 24 * 3600.0


class RayJobExecutor(JobQuestions, BaseRayExecutor):
    """Submits actions as jobs: detached Ray actors that end with their work.

    The cluster's keeper, a small actor on the head, holds the ids, statuses, logs and results. So nothing depends on
    this process or on this object: any process that knows a job's id may ask for it. Safe to use from many threads.

    A job holds one CPU while it runs, where nothing else is asked for, and so waits its turn (``PENDING``) on a full
    cluster. When its worker dies the job has failed with `WorkerLostError`; an action that is ``idempotent`` is run
    again, twice at most.

    Args:
        env: Values for ``ctx.env``; a text is taken as `ray_address`.
        job_id: Default id of a job. Ids stay taken until `delete`, or until `keep_for` seconds after the job's end.
        ray_address: ``auto``, ``HOST:PORT`` or ``ray://HOST:10001``.
        runtime_env: Ray's runtime environment; never changed.
        working_dir: Folder to ship. Default: that of the action's plugin.
        requirements_file: A requirements.txt. Default: the one in the folder that is shipped.
        package_manager: ``pip`` or ``uv``.
        package_manager_options: Options of the installer.
        wheels_dir: Folder of wheels to install, relative to `working_dir`.
        num_cpus: CPU cores of a job. Default: 1.
        num_gpus: GPUs of a job; fractions allowed.
        memory: Bytes of a job.
        include_sdk: Whether to ship the Synapse packages of this environment too.
        start_ray: Whether to start a cluster on this machine where ``auto`` finds none; it stays.
        keep_for: Seconds for which a job's id, logs and result are kept once it has ended; never less than ten.
            Default: a week.
        sink: Where `execute` shows logs, progress and metrics. Default: the terminal.
        debug: Whether that terminal shows what `log_dev_event` reports.

    Example:
        ::

            executor = RayJobExecutor(working_dir="examples/digits")
            job_id = executor.submit("plugin.train:TrainAction", {"epochs": 3})
            executor.get_result(job_id)  # here, or in another process, tomorrow
    """

    capabilities: ClassVar[Capabilities] = JOB_CAPABILITIES

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
        *,
        start_ray: bool = False,
        keep_for: float = _WEEK,
        sink: EventSink | None = None,
        debug: bool = True,
    ) -> None:
        super().__init__(
            env, job_id, ray_address, runtime_env, working_dir, requirements_file, package_manager,
            package_manager_options, wheels_dir, num_cpus, num_gpus, memory, include_sdk, sink=sink, debug=debug,
        )  # fmt: skip
        if job_id is not None:
            check_job_id(job_id)
        if isinstance(keep_for, bool) or not isinstance(keep_for, (int, float)) or not keep_for >= 0:
            raise ValueError(f"keep_for has to be a number of seconds, 0 or more, not {keep_for!r}")
        self._start_ray = start_ray
        self._keep_for = float(keep_for)
        self._lock = threading.RLock()
        self._connection: Connection | None = None
        self._client: KeeperClient | None = None
        self._shipments = Shipments(self._options)

    def execute(
        self,
        action: ActionLike | None = None,
        params: Any = None,
        *,
        action_cls: ActionLike | None = None,
        entrypoint: ActionLike | None = None,
        **kwargs: Any,
    ) -> Any:
        """Submit, show what the job reports while it runs, and return its result. Ctrl-C stops the job.

        Args:
            action: A `BaseAction` subclass, a callable ``(params, ctx)``, or an entrypoint string;
                also answers to `action_cls` and `entrypoint`.
            params: Its params.
            action_cls: Another name for `action`.
            entrypoint: Another name for `action`.
            **kwargs: Ignored.

        Raises:
            ValidationError: The params do not fit; nothing has left this process.
            ExecutionError: The action raised.
            BackendError: The cluster or the environment cannot run it; or the contact to it is lost, and the job goes
                on: its id is in the message.
        """
        job_id = self.submit(action, params, action_cls=action_cls, entrypoint=entrypoint)
        try:
            return open_outcome(self._keeper(), job_id, self._shown_outcome(job_id))
        except KeyboardInterrupt:
            with contextlib.suppress(PluginError):
                self.cancel(job_id)
            raise

    def follow(self, job_id: str, timeout: float | None = None) -> None:
        """Show what the job has reported and will report, and print what it prints, until it has ended.

        Ctrl-C stops following, and not the job.

        Raises:
            ExecutionTimeoutError: `timeout` seconds have passed; the job goes on.
            JobNotFoundError: There is no such job.
        """
        self._follow(job_id, timeout, Relay(self._open_sink))

    def _follow(self, job_id: str, timeout: float | None, relay: Relay) -> None:
        keeper = self._keeper()
        try:
            with told_while_pending(job_id, keeper.status):
                relay_reports(keeper, job_id, relay, timeout)
        finally:
            self._end_progress(job_id)

    def submit(
        self,
        action: ActionLike | None = None,
        params: Any = None,
        *,
        job_id: str | None = None,
        action_cls: ActionLike | None = None,
        entrypoint: ActionLike | None = None,
    ) -> str:
        """Hand the work over to the cluster and return the job's id, before the work has begun.

        Args:
            action: A `BaseAction` subclass, a callable ``(params, ctx)``, or an entrypoint string;
                also answers to `action_cls` and `entrypoint`.
            params: Its params.
            job_id: Id of the job. Default: the executor's, else a new one.
            action_cls: Another name for `action`.
            entrypoint: Another name for `action`.

        Raises:
            ValidationError: The params do not fit; nothing was handed over.
            JobExistsError: The id is taken; the job that has it was left alone.
            BackendError: The cluster cannot be reached, or can never run this.
        """
        work = self._preparer.prepare(action, action_cls, entrypoint).with_params(params)
        if job_id is None:
            job_id = self._options.job_id or f"job-{uuid.uuid4().hex[:12]}"
        check_job_id(job_id)
        keeper = self._keeper()
        keeper.require()
        resources = {"num_cpus": 1, **self._options.resources()}
        refuse_impossible(resources)
        shipped = self._shipments.current(work.folder)
        upload(shipped)
        launch(keeper, work, shipped, job_id, resources, self._keep_for)
        return job_id

    def shutdown(self) -> None:
        """Let go of the connection. Jobs go on."""
        self._disconnect()
        self._close_sink()

    def _disconnect(self) -> None:
        with self._lock:
            connection, self._connection, self._client = self._connection, None, None
        if connection is not None:
            close_connection(connection)

    # -- how --------------------------------------------------------------------------------------

    def _shown_outcome(self, job_id: str) -> JobState:
        """Show what the job reports, and return all that came of it; an error names the job, which nobody else does."""
        try:
            self._keeper()
            # Where this process has let Ray show what workers print, it shows the job's too: this process made it.
            self._follow(job_id, None, Relay(self._open_sink, shows_output=not shows_worker_output()))
            return fetched_outcome(self._keeper(), job_id, ended_outcome(self._keeper(), job_id, None))
        except Exception as error:
            problem = translated(error, "following it")
            tell_id(problem, job_id)
            if problem is error:
                raise
            raise problem from error

    def _keeper(self) -> KeeperClient:
        with self._lock:
            if self._client is None or self._connection is None or not self._connection.is_current:
                self._disconnect()
                self._connection = self._connect()
                self._client = KeeperClient(self._connection, include_sdk=self._options.include_sdk)
            return self._client

    def _connect(self) -> Connection:
        address = self._options.address
        if parse_address(address).kind == "local":
            raise private_cluster()
        try:
            return _detached(open_connection(address))
        except BackendUnreachableError as error:
            if not self._start_ray or not found_no_cluster(error):
                raise
        from synapse_ray.starting import start_head

        return open_connection(start_head())


def _detached(connection: Connection) -> Connection:
    """Return a connection to a cluster that does not end with this process, and raise for another one."""
    if connection.is_private:
        close_connection(connection)
        raise private_cluster("this process is connected to a Ray cluster of its own, which ends with it")
    return connection
