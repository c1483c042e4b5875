"""What a plugin holds: its actions, how they are configured, and how to get at them."""

from __future__ import annotations

import copy
import importlib
import inspect
import os
import pkgutil
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from synapse_core.actions import BaseAction
from synapse_core.config_file import CONFIG_NAMES, ConfigWarning, read_config_file
from synapse_core.entrypoint import import_entrypoint
from synapse_core.errors import ActionLoadError, ActionNotFoundError, PluginNotFoundError, nearest
from synapse_core.loading import PluginCode, load_plugin_code
from synapse_core.model.enums import RunMethod
from synapse_core.model.references import ActionReference, PluginReference
from synapse_core.resolution import ResolvedAction, action_name_of, is_action, resolve_action
from synapse_core.safe_text import format_traceback, safe_str

if TYPE_CHECKING:
    from pydantic import BaseModel

    from synapse_core.config import ActionConfig, PluginConfig

# synapse_core.config is imported where a plugin is looked at: its models take longer to make than a script to start.

__all__ = ["PluginDiscovery"]


class PluginDiscovery:
    """A plugin, found by its folder or module.

    Finding it, listing and describing import none of its code; asking for an action or its models
    imports that action's module and no other.

    Attributes:
        config: The validated ``config.yaml``, or what stands for it in a module without one.
        folder: The plugin's folder; ``None`` for a module without ``config.yaml``.
        warnings: Near misses in the config, also issued as `ConfigWarning`.

    Example:
        ::

            discovery = PluginDiscovery.from_path("examples/digits")
            discovery.list_actions()                # ['train', 'evaluate', …]
            discovery.get_action_class("train")
    """

    def __init__(
        self,
        config: PluginConfig,
        *,
        folder: Path | None = None,
        document: dict[str, Any] | None = None,
        module: ModuleType | None = None,
        actions: dict[str, Any] | None = None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self.config = config
        self.folder = folder
        self.warnings = warnings
        self._document = document
        self._module = module
        self._found = actions or {}
        self._code: PluginCode | None = None

    @classmethod
    def from_path(cls, path: str | os.PathLike[str]) -> PluginDiscovery:
        """Find the plugin in a folder, or by its ``config.yaml``.

        Raises:
            PluginNotFoundError: There is none.
            ConfigError: Its config is broken.
        """
        return cls._from_config(Path(path))

    @classmethod
    def from_module(cls, module: ModuleType | str) -> PluginDiscovery:
        """Find the plugin in a module, given as itself or by name.

        A package with a ``config.yaml`` beside its ``__init__.py`` is read from that; else its
        actions are those it defines or imports, by ``action_name`` or their class name.

        Raises:
            PluginNotFoundError: There is no module of that name.
            ConfigError: Its config is broken.
        """
        if isinstance(module, str):
            module = _import_plugin_module(module)
        for parent in getattr(module, "__path__", []):
            if any((Path(parent) / name).is_file() for name in CONFIG_NAMES):
                return cls._from_config(Path(parent), module)
        actions = _actions_of_module(module)
        from synapse_core.config import PluginConfig

        config = PluginConfig(
            code=module.__name__,
            name=module.__name__,
            description=(inspect.getdoc(module) or "").partition("\n")[0] or None,
            actions={name: _config_of(name, found) for name, found in actions.items()},
        )
        return cls(config, module=module, actions=actions)

    @classmethod
    def _from_config(cls, path: Path, module: ModuleType | None = None) -> PluginDiscovery:
        file = read_config_file(path)
        from synapse_core.config import parse_config

        config, found = parse_config(file)
        for warning in found:
            warnings.warn(warning, ConfigWarning, stacklevel=3)
        if not config.code:
            config.code = file.path.parent.name
        return cls(config, folder=file.path.parent, document=file.data, module=module, warnings=tuple(found))

    @property
    def code(self) -> str:
        """The plugin's identity."""
        return self.config.code or ""

    @property
    def reference(self) -> PluginReference:
        """Which plugin this is, for other processes and machines."""
        return PluginReference(self.code, str(self.folder) if self.folder else None, self.config.version)

    def get_action_reference(self, name: str) -> ActionReference:
        """Return which action is meant, without importing it.

        Raises:
            ActionNotFoundError: There is no such action.
        """
        config = self.get_action_config(name)
        return ActionReference(name, self.reference, config.entrypoint, config.idempotent)

    def list_actions(self) -> list[str]:
        """Return the names of the actions, in the order of the config."""
        return list(self.config.actions)

    def has_action(self, name: str) -> bool:
        """Say whether there is an action of that name; it may still fail to import."""
        return name in self.config.actions

    def get_action_config(self, name: str) -> ActionConfig:
        """Return the action's entry in the config.

        Raises:
            ActionNotFoundError: With the nearest names.
        """
        try:
            return self.config.actions[name]
        except KeyError:
            known = self.list_actions()
            raise ActionNotFoundError(
                f"plugin {self.code!r} has no action {name!r}.{nearest(name, known)} "
                f"Actions: {', '.join(known) or '(none)'}",
                action=name,
                known=known,
            ) from None

    def get_action_entrypoint(self, name: str) -> str:
        """Return the action's entrypoint string.

        Raises:
            ActionNotFoundError: There is no such action.
            ActionLoadError: It has no entrypoint.
        """
        entrypoint = self.get_action_config(name).entrypoint
        if not entrypoint:
            raise ActionLoadError(
                f"action {name!r} of plugin {self.code!r} has no entrypoint; write "
                f"'entrypoint: package.module:Name' below actions.{name} in {self._where()}"
            )
        return entrypoint

    def get_action_class(self, name: str) -> Any:
        """Return the action's class, or its function.

        Raises:
            ActionNotFoundError: There is no such action.
            ActionLoadError: Its entrypoint does not import; other actions are not affected.
        """
        if name in self._found:
            return self._found[name]
        entrypoint = self.get_action_entrypoint(name)
        module = self._module
        named_from_outside = module is not None and entrypoint.startswith(
            (f"{module.__name__}.", f"{module.__name__}:")
        )
        if self.folder is None or named_from_outside:
            return import_entrypoint(entrypoint)
        if self._code is None:
            self._code = load_plugin_code(self.folder, self.code)
        return self._code.import_entrypoint(entrypoint)

    def resolve(self, name: str) -> ResolvedAction:
        """Return the action ready to run.

        Raises:
            ActionNotFoundError: There is no such action.
            ActionLoadError: It does not import, or is nothing that can run.
        """
        found = self.get_action_class(name)
        try:
            resolved = resolve_action(found)
            config = self.config.actions[name]
            return replace(
                resolved,
                name=name,  # the one that people type, and read in errors
                idempotent=resolved.idempotent or config.idempotent,
                entrypoint=config.entrypoint,
                plugin=self.reference,
            )
        except TypeError as error:
            raise ActionLoadError(
                f"action {name!r} of plugin {self.code!r}: {error}", entrypoint=self.config.actions[name].entrypoint
            ) from error

    def get_action_method(self, name: str) -> RunMethod | str:
        """Return how a backend should prefer to run the action, as its config says. Default: ``task``."""
        return self.get_action_config(name).method or RunMethod.TASK

    def get_action_params_model(self, name: str) -> type[BaseModel] | None:
        """Return the model of the action's params; imports the action."""
        return self.resolve(name).params_model

    def get_action_result_model(self, name: str) -> type[BaseModel] | None:
        """Return the model of the action's result; imports the action."""
        return self.resolve(name).result_model

    def get_action_input_type(self, name: str) -> str | list[str] | None:
        """Return what the action takes, as its config says; what the action says itself is in `resolve`."""
        return self.get_action_config(name).input_type

    def get_action_output_type(self, name: str) -> str | list[str] | None:
        """Return what the action makes, as its config says; what the action says itself is in `resolve`."""
        return self.get_action_config(name).output_type

    def get_action_ui_schema(self, name: str) -> Any:
        """Return what a form for the params is made from: the config's ``ui_schema``, else the model's JSON Schema."""
        configured = self.get_action_config(name).ui_schema
        if configured is not None:
            return configured
        model = self.get_action_params_model(name)
        return model.model_json_schema() if model is not None else {"type": "object", "properties": {}}

    def to_config_dict(self) -> dict[str, Any]:
        """Return the config as plain data, unknown keys included; a round trip of the file."""
        if self._document is not None:
            return copy.deepcopy(self._document)
        return self.config.model_dump(mode="json", exclude_defaults=True, exclude_none=True)

    def __repr__(self) -> str:
        return f"PluginDiscovery({self.code!r}, actions={self.list_actions()})"

    def _where(self) -> str:
        return str(self.folder / CONFIG_NAMES[0]) if self.folder else self.code


def _import_plugin_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # importing runs the plugin's code, which may even call sys.exit
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise PluginNotFoundError(
                f"no plugin {name!r}: it is neither a folder here ({os.getcwd()}) nor a module that imports ({error})"
            ) from error
        raise ActionLoadError(
            f"plugin {name!r} does not import: {type(error).__name__}: {safe_str(error)}",
            entrypoint=name,
            traceback=format_traceback(error),
        ) from error


def _actions_of_module(module: ModuleType) -> dict[str, Any]:
    own = _actions_in(module, {})
    if own:
        return own
    found: dict[str, Any] = {}
    for submodule in _submodules(module):
        _actions_in(submodule, found)
    return found


def _submodules(package: ModuleType) -> Iterator[ModuleType]:
    """Import and yield the modules below a package; a broken one spoils only itself."""
    for info in pkgutil.iter_modules(getattr(package, "__path__", []), f"{package.__name__}."):
        if info.name.endswith(".__main__"):  # importing it runs the program
            continue
        try:
            submodule = importlib.import_module(info.name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a script without a guard may call sys.exit
            text = f"{info.name} does not import: {type(error).__name__}: {safe_str(error)}"
            warnings.warn(text, ConfigWarning, stacklevel=4)
            continue
        yield submodule
        yield from _submodules(submodule)


def _actions_in(module: ModuleType, found: dict[str, Any]) -> dict[str, Any]:
    """Add the actions that a module defines or imports to `found`; the first of a name stays."""
    for word, candidate in list(vars(module).items()):
        if word.startswith("_") or not is_action(candidate) or inspect.isabstract(candidate):
            continue
        if isinstance(candidate, type) and getattr(candidate, "execute", None) is BaseAction.execute:
            continue  # a base class for others
        name = action_name_of(candidate)
        if found.setdefault(name, candidate) is not candidate:
            text = f"two actions are called {name!r}: {_place(found[name])} is used, {_place(candidate)} is not"
            warnings.warn(text, ConfigWarning, stacklevel=5)
    return found


def _place(action: Any) -> str:
    target = action if hasattr(action, "__qualname__") else type(action)
    return f"{target.__module__}:{target.__qualname__}"


def _config_of(name: str, found: Any) -> ActionConfig:
    from synapse_core.config import ActionConfig

    try:
        resolved = resolve_action(found)
    except TypeError:  # said when it is asked for; the other actions are not affected
        return ActionConfig(entrypoint=_place(found))
    return ActionConfig(
        entrypoint=_place(found),
        method=resolved.method,
        description=resolved.description or None,
        input_type=resolved.input_type,
        output_type=resolved.output_type,
        idempotent=resolved.idempotent,
    )
