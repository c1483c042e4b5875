"""Making the keeper, which is to be the same whoever makes it: Ray gives an actor its creator's environment."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import Any

import ray

from synapse_core.errors import BackendError, BackendUnreachableError
from synapse_ray.connection import Connection
from synapse_ray.keeper.records import KEEPER_NAME
from synapse_ray.names import NAMESPACE
from synapse_ray.ray_internals import without_uv_run_environment
from synapse_ray.ray_texts import last_lines

__all__ = ["keeper_not_started", "make_keeper"]

_HEAD = {"node:__internal_head__": 0.001}
_PATIENCE_SECONDS = 180.0
_KEPT = ("RAY_AUTH_", "RAY_USE_TLS", "RAY_TLS_")


def make_keeper(connection: Connection, package: str | None = None) -> Any:
    """Return the connected cluster's keeper, made where there is none.

    A ``runtime_env`` of this process's connection, or of the worker that this process is, would be the keeper's too,
    whatever is said: then another process makes it.

    Args:
        connection: Of this process.
        package: Address of the package that holds the Synapse packages, where they are shipped along.
    """
    # Of a client's connection that somebody else has made, nobody tells the environment.
    if not connection.is_ours and (connection.is_client or ray.get_runtime_context().runtime_env):
        _make_elsewhere(connection.address, package)
    return _make(package)


def _make(package: str | None) -> Any:
    from synapse_ray.keeper.actor import Keeper

    options: dict[str, Any] = {
        "name": KEEPER_NAME,
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "get_if_exists": True,
        "num_cpus": 0,
        "resources": _HEAD,
        "max_restarts": -1,
        "max_task_retries": -1,
        "max_concurrency": 10_000,  # each who waits holds one
    }
    if package:
        options["runtime_env"] = {"py_modules": [package]}
    return ray.remote(Keeper).options(**options).remote()


def keeper_not_started(seconds: float) -> BackendUnreachableError:
    """Return the error for a keeper that was waited for in vain."""
    return BackendUnreachableError(
        f"the keeper of the cluster did not start within {seconds:g} s. It needs a process on the head: "
        f"`ray list actors --filter name={KEEPER_NAME}` shows what it waits for, and `ray status` whether the head "
        "is there"
    )


def _make_elsewhere(address: str, package: str | None) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("RAY_") or name.startswith(_KEPT)
    }
    command = [sys.executable, "-m", __name__, address, package or ""]
    try:
        done = subprocess.run(
            command,
            cwd="/",  # Ray adds the working folder to the import path of whatever this process makes
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise keeper_not_started(_PATIENCE_SECONDS) from error
    if done.returncode != 0:
        raise BackendError(f"the keeper of the cluster could not be started:\n{last_lines(done.stderr)}")


def _main(address: str, package: str) -> None:
    with without_uv_run_environment():
        ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    ray.get(_make(package or None).hello.remote())


if __name__ == "__main__":
    _main(*sys.argv[1:])
