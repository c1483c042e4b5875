"""From what people type to a pipe: a flow of ``config.yaml``, or a pipe that is written in Python."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from synapse_core.config_file import read_config_file
from synapse_core.discovery import PluginDiscovery
from synapse_core.entrypoint import import_entrypoint
from synapse_core.environment import PluginEnvironment
from synapse_core.errors import ActionLoadError, ActionNotFoundError, ConfigError, ValidationError, nearest
from synapse_core.loading import PluginCode, load_plugin_code
from synapse_core.safe_text import safe_str
from synapse_flow.adapter_types import SUFFIXES, file_suffix, place_name, type_by_place
from synapse_flow.arguments import check_arguments
from synapse_flow.config_problems import ConfigProblems, Keys
from synapse_flow.executors.base import BaseExecutor
from synapse_flow.executors.by_name import executor_class, make_executor, same_executor
from synapse_flow.executors.registered import EngineExecutor
from synapse_flow.flow_config import (
    AdapterConfig,
    FlowConfig,
    HookConfig,
    InputConfig,
    OutputConfig,
    adapter_problems,
    flow_names,
    parse_flow,
)
from synapse_flow.flow_target import load_pipe, own_modules, send_by_value
from synapse_flow.pipe import Pipe
from synapse_flow.places import is_database, place_of
from synapse_flow.urls import shown_url

__all__ = ["Flow", "FlowChanges", "load_flow", "load_python_flow", "named_flows"]

C = TypeVar("C", bound=AdapterConfig)

_STANDARD_OUTPUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


@dataclass(frozen=True, slots=True)
class FlowChanges:
    """What one run does otherwise than its flow says; None changes nothing.

    Attributes:
        executor: Name of another executor; the arguments of the same one are kept.
        workers: How many workers it has.
        limit: Records to read, at most.
        input: Another place to read from; a relative one is below the current folder.
        output: Another place to write to; hooks are kept, and options of the same kind of output, or it is refused.
        errors: Another place for failed records, likewise.
    """

    executor: str | None = None
    workers: int | None = None
    limit: int | None = None
    input: str | None = None
    output: str | None = None
    errors: str | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow that is ready to run.

    Attributes:
        name: Its name.
        target: Where it is described, as it was typed.
        pipe: What runs.
        description: One line for people.
        resumes: Whether a run that was killed is to go on, where its outputs allow that.
        source: Path or URL of its input, where that is known.
    """

    name: str
    target: str
    pipe: Pipe
    description: str = ""
    resumes: bool = True
    source: str | None = None


_NO_CHANGES = FlowChanges()


def load_python_flow(target: str, changes: FlowChanges = _NO_CHANGES) -> Flow:
    """Return the flow that ``module:name`` or ``file.py:name`` is.

    Raises:
        ActionLoadError: It does not import.
        ValidationError: It is no pipe, or what it is to be changed to does not exist.
    """
    pipe = load_pipe(target)
    if changes.input is not None:
        pipe.input_adapter = _with_hooks(_adapter_at(changes.input, "input"), pipe.input_adapter)
    for place in (changes.output, changes.errors):
        if place is not None:
            _check_typed(place, "")
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
        executor.options["max_workers"] = workers
        return
    known = [name for name in ("concurrency", "max_workers") if hasattr(executor, name)]
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
    there = _adapter_at(place, "output")
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
        made = _adapter_at(place, "output") if type_by_place(place) is not None else type(output)(place)
    except Exception:  # the class needs more than a place
        return False
    return bool(_state(_with_hooks(made, output)) == _state(output))


def _state(value: Any) -> Any:
    """Return what an object of this package holds, as data that is equal for equal ones."""
    if type(value).__module__.partition(".")[0] != __name__.partition(".")[0]:
        return value
    return type(value), {name: _state(item) for name, item in vars(value).items()}


def load_flow(
    plugin: PluginDiscovery, name: str | None = None, changes: FlowChanges = _NO_CHANGES, *, target: str = ""
) -> Flow:
    """Return a flow of a plugin's ``config.yaml``; imports its model and its hooks.

    Args:
        plugin: The plugin.
        name: Name of the flow; None where there is one only.
        changes: What is otherwise than described.
        target: What the plugin was asked for by.

    Raises:
        ConfigError: The flow is described wrongly, with all problems at once; or there is none at all.
        ActionNotFoundError: There is none of that name.
        UnknownBackendError: There is no executor that it is to be changed to.
        ValidationError: What it is to be changed to does not exist.
    """
    if plugin.folder is None:
        raise ConfigError(f"plugin {plugin.code!r} has no config.yaml, which flows are described in")
    file = read_config_file(plugin.folder)
    name = _chosen(flow_names(file), name, plugin.code)
    described = parse_flow(file, name, PluginEnvironment.from_environ().merge(plugin.config.env))
    config = _changed(described, changes)
    problems = ConfigProblems(file)
    builder = _Builder(plugin.folder, load_plugin_code(plugin.folder, plugin.code), problems, ("flows", name))
    pipe = builder.pipe(config, changes)
    source = config.input.place
    return Flow(
        name,
        target or str(plugin.folder),
        pipe,
        config.description or "",
        config.checkpoint,
        builder.in_folder(source) if source else None,
    )


def _chosen(flows: list[str], name: str | None, code: str) -> str:
    known = ", ".join(flows)
    if name is None:
        if len(flows) > 1:
            raise ValidationError(f"plugin {code!r} has several flows; say which with --flow: {known}")
        return flows[0]
    if name not in flows:
        raise ActionNotFoundError(
            f"plugin {code!r} has no flow {name!r}.{nearest(name, flows)} Flows: {known}", action=name, known=flows
        )
    return name


def _changed(config: FlowConfig, changes: FlowChanges) -> FlowConfig:
    changed: dict[str, Any] = {}
    if changes.input is not None:
        changed["input"] = _usable(config.input.at(_from_here(changes.input)), changes.input)
    for part in ("output", "errors"):
        place, before = getattr(changes, part), getattr(config, part)
        if place is not None:
            _check_typed(place, "" if before is None else before.place)
            there = before.at(place) if before is not None else OutputConfig.model_validate(place)
            changed[part] = _usable(there, place)
    return config.model_copy(update=changed)


def _from_here(place: str) -> str:
    return place if "://" in place or is_database(place) else os.path.abspath(os.path.expanduser(place))


def _check_typed(place: str, described: str) -> None:
    """Refuse a place for records that would be taken for a file of another kind than it says.

    Args:
        place: As it was typed.
        described: Place of the output that it replaces.

    Raises:
        ValidationError: It is standard output, or has a suffix that neither a kind nor the place before has.
    """
    if place in _STANDARD_OUTPUT:
        raise ValidationError(
            f"{place!r} is no place for records: standard output has the report. Name a file, such as people.jsonl, "
            "or a pipe, such as >(gzip > people.jsonl.gz)"
        )
    suffix = file_suffix(place)
    if suffix and type_by_place(place) is None and suffix != file_suffix(described):
        raise ValidationError(
            f"{shown_url(place)} does not say what it is by its suffix {suffix}; known ones: {', '.join(SUFFIXES)}, "
            "also with .gz or .zst. What has another is to be described in config.yaml, with its type"
        )


def _adapter_at(place: str, role: str) -> Any:
    kind = InputConfig if role == "input" else OutputConfig
    cls, arguments = _usable(kind.model_validate(place), place).settled()
    return cls(**arguments)


def _usable(config: C, place: str) -> C:
    """Return a description that somebody typed the place of.

    Raises:
        ValidationError: The place alone is not enough.
    """
    problems = [rule for _, rule in adapter_problems(config)]
    if problems:
        raise ValidationError(
            f"{shown_url(place)} cannot be used just so: {'; '.join(problems)}. What needs more than a place is to be "
            "described in config.yaml, or in Python"
        )
    return config


class _Builder:
    """Makes a pipe of a description; everything that is wrong with it is said at once."""

    def __init__(self, folder: Path, code: PluginCode, problems: ConfigProblems, keys: Keys) -> None:
        self._folder = folder
        self._code = code
        self._problems = problems
        self._keys = keys

    def pipe(self, config: FlowConfig, changes: FlowChanges) -> Pipe:
        model = self._model(config.model)
        hooks = {
            key: [self._hook(hook, (key, index)) for index, hook in enumerate(getattr(config, key))]
            for key in ("pre_hooks", "post_hooks")
        }
        source = self._adapter(config.input, "input")
        output = self._adapter(config.output, "output")
        errors = self._adapter(config.errors, "errors")
        self._problems.raise_any()
        executor_name, arguments = config.executor.type, config.executor.arguments
        if changes.executor is not None and not same_executor(changes.executor, executor_name):
            executor_name, arguments = changes.executor, {}
        executor = self._executor(executor_name, model, arguments, changes)
        self._problems.raise_any()
        assert executor is not None
        send_by_value(executor, [self._code.name])
        return Pipe(
            source,
            executor,
            output,
            errors,
            hooks["pre_hooks"],
            hooks["post_hooks"],
            max_bytes_in_flight=config.max_bytes_in_flight,
            max_hook_chunk_size=config.max_hook_chunk_size,
            limit=config.limit if changes.limit is None else changes.limit,
        )

    def _executor(
        self, name: str, model: Any, arguments: Mapping[str, Any], changes: FlowChanges
    ) -> BaseExecutor | None:
        if changes.executor is not None or changes.workers is not None:  # what is wrong may have been typed
            return make_executor(name, model, arguments, changes.workers)
        try:
            return make_executor(name, model, arguments)
        except ValidationError as error:
            self._add(("executor",), str(error))
            return None

    def _add(self, path: Keys, rule: str, cause: str = "") -> None:
        self._problems.add((*self._keys, *path), rule, cause=cause)

    def _imported(self, entrypoint: str, path: Keys) -> Any:
        try:
            return self._code.import_entrypoint(entrypoint)
        except ActionLoadError as error:
            self._add(path, str(error), error.traceback)
            return None

    def _model(self, entrypoint: str | None) -> Any:
        if entrypoint is None:
            return None
        found = self._imported(entrypoint, ("model",))
        if found is not None and not isinstance(found, type):
            self._add(("model",), f"it is a {type(found).__name__}; it has to be a pydantic model")
        return found

    def _hook(self, config: HookConfig, path: Keys) -> Any:
        found = self._imported(config.entrypoint, path)
        if found is None:
            return None
        if not callable(getattr(found, "execute", None)):
            self._add(path, f"{config.entrypoint} is no hook: it has no execute(entries, store)")
        elif not isinstance(found, type):
            if config.args:
                self._add((*path, "args"), f"{config.entrypoint} is a hook already, and takes no args; name its class")
            return found
        else:
            wrong = list(check_arguments(found, config.args))
            for problem in wrong:
                where = (*path, "args", *(() if problem.is_missing else (problem.name,)))
                self._add(where, f"{problem.name!r} is missing: {problem.rule}" if problem.is_missing else problem.rule)
            return None if wrong else self._made(found, config.args, path)
        return None

    def _made(self, cls: Any, arguments: Mapping[str, Any], path: Keys) -> Any:
        try:
            return cls(**arguments)
        except Exception as error:
            self._add(path, f"{cls.__name__} cannot be made: {type(error).__name__}: {safe_str(error)}")
            return None

    def _adapter(self, config: AdapterConfig | None, part: str) -> Any:
        if config is None:
            return None
        cls, arguments = config.settled()
        if isinstance(arguments.get("id_generator"), str):
            arguments["id_generator"] = self._imported_anywhere(arguments["id_generator"], (part, "id_generator"))
        place = place_name(cls)
        if part == "input" and isinstance(arguments.get(place), str):
            arguments[place] = self.in_folder(arguments[place])
        try:
            return cls(**arguments)
        except ValidationError as error:
            self._add((part,), str(error))
        except TypeError as error:
            self._add((part,), f"{cls.__name__} cannot be made: {error}")
        return None

    def _imported_anywhere(self, entrypoint: str, path: Keys) -> Any:
        try:
            return self._code.import_entrypoint(entrypoint)
        except ActionLoadError:
            pass
        try:
            return import_entrypoint(entrypoint)
        except ActionLoadError as error:
            self._add(path, str(error), error.traceback)
            return None

    def in_folder(self, place: str) -> str:
        """Return where an input is: below the plugin's folder, unless it is absolute or a URL."""
        if "://" in place or is_database(place):
            return place
        return str(self._folder / os.path.expanduser(place))


def named_flows(plugin: PluginDiscovery) -> list[str]:
    """Return the names of the flows of a plugin, as its config has them; nothing is checked."""
    if plugin.folder is None:
        return []
    described = read_config_file(plugin.folder).data.get("flows")
    return list(map(str, described)) if isinstance(described, dict) else []
