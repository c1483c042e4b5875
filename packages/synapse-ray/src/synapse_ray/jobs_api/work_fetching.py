"""Fetching a driver's work in a process of its own: ``python -m synapse_ray.jobs_api.work_fetching NONCE PIPE``.

Only this needs Ray in a job whose action does not use it, and a process that has imported Ray is 25 MB larger for as
long as it lives. It takes no longer either: the driver imports what it needs itself meanwhile.
"""

from __future__ import annotations

import os
import subprocess
import sys

from synapse_ray.jobs_api.entrypoint import secret_name

__all__ = ["WorkFetching"]


class WorkFetching:
    """A process that fetches the work of a job, and deletes it from the cluster.

    Args:
        nonce: Of the job's submission.
    """

    def __init__(self, nonce: str) -> None:
        # A pipe of its own: what a start-up file of the environment prints is to be seen, and is no work.
        self._pipe, end = os.pipe()
        command = [sys.executable, "-m", __name__, nonce, str(end)]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(end,))
        finally:
            os.close(end)

    def content(self) -> bytes | None:
        """Return what `pack_work` wrote; ``None`` where it is gone. To be called once.

        Raises:
            RuntimeError: It could not be fetched; the process has written why to this one's stderr.
        """
        with os.fdopen(self._pipe, "rb") as pipe:
            content = pipe.read()
        if status := self._process.wait():
            raise RuntimeError(f"fetching the work of this job ended with status {status}")
        return content or None


def _fetch(nonce: str, end: int) -> None:
    from synapse_ray.ray_internals import take_secret

    with os.fdopen(end, "wb") as pipe:
        pipe.write(take_secret(os.environ.get("RAY_ADDRESS", ""), f"gcs://{secret_name(nonce)}") or b"")


if __name__ == "__main__":
    _fetch(sys.argv[1], int(sys.argv[2]))
