"""The ports and processes of a test's Ray nodes: free ones are found, living ones are ended.

Run as a program, this file is the watchdog that ends a node whose owner was killed. It needs the standard library
alone, so that it lives whatever is installed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

__all__ = [
    "bytecode_environment",
    "claim_ports",
    "inherited_environment",
    "kill_session",
    "node_ports",
    "processes_of",
    "require_free",
    "watchdog_command",
]


# One block of ports per node: above Ray's default worker ports (10002-19999) and those that Ray Client takes for its
# servers whatever it is told (23000-24000), below Linux's ephemeral ones (32768 on).
_BLOCKS = range(24100, 32700, 100)

# What a node listens on, beside its workers' ports.
_FIXED_PORTS = (
    "port",
    "dashboard-port",
    "ray-client-server-port",
    "dashboard-agent-listen-port",
    "dashboard-agent-grpc-port",
    "runtime-env-agent-port",
    "metrics-export-port",
    "node-manager-port",
    "object-manager-port",
)
_HEAD_ONLY = {"port", "dashboard-port", "ray-client-server-port"}


def inherited_environment() -> dict[str, str]:
    """Return this process's variables without those that would change Ray, or slow its start threefold."""
    unwanted = {"PYTHONDONTWRITEBYTECODE"}
    return {name: value for name, value in os.environ.items() if not name.startswith("RAY_") and name not in unwanted}


def bytecode_environment() -> dict[str, str]:
    """Return where compiled modules are kept, if not beside their sources.

    A cluster is twenty processes that import much the same. Where this process may write no bytecode, and nobody
    compiled what is installed, each of them would compile all of it: 26 s of a core for a head rather than 9 s.
    """
    if not sys.dont_write_bytecode or sys.pycache_prefix:
        return {}
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return {"PYTHONPYCACHEPREFIX": str(Path(cache) / "synapse-testing" / "bytecode")}


def claim_ports() -> socket.socket:
    """Return a socket on the first of a hundred free ports; while it is open, no other cluster takes the hundred."""
    for first in random.sample(_BLOCKS, len(_BLOCKS)):
        claim = socket.socket()
        try:
            # On every address: two clusters may use the same ports of different nodes, and Ray binds some to all.
            claim.bind(("", first))
            for port in range(first + 1, first + 100):
                with socket.socket() as probe:
                    probe.bind(("", port))
        except OSError as error:
            claim.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
        else:
            return claim
    raise RuntimeError(f"no hundred ports in a row are free between {_BLOCKS[0]} and {_BLOCKS[-1] + 99}")


def node_ports(first: int, is_head: bool) -> dict[str, int]:
    """Return the node's fixed ports by the names of their options, one after the other behind its `first`."""
    return {name: first + n for n, name in enumerate(_FIXED_PORTS, start=1) if is_head or name not in _HEAD_ONLY}


def require_free(ip: str, *ports: int) -> None:
    """Refuse a taken port here: Ray itself takes forty seconds to say so. Port 0 asks for the address alone."""
    for port in ports:
        with socket.socket() as probe:
            try:
                probe.bind((ip, port))
            except OSError as error:
                hint = f"; on macOS: sudo ifconfig lo0 alias {ip}" if error.errno == errno.EADDRNOTAVAIL else ""
                raise RuntimeError(f"the Ray node cannot have {ip}:{port}: {error.strerror}{hint}") from error


def processes_of(session: int) -> set[int]:
    """Return the session's living processes and their descendants: a Ray job's command has its own session."""
    parents: dict[int, int] = {}
    found: set[int] = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The second field, the name, may hold blanks and brackets: the rest begins after the last bracket.
            state, parent, _, its_session = entry.read_text().rpartition(")")[2].split()[:4]
            if state in "ZX":
                continue
            pid = int(entry.parent.name)
            parents[pid] = int(parent)
            if int(its_session) == session:
                found.add(pid)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def kill_session(session: int) -> None:
    """Kill the session's processes and their descendants, those that they start meanwhile too.

    All stand still before the first is killed, so that none lives to tell of another's death.
    """
    if not Path("/proc/self/stat").exists():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(session, signal.SIGKILL)
        return
    deadline = time.monotonic() + 10
    while (pids := processes_of(session)) and time.monotonic() < deadline:
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        time.sleep(0.01)


def watchdog_command(session: int, folder: Path) -> list[str]:
    """Return the command of a process that ends `session` and removes `folder` when its own input ends."""
    return [sys.executable, "-I", "-S", __file__, str(session), str(folder)]


def _watch(session: int, folder: str) -> None:
    """End the session when the process that started it has ended, however it did."""
    sys.stdin.buffer.read()
    kill_session(session)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    _watch(int(sys.argv[1]), sys.argv[2])
