"""`synapse plugin run`."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synapse_cli.completion import complete_action, complete_mode
from synapse_cli.job_following import announce_job, follow_job, leave_job
from synapse_cli.kit import (
    ExitCode,
    discover_plugin,
    error_document,
    exit_code_of,
    json_option,
    leave_stdout,
    own_streams,
    print_data,
    print_error,
    print_json,
    shown_result,
    talk,
)
from synapse_cli.modes import choose_mode, executor_arguments
from synapse_cli.plugin_lookup import find_plugin, plugin_options
from synapse_cli.run_inputs import parse_document, parse_environment, parse_params, parse_settings
from synapse_core.errors import BackendError, PluginError, ValidationError

if TYPE_CHECKING:
    from synapse_core.discovery import PluginDiscovery
    from synapse_core.plugins.descriptions import ExecutorDescription
    from synapse_core.runner import PreparedRun

__all__ = ["run"]


def _number(ctx: click.Context, parameter: click.Parameter, value: float | None) -> float | int | None:
    if value is not None and not 0 <= value < float("inf"):
        raise click.BadParameter("has to be a number, 0 or more")
    return int(value) if value is not None and value == int(value) else value


@click.command()
@click.argument("action", shell_complete=complete_action)
@plugin_options
@click.option("--params", metavar="JSON", help="Params: JSON, @file.yaml, or - for standard input.")
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="One param; dotted keys, YAML values.")
@click.option(
    "--env", "variables", metavar="KEY=VALUE", multiple=True, help="A setting for ctx.env, above config.yaml."
)
@click.option(
    "--mode", "-m", metavar="MODE", shell_complete=complete_mode, help="Where to run: local, task, job, remote, …"
)
@click.option("--job-id", metavar="ID", help="Identity of the execution (modes with jobs: the job's id).")
@click.option("--detach", is_flag=True, help="Print the job id and leave the job alone (modes that submit).")
@click.option(
    "--start-ray", is_flag=True, default=None, help="Start a Ray cluster where none is running (job, ray-job)."
)
@click.option("--ray-address", metavar="ADDRESS", help="Ray cluster (Ray modes).  [default: auto]")
@click.option("--gpus", "num_gpus", type=float, callback=_number, help="GPUs to request (Ray modes), fractions too.")
@click.option("--cpus", "num_cpus", type=float, callback=_number, help="CPUs to request (Ray modes), fractions too.")
@click.option("--host", help="Synapse API host (remote).")
@click.option("--token", "-t", help="Access token (remote).")
@click.option("--input", "-i", "infer_input", metavar="JSON", help="The param 'input' of infer.")
@click.option("--infer-path", metavar="PATH", help="The param 'path' of infer.  [default: /]")
@click.option("--debug/--no-debug", default=True, help="Show tracebacks and developer events.  [default: debug]")
@click.option("--debug-sdk", "include_sdk", is_flag=True, default=None, help="Ship the local Synapse packages too.")
@json_option
def run(
    action: str,
    path: Path | None,
    plugin_code: str | None,
    params: str | None,
    settings: tuple[str, ...],
    variables: tuple[str, ...],
    mode: str | None,
    infer_input: str | None,
    infer_path: str | None,
    debug: bool,
    as_json: bool,
    detach: bool,
    **backend_options: Any,
) -> int:
    """Run ACTION of a plugin and print its result.

    \b
    synapse plugin run train --path examples/digits
    synapse plugin run train --params '{"epochs": 3}' --set optimizer.lr=0.01
    synapse plugin run train --params @params.yaml --env DEBUG=true --json
    """  # noqa: D301 - click keeps the lines after a real backspace as they are
    job_id: str | None = None
    prepared: PreparedRun | None = None
    try:
        given = parse_settings(settings, parse_params(params))
        if infer_input is not None:
            given["input"] = parse_document(infer_input, "--input")
        if infer_path is not None:
            given["path"] = infer_path
        environment = parse_environment(variables)
        description = choose_mode(mode)
        arguments = executor_arguments(description, {**backend_options, "env": environment or None})
        if detach and (why := _cannot_detach(description)):
            raise click.UsageError(f"--detach has no meaning with mode {description.name!r}, {why}")
        discovery = discover_plugin(find_plugin(path, plugin_code))
        if action == "infer" and infer_path is None:
            _default_path(discovery, given)
        with own_streams(stdout_is_talk=as_json):
            prepared = _prepare(discovery, action, given, description, arguments, debug)
            if description.run_with == "submit":
                job_id = _start(prepared)
                announce_job(job_id, description, arguments.get("ray_address"), shown_elsewhere=detach)
                result = None if detach else _follow(prepared, job_id)
            else:
                result = _start(prepared)
    except KeyboardInterrupt:
        if prepared is None or job_id is None:
            raise
        if not leave_job(prepared.executor, job_id, description, arguments.get("ray_address")):
            raise
        _let_go(prepared)
        prepared = None
        if as_json:
            print_json({"action": action, "mode": description.name, "job_id": job_id, "status": "submitted"})
        return ExitCode.INTERRUPTED
    except PluginError as error:
        print_error(error, debug=debug)
        _suggest_params(error)
        _let_go(prepared)
        prepared = None
        if as_json:
            job = {} if job_id is None else {"job_id": job_id}
            print_json({"action": action, **job, "status": "failed", "error": error_document(error)})
        return exit_code_of(error)
    finally:
        _let_go(prepared)
    document: dict[str, Any] = {"action": action, "mode": description.name}
    if job_id is not None:
        document["job_id"] = job_id
    if detach:
        print_json({**document, "status": "submitted"}) if as_json else print_data(str(job_id))
        return 0
    document |= {"status": "succeeded", "result": result}
    _print_result(document, as_json)
    if as_json:  # a thread that the action left behind may still print
        sys.stdout.flush()
        leave_stdout(to=2)
    return 0


def _suggest_params(error: PluginError) -> None:
    """Say how to give the params that are missing."""
    problems = error.problems if isinstance(error, ValidationError) else ()
    missing = [problem.path for problem in problems if problem.type == "missing" and problem.path]
    if missing:
        option = "--input JSON" if missing == ["input"] else " ".join(f"--set {path}=…" for path in missing)
        talk(f"give what is missing with {option}, or all params with --params")


def _default_path(discovery: PluginDiscovery, given: dict[str, Any]) -> None:
    """Fill in the documented default of ``--infer-path`` where the action has such a param."""
    if "path" not in given and discovery.has_action("infer"):
        model = discovery.get_action_params_model("infer")
        field = model.model_fields.get("path") if model is not None else None
        if field is not None and field.is_required():
            given["path"] = "/"


def _prepare(
    discovery: PluginDiscovery,
    action: str,
    params: dict[str, Any],
    description: ExecutorDescription,
    arguments: dict[str, Any],
    debug: bool,
) -> PreparedRun:
    from synapse_core.runner import prepare_run

    if "debug" in description.options:
        arguments = {**arguments, "debug": debug}
    gc.enable()
    with _backend_errors(description.name):
        return prepare_run(discovery, action, params, mode=description.name, **arguments)


def _start(prepared: PreparedRun) -> Any:
    with _backend_errors(prepared.description.name):
        return prepared.start()


def _follow(prepared: PreparedRun, job_id: str) -> Any:
    with _backend_errors(prepared.description.name):
        return follow_job(prepared.executor, job_id)


def _cannot_detach(description: ExecutorDescription) -> str:
    """Say why a job of this mode cannot be left alone; empty where it can."""
    if description.run_with != "submit":
        return "which submits no job"
    return "" if description.capabilities.detached else "whose jobs end with this process"


def _let_go(prepared: PreparedRun | None) -> None:
    """Free what the executor holds, before a document is printed; that this fails changes nothing about the action."""
    close = None if prepared is None else getattr(prepared.executor, "shutdown", None)
    if close is not None:
        try:
            with own_streams(stdout_is_talk=True):  # what a backend says while it ends is no data
                close()
        except Exception as error:
            talk(f"note: the executor could not be shut down: {type(error).__name__}: {error}")


@contextmanager
def _backend_errors(mode: str) -> Iterator[None]:
    try:
        yield
    except PluginError:
        raise
    except Exception as error:  # not the action's: executors turn that into an ExecutionError
        raise BackendError(f"mode {mode!r} failed by itself: {type(error).__name__}: {error}") from error


def _print_result(document: dict[str, Any], as_json: bool) -> None:
    result = document["result"]
    try:
        if as_json:
            print_json({**document, "result": shown_result(result)})
        elif isinstance(result, str):
            print_data(result)
        elif result is not None:
            print_json(shown_result(result))
    except OSError:  # a full disk is no property of the result
        raise
    except Exception as error:  # the text of a user's class may fail in any way; the action has succeeded
        talk(f"note: the result, a {type(result).__qualname__}, cannot be printed: {type(error).__name__}")
