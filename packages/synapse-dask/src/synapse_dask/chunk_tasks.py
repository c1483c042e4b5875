"""The chunks of one run as tasks of Dask's."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import pickle
import sys
import time
import uuid
from collections.abc import Coroutine
from functools import partial
from typing import Any, TypeVar

import cloudpickle
from distributed import Client
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from synapse_core.engines import MOST_LOSSES
from synapse_core.errors import BackendError, BackendUnreachableError, WorkerLostError
from synapse_core.out_of_band import Pickled, pickled, unpickled
from synapse_core.remote_work import missing_module, unloadable
from synapse_core.safe_text import safe_str
from synapse_dask.cleanup import EndWithClient
from synapse_dask.clients import replace_workers, shown
from synapse_dask.near_workers import NearWorkers
from synapse_dask.worker_side import AnswerOfWorker, LeavingError, WorkOfRun, apply

__all__ = ["ChunkTasks"]

_LOOK_SECONDS = 1.0
_FETCH_SECONDS = 5.0  # Dask tries for half a minute to reach a worker that has just died

T = TypeVar("T")


class ChunkTasks:
    """Sends chunks to the workers of a cluster, and the work to those that have not got it.

    All of it happens in the event loop of the client. The work is a plugin of each worker, so that Dask brings it to
    those that come later, too, and takes it from those that go.

    Args:
        client: Of the cluster.
        work: What is applied to chunks, pickled.
        most: Workers that are used; others take the place of those that go. None for all.
        own_cluster: The cluster, where it was started for this run: one that has lost all workers gets new ones.

    Attributes:
        patience: Seconds of waiting after which something is done about a cluster without workers, or said.
    """

    patience = 10.0

    def __init__(self, client: Client, work: bytes, most: int | None, own_cluster: Any = None) -> None:
        untyped: Any = client
        self._client = untyped
        self._loop: asyncio.AbstractEventLoop = untyped.loop.asyncio_loop
        self._address = shown(untyped.scheduler.address)
        self._work = work
        self._most = most
        self._own_cluster = own_cluster
        self._own_count = len(own_cluster.worker_spec) if own_cluster is not None else 0
        self._id = uuid.uuid4().hex
        self._near = NearWorkers(client)
        self._cleanup = EndWithClient(self._id, untyped.id)
        self._numbers = itertools.count()
        self._chosen: list[str] | None = None
        self._gone: asyncio.Future[None] | None = None
        self._begun: asyncio.Future[None] | None = None
        self._errors: list[BaseException] = []
        self._waiting = 0
        self._is_told = False
        self._heard = time.monotonic()
        self._watch: asyncio.Task[None] | None = None

    # -- called by whoever runs the engine --

    def submit(self, chunk: Any) -> concurrent.futures.Future[Any]:
        """Return what will have the result of the work on a chunk."""
        result: concurrent.futures.Future[Any] = concurrent.futures.Future()
        try:
            sent = pickled(chunk, cloudpickle.dumps)
            if not self._loop.is_running():  # then nothing would ever come of it
                raise self._lost()
        except Exception as error:
            result.set_exception(error)
            return result
        answer = self._run(self._answer(sent))
        answer.add_done_callback(partial(_settle, result))
        result.add_done_callback(lambda done: done.cancelled() and answer.cancel())
        return result

    def end(self) -> None:
        """Have each worker that has the work leave its scopes."""
        if not self._loop.is_running():  # somebody has closed the client
            return
        left = self._run(self._leave())
        while self._loop.is_running():
            with contextlib.suppress(TimeoutError):
                return left.result(_LOOK_SECONDS)

    def raise_what_leaving_raised(self) -> None:
        """Raise the first error of a worker that left its scopes."""
        if self._errors:
            raise self._errors[0]

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    # -- in the loop --

    async def _answer(self, chunk: Pickled) -> AnswerOfWorker:
        if self._begun is None:
            self._watch = asyncio.create_task(self._look())
            self._begun = asyncio.ensure_future(self._begin())
        await asyncio.shield(self._begun)
        if not self._waiting:
            self._heard = time.monotonic()
        self._waiting += 1
        losses = 0
        try:
            while True:
                workers = self._chosen
                try:
                    answer = await self._asked(workers, chunk)
                except KilledWorker as error:
                    losses += error.allowed_failures + 1
                    if losses >= MOST_LOSSES:
                        raise _worker_lost(losses, error.last_worker.address) from error
                    continue
                if answer is None:
                    losses += workers is not None
                    if workers is not None and losses >= MOST_LOSSES:
                        raise _worker_lost(losses, workers[-1])
                    continue
                self._heard = time.monotonic()
                if answer[0] == "unknown":
                    raise BackendError(
                        f"the worker {answer[1]} was given a chunk, and not the work: its log says why, or the run's "
                        "plugin was taken from it"
                    )
                return answer
        finally:
            self._waiting -= 1

    async def _asked(self, workers: list[str] | None, chunk: Pickled) -> AnswerOfWorker | None:
        """Return the answer of one of some workers, or None where all of them have gone without one."""
        task = None
        try:
            task = self._client.submit(
                apply,
                self._id,
                chunk,
                key=f"synapse-chunk-{self._id}-{next(self._numbers)}",
                pure=False,
                workers=workers,
            )
            result = self._result(task)
            return await (result if self._gone is None else _unless(self._gone, result))
        except KilledWorker:
            raise
        except concurrent.futures.CancelledError as error:
            raise self._lost() from error
        except CommClosedError as error:  # before the client has noticed
            raise self._unreachable() from error
        except Exception as error:  # of Dask's: what the work raises comes as an answer
            raise self._translated(error, "work on a chunk") from error
        finally:
            if task is not None:
                task.release()

    async def _result(self, task: Any) -> AnswerOfWorker:
        await task.exception()  # returns it, and does not raise it
        if self._near.are_all and task.status == "finished":
            fetched = asyncio.ensure_future(self._client.gather(task, direct=True))
            # Never cancelled: the results of other chunks may come along with it.
            fetched.add_done_callback(lambda done: done.cancelled() or done.exception())
            done, _ = await asyncio.wait({fetched}, timeout=_FETCH_SECONDS)
            if done:
                answer: AnswerOfWorker = fetched.result()
                return answer
        answer = await task
        return answer

    def _lost(self) -> BackendError:
        if self._client.status == "running":
            return BackendError(
                f"the chunks on the Dask cluster at {self._address} were cancelled by somebody, or it was restarted"
            )
        return self._unreachable()

    def _unreachable(self) -> BackendError:
        return BackendUnreachableError(
            f"the Dask scheduler at {self._address} was lost, or the client closed, while chunks were worked on. What "
            "was given back before is not touched by that"
        )

    def _translated(self, error: Exception, doing: str) -> BackendError:
        if (missing := missing_module(error)) is not None:
            return _unloadable(missing, "")
        if self._client.status != "running":
            return self._lost()
        return BackendError(
            f"the Dask cluster at {self._address} could not {doing}: {type(error).__name__}: {safe_str(error)}"
        )

    async def _begin(self) -> None:
        """Give the work to all workers."""
        try:
            if self._most is not None:
                self._gone = self._loop.create_future()
                await self._choose(self._most)
            await self._near.look()
            with contextlib.suppress(ValueError):  # a scheduler may be told to take no plugins
                await self._client.register_plugin(self._cleanup, name=self._cleanup.name)
            for is_last in (False, False, True):
                try:
                    await self._client.register_plugin(WorkOfRun(self._work), name=self._id)
                    break
                except OSError:  # a worker has died meanwhile
                    if is_last:
                        raise
        except Exception as error:
            raise self._translated(error, "take the work") from error

    async def _choose(self, most: int) -> None:
        """Choose workers, and keep to those that were chosen before; say so where none of those is left.

        Dask lets tasks wait for ever for workers that have gone, or gives them to any, however few were asked for.
        """
        alive = sorted(await self._client.nthreads())
        kept = [worker for worker in self._chosen or () if worker in alive]
        self._chosen = (kept + [worker for worker in alive if worker not in kept])[:most] or None
        if not kept and self._gone is not None:
            gone, self._gone = self._gone, self._loop.create_future()
            gone.set_result(None)

    async def _look(self) -> None:
        """Replace workers that have gone, where only some are used; notice where there is none."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self._near.look()
            if self._most is not None:
                with contextlib.suppress(Exception):  # as below
                    await self._choose(self._most)
            if not self._waiting or time.monotonic() - self._heard < self.patience:
                continue
            with contextlib.suppress(Exception):  # whoever waits for a chunk says better what is wrong
                if not await self._client.nthreads():
                    await self._do_without_workers()
            self._heard = time.monotonic()

    async def _do_without_workers(self) -> None:
        """Start new workers where that is up to this run, or else say once on stderr that there is none."""
        if self._own_cluster is not None:  # Dask itself starts none again that died while it started
            self.patience *= 2  # those that are starting need longer on a busy machine
            await replace_workers(self._own_cluster, self._own_count)
        elif not self._is_told:
            sys.stderr.write(
                f"still waiting: the Dask scheduler at {self._address} has no worker. Start some with "
                f"`dask worker {self._address}`\n"
            )
            self._is_told = True

    async def _leave(self) -> None:
        if self._begun is None:
            return
        if self._watch is not None:
            self._watch.cancel()
        await asyncio.wait([self._begun])
        if self._client.status != "running":
            return
        try:
            await self._client.unregister_worker_plugin(self._id)
        except LeavingError as error:
            self._errors.append(pickle.loads(error.error))
        except Exception:  # a worker that has died cannot leave, and one that dies now cannot either
            pass
        with contextlib.suppress(Exception):  # where there is none, or the scheduler is gone
            await self._client.unregister_scheduler_plugin(self._cleanup.name)


async def _unless(gone: asyncio.Future[None], result: Coroutine[Any, Any, T]) -> T | None:
    """Return a result, or None where `gone` came first."""
    asked = asyncio.ensure_future(result)
    either: set[asyncio.Future[Any]] = {asked, gone}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return await asked if asked.done() else None
    finally:
        asked.cancel()


def _unloadable(module: str, text: str) -> BackendError:
    return unloadable(module, text, whose="the Python of the Dask cluster", where="for the scheduler and every worker")


def _worker_lost(losses: int, last: str) -> WorkerLostError:
    return WorkerLostError(
        f"{losses} workers died one after another while they had the same chunk; the last one was "
        f"{last}. What it wrote last says why"
    )


def _settle(result: concurrent.futures.Future[Any], answered: concurrent.futures.Future[AnswerOfWorker]) -> None:
    if answered.cancelled() or not result.set_running_or_notify_cancel():
        return
    try:
        kind, value = answered.result()
        if kind == "unloadable":
            raise _unloadable(*value)
        opened = unpickled(value) if kind == "result" else pickle.loads(value)
    except BaseException as error:
        result.set_exception(error)
        return
    if kind == "result":
        result.set_result(opened)
    else:
        result.set_exception(opened)
