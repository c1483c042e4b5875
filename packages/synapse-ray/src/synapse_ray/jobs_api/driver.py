"""What starts on the cluster for a job: ``python -m synapse_ray.jobs_api.driver NONCE``.

It imports next to nothing before its work is on the way.
"""

from __future__ import annotations

import sys

from synapse_ray.jobs_api.end_signals import TERMINATED, end_on_signal
from synapse_ray.jobs_api.process_tree import adopt_orphans, end_descendants
from synapse_ray.jobs_api.work_fetching import WorkFetching

__all__ = ["main"]


def main(nonce: str) -> int:
    """Run the action and return the exit status."""
    adopt_orphans()
    end_on_signal()
    try:
        fetching = WorkFetching(nonce)
        from synapse_ray.jobs_api.job_run import run_job

        return run_job(nonce, fetching)
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return TERMINATED


if __name__ == "__main__":
    status = main(sys.argv[1])
    if status == TERMINATED:
        end_descendants()
    sys.exit(status)
