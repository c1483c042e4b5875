"""Which cluster an engine works on: the one that was named, the one that there is, or one of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import Any, TypeVar

from distributed import Client, LocalCluster, get_worker, worker_client

from synapse_core.engines import usable_cpus
from synapse_core.errors import BackendError, BackendUnreachableError
from synapse_core.safe_text import safe_str
from synapse_dask.own_pickling import keep_own_pickling

__all__ = ["opened", "replace_workers", "shown"]

keep_own_pickling()  # what Dask's import has just changed, in this process and in its workers

_ANSWER_SECONDS = 5
_CLOSING_SECONDS = 30

T = TypeVar("T")


@contextlib.contextmanager
def opened(address: str | None, processes: int | None) -> Iterator[tuple[Client, LocalCluster | None]]:
    """Give a client, and its cluster where that was started for it: that ends with the block, and what was found stays.

    Args:
        address: Of a scheduler; None for the current client, or a cluster of this machine's own.
        processes: Of a cluster that is started. Default: as many as this process may use CPUs.

    Raises:
        BackendUnreachableError: Nobody answers at the address.
        BackendError: It is no address, a cluster could not be started, or the current client's event loop runs in this
            thread, which would wait for itself.
    """
    if address is not None:
        with _closing(_connected(address)) as client:
            yield client, None
    elif _is_task():
        with worker_client() as client:  # whose thread is given to others meanwhile
            yield client, None
    elif (found := _current()) is not None:
        _refuse_own_loop(found)
        yield found, None
    else:
        with _closing(_started(processes or usable_cpus())) as cluster, _closing(_client(cluster)) as client:
            yield client, cluster


async def replace_workers(cluster: LocalCluster, count: int) -> None:
    """Start workers in place of all that a cluster has, or has had; in the event loop of the cluster."""
    untyped: Any = cluster
    untyped.scale(0)
    # New ones have the names of those before, and are none to Dask until those are closed. It is not to be cancelled:
    # Dask would keep what was cancelled for what it waits for, and never start a worker again.
    closed = asyncio.ensure_future(untyped)
    closed.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait({closed}, timeout=_CLOSING_SECONDS)
    untyped.scale(count)  # this comes to nothing where they are not closed by now; then the next look tries again


@contextlib.contextmanager
def _closing(opened: T) -> Iterator[T]:
    try:
        yield opened
    finally:
        if not sys.is_finalizing():  # else its thread has ended, and Dask has closed what has to be
            closable: Any = opened
            # At its very end a cluster looks for what became of workers that it may never have heard of: those that
            # were killed while they started.
            with contextlib.suppress(KeyError):
                closable.close()


def shown(address: str) -> str:
    """Return an address for messages: without what may be a password in it."""
    scheme, separator, rest = address.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _without_user(text: str, address: str) -> str:
    user = address.rpartition("://")[2].rpartition("@")[0]
    return text.replace(f"{user}@", "") if user else text


def _connected(address: str) -> Client:
    try:
        return _client(address)
    except (OSError, TimeoutError) as error:
        raise BackendUnreachableError(
            f"no Dask scheduler answers at {shown(address)} within {_ANSWER_SECONDS} s. Start one with "
            "`dask scheduler` and workers with `dask worker ADDRESS`, or leave address out for a cluster of this "
            "process's own"
        ) from error
    except Exception as error:  # a scheme that nobody knows, say
        why = _without_user(safe_str(error), address)
        raise BackendError(
            f"{shown(address)!r} cannot be connected to: {why}. The address of a Dask scheduler is 'tcp://HOST:8786'; "
            "for one with certificates make a distributed.Client, and leave address out"
        ) from error


def _client(target: Any) -> Client:
    return Client(target, timeout=_ANSWER_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]


def _is_task() -> bool:
    try:
        get_worker()
    except ValueError:
        return False
    return True


def _current() -> Client | None:
    try:
        found: Client = Client.current()  # type: ignore[no-untyped-call]
        return found
    except ValueError:
        return None


def _refuse_own_loop(client: Any) -> None:
    with contextlib.suppress(RuntimeError):
        if asyncio.get_running_loop() is client.loop.asyncio_loop:
            raise BackendError(
                "the event loop of the current Dask client runs in this thread, which would wait for itself; run the "
                "flow in a thread: await asyncio.to_thread(...)"
            )


def _started(processes: int) -> LocalCluster:
    try:
        return LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=processes,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",  # without one, it is the usual port, and talk where that is taken
            silence_logs=logging.ERROR,
        )
    except Exception as error:
        raise BackendError(
            f"a Dask cluster of {processes} processes could not be started: {safe_str(error)}. A script that uses one "
            'has to start it below `if __name__ == "__main__":`, since each process imports the script'
        ) from error
