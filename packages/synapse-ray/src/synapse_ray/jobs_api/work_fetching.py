"""Fetching a driver's work in a process of its own: ``python -m synapse_ray.jobs_api.work_fetching NONCE``.

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
        command = [sys.executable, "-m", __name__, nonce]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def content(self) -> bytes | None:
        """Return what `pack_work` wrote; ``None`` where it is gone. To be called once.

        Raises:
            RuntimeError: It could not be fetched; the process has written why to this one's stderr.
        """
        content = self._process.communicate()[0]
        if self._process.returncode:
            raise RuntimeError(f"fetching the work of this job ended with status {self._process.returncode}")
        return content or None


def _fetch(nonce: str) -> None:
    from synapse_ray.ray_internals import take_secret

    with os.fdopen(os.dup(1), "wb") as pipe:
        os.dup2(2, 1)  # whatever else writes to stdout here is to be seen, and is no work
        content = take_secret(os.environ.get("RAY_ADDRESS", ""), f"gcs://{secret_name(nonce)}")
        pipe.write(content or b"")


if __name__ == "__main__":
    _fetch(sys.argv[1])
