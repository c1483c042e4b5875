"""Run actions as jobs of Ray's Jobs API, over HTTP only."""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from synapse_core.arguments import refuse_unknown_arguments
from synapse_core.environment import PluginEnvironment
from synapse_core.errors import PluginError
from synapse_core.model.enums import PackageManager
from synapse_core.ports.executor import Capabilities
from synapse_ray.base import BaseRayExecutor
from synapse_ray.capabilities import JOBS_API_CAPABILITIES
from synapse_ray.job_errors import tell_id
from synapse_ray.jobs_api.answers import JobDetails
from synapse_ray.jobs_api.connecting import connect
from synapse_ray.jobs_api.dashboard import Dashboard
from synapse_ray.jobs_api.questions import HttpJobQuestions
from synapse_ray.jobs_api.results import read_result
from synapse_ray.jobs_api.submission import refuse_other_python, submit
from synapse_ray.jobs_api.waiting import follow_to_end
from synapse_ray.jobs_api.work import DriverWork, refuse_pickles
from synapse_ray.names import check_job_id
from synapse_ray.pending_notice import told_while_pending
from synapse_ray.shipping import Shipments

if TYPE_CHECKING:
    from synapse_core.ports.events import EventSink
    from synapse_core.ports.executor import ActionLike

__all__ = ["RayJobsApiExecutor"]


class RayJobsApiExecutor(HttpJobQuestions, BaseRayExecutor):
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
        self._shipments = Shipments(self._options)

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
            BackendError: The cluster did not take it, or could not make its environment; or contact was lost, and the
                job goes on: the message has its id.
        """
        job_id = self.submit(action, params, action_cls=action_cls, entrypoint=entrypoint)
        try:
            info = self._follow(job_id, None)
            return read_result(self._dashboard, job_id, info, self._storage)
        except KeyboardInterrupt:
            with contextlib.suppress(PluginError):
                self.stop(job_id)
            raise
        except Exception as error:
            tell_id(error, job_id)
            raise

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
        refuse_pickles(prepared.spec.name, prepared.params, params)
        name = job_id if job_id is not None else self._options.job_id or f"job-{uuid.uuid4().hex[:16]}"
        check_job_id(name)
        shipped = self._shipments.current(prepared.folder)
        work = DriverWork(name, prepared.spec, prepared.params, shipped.settings, self._storage)
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

    def shutdown(self) -> None:
        """Let go of the connections; jobs go on. A later call makes new ones."""
        with self._lock:
            dashboard, self._connected = self._connected, None
        if dashboard is not None:
            dashboard.close()
        self._close_sink()

    # -- within -----------------------------------------------------------------------------

    def _follow(self, job_id: str, timeout: float | None) -> JobDetails:
        installer = f", and `synapse job logs -f {job_id}` what the installer says"
        try:
            with told_while_pending(job_id, self.get_status, installer):
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
