"""Submitting a job from another process, which then ends: ``python -m synapse_testing.submitting`` is that process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from synapse_core.entrypoint import import_entrypoint

__all__ = ["submit_elsewhere"]


def submit_elsewhere(
    kind: type, options: Mapping[str, Any], entrypoint: str, params: Mapping[str, Any], job_id: str
) -> None:
    """Make an executor in a new process, submit a job with it, and return when that process has ended.

    Args:
        kind: Class of the executor, importable there.
        options: Arguments of its constructor, JSON types.
        entrypoint: The action.
        params: Its params, JSON types.
        job_id: Id of the job.

    Raises:
        AssertionError: The process failed; why is on stderr.
    """
    request = {
        "sys_path": sys.path,
        "kind": f"{kind.__module__}:{kind.__qualname__}",
        "options": dict(options),
        "job": {"entrypoint": entrypoint, "params": dict(params), "job_id": job_id},
    }
    # No pipe for what it prints: a job that is detached may keep that open for as long as it runs.
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps(request),
        stdout=subprocess.DEVNULL,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, f"{kind.__qualname__} could not submit from another process: exit {done.returncode}"


def main() -> None:
    """Submit what stdin asks for."""
    request = json.load(sys.stdin)
    sys.path[:] = request["sys_path"]
    executor = import_entrypoint(request["kind"])(**request["options"])
    executor.submit(**request["job"])


if __name__ == "__main__":
    main()
