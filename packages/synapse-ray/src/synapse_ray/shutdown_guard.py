"""Calls of Ray's from threads of this package, which a ``ray.shutdown()`` of the user's must not overtake."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Iterator

from synapse_ray.ray_internals import let_shutdown_wait_for

__all__ = ["no_shutdown"]

_calling = threading.RLock()


@contextlib.contextmanager
def no_shutdown() -> Iterator[None]:
    """Keep the end of this process's connection waiting, so that what is found connected here stays so.

    For calls that start something and do not wait for it. A connection of Ray's client, which ends without that, does
    no harm by it: its calls fail.
    """
    _install()
    with _calling:
        yield


@functools.cache
def _install() -> None:
    let_shutdown_wait_for(lambda: _calling)


def _renew() -> None:
    global _calling
    _calling = threading.RLock()  # nobody would release the old one


os.register_at_fork(after_in_child=_renew)
