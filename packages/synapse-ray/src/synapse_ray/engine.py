"""Chunks on the workers of a Ray cluster."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeVar

import ray
from ray import cloudpickle

from synapse_core.engines import closing, in_window
from synapse_core.errors import BackendUnreachableError, PluginError, ValidationError
from synapse_core.safe_text import safe_str
from synapse_core.whole_numbers import whole_number
from synapse_ray.connection import Connection, close_connection, found_no_cluster, open_connection
from synapse_ray.engine_actors import EngineActors
from synapse_ray.engine_loop import EngineLoop
from synapse_ray.engine_tasks import EngineTasks
from synapse_ray.options import check_resource
from synapse_ray.placement import refuse_impossible
from synapse_ray.ray_internals import client_address, is_client_connection
from synapse_ray.translation import translated

__all__ = ["RayEngine"]

ChunkT = TypeVar("ChunkT")
ResultT = TypeVar("ResultT")


class RayEngine:
    """Works on several chunks at once, on a Ray cluster: for work that computes, on many machines.

    Work with a scope gets actors of the run's own, which start as chunks come and end with it. Other work goes to
    tasks, which start at once where Ray has processes that wait. Where a worker dies, the chunks that it had are worked
    on again by others. A cluster that runs already is never shut down, nor is a connection that this
    process has.

    Args:
        address: ``"auto"`` joins the cluster that runs here, ``"HOST:PORT"`` and ``"ray://HOST:10001"`` name one. Left
            out, it is the one that this process is connected to or that ``RAY_ADDRESS`` names, else a private one,
            which ends with the run.
        max_inflight: Chunks taken from the source and not yet given back, at most.
        num_cpus: CPUs of each worker; fractions allowed.
        max_workers: Workers at once. Default: as many as the cluster has CPUs for.

    Raises:
        ValidationError: An argument is no such number.

    Example:
        ::

            for total in RayEngine("auto").run(sum, [[1, 2], [3, 4]]):
                print(total)
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        max_inflight: int = 20,
        num_cpus: float = 1,
        max_workers: int | None = None,
    ) -> None:
        try:
            check_resource("num_cpus", num_cpus)
        except (TypeError, ValueError) as error:
            raise ValidationError(safe_str(error)) from None
        self._address = address
        self._limit = whole_number("max_inflight", max_inflight)
        self._num_cpus = num_cpus
        self._workers = None if max_workers is None else whole_number("max_workers", max_workers)

    def run(
        self, work: Callable[[ChunkT], ResultT], chunks: Iterable[ChunkT], *, ordered: bool = True
    ) -> Generator[ResultT]:
        """Yield ``work(chunk)`` for each chunk; in input order unless `ordered` is false.

        Raises:
            WorkerLostError: Several workers died of the same chunk.
            BackendUnreachableError: No cluster answers, or it was lost.
            BackendError: The cluster cannot run it: no node has that many CPUs, or what the work needs is not installed
                there; or this process is connected to another cluster.
        """
        with closing(chunks) as source:
            packed = cloudpickle.dumps(work)  # type: ignore[no-untyped-call]
            connection = _opened(self._address)
            try:
                workers = self._workers_for(work, packed, connection)
                try:
                    yield from in_window(workers.submit, source, limit=self._limit, ordered=ordered)
                finally:
                    if not sys.is_finalizing():  # else nobody answers any more, and Ray has ended them
                        workers.end()
                workers.raise_what_leaving_raised()
            finally:
                if not sys.is_finalizing():
                    close_connection(connection)

    def _workers_for(self, work: Any, packed: bytes, connection: Connection) -> EngineLoop:
        resources = {"num_cpus": self._num_cpus}
        try:
            refuse_impossible(resources)
            most = self._workers or _room(self._num_cpus)
            if getattr(work, "in_worker", None) is not None:
                return EngineActors(packed, connection, resources, most=min(most, self._limit))
            # Where nobody has said how many, there is always a next one in line, so that no process waits for it.
            most = self._workers or 2 * most
            return EngineTasks(packed, connection, resources, most=min(most, self._limit))
        except PluginError:
            raise
        except Exception as error:
            raise translated(error, "starting an engine", address=connection.address) from error


def _opened(address: str | None) -> Connection:
    try:
        return open_connection(_found() if address is None else address)
    except BackendUnreachableError as error:
        if address != "auto" or not found_no_cluster(error):
            raise
        raise BackendUnreachableError(
            "address='auto' was asked for, and no Ray cluster is running here. Start one with `ray start --head`, name "
            "one with address='HOST:PORT' or 'ray://HOST:10001', or leave address out for a private one"
        ) from None


def _found() -> str:
    """Return the address of the cluster that this process is to use where none was asked for."""
    if ray.is_initialized():
        own = client_address() if is_client_connection() else None
        return own or str(ray.get_runtime_context().gcs_address)
    return "auto" if os.environ.get("RAY_ADDRESS", "").strip() else "local"


def _room(num_cpus: float) -> int:
    """Return how many workers the cluster has CPUs for, if nothing else runs on it."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    cpus = [node["Resources"].get("CPU", 0) for node in nodes if node.get("Alive")]
    return max(1, sum(int(count // (num_cpus or 1)) for count in cpus))
