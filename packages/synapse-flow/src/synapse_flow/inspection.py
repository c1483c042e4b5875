"""What a flow is, and what it would do with the first records; nothing is written."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from contextlib import closing
from typing import Any

from pydantic import BaseModel

from synapse_core.errors import PluginError
from synapse_flow.executors.base import BaseExecutor
from synapse_flow.executors.sync_fifo import SyncFifoExecutor
from synapse_flow.flow import Flow
from synapse_flow.flow_running import FlowRun
from synapse_flow.hooks.base import BaseHook
from synapse_flow.hooks.steps import hook_name, in_order
from synapse_flow.json_lines import json_value
from synapse_flow.outputs.memory import MemoryOutputAdapter
from synapse_flow.pipe import Pipe
from synapse_flow.places import place_of
from synapse_flow.urls import shown_url

__all__ = ["describe_flow", "header_mismatch", "try_records"]


def describe_flow(flow: Flow) -> dict[str, Any]:
    """Return what a flow is, as JSON data; opens the input, and reads at most its header.

    Raises:
        PluginError: The input cannot be opened.
    """
    pipe = flow.pipe
    with closing(pipe.input_adapter) as source:
        source.open()
        columns = source.columns()
        done = source.done()
    run = FlowRun(flow)
    return {
        "flow": flow.name,
        "target": flow.target,
        "description": flow.description or None,
        "input": {
            **(_described(pipe.input_adapter, flow.source) or {}),
            "bytes": done[1] if done else None,
            "columns": columns,
        },
        "model": None if pipe.executor.schema_model is None else _model(pipe.executor.schema_model, columns),
        "unused_columns": _unused(pipe.executor.schema_model, columns),
        "pre_hooks": _hooks(pipe.input_adapter.pre_hooks, pipe.pre_validation_hooks, _of(pipe, "pre_hooks")),
        "post_hooks": _hooks(pipe.input_adapter.post_hooks, pipe.post_validation_hooks, _of(pipe, "post_hooks")),
        "executor": _executor(pipe.executor),
        "output": _described(pipe.output_adapter),
        "errors": _described(pipe.error_output_adapter),
        "limit": pipe.limit,
        "checkpoint": None if run.checkpoint is None else str(run.checkpoint.path),
        "unfinished_at": _kept_at(run),
    }


def header_mismatch(pipe: Pipe) -> list[str]:
    """Return which fields no column has and which columns no field takes, a text each; none where that is unknown.

    The input is opened once more, where it is a file or a URL.
    """
    place, model = getattr(pipe.input_adapter, "path", None), pipe.executor.schema_model
    if not isinstance(place, str) or not ("://" in place or os.path.isfile(place)):
        return []
    try:
        with closing(pipe.input_adapter) as source:
            source.open()
            columns = source.columns()
    except Exception:  # whatever it is, the flow has read the input, and this is an extra
        return []
    if not columns:
        return []
    described, unused = _model(model, columns)["fields"] or [], _unused(model, columns)
    missing = [field["field"] for field in described if field["column"] is None]
    found = [f"fields that no column has: {', '.join(missing)}"] if missing else []
    return [*found, f"columns that no field takes: {', '.join(unused)}"] if unused else found


def try_records(pipe: Pipe, rows: int) -> list[dict[str, Any]]:
    """Pass the first records through hooks and validation in this process, and return what becomes of each.

    Raises:
        PluginError: They cannot be read, or a hook cannot be set up.
    """
    good, bad = MemoryOutputAdapter(), MemoryOutputAdapter()
    outputs = [each for each in (pipe.output_adapter,) if each is not None]
    trial = Pipe(
        pipe.input_adapter,
        SyncFifoExecutor(pipe.executor.schema_model),
        good,
        bad,
        [*pipe.pre_validation_hooks, *(hook for each in outputs for hook in each.pre_hooks)],
        [*pipe.post_validation_hooks, *(hook for each in outputs for hook in each.post_hooks)],
        logger=logging.getLogger("synapse.flow.trial"),
        max_hook_chunk_size=pipe.executor.hook_chunk(pipe.max_hook_chunk_size),
        limit=rows,
    )
    trial.run()
    entries = [*good.results, *bad.results]
    entries.sort(key=lambda entry: (entry.get("position") is None, entry.get("position") or 0))
    return [
        {
            "position": entry.get("position"),
            **({"line": entry["line"]} if "line" in entry else {}),
            "status": str(entry["status"]),
            "raw_data": json_value(entry.get("raw_data")),
            "validated_data": json_value(entry.get("validated_data")),
            "errors": json_value(entry.get("errors", [])),
        }
        for entry in entries
    ]


def _described(adapter: Any, known: str | None = None) -> dict[str, Any] | None:
    """Return an adapter's class and place as JSON data; None for none."""
    if adapter is None:
        return None
    place = place_of(adapter) or known
    return {"adapter": type(adapter).__name__, "place": None if place is None else shown_url(place)}


def _of(pipe: Pipe, key: str) -> list[BaseHook]:
    return [] if pipe.output_adapter is None else getattr(pipe.output_adapter, key)


def _hooks(*groups: Iterable[BaseHook]) -> list[dict[str, Any]]:
    return [
        {"hook": hook_name(hook), "priority": int(getattr(hook, "priority", 50))}
        for hook in in_order(hook for group in groups for hook in group)
    ]


def _executor(executor: BaseExecutor) -> dict[str, Any]:
    options = {name: value for name, value in executor.engine_options().items() if value is not None}
    return {
        "executor": type(executor).__name__,
        "engine": executor.engine_name,
        "chunksize": executor.chunksize,
        **{
            name: value if isinstance(value, (str, int, float, bool)) else repr(value)
            for name, value in options.items()
        },
    }


def _model(model: Any, columns: list[str] | None) -> dict[str, Any]:
    found: dict[str, Any] = {"name": getattr(model, "__name__", str(model)), "fields": None}
    if isinstance(model, type) and issubclass(model, BaseModel):
        found["fields"] = [
            {
                "field": name,
                "type": _type_name(field.annotation),
                "required": field.is_required(),
                "column": next((each for each in _names(name, field, model) if each in columns), None)
                if columns is not None
                else None,
            }
            for name, field in model.model_fields.items()
        ]
    return found


def _names(name: str, field: Any, model: type[BaseModel]) -> list[str]:
    """Return the columns that a field is read from."""
    alias = field.validation_alias
    by_name = alias is None or model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name")
    choices = getattr(alias, "choices", [alias])
    return [*(each for each in choices if isinstance(each, str)), *([name] if by_name else [])]


def _unused(model: Any, columns: list[str] | None) -> list[str]:
    if columns is None or not (isinstance(model, type) and issubclass(model, BaseModel)):
        return []
    used = {each for name, field in model.model_fields.items() for each in _names(name, field, model)}
    return [column for column in columns if column not in used]


def _type_name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def _kept_at(run: FlowRun) -> int | None:
    try:
        return run.kept_at
    except PluginError:  # a damaged checkpoint is said when the flow is run
        return None
