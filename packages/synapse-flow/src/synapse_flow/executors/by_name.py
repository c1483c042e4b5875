"""Executors by the names that people type."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

from synapse_core.errors import UnknownBackendError, ValidationError, nearest
from synapse_core.plugins.registry import Registry
from synapse_flow.executors.base import BaseExecutor

__all__ = ["EXECUTORS", "executor_class", "make_executor", "same_executor", "workers_argument"]

_PACKAGE = __name__.rpartition(".")[0]

EXECUTORS: Mapping[str, str] = {
    "serial": "sync_fifo:SyncFifoExecutor",
    "threads": "thread:ThreadExecutor",
    "processes": "multiprocessing:MultiProcessingExecutor",
    "asyncio": "asyncio:AsyncIOExecutor",
    "dask": "dask:DaskExecutor",
    "ray": "ray:RayExecutor",
}
"""The documented executors by name."""

_ALIASES = {
    "sync": "serial",
    "sync-fifo": "serial",
    "thread": "threads",
    "process": "processes",
    "multiprocessing": "processes",
}
_WORKERS = ("concurrency", "max_workers", "workers", "num_workers", "n_workers")


def _official(name: str) -> str:
    wanted = name.strip().lower().replace("_", "-")
    return _ALIASES.get(wanted, wanted)


def executor_class(name: str) -> Any:
    """Return what makes an executor of that name: a class, or `EngineExecutor` for an engine of another package.

    Raises:
        UnknownBackendError: There is none; lists the known.
    """
    wanted = _official(name)
    if wanted in EXECUTORS:
        module, _, cls = EXECUTORS[wanted].partition(":")
        return getattr(importlib.import_module(f"{_PACKAGE}.{module}"), cls)
    from synapse_flow.executors.registered import EngineExecutor

    try:
        found = Registry().find_engine(name)
    except UnknownBackendError as error:
        known = sorted({*EXECUTORS, *error.known})
        raise UnknownBackendError(
            f"unknown executor {name!r}.{nearest(wanted, [*known, *_ALIASES])} Executors: {', '.join(known)}. "
            "A package can add one through the entry-point group synapse.backends",
            name=name,
            known=known,
        ) from None
    return partial(EngineExecutor, found.name)


def same_executor(name: str, other: str) -> bool:
    """Say whether two names mean the same executor."""
    return _official(name) == _official(other)


def workers_argument(name: str) -> str:
    """Return what an executor calls its number of workers.

    Raises:
        UnknownBackendError: There is none of that name.
        ValidationError: It has no number of workers.
    """
    made = executor_class(name)
    if isinstance(made, partial):
        registry = Registry()
        made = registry.load(registry.find_engine(name))
    parameters = inspect.signature(made).parameters
    known = [word for word in _WORKERS if word in parameters]
    if not known:
        raise ValidationError(
            f"the executor {_official(name)!r} has no number of workers; those that have one: asyncio, processes, "
            f"threads, and any engine with an argument {', '.join(_WORKERS[1:-1])} or {_WORKERS[-1]}"
        )
    return known[0]


def make_executor(name: str, model: Any, arguments: Mapping[str, Any], workers: int | None = None) -> BaseExecutor:
    """Return a new executor.

    Args:
        name: Its name.
        model: What records are validated with.
        arguments: Of its class.
        workers: How many workers it has, by whatever name it calls that.

    Raises:
        UnknownBackendError: There is none of that name.
        ValidationError: It has no number of workers, or an argument is out of its range.
    """
    make = executor_class(name)
    given = dict(arguments)
    if workers is not None:
        given[workers_argument(name)] = workers
    executor: BaseExecutor = make(schema_model=model, **given)
    return executor
