"""The processes of a cluster, of which this one may be one."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

__all__ = [
    "forget_job_environment",
    "is_inside_worker",
    "log_folder_writer",
    "session_folder",
    "set_command_line",
    "shows_worker_output",
]


def session_folder() -> str:
    """Return the session folder of the node that this process runs on."""
    from ray._private import worker

    node: Any = worker.global_worker.node
    return str(node.get_session_dir_path())


def log_folder_writer() -> Callable[[str, dict[str, bytes]], None]:
    """Return a function that writes files into a folder of the log folder of the node that it runs on.

    It travels by value and needs nothing but Ray there: a node need not have what a job's own environment has.
    """

    def write(folder: str, contents: dict[str, bytes]) -> None:
        import pathlib

        from ray._private import worker

        node: Any = worker.global_worker.node
        target = pathlib.Path(node.get_logs_dir_path(), folder)  # each node may have a temporary folder of its own
        target.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            unfinished = target / f".{name}.unfinished"
            unfinished.write_bytes(content)
            unfinished.replace(target / name)

    return write


def forget_job_environment() -> None:
    """Let a connection that this process, a job's driver, makes from now on be without the job's ``runtime_env``."""
    from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR

    os.environ.pop(RAY_JOB_CONFIG_JSON_ENV_VAR, None)


def set_command_line(text: str) -> None:
    """Change what this process's command line is for others, as Ray does for its workers."""
    from ray._raylet import setproctitle  # type: ignore[attr-defined]

    setproctitle(text)


def is_inside_worker() -> bool:
    """Say whether this process is one of Ray's workers: it runs tasks or an actor."""
    from ray._private import worker

    return bool(worker.global_worker.mode == worker.WORKER_MODE)


def shows_worker_output() -> bool:
    """Say whether Ray itself brings what workers print to whoever started this work.

    A driver may have been connected with ``log_to_driver``; and what a worker prints goes the way of all workers.
    """
    import threading

    names = {thread.name for thread in threading.enumerate()}
    return "ray_print_logs" in names or is_inside_worker()
