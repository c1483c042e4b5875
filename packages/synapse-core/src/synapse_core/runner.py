"""`run_plugin`: discovery and execution in one call."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Any

from synapse_core.config_file import CONFIG_NAMES
from synapse_core.discovery import PluginDiscovery
from synapse_core.environment import PluginEnvironment
from synapse_core.errors import PluginNotFoundError
from synapse_core.model.enums import ExecutionMode
from synapse_core.plugins.descriptions import ExecutorDescription
from synapse_core.plugins.registry import registry

__all__ = ["ExecutionMode", "discover", "run_plugin"]


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
    description = registry.find_executor(str(mode))
    target: Any
    if action_cls is not None:
        target = action_cls
    elif given is None or action is None:
        raise TypeError("run_plugin needs a plugin and the name of an action: run_plugin('path/to/plugin', 'train')")
    else:
        discovery = discover(given)
        target = discovery.resolve(action)
        executor_kwargs = with_plugin_settings(executor_kwargs, discovery, description)
    executor = registry.load(description)(**executor_kwargs)
    given_params = {} if params is None else params
    if description.run_with == "submit":
        return executor.submit(target, given_params)
    return executor.execute(target, given_params)


def with_plugin_settings(
    executor_kwargs: dict[str, Any], discovery: PluginDiscovery, description: ExecutorDescription
) -> dict[str, Any]:
    """Return the executor's arguments with the plugin's own settings below those that were given."""
    merged = dict(executor_kwargs)
    if discovery.config.env and "env" in description.options:
        merged["env"] = PluginEnvironment.merge(PluginEnvironment(discovery.config.env), merged.get("env") or {})
    if "working_dir" in description.options and discovery.folder is not None:
        merged.setdefault("working_dir", discovery.folder)
    return merged
