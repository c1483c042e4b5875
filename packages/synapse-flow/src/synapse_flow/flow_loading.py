"""From a plugin and the name of a flow in its ``config.yaml`` to a flow that is ready to run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synapse_core.config_file import read_config_file
from synapse_core.discovery import PluginDiscovery
from synapse_core.entrypoint import import_entrypoint
from synapse_core.environment import PluginEnvironment
from synapse_core.errors import ActionLoadError, ActionNotFoundError, ConfigError, ValidationError, nearest
from synapse_core.loading import PluginCode, load_plugin_code
from synapse_core.safe_text import safe_str
from synapse_flow.adapter_types import place_name
from synapse_flow.arguments import fit_arguments
from synapse_flow.config_problems import ConfigProblems, Keys
from synapse_flow.executors.base import BaseExecutor
from synapse_flow.executors.by_name import make_executor, same_executor
from synapse_flow.flow import NO_CHANGES, Flow, FlowChanges
from synapse_flow.flow_config import (
    AdapterConfig,
    FlowConfig,
    HookConfig,
    OutputConfig,
    flow_names,
    parse_flow,
)
from synapse_flow.flow_target import send_by_value
from synapse_flow.pipe import Pipe
from synapse_flow.places import is_database
from synapse_flow.typed_places import check_typed, from_here, usable

__all__ = ["load_flow", "named_flows"]


def load_flow(
    plugin: PluginDiscovery, name: str | None = None, changes: FlowChanges = NO_CHANGES, *, target: str = ""
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
        changed["input"] = usable(config.input.at(from_here(changes.input)), changes.input)
    for part in ("output", "errors"):
        place, before = getattr(changes, part), getattr(config, part)
        if place is not None:
            check_typed(place, "" if before is None else before.place)
            there = before.at(place) if before is not None else OutputConfig.model_validate(place)
            changed[part] = usable(there, place)
    return config.model_copy(update=changed)


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
        executor_name, arguments = config.executor.type, config.executor.fitted().values
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
            fitted = fit_arguments(found, config.args)
            for problem in fitted.problems:
                where = (*path, "args", *(() if problem.is_missing else (problem.name,)))
                self._add(where, f"{problem.name!r} is missing: {problem.rule}" if problem.is_missing else problem.rule)
            return None if fitted.problems else self._made(found, fitted.values, path)
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
        except ActionLoadError as error:
            own = error
        try:
            return import_entrypoint(entrypoint)
        except ActionLoadError as error:
            wrong = own if isinstance(error.__cause__, ModuleNotFoundError) else error
            self._add(path, str(wrong), wrong.traceback)
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
