"""The pools of this process, by what they were made with, so that equal executors share one."""

from __future__ import annotations

import atexit
import hashlib
import itertools
import json
import threading
from dataclasses import fields
from pathlib import Path
from typing import Any

from synapse_ray.addresses import parse_address
from synapse_ray.connection import when_forked
from synapse_ray.options import RayOptions
from synapse_ray.pool import ActorPool
from synapse_ray.settings import travelling_values

__all__ = ["PoolUse"]

_lock = threading.RLock()
_pools: dict[str, ActorPool] = {}
_tokens = itertools.count(1)


class PoolUse:
    """One executor's use of a pool.

    The pool of an executor that nobody shut down, such as those that ``run_plugin`` makes, stays warm for the next
    equal one until the process ends.

    Args:
        options: What the actors are made with; executors that differ in their job id only share them.
        folder: The folder that they get.
        size: How many there are.
    """

    def __init__(self, options: RayOptions, folder: Path | None, size: int) -> None:
        self._token = next(_tokens)
        key = _key(options, folder, size)
        with _lock:
            pool = _pools.get(key)
            if pool is None or not pool.is_current:
                if pool is not None:
                    pool.close()
                pool = _pools[key] = ActorPool(options, folder, size)
            pool.users.add(self._token)
        self.pool = pool
        self._key = key

    def abandon(self) -> None:
        """Use the pool no more, and let it stay; called by the garbage collector too, so it takes no lock."""
        self.pool.users.discard(self._token)

    def close(self, *, only_idle: bool = False) -> None:
        """Use the pool no more; its last user ends it, with `only_idle` unless somebody has one of its actors."""
        with _lock:
            self.abandon()
            if self.pool.users or (only_idle and not self.pool.is_idle):
                return
            if _pools.get(self._key) is self.pool:
                del _pools[self._key]
        self.pool.close()


def _key(options: RayOptions, folder: Path | None, size: int) -> str:
    """Return a digest of what makes two pools the same; it tells nobody the secrets in it."""
    described: dict[str, Any] = {field.name: getattr(options, field.name) for field in fields(options)}
    described.pop("job_id")
    described |= {
        "env": travelling_values(options.env),
        "address": parse_address(options.address).text,
        "folder": folder,
        "size": size,
    }
    text = json.dumps(described, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def _close_all() -> None:
    with _lock:
        pools = list(_pools.values())
        _pools.clear()
    for pool in pools:
        pool.close()


def _forget() -> None:
    """Forget the pools of the process that this one was forked from: its connection does not work here."""
    global _lock
    _lock = threading.RLock()
    _pools.clear()


atexit.register(_close_all)
when_forked(_forget)
