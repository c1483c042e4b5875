"""What `synapse flow` says of a run and of a flow: documents, and rows of tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from synapse_core.errors import ExecutionError, PluginError
from synapse_core.safe_text import safe_str
from synapse_flow.failures import DamagedInputError, OutputTakenError
from synapse_flow.flow import Flow
from synapse_flow.flow_running import FlowRun
from synapse_flow.places import shown_place
from synapse_flow.report import FlowReport, FlowStatus

__all__ = ["as_plugin_error", "how_to_go_on", "record_rows", "report_rows", "run_document", "summary"]

_WIDEST = 100
_OF_THE_OTHER_RUN = (
    "read_count",
    "added_count",
    "total_processed",
    "success_count",
    "error_count",
    "filtered_count",
    "errors_by_type",
    "items_per_second",
    "resumed_at",
)


def as_plugin_error(error: BaseException) -> PluginError:
    """Return what made a flow fail as an error of ours."""
    if isinstance(error, PluginError):
        return error
    return ExecutionError(
        f"the flow failed: {type(error).__name__}: {safe_str(error)}",
        original_type=type(error).__name__,
        original_message=safe_str(error),
    )


def run_document(flow: Flow, report: FlowReport) -> dict[str, Any]:
    """Return the outcome of a run as JSON data."""
    pipe = flow.pipe
    found = report.to_dict()
    if isinstance(report.exception, OutputTakenError):  # what is counted is what the other run had committed
        nothing = FlowReport().to_dict()
        found |= {name: nothing[name] for name in _OF_THE_OTHER_RUN}
    return {
        "flow": flow.name,
        "target": flow.target,
        **found,
        "input": shown_place(pipe.input_adapter, flow.source),
        "output": shown_place(pipe.output_adapter),
        "errors": shown_place(pipe.error_output_adapter),
    }


def summary(flow: Flow, report: FlowReport) -> str:
    """Return how a run ended, in one line."""
    since = f", from record {report.resumed_at:,} on" if report.resumed_at is not None else ""
    return f"{flow.name}: {report.status} in {report.duration:.1f} s, {report.items_per_second:,.0f} records/s{since}"


def report_rows(flow: Flow, report: FlowReport) -> Iterator[tuple[str, str, str]]:
    """Yield what became of how many records, and where those are."""
    pipe = flow.pipe
    yield "read", f"{report.read_count:,}", shown_place(pipe.input_adapter, flow.source) or ""
    if report.added_count:
        yield "added", f"{report.added_count:,}", "by hooks"
    yield "written", f"{report.success_count:,}", shown_place(pipe.output_adapter) or "nowhere; they were counted only"
    failed = "nowhere; they were counted only" if report.error_count else ""
    yield "failed", f"{report.error_count:,}", shown_place(pipe.error_output_adapter) or failed
    if report.filtered_count:
        yield "filtered", f"{report.filtered_count:,}", "by hooks"


def how_to_go_on(run: FlowRun) -> str:
    """Return what a run that has not ended well leaves, and how to go on with it."""
    if run.report.status is FlowStatus.COMPLETED:
        return ""
    at = run.kept_at
    if at is None:
        return "nothing was published: outputs appear when they are whole. The same command starts afresh"
    assert run.checkpoint is not None
    if "--fresh" in str(run.report.exception):  # what was left cannot be gone on with
        return ""
    if isinstance(run.report.exception, DamagedInputError):  # and the whole file will be another one
        return "when the input is whole, --fresh starts afresh"
    return f"the same command goes on at record {at:,} ({run.checkpoint.path}); --fresh starts afresh"


def record_rows(records: list[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Yield position, status, and the record or what is wrong with it."""
    for record in records:
        if record["status"] == "failed":
            text = "; ".join(map(_error_text, record["errors"]))
        else:
            text = json.dumps(record["validated_data"], ensure_ascii=False)
        position = record["position"]
        yield "" if position is None else str(position), record["status"], _short(text)


def _error_text(error: dict[str, Any]) -> str:
    where = ".".join(map(str, error.get("loc") or ()))
    text = error.get("msg") or error.get("message") or error.get("type") or ""
    return f"{where}: {text}" if where else text


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
