"""``config.yaml`` as pydantic models. Unknown keys are kept; near misses of known ones are warnings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic import ValidationError as PydanticValidationError

from synapse_core.config_file import ConfigFile
from synapse_core.errors import ConfigError, nearest
from synapse_core.model.enums import PackageManager, PluginCategory, RunMethod
from synapse_core.model.resources import Resources
from synapse_core.safe_text import shorten

__all__ = ["ActionConfig", "ConfigWarning", "PluginConfig", "parse_config"]


class ConfigWarning(UserWarning):
    """Something in ``config.yaml`` that is probably not meant."""


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow", coerce_numbers_to_str=True)


class ActionConfig(_Open):
    """One entry below ``actions``.

    Attributes:
        entrypoint: ``package.module:Name`` or ``package.module.Name``, seen from the plugin's folder.
        method: How a backend prefers to run it.
        retries: How many times a pipeline runs it again after it failed.
        timeout: Seconds that a pipeline gives it.
        idempotent: Whether it may be run again after its worker died.
    """

    entrypoint: str | None = None
    method: RunMethod | str | None = None
    description: str | None = None
    params_schema: dict[str, Any] | str | None = None
    input_type: str | list[str] | None = None
    output_type: str | list[str] | None = None
    ui_schema: Any = None
    serve_options: dict[str, Any] | None = None
    resources: Resources | None = None
    retries: int = Field(default=0, ge=0)
    timeout: float | None = Field(default=None, gt=0)
    idempotent: bool = False


class PluginConfig(_Open):
    """A whole ``config.yaml``.

    Attributes:
        code: Identity of the plugin; may differ from the folder's name. Default: the folder's name.
        env: Settings that every action sees in ``ctx.env``, above ``os.environ``.
        requires: Further plugins or packages, as the plugin's author wrote them.
    """

    code: str | None = None
    name: str | None = None
    version: str | None = None
    category: PluginCategory | str | None = None
    description: str | None = None
    readme: str | None = None
    env: dict[str, Any] = Field(default_factory=dict)
    runtime_env: dict[str, Any] = Field(default_factory=dict)
    package_manager: PackageManager = PackageManager.PIP
    package_manager_options: list[str] | None = None
    wheels_dir: str = "wheels"
    requires: Any = None
    tags: list[str] = Field(default_factory=list)
    tasks: list[str] = Field(default_factory=list)
    data_type: str | None = None
    supported_data_types: list[str] = Field(default_factory=list)
    smart_tool: Any = None
    actions: dict[str, ActionConfig] = Field(default_factory=dict)
    pipelines: dict[str, Any] | None = None

    @field_validator(
        "env", "runtime_env", "tags", "tasks", "supported_data_types", "actions", "package_manager", "wheels_dir",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _empty_means_default(cls, value: Any, info: Any) -> Any:
        return cls.model_fields[info.field_name].get_default(call_default_factory=True) if value is None else value

    @field_validator("actions", mode="before")
    @classmethod
    def _short_actions(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {name: _long_form(action) for name, action in value.items()}


def _long_form(action: Any) -> Any:
    if action is None:
        return {}
    return {"entrypoint": action} if isinstance(action, str) else action


def parse_config(file: ConfigFile) -> tuple[PluginConfig, list[str]]:
    """Validate a config file; returns the model and the warnings.

    Raises:
        ConfigError: One error with all problems, each with file, line, key and what was expected.
    """
    try:
        config = PluginConfig.model_validate(file.data)
    except PydanticValidationError as error:
        rows = [(_key_path(row["loc"]), row) for row in error.errors(include_url=False)]
        seen: set[tuple[str | int, ...]] = set()
        lines, first = [], None
        for path, row in rows:
            if path in seen:  # the branches of a union, one row each
                continue
            seen.add(path)
            line = file.line_of(*path)
            first = first or line
            key = ".".join(map(str, path))
            lines.append(f"{file.path}:{line}: {key}: {row['msg']} (found: {shorten(row['input'], 60)})")
        raise ConfigError("\n".join(lines), path=str(file.path), line=first) from None
    return config, list(_near_misses(file, config))


def _key_path(location: tuple[int | str, ...]) -> tuple[str | int, ...]:
    """Drop what pydantic adds for the branches of unions and for keys."""
    known = {"str", "[key]", "int", "float", "list[str]", "dict[str,any]"}
    return tuple(part for part in location if part not in known and not str(part).startswith(("function-", "lax-or-")))


def _near_misses(file: ConfigFile, config: PluginConfig) -> Iterator[str]:
    places: list[tuple[tuple[str, ...], _Open]] = [((), config)]
    places += [(("actions", name), action) for name, action in config.actions.items()]
    for path, model in places:
        for key in model.__pydantic_extra__ or {}:
            if hint := nearest(key, type(model).model_fields):
                where = ".".join((*path, key))
                yield f"{file.path}:{file.line_of(*path, key)}: unknown key {where!r} is kept and has no effect.{hint}"
