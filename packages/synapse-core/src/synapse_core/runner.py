"""`run_plugin`: discovery and execution in one call."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from synapse_core.config_file import CONFIG_NAMES
from synapse_core.discovery import PluginDiscovery
from synapse_core.environment import PluginEnvironment
from synapse_core.errors import ActionLoadError, CapabilityError, PluginNotFoundError
from synapse_core.model.enums import ExecutionMode
from synapse_core.model.references import ActionReference, PluginReference
from synapse_core.plugins.descriptions import ExecutorDescription
from synapse_core.plugins.registry import registry
from synapse_core.resolution import ResolvedAction

__all__ = ["ExecutionMode", "PreparedRun", "discover", "prepare_run", "run_plugin"]


def discover(plugin: str | os.PathLike[str] | ModuleType | PluginDiscovery) -> PluginDiscovery:
    """Find a plugin by its folder, its ``config.yaml``, or its module.

    Raises:
        PluginNotFoundError: There is none.
        ConfigError: Its config is broken.
    """
    if isinstance(plugin, PluginDiscovery):
        return plugin
    if isinstance(plugin, ModuleType):
        return PluginDiscovery.from_module(plugin)
    text = os.fspath(plugin)
    names_a_path = not isinstance(plugin, str) or os.sep in text or "/" in text or text.startswith((".", "~"))
    if names_a_path or text.endswith((".yaml", ".yml")):
        return PluginDiscovery.from_path(text)
    here, beside = Path(text), Path(*text.split("."))  # 'my_plugins.yolov8' as a folder below this one
    for folder in (here, beside):
        if any((folder / name).is_file() for name in CONFIG_NAMES):
            return PluginDiscovery.from_path(folder)
    try:
        return PluginDiscovery.from_module(text)  # a package beside us may have no config, and be a plugin
    except (PluginNotFoundError, ValueError):
        if here.exists():
            return PluginDiscovery.from_path(here)  # which says what is missing there
        raise


def run_plugin(
    plugin_code: str | os.PathLike[str] | ModuleType | PluginDiscovery | None = None,
    action: str | None = None,
    params: dict[str, Any] | None = None,
    *,
    plugin: str | os.PathLike[str] | ModuleType | PluginDiscovery | None = None,
    mode: ExecutionMode | str = ExecutionMode.LOCAL,
    action_cls: Any = None,
    **executor_kwargs: Any,
) -> Any:
    """Run one action of a plugin.

    Args:
        plugin_code: A folder, a ``config.yaml``, or a module; also answers to `plugin`.
        action: Name of the action.
        params: Its params.
        plugin: Another name for `plugin_code`.
        mode: Where to run it: an `ExecutionMode` or the name of any installed executor.
        action_cls: Class, function or entrypoint to run; skips discovery.
        **executor_kwargs: Arguments of the executor, such as ``env`` and ``job_id``.

    Returns:
        The action's result; in modes that submit, the job id.

    Raises:
        ValidationError: The params do not fit; nothing has run.
        ActionNotFoundError: There is no such action.
        ExecutionError: The action raised.
        UnknownBackendError: There is no such mode.

    Example:
        ::

            run_plugin("examples/digits", "train", {"epochs": 3})
    """
    given = plugin_code if plugin_code is not None else plugin
    return prepare_run(given, action, params, mode=mode, action_cls=action_cls, **executor_kwargs).start()


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """An action of a plugin and the executor for it; nothing has run.

    Attributes:
        executor: Made for this run, with the plugin's own settings.
        target: The action, or which one is meant.
        params: Its params, not checked yet.
        description: Of the executor.
    """

    executor: Any
    target: Any
    params: dict[str, Any]
    description: ExecutorDescription

    def start(self) -> Any:
        """Run the action and return its result; submit it and return the job id, in modes that submit."""
        start = self.executor.submit if self.description.run_with == "submit" else self.executor.execute
        return start(self.target, self.params)


def prepare_run(
    given: str | os.PathLike[str] | ModuleType | PluginDiscovery | None,
    action: str | None,
    params: dict[str, Any] | None = None,
    *,
    mode: ExecutionMode | str = ExecutionMode.LOCAL,
    action_cls: Any = None,
    **executor_kwargs: Any,
) -> PreparedRun:
    """Do what `run_plugin` does up to the point where the action would run; takes and raises the same."""
    description = registry.find_executor(str(mode))
    target: Any
    if action_cls is not None:
        target = action_cls
    elif given is None or action is None:
        raise TypeError("run_plugin needs a plugin and the name of an action: run_plugin('path/to/plugin', 'train')")
    else:
        target, executor_kwargs = _find_action(given, action, description, executor_kwargs)
    executor = registry.load(description)(**executor_kwargs)
    return PreparedRun(executor, target, {} if params is None else params, description)


def _find_action(
    plugin: str | os.PathLike[str] | ModuleType | PluginDiscovery,
    action: str,
    description: ExecutorDescription,
    executor_kwargs: dict[str, Any],
) -> tuple[ResolvedAction | ActionReference, dict[str, Any]]:
    """Return the action, or which one is meant where that is enough, and the executor's arguments."""
    elsewhere = description.needs == "reference"
    try:
        discovery = discover(plugin)
    except PluginNotFoundError:
        if not (elsewhere and isinstance(plugin, str)):
            raise
        return ActionReference(action, PluginReference(plugin)), executor_kwargs
    arguments = _with_plugin_settings(executor_kwargs, discovery, action, description)
    try:
        return discovery.resolve(action), arguments
    except ActionLoadError:
        if not elsewhere:
            raise
        return discovery.get_action_reference(action), arguments


def _with_plugin_settings(
    executor_kwargs: dict[str, Any], discovery: PluginDiscovery, action: str, description: ExecutorDescription
) -> dict[str, Any]:
    """Return the executor's arguments with the plugin's own settings, as far as it takes them, below those given."""
    config = discovery.config
    own: dict[str, Any] = {
        "working_dir": discovery.folder,
        "runtime_env": config.runtime_env or None,
        "package_manager": config.package_manager if "package_manager" in config.model_fields_set else None,
        "package_manager_options": config.package_manager_options,
        "wheels_dir": config.wheels_dir if "wheels_dir" in config.model_fields_set else None,
    }
    resources = discovery.get_action_config(action).resources
    if resources is not None:
        own |= resources.model_dump(exclude_none=True)
    merged = {name: value for name, value in own.items() if value is not None and name in description.options}
    merged |= executor_kwargs
    if config.env:
        if "env" not in description.options:
            raise CapabilityError(
                f"mode {description.name!r} cannot pass settings to an action, and plugin {discovery.code!r} has "
                f"some below 'env' in its config: {', '.join(config.env)}"
            )
        merged["env"] = PluginEnvironment(config.env).merge(merged.get("env") or {})
    return merged
