"""From ``module:name`` or ``file.py:name`` to a flow that is ready to run."""

from __future__ import annotations

from typing import Any

from synapse_core.errors import ValidationError
from synapse_flow.adapter_types import type_by_place
from synapse_flow.executors.base import BaseExecutor
from synapse_flow.executors.by_name import WORKERS, executor_class, make_executor, workers_argument
from synapse_flow.executors.registered import EngineExecutor
from synapse_flow.flow import NO_CHANGES, Flow, FlowChanges
from synapse_flow.flow_target import load_pipe, own_modules, send_by_value
from synapse_flow.places import place_of
from synapse_flow.typed_places import adapter_at, check_typed
from synapse_flow.urls import shown_url

__all__ = ["load_python_flow"]


def load_python_flow(target: str, changes: FlowChanges = NO_CHANGES) -> Flow:
    """Return the flow that ``module:name`` or ``file.py:name`` is.

    Raises:
        ActionLoadError: It does not import.
        ValidationError: It is no pipe, or what it is to be changed to does not exist.
    """
    pipe = load_pipe(target)
    if changes.input is not None:
        pipe.input_adapter = _with_hooks(adapter_at(changes.input, "input"), pipe.input_adapter)
    for place in (changes.output, changes.errors):
        if place is not None:
            check_typed(place, "")
    if changes.output is not None:
        pipe.output_adapter = _moved(pipe.output_adapter, changes.output)
    if changes.errors is not None:
        pipe.error_output_adapter = _moved(pipe.error_output_adapter, changes.errors)
    if changes.executor is not None and not _is_executor(pipe.executor, changes.executor):
        pipe.executor = make_executor(changes.executor, pipe.executor.schema_model, {}, changes.workers)
    elif changes.workers is not None:
        _set_workers(pipe.executor, changes.workers)
    if changes.limit is not None:
        pipe.limit = changes.limit
    send_by_value(pipe.executor, own_modules(pipe))
    return Flow(target.rpartition(":")[2], target, pipe, source=changes.input)


def _is_executor(executor: BaseExecutor, name: str) -> bool:
    """Say whether an executor is of that name."""
    found = executor_class(name)
    if isinstance(found, type):
        return isinstance(executor, found)
    return isinstance(executor, EngineExecutor) and executor.engine_name == found.args[0]


def _set_workers(executor: BaseExecutor, workers: int) -> None:
    if isinstance(executor, EngineExecutor):
        executor.options[workers_argument(executor.engine_name)] = workers
        return
    known = [name for name in WORKERS if hasattr(executor, name)]
    if not known:
        raise ValidationError(
            f"{type(executor).__name__} has no number of workers; name another executor with --executor"
        )
    setattr(executor, known[0], workers)


def _with_hooks(adapter: Any, before: Any) -> Any:
    adapter.pre_hooks, adapter.post_hooks = before.pre_hooks, before.post_hooks
    return adapter


def _moved(output: Any, place: str) -> Any:
    """Return an output to another place, with the hooks of the one before it.

    Raises:
        ValidationError: The place alone is not enough, or options of the output would be lost.
    """
    there = adapter_at(place, "output")
    if output is None:
        return there
    if type(there) is type(output) and not _is_plain(output):
        raise ValidationError(
            f"the pipe's {type(output).__name__} has options, which one to {shown_url(place)} would lose. Write its "
            "place in Python, or describe the flow in config.yaml, where they are kept"
        )
    return _with_hooks(there, output)


def _is_plain(output: Any) -> bool:
    """Say whether an output is what its place alone makes of it, but for its hooks."""
    place = place_of(output) or ""
    try:
        made = adapter_at(place, "output") if type_by_place(place) is not None else type(output)(place)
    except Exception:  # the class needs more than a place
        return False
    return bool(_state(_with_hooks(made, output)) == _state(output))


def _state(value: Any) -> Any:
    """Return what an object of this package holds, as data that is equal for equal ones."""
    if type(value).__module__.partition(".")[0] != __name__.partition(".")[0]:
        return value
    return type(value), {name: _state(item) for name, item in vars(value).items()}
