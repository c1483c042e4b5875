"""Executors by the names that people type."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

from synapse_core.errors import UnknownBackendError, ValidationError, nearest
from synapse_core.plugins.registry import Registry
from synapse_flow.arguments import FittedArguments, fit_arguments
from synapse_flow.executors.base import BaseExecutor

__all__ = [
    "EXECUTORS",
    "WORKERS",
    "executor_class",
    "fit_executor_arguments",
    "make_executor",
    "same_executor",
    "workers_argument",
]

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
WORKERS = ("concurrency", "max_workers", "workers", "num_workers", "n_workers")
"""What executors and engines call their number of workers; of several, the first."""


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
    parameters = inspect.signature(_engine_class(name) if isinstance(made, partial) else made).parameters
    known = [word for word in WORKERS if word in parameters]
    if not known and any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        known = ["max_workers"]
    if not known:
        raise ValidationError(
            f"the executor {_official(name)!r} has no number of workers; those that have one: asyncio, processes, "
            f"threads, and engines of other packages with an argument {', '.join(WORKERS[:-1])} or {WORKERS[-1]}"
        )
    return known[0]


def fit_executor_arguments(name: str, given: Mapping[str, Any], *, hidden: frozenset[str]) -> FittedArguments:
    """Hold arguments against what an executor takes; of an engine of another package, against what that takes.

    Args:
        name: Of the executor.
        given: Its keyword arguments.
        hidden: Parameters that are not to be given this way.

    Raises:
        UnknownBackendError: There is none of that name.
    """
    made = executor_class(name)
    if not isinstance(made, partial):
        return fit_arguments(made, given, hidden=hidden)
    own = set(inspect.signature(made).parameters)
    fitted = fit_arguments(made, {word: value for word, value in given.items() if word in own}, hidden=hidden)
    of_engine = {word: value for word, value in given.items() if word not in own}
    engine = fit_arguments(_engine_class(name), of_engine, hidden=hidden)
    problems = [problem for problem in engine.problems if not problem.is_missing or problem.name not in own]
    return FittedArguments({**fitted.values, **engine.values}, (*fitted.problems, *problems))


def _engine_class(name: str) -> Any:
    registry = Registry()
    return registry.load(registry.find_engine(name))


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
