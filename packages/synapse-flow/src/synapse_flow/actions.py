"""Flows as actions: they report progress and metrics, can be cancelled, and return their report."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from synapse_core.actions import BaseAction
from synapse_core.context import RuntimeContext
from synapse_core.discovery import PluginDiscovery
from synapse_core.errors import ConfigError, ExecutionCancelledError, PluginError, ValidationError
from synapse_core.loading import find_plugin_home, loaded_plugin_folders
from synapse_flow.flow import Flow, FlowChanges
from synapse_flow.flow_loading import load_flow, named_flows
from synapse_flow.flow_running import FlowRun
from synapse_flow.flow_texts import how_to_go_on, run_document
from synapse_flow.pipe import Pipe
from synapse_flow.report import FlowReport, FlowStatus

__all__ = ["FlowAction", "FlowParams", "run_in"]

_BETWEEN_METRICS = 10.0


class FlowParams(BaseModel):
    """Params of `FlowAction`.

    Attributes:
        flow: Name of the flow; None where the plugin has one only.
        input: Another place to read from.
        output: Another place to write to.
        errors: Another place for failed records.
        limit: Records to read, at most.
        executor: Name of another executor.
        workers: How many workers it has.
        fresh: Whether to start afresh where an earlier run was not finished.
        fail_on_errors: Whether the action fails where a record did.
    """

    model_config = ConfigDict(extra="forbid")  # what is misspelt would run the whole flow

    flow: str | None = Field(
        default=None, description="Which flow of the plugin; may be left out where it is the only one"
    )
    input: str | None = Field(default=None, description="Read from here instead: a path or URL")
    output: str | None = Field(default=None, description="Where valid records go instead")
    errors: str | None = Field(default=None, description="Where failed records go instead")
    limit: int | None = Field(default=None, ge=0, description="Read so many records at most")
    executor: str | None = Field(default=None, description="Run on another: serial, threads, processes, …")
    workers: int | None = Field(default=None, ge=1, description="Workers of the executor")
    fresh: bool = Field(default=False, description="Start afresh where an earlier run was not finished")
    fail_on_errors: bool = Field(default=False, description="Fail where a record failed")


class FlowAction(BaseAction[FlowParams, dict[str, Any]]):
    """Runs a flow of the plugin's ``config.yaml``, and returns its report.

    Name it as an entrypoint, ``synapse_flow.actions:FlowAction``; or, where one process runs several plugins with
    flows, a class of the plugin's own that inherits from it, and so knows which plugin it is in.

    Example::

        class Import(FlowAction):
            flow = "people"

    Attributes:
        flow: Name of the flow that runs unless the params name another.
    """

    action_name = "flow"
    flow: ClassVar[str | None] = None

    def execute(self) -> dict[str, Any]:
        """Run the flow.

        Raises:
            ExecutionCancelledError: Somebody has cancelled the action.
            PluginError: The flow is described wrongly, or has failed.
        """
        params = self.params
        name = params.flow or type(self).flow
        changes = FlowChanges(params.executor, params.workers, params.limit, params.input, params.output, params.errors)
        found = load_flow(_plugin_of(type(self), name), name, changes)
        report = _run(self.ctx, FlowRun(found, fresh=params.fresh))
        document = run_document(found, report)
        if params.fail_on_errors and report.error_count:
            raise ValidationError(
                f"{report.error_count:,} of {report.read_count:,} records failed; they are in {document['errors']}"
            )
        return document


def run_in(ctx: RuntimeContext, pipe: Pipe, *, name: str = "flow", fresh: bool = False) -> dict[str, Any]:
    """Run a pipe inside an action: with progress and metrics, until it has ended or the action is cancelled.

    A run that is killed goes on at the next call, where the pipe's outputs allow that.

    Args:
        ctx: Of the action.
        pipe: What runs.
        name: Step that progress and metrics are reported for.
        fresh: Whether to start afresh where an earlier run was not finished.

    Returns:
        The report as JSON data.

    Raises:
        ExecutionCancelledError: Somebody has cancelled the action.
        Exception: What made the run fail.

    Example::

        class Import(BaseAction):
            def execute(self):
                return run_in(self.ctx, Pipe(CSVInputAdapter("people.csv"), SyncFifoExecutor(Person)))
    """
    run = FlowRun(Flow(name, name, pipe), fresh=fresh)
    return run_document(run.flow, _run(ctx, run))


def _run(ctx: RuntimeContext, run: FlowRun) -> FlowReport:
    name, limit = run.flow.name, run.flow.pipe.limit
    told_at = time.monotonic()
    shown: tuple[float, float] | None = None

    def look(report: FlowReport) -> None:
        nonlocal told_at, shown
        if ctx.is_cancelled:
            report.abort()
        now = time.monotonic()
        if (progress := _progress(report, limit)) is not None and progress != shown:
            shown = progress
            ctx.set_progress(*progress, name)
        if report.is_finished or now - told_at >= _BETWEEN_METRICS:
            told_at = now
            ctx.set_metrics(_metrics(report), name)

    report = run.go(look)
    if report.status is FlowStatus.CANCELLED:
        raise ExecutionCancelledError(
            f"the flow {name!r} was stopped after {report.total_processed:,} records; {how_to_go_on(run)}"
        )
    if report.exception is not None:
        raise report.exception
    return report


def _progress(report: FlowReport, limit: int | None) -> tuple[float, float] | None:
    """Return how much is done of how much: records of a limit, or percent of the input."""
    if report.status is FlowStatus.COMPLETED:
        return (100, 100) if limit is None else (limit, limit) if limit else None
    if limit:
        return min(report.read_count, limit), limit
    fraction = report.fraction
    return None if fraction is None else (int(fraction * 100), 100)


def _metrics(report: FlowReport) -> dict[str, Any]:
    return {
        "read": report.read_count,
        "written": report.success_count,
        "failed": report.error_count,
        "filtered": report.filtered_count,
        "records_per_second": round(report.items_per_second),
    }


def _plugin_of(cls: type[FlowAction], name: str | None) -> PluginDiscovery:
    """Return the plugin that the action's class is from, or else the loaded one that has such a flow.

    Raises:
        ConfigError: None has, or several have.
    """
    home = find_plugin_home(cls)
    if home is not None:
        return PluginDiscovery.from_path(home.folder)
    found = []
    for folder in sorted(loaded_plugin_folders()):
        with suppress(PluginError):  # another plugin that was deleted or broken since is no reason not to find this one
            plugin = PluginDiscovery.from_path(folder)
            flows = named_flows(plugin)
            if flows if name is None else name in flows:
                found.append(plugin)
    if len(found) == 1:
        return found[0]
    wanted = "flows" if name is None else f"a flow {name!r}"
    if not found:
        raise ConfigError(f"no plugin that is loaded here has {wanted}; describe it below 'flows' in its config.yaml")
    raise ConfigError(
        f"several plugins that are loaded here have {wanted}: {', '.join(each.code for each in found)}. Write "
        "class Import(FlowAction): ... in the plugin, and name that as the entrypoint"
    )
