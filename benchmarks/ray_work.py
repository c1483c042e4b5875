"""What runs on workers in the comparisons with plain Ray."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from synapse_core import BaseAction

__all__ = [
    "Bare",
    "DelaySink",
    "EchoAction",
    "follow_large_log",
    "logs_slowly",
    "measures_memory",
    "memory_of_jobs",
    "private_memory",
    "sleeps",
]

_LINES = 100_000
_LINE = "x" * 1048  # with its number and newline, about 105 MB in all


class Params(BaseModel):
    """Params of a small action."""

    epochs: int
    rate: float
    names: list[str]


class EchoAction(BaseAction[Params]):
    """Returns its params."""

    def execute(self) -> dict[str, Any]:
        """Return the params as a dict."""
        return self.params.model_dump()


class Bare:
    """The same with plain Ray; an actor when decorated."""

    def echo(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return the params."""
        return Params.model_validate(params).model_dump()

    def memory(self, seconds: float) -> float:
        """Return the bytes of this process after a while."""
        time.sleep(seconds)
        return private_memory(os.getpid())


def sleeps(params: dict[str, Any], ctx: Any) -> None:
    time.sleep(params["seconds"])


def measures_memory(params: dict[str, Any], ctx: Any) -> float:
    time.sleep(params["seconds"])
    return private_memory(os.getpid())


def logs_slowly(params: dict[str, Any], ctx: Any) -> None:
    for _ in range(params["lines"]):
        time.sleep(params["pause"])
        ctx.log_message(repr(time.time()))


def logs_a_lot(params: dict[str, Any], ctx: Any) -> None:
    for number in range(_LINES):
        print(f"{number:06d} {_LINE}")


class DelaySink:
    """Remembers how long each line took to arrive, in seconds; both clocks are this machine's."""

    def __init__(self, delays: list[float]) -> None:
        self._delays = delays

    def emit(self, event: Any) -> None:
        """Take one event."""
        self._delays.append(time.time() - float(event.message))

    def close(self) -> None:
        """Do nothing."""


def follow_large_log(mode: str, dashboard: str) -> None:
    """Stream a log of 100 MB and print by how many MB this process has grown meanwhile."""
    from synapse_ray import RayJobExecutor, RayJobsApiExecutor

    executor: Any = RayJobExecutor() if mode == "ray-job" else RayJobsApiExecutor(dashboard_address=dashboard)
    small = executor.submit(logs_slowly, {"lines": 2, "pause": 0.1})
    assert list(executor.stream_logs(small, timeout=120))
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _memory("VmRSS")
    count = 0
    for line in executor.stream_logs(executor.submit(logs_a_lot, {}), timeout=600):
        count += line.endswith(f"{_LINE}\n")
    assert count == _LINES, count
    print((_memory("VmHWM") - before) / 1024)


def _memory(name: str) -> int:
    """Return a row of this process's status, in KiB."""
    rows = Path("/proc/self/status").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith(f"{name}:"))


def memory_of_jobs() -> list[float]:
    """Return the bytes of each process of this machine's Jobs API jobs: each supervisor, and all it has started."""
    parents = {}
    supervisors = set()
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            rows = dict(row.split(":", 1) for row in status.read_text().splitlines())
            command = (status.parent / "cmdline").read_bytes()
        except (OSError, ValueError):  # it has ended meanwhile
            continue
        pid = int(status.parent.name)
        parents[pid] = int(rows["PPid"])
        if command.startswith(b"ray::JobSupervisor"):
            supervisors.add(pid)

    def is_of_a_job(pid: int) -> bool:
        while pid and pid not in supervisors:
            pid = parents.get(pid, 0)
        return pid in supervisors

    sizes = []
    for pid in filter(is_of_a_job, parents):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a helper of the driver's that has ended
            sizes.append(private_memory(pid))
    return sizes


def private_memory(pid: int) -> float:
    """Return the proportional set size of a process, in bytes: what it shares with others counts in part."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(float(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
