"""Run actions as jobs of Ray's Jobs API, over HTTP only."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from synapse_core.arguments import refuse_unknown_arguments
from synapse_core.environment import PluginEnvironment
from synapse_core.errors import BackendError, ExecutionError
from synapse_core.model.enums import PackageManager
from synapse_core.model.status import JobStatus
from synapse_core.ports.executor import Capabilities
from synapse_ray.base import BaseRayExecutor
from synapse_ray.capabilities import JOBS_API_CAPABILITIES
from synapse_ray.job_info import JobInfo
from synapse_ray.jobs_api import rest_paths
from synapse_ray.jobs_api.answers import JobDetails, failed, jobs_of
from synapse_ray.jobs_api.connecting import connect
from synapse_ray.jobs_api.dashboard import AsyncDashboard, Dashboard
from synapse_ray.jobs_api.entrypoint import nonce_of
from synapse_ray.jobs_api.following import follow_log, read_log
from synapse_ray.jobs_api.log_stream import drive, drive_async
from synapse_ray.jobs_api.results import error_of, read_durability, read_result
from synapse_ray.jobs_api.submission import discard_secret, refuse_other_python, submit
from synapse_ray.jobs_api.waiting import follow_to_end, known_job, wait_for_end, wait_for_stop
from synapse_ray.jobs_api.work import JobWork, unencodable
from synapse_ray.names import check_job_id
from synapse_ray.preparation import Prepared
from synapse_ray.shipping import Shipment

if TYPE_CHECKING:
    from synapse_core.ports.events import EventSink
    from synapse_core.ports.executor import ActionLike

__all__ = ["RayJobsApiExecutor"]

_LONGEST_PAUSE = 1.0
_SETTLED = 2.5  # seconds after its end


class RayJobsApiExecutor(BaseRayExecutor):
    """Runs each action as a job of Ray's Jobs API: isolated, detached, with its log.

    Everything goes over HTTP to the cluster's dashboard, so that one process may speak to any number of clusters. Any
    process that knows a job's id can ask for it. May be used from any thread, and inside a running event loop.

    Args:
        env: Values for ``ctx.env``, above the worker's own ``os.environ``.
        dashboard_address: ``http://HOST:8265``. Default: that of the cluster at `ray_address`, which without any
            address is the connected one, else one that runs on this machine, else ``http://localhost:8265``.
        runtime_env: Ray's runtime environment; never changed.
        working_dir: Folder to ship. Default: that of the action's plugin.
        requirements_file: A requirements.txt. Default: the one in the folder that is shipped.
        package_manager: ``pip`` or ``uv``.
        package_manager_options: Options of the installer.
        wheels_dir: Folder of wheels to install, relative to `working_dir`.
        num_cpus: CPU cores; fractions allowed.
        num_gpus: GPUs; fractions allowed.
        memory: Bytes.
        include_sdk: Whether to ship the Synapse packages of this environment too.
        job_id: Id of a job that `submit` is given none for. Default: a new one for each.
        ray_address: As for the other Ray executors; any of them has a dashboard.
        storage: URL of a folder (``s3://…``, ``file:///…``) for results, which then outlive the cluster.
        start_ray: Whether to start a cluster on this machine where none answers; it goes on by itself.
        sink: Where logs, progress and metrics go. Default: the terminal.
        debug: Whether that terminal shows what `log_dev_event` reports.

    Example:
        ::

            executor = RayJobsApiExecutor(dashboard_address="http://localhost:8265", working_dir="/path/to/plugin")
            job_id = executor.submit(TrainAction, {"epochs": 100})
            for line in executor.stream_logs(job_id):
                print(line, end="")
            result = executor.get_result(job_id)
    """

    capabilities: ClassVar[Capabilities] = JOBS_API_CAPABILITIES

    @refuse_unknown_arguments
    def __init__(
        self,
        env: PluginEnvironment | Mapping[str, Any] | None = None,
        dashboard_address: str | None = None,
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
        job_id: str | None = None,
        ray_address: str = "auto",
        storage: str | None = None,
        start_ray: bool = False,
        sink: EventSink | None = None,
        debug: bool = True,
    ) -> None:
        super().__init__(
            env=env,
            job_id=job_id,
            ray_address=ray_address,
            runtime_env=runtime_env,
            working_dir=working_dir,
            requirements_file=requirements_file,
            package_manager=package_manager,
            package_manager_options=package_manager_options,
            wheels_dir=wheels_dir,
            num_cpus=num_cpus,
            num_gpus=num_gpus,
            memory=memory,
            include_sdk=include_sdk,
            sink=sink,
            debug=debug,
        )
        if job_id is not None:
            check_job_id(job_id)
        if storage is not None:
            from synapse_ray.jobs_api.storage import require_storage

            require_storage(storage)
        self._dashboard_address = dashboard_address
        self._storage = storage
        self._start_ray = start_ray
        self._lock = threading.Lock()
        self._connected: Dashboard | None = None
        self._shipments: dict[Path | None, Shipment] = {}

    # -- handing work over ------------------------------------------------------------------

    def execute(
        self,
        action: ActionLike | None = None,
        params: Any = None,
        *,
        action_cls: ActionLike | None = None,
        entrypoint: ActionLike | None = None,
        **kwargs: Any,
    ) -> Any:
        """Submit, show what the job reports, wait, and return the result.

        Ctrl-C stops the job.

        Args:
            action: A `BaseAction` subclass, a callable ``(params, ctx)``, or an entrypoint string; also answers to
                `action_cls` and `entrypoint`.
            params: Its params.
            action_cls: Another name for `action`.
            entrypoint: Another name for `action`.
            **kwargs: Ignored.

        Raises:
            ValidationError: The params do not fit; nothing was submitted.
            ExecutionError: The action raised.
            BackendError: The cluster did not take it, or could not make its environment.
        """
        job_id = self.submit(action, params, action_cls=action_cls, entrypoint=entrypoint)
        try:
            info = self._follow(job_id, None)
        except KeyboardInterrupt:
            self.stop(job_id)
            raise
        return read_result(self._dashboard, job_id, info, self._storage)

    def submit(
        self,
        action: ActionLike | None = None,
        params: Any = None,
        *,
        job_id: str | None = None,
        action_cls: ActionLike | None = None,
        entrypoint: ActionLike | None = None,
    ) -> str:
        """Hand the work over to the cluster and return the job's id at once.

        Raises:
            ValidationError: The params do not fit; nothing was handed over.
            JobExistsError: `job_id` is taken; the job that has it was left alone.
            TypeError: The params have no form as data, which is all that goes over HTTP.
            BackendError: The cluster did not take it.
        """
        prepared = self._preparer.prepare(action, action_cls, entrypoint).with_params(params)
        self._refuse_pickles(prepared, params)
        name = job_id or self._options.job_id or f"job-{uuid.uuid4().hex[:16]}"
        check_job_id(name)
        shipped = self._shipment(prepared.folder).current()
        work = JobWork(name, prepared.spec, prepared.params, shipped.settings, self._storage)
        dashboard = self._dashboard
        refuse_other_python(dashboard, work)
        submit(dashboard, work, shipped, self._options.resources())
        return name

    def follow(self, job_id: str, timeout: float | None = None) -> None:
        """Show what the job has reported and will report, and print what it prints, until it has ended.

        Ctrl-C stops following, and not the job.

        Raises:
            ExecutionTimeoutError: `timeout` seconds have passed; the job goes on.
            JobNotFoundError: There is no such job.
        """
        self._follow(job_id, timeout)

    # -- asking for it ----------------------------------------------------------------------

    def get_status(self, job_id: str) -> JobStatus:
        """Return the job's status; ``UNKNOWN`` for an unknown id."""
        info = self._dashboard.job(job_id)
        return JobStatus.UNKNOWN if info is None else JobStatus(info.status)

    def get_result(self, job_id: str, timeout: float | None = None) -> Any:
        """Wait for the job and return its result, as often as asked.

        Raises:
            ExecutionTimeoutError: `timeout` seconds have passed; the job goes on.
            ExecutionCancelledError: It was stopped.
            JobNotFoundError: There is no such job.
            ExecutionError: It failed, or its result was lost with its node.
            BackendError: Its environment could not be made.
        """
        info = wait_for_end(self._dashboard, job_id, timeout, _LONGEST_PAUSE)
        return read_result(self._dashboard, job_id, info, self._storage)

    def wait(self, job_id: str, timeout_seconds: float = 300, poll_interval: float = 1.0) -> str:
        """Wait for the job and return its final status; raises as `get_result` does.

        Args:
            job_id: The job.
            timeout_seconds: How long.
            poll_interval: The longest time between two looks; at first they are more frequent.
        """
        info = wait_for_end(self._dashboard, job_id, timeout_seconds, poll_interval)
        if info.status != JobStatus.SUCCEEDED:
            read_result(self._dashboard, job_id, info, self._storage)
            raise error_of(job_id, info)
        return JobStatus(info.status)

    def jobs(self, limit: int = 1000) -> list[JobInfo]:
        """Return the jobs that Synapse has submitted to the cluster, the latest first."""
        found = jobs_of(self._dashboard.ask(rest_paths.jobs()))
        return sorted(found, key=lambda info: info.started_at or 0, reverse=True)[:limit]

    def durability(self, job_id: str) -> str:
        """Return how long the result of a finished job lasts.

        ``node``: it goes with the node that made it. ``cluster``: it survives the loss of any node but the head.
        ``external``: it is where ``storage=`` says, and survives the cluster.

        Raises:
            JobNotFoundError: There is no such job.
            ExecutionError: It has not ended, or has no result.
        """
        info = self._known(job_id)
        found = read_durability(self._dashboard, job_id, info) if info.has_ended() else None
        if found is None:
            why = "it ended without a result" if info.has_ended() else f"it is {info.status}"
            raise ExecutionError(f"job {job_id!r} has no result to be kept: {why}", details={"job_id": job_id})
        return found

    # -- logs -------------------------------------------------------------------------------

    def get_logs(self, job_id: str) -> str:
        """Return everything that the job has logged so far, the making of its environment included.

        Raises:
            JobNotFoundError: There is no such job.
        """
        info = self._known(job_id)
        return "".join(drive(read_log(job_id, info), self._dashboard, job_id, None))

    def stream_logs(self, job_id: str, *, timeout: float | None = 3600.0) -> Iterator[str]:
        """Yield whole lines with their newline, from the first one on, until the job has ended.

        Lines of the making of its environment come first. A dropped connection costs nothing. Abandon it at any time.

        Raises:
            ExecutionTimeoutError: `timeout` seconds have passed; the job goes on.
            JobNotFoundError: There is no such job; raised at once.
        """
        return drive(follow_log(job_id, self._known(job_id)), self._dashboard, job_id, timeout)

    async def stream_logs_async(self, job_id: str, *, timeout: float | None = 3600.0) -> AsyncIterator[str]:
        """Do what `stream_logs` does on the running event loop.

        Raises:
            ExecutionTimeoutError: `timeout` seconds have passed; the job goes on.
            JobNotFoundError: There is no such job.
        """
        dashboard = AsyncDashboard(self._dashboard.url)
        try:
            lines = drive_async(follow_log(job_id, self._known(job_id)), dashboard, job_id, timeout)
            try:
                async for line in lines:
                    yield line
            finally:
                await lines.aclose()  # type: ignore[attr-defined]
        finally:
            await dashboard.close()

    # -- ending it --------------------------------------------------------------------------

    def stop(self, job_id: str) -> bool:
        """Stop the job and every process that it has started; ``False`` if it had already ended.

        Its action gets two seconds for its ``finally`` blocks.

        Raises:
            JobNotFoundError: There is no such job.
            BackendError: The cluster cannot stop it.
        """
        info = self._known(job_id)
        if info.has_ended():
            return False
        answer = self._dashboard.ask(rest_paths.stop_job(job_id), repeat=True)
        if answer.status != 200:
            raise failed(answer, f"stopping job {job_id!r}")
        if info.status == JobStatus.PENDING and (nonce := nonce_of(info.metadata)) is not None:
            discard_secret(self._dashboard, nonce)  # Ray stops only what has begun: it is not to begin
        return wait_for_stop(self._dashboard, job_id)

    def cancel(self, job_id: str) -> bool:
        """Do what `stop` does."""
        return self.stop(job_id)

    def delete(self, job_id: str) -> bool:
        """Make the cluster forget a job that has ended; its id is free again.

        Raises:
            JobNotFoundError: There is no such job.
            BackendError: It has not ended.
        """
        info = self._known(job_id)
        if not info.has_ended():
            raise BackendError(
                f"job {job_id!r} is {info.status}, and only jobs that have ended can be deleted: stop it"
            )
        if info.end_time is not None:
            # Ray looks after a job once a second, and takes one whose record is gone for one that has just failed.
            time.sleep(min(_SETTLED, max(0.0, _SETTLED - (time.time() - info.end_time))))
        answer = self._dashboard.ask(rest_paths.delete_job(job_id), repeat=True)
        if answer.status == 404:  # a repeated request finds nothing left
            return True
        if answer.status != 200:
            raise failed(answer, f"deleting job {job_id!r}")
        return bool(answer.data().get("deleted"))

    def shutdown(self) -> None:
        """Let go of the connections; jobs go on. A later call makes new ones."""
        with self._lock:
            dashboard, self._connected = self._connected, None
        if dashboard is not None:
            dashboard.close()

    # -- within -----------------------------------------------------------------------------

    def _follow(self, job_id: str, timeout: float | None) -> JobDetails:
        try:
            return follow_to_end(self._dashboard, job_id, self._open_sink(), timeout)
        finally:
            self._end_progress(job_id)

    @property
    def _dashboard(self) -> Dashboard:
        """The client of the cluster's dashboard, connected at its first use."""
        with self._lock:
            if self._connected is None:
                self._connected = connect(self._dashboard_address, self._options.address, start=self._start_ray)
            return self._connected

    def _shipment(self, folder: Path | None) -> Shipment:
        with self._lock:
            if folder not in self._shipments:
                self._shipments[folder] = Shipment(self._options, folder)
            return self._shipments[folder]

    def _refuse_pickles(self, prepared: Prepared, params: Any) -> None:
        if prepared.params[0] == "pickle":
            raise TypeError(
                f"the params of action {prepared.spec.name!r} cannot be sent over HTTP, which takes data and no "
                f"pickles: {unencodable(params)}. Modes 'task' and 'ray-job' take them"
            )

    def _known(self, job_id: str) -> JobDetails:
        return known_job(self._dashboard, job_id)
