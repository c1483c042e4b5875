"""Follow a job that was just submitted, until it has ended or somebody looks away."""

from __future__ import annotations

from typing import Any

from synapse_cli.kit import talk
from synapse_core.plugins.descriptions import CommandDescription, ExecutorDescription
from synapse_core.plugins.registry import registry

__all__ = ["announce_job", "follow_job", "leave_job"]


def announce_job(
    job_id: str, description: ExecutorDescription, address: str | None, *, shown_elsewhere: bool = False
) -> None:
    """Say which job it is, and what can be typed next.

    Args:
        job_id: Of the job.
        description: Of the executor that has it.
        address: The cluster, where the user named one; the next commands have to name it too.
        shown_elsewhere: Whether the id itself is printed as data.
    """
    if not shown_elsewhere:
        talk(f"job {job_id}")
    for verb in ("logs -f", "status", "result", "cancel"):
        if command := _command(verb, job_id, description, address):
            talk(f"  {command}")


def follow_job(executor: Any, job_id: str) -> Any:
    """Show what the job reports and return its result.

    Raises:
        ExecutionError: It failed.
    """
    from synapse_core.ports.executor import FollowableExecutor

    if isinstance(executor, FollowableExecutor):
        executor.follow(job_id)
    elif executor.capabilities.logs:
        for line in executor.stream_logs(job_id, timeout=None):
            talk(line.rstrip("\n"))
    return executor.get_result(job_id)


def leave_job(executor: Any, job_id: str, description: ExecutorDescription, address: str | None) -> bool:
    """Say what becomes of a job that nobody follows any more; ``True`` where it goes on by itself.

    One that would end with this process anyway is stopped.
    """
    if description.capabilities.detached:
        command = _command("cancel", job_id, description, address)
        talk(f"\ndetached: job {job_id} goes on" + (f"; `{command}` stops it" if command else ""))
        return True
    if description.capabilities.cancel:
        executor.cancel(job_id)
    talk(f"\njob {job_id} was stopped: jobs of mode {description.name!r} end with this process")
    return False


def _command(verb: str, job_id: str, description: ExecutorDescription, address: str | None) -> str:
    """Return a command of the package that has the job; empty where it brings none."""
    rows = registry.rows()
    owners = {row.distribution for row in rows if row.description == description}
    commands = [row for row in rows if isinstance(row.description, CommandDescription) and row.name == "job"]
    if not description.capabilities.detached or not any(row.distribution in owners for row in commands):
        return ""
    return f"synapse job {verb} {job_id}" + (f" --ray-address {address}" if address else "")
