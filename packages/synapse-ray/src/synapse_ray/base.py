"""What the Ray executors share: their arguments, and the way from an action to work that can leave this process."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synapse_core.environment import PluginEnvironment
from synapse_core.errors import BackendError
from synapse_core.model.enums import PackageManager
from synapse_core.plugins.registry import registry
from synapse_core.ports.executor import StatedCapabilities
from synapse_ray.options import RayOptions
from synapse_ray.preparation import Preparer

if TYPE_CHECKING:
    from synapse_core.ports.events import EventSink

__all__ = ["BaseRayExecutor"]


class BaseRayExecutor(StatedCapabilities):
    """Base of the Ray executors: holds and checks the arguments that all of them take.

    Args:
        env: Values for ``ctx.env``, above the worker's own ``os.environ``; a text is taken as `ray_address`.
        job_id: Identity of every execution, or the default id of a job.
        ray_address: ``auto``, ``local``, ``HOST:PORT`` or ``ray://HOST:10001``.
        runtime_env: Ray's runtime environment; never changed.
        working_dir: Folder to ship. Default: that of the action's plugin.
        requirements_file: A requirements.txt. Default: the one in the folder that is shipped.
        package_manager: ``pip`` or ``uv``.
        package_manager_options: Options of the installer. Default: ``--upgrade`` for pip, ``--no-cache`` for uv.
        wheels_dir: Folder of wheels to install, relative to `working_dir`.
        num_cpus: CPU cores; fractions allowed.
        num_gpus: GPUs; fractions allowed.
        memory: Bytes.
        include_sdk: Whether to ship the Synapse packages of this environment too.
        sink: Where logs, progress and metrics go. Default: the terminal.
        debug: Whether that terminal shows what `log_dev_event` reports.
    """

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
        sink: EventSink | None = None,
        debug: bool = True,
    ) -> None:
        if isinstance(env, str):
            ray_address = env
        values = None if env is None or isinstance(env, str) else env
        self._options = RayOptions(
            env=values,
            job_id=job_id,
            address=ray_address,
            runtime_env=runtime_env,
            working_dir=None if working_dir is None else _folder(working_dir),
            requirements_file=None if requirements_file is None else Path(requirements_file).expanduser().absolute(),
            package_manager=package_manager,
            package_manager_options=package_manager_options,
            wheels_dir=wheels_dir,
            num_cpus=num_cpus,
            num_gpus=num_gpus,
            memory=memory,
            include_sdk=include_sdk,
        )
        self._sink = sink
        self._shows_here = sink is None
        self._debug = debug
        self._sink_lock = threading.Lock()
        self._preparer = Preparer(self._options.working_dir)

    def _open_sink(self) -> EventSink:
        """Return where reports go; the terminal's, once for all calls, where the caller gave none."""
        sink = self._sink
        if sink is None:
            with self._sink_lock:
                if self._sink is None:
                    self._sink = registry.open_sink("console", debug=self._debug)
                sink = self._sink
        return sink

    def _close_sink(self) -> None:
        """Close the terminal's sink, where this executor opened it; the next report opens a new one."""
        if not self._shows_here:
            return
        with self._sink_lock:
            sink, self._sink = self._sink, None
        if sink is not None:
            sink.close()

    def _end_progress(self, job_id: str) -> None:
        """Leave the last state of an execution's progress on the screen, where this executor opened that."""
        sink: Any = self._sink  # read once: a `shutdown` in another thread may take it away
        if self._shows_here and getattr(sink, "follows_progress", False):
            sink.end(job_id)


def _folder(path: str | os.PathLike[str]) -> Path:
    """Return the folder that was named; a ``config.yaml`` stands for its folder."""
    folder = Path(os.path.abspath(Path(path).expanduser()))  # without the .. that two spellings may differ in
    if folder.is_file() and folder.suffix in (".yaml", ".yml"):
        folder = folder.parent
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise BackendError(f"working_dir {os.fspath(path)!r} {found}; it has to be the plugin's folder")
    return folder
