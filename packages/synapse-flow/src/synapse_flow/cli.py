"""`synapse flow`: run record flows, look at them, and run failed records again."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from synapse_cli.kit import (
    ExitCode,
    discover_plugin,
    error_document,
    exit_code_of,
    json_option,
    own_streams,
    print_data,
    print_error,
    print_json,
    print_table,
    talk,
)
from synapse_core.errors import ExecutionCancelledError, PluginError
from synapse_flow.failures import OutputTakenError
from synapse_flow.flow import Flow, FlowChanges
from synapse_flow.flow_loading import load_flow
from synapse_flow.flow_running import EndSignal, FlowRun
from synapse_flow.flow_target import LOCAL_ENGINES, is_python_target
from synapse_flow.flow_texts import (
    as_plugin_error,
    how_to_go_on,
    record_rows,
    report_rows,
    run_document,
    summary,
)
from synapse_flow.live_line import LiveLine
from synapse_flow.python_flow import load_python_flow
from synapse_flow.report import FlowReport, FlowStatus
from synapse_flow.retrying import as_retry, retry_changes

__all__ = ["flow"]

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def flow() -> None:
    """Push records through validation and hooks.

    \b
    TARGET says which flow is meant:
      examples/people       a plugin, which describes flows in its config.yaml
      package.module:pipe   a Pipe in Python, or a function that returns one
      path/to/flow.py:pipe  the same in a file
    """  # noqa: D301 - click keeps the lines after a real backspace as they are


def _which_flow(command: F) -> F:
    """Add the argument and the option that say which flow is meant."""
    option = click.option(
        "--flow", "-f", "name", metavar="NAME", help="Which flow of the plugin.  [default: the only one]"
    )
    return click.argument("target", metavar="TARGET")(option(command))


def _changes_options(command: F) -> F:
    """Add the options that change a flow for one run."""
    for option in (
        click.option("--errors", metavar="PLACE", help="Where failed records go instead."),
        click.option("--output", "-o", metavar="PLACE", help="Where valid records go instead: a path or URL."),
        click.option("--limit", "-n", type=click.IntRange(min=0), metavar="N", help="Read N records at most."),
        click.option("--workers", "-w", type=click.IntRange(min=1), metavar="N", help="Workers of the executor."),
        click.option(
            "--executor", "-e", metavar="NAME", help="Run on another: serial, threads, processes, asyncio, dask, ray, …"
        ),
    ):
        command = option(command)
    return command


def _run_options(command: F) -> F:
    """Add the options that say how a run begins and ends."""
    for option in (
        click.option("--fail-on-errors", is_flag=True, help="End with 1 where a record failed."),
        click.option("--fresh", is_flag=True, help="Start afresh where an earlier run was not finished."),
    ):
        command = option(command)
    return command


@flow.command()
@_which_flow
@_changes_options
@click.option("--input", "-i", metavar="PLACE", help="Read from here instead: a path or URL.")
@_run_options
@json_option
def run(
    target: str,
    name: str | None,
    fresh: bool,
    fail_on_errors: bool,
    as_json: bool,
    **changes: Any,
) -> int:
    """Run a flow: read, validate and write its records.

    \b
    synapse flow run examples/people
    synapse flow run examples/people --input people.csv --executor processes --workers 4
    synapse flow run flows.py:pipe --json
    """  # noqa: D301
    with _reported(as_json, target):
        found = _load(target, name, FlowChanges(**changes))
        return _run(found, fresh=fresh, fail_on_errors=fail_on_errors, as_json=as_json)


@flow.command()
@_which_flow
@click.option("--rows", type=click.IntRange(min=0), default=5, show_default=True, help="Records to try.")
@click.option("--input", "-i", metavar="PLACE", help="Read from here instead: a path or URL.")
@json_option
def inspect(target: str, name: str | None, rows: int, input: str | None, as_json: bool) -> None:
    """Show a flow and try its first records; writes nothing."""
    from synapse_flow.inspection import describe_flow, try_records

    with _reported(as_json, target):
        found = _load(target, name, FlowChanges(input=input))
        with own_streams(stdout_is_talk=True):  # what hooks print is no data
            document = describe_flow(found)
            records = try_records(found.pipe, rows) if rows else []
        if as_json:
            print_json({**document, "records": records})
            return
        _print_description(document)
        if records:
            print_data("")
            print_table(("POSITION", "STATUS", "RECORD"), record_rows(records))


@flow.command()
@_which_flow
@click.argument("errors_file", metavar="ERRORS")
@_changes_options
@_run_options
@json_option
def retry(
    target: str,
    errors_file: str,
    name: str | None,
    fresh: bool,
    fail_on_errors: bool,
    as_json: bool,
    **changes: Any,
) -> int:
    """Run failed records again.

    ERRORS are the JSON lines that the flow wrote of them. Those that are good now go to NAME.retried.SUFFIX beside
    the flow's output, those that fail again to NAME.retried.SUFFIX beside ERRORS, with the positions that they had
    in the first input.

    \b
    synapse flow retry examples/people artifacts/people/errors.jsonl
    """  # noqa: D301
    with _reported(as_json, target):
        wanted = FlowChanges(**changes)
        again = retry_changes(_load(target, name, FlowChanges()), errors_file, wanted)
        found = as_retry(_load(target, name, again), errors_file, wanted.limit)
        return _run(found, fresh=fresh, fail_on_errors=fail_on_errors, as_json=as_json)


def _load(target: str, name: str | None, changes: FlowChanges) -> Flow:
    with own_streams(stdout_is_talk=True):  # what the flow's modules print while they are imported is no data
        if is_python_target(target):
            if name is not None:
                raise click.UsageError(f"--flow is for plugins; {target} is one flow already")
            return load_python_flow(target, changes)
        return load_flow(discover_plugin(target), name, changes, target=target)


def _run(found: Flow, *, fresh: bool, fail_on_errors: bool, as_json: bool) -> int:
    this = FlowRun(found, fresh=fresh)
    resumed = False

    def look(report: FlowReport) -> None:
        nonlocal resumed
        begun = report.status is FlowStatus.COMPLETED or report.total_processed > (report.resumed_at or 0)
        if report.resumed_at is not None and begun and not resumed:  # before that another run may be at it
            resumed = True
            assert this.checkpoint is not None
            talk(
                f"going on at record {report.resumed_at:,} of an unfinished run ({this.checkpoint.path}; --fresh "
                "starts afresh)"
            )
        line.show(report)

    def stopping() -> None:
        talk(f"\nstopping; {'SIGTERM' if end.came else 'Ctrl-C'} once more does not wait")

    executor = found.pipe.executor
    starts = "" if executor.package == LOCAL_ENGINES else executor.engine_name
    try:
        with EndSignal() as end, own_streams(stdout_is_talk=True), LiveLine(found.name, starts=starts) as line:
            report = this.go(look, interrupted=stopping)
    except KeyboardInterrupt:
        return _interrupted(this, ExitCode.TERMINATED if end.came else ExitCode.INTERRUPTED, as_json)
    if report.status is not FlowStatus.COMPLETED:
        return _not_completed(this, report, as_json)
    _print_report(found, report, as_json)
    if report.error_count == report.total_processed > 0:
        from synapse_flow.inspection import header_mismatch

        talk("; ".join(["note: no record was valid", *header_mismatch(found.pipe)]))
    return ExitCode.ACTION_FAILED if fail_on_errors and report.error_count else ExitCode.OK


def _print_report(found: Flow, report: FlowReport, as_json: bool) -> None:
    if as_json:
        print_json(run_document(found, report))
        return
    print_data(summary(found, report))
    print_table(("RECORDS", "COUNT", "WHERE"), report_rows(found, report))
    if report.errors_by_type:
        print_data("")
        by_count = sorted(report.errors_by_type.items(), key=lambda item: (-item[1], item[0]))
        print_table(("ERROR", "COUNT"), [(kind, f"{count:,}") for kind, count in by_count])


def _not_completed(this: FlowRun, report: FlowReport, as_json: bool) -> int:
    error = as_plugin_error(report.exception or ExecutionCancelledError("the flow was stopped"))
    print_error(error)
    if report.read_count and not isinstance(error, OutputTakenError):  # else nothing has begun
        talk(how_to_go_on(this))
    if as_json:
        print_json({**run_document(this.flow, report), "error": error_document(error)})
    return exit_code_of(error)


def _interrupted(this: FlowRun, code: ExitCode, as_json: bool) -> int:
    is_over = this.report.is_finished
    talk(f"interrupted after {this.report.total_processed:,} records; {how_to_go_on(this)}")
    if as_json:
        print_json({**run_document(this.flow, this.report), "status": str(FlowStatus.CANCELLED)})
    if not is_over:  # somebody does not want to wait for what is at work
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # all is said; what is left would complain of its end
        for process in multiprocessing.active_children():
            process.kill()
        os._exit(code)
    return code


def _print_description(document: dict[str, Any]) -> None:
    about = f": {document['description']}" if document["description"] else ""
    print_data(f"{document['flow']}{about}")
    print_table(("PART", "WHAT", "WHERE"), list(_parts(document)))
    model = document["model"]
    if model is not None and model["fields"]:
        print_data("")
        rows = [
            (each["field"], each["type"], "yes" if each["required"] else "no", each["column"] or "")
            for each in model["fields"]
        ]
        print_table(("FIELD", "TYPE", "REQUIRED", "COLUMN"), rows)
    if document["unused_columns"]:
        print_data(f"columns that no field takes: {', '.join(document['unused_columns'])}")
    if document["unfinished_at"] is not None:
        print_data(f"unfinished run: goes on at record {document['unfinished_at']:,} ({document['checkpoint']})")


def _parts(document: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    source = document["input"]
    size = "" if source["bytes"] is None else f"({source['bytes']:,} bytes)"
    yield "input", source["adapter"], f"{source['place'] or ''} {size}".strip()
    for hook in document["pre_hooks"]:
        yield "pre-hook", hook["hook"], f"priority {hook['priority']}"
    yield "model", "none" if document["model"] is None else document["model"]["name"], ""
    for hook in document["post_hooks"]:
        yield "post-hook", hook["hook"], f"priority {hook['priority']}"
    options = {name: value for name, value in document["executor"].items() if name not in ("executor", "engine")}
    yield (
        "executor",
        document["executor"]["executor"],
        ", ".join(f"{name}={value}" for name, value in options.items() if value is not None),
    )
    for part in ("output", "errors"):
        adapter = document[part]
        yield part, "none" if adapter is None else adapter["adapter"], (adapter or {}).get("place") or ""


@contextmanager
def _reported(as_json: bool, target: str) -> Iterator[None]:
    try:
        yield
    except PluginError as error:
        print_error(error)
        if as_json:
            print_json({"target": target, "status": "failed", "error": error_document(error)})
        sys.exit(exit_code_of(error))
