"""``config.yaml`` as pydantic models. Unknown keys are kept; near misses of known ones are warnings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError as PydanticValidationError,
    field_validator,
    model_validator,
)

from synapse_core.config_file import ConfigFile
from synapse_core.errors import ConfigError, nearest
from synapse_core.field_paths import Finding, merge_findings
from synapse_core.model.enums import PackageManager, PluginCategory, RunMethod
from synapse_core.model.resources import Resources
from synapse_core.redaction import HIDDEN, holds_secret, looks_secret, looks_secret_value
from synapse_core.safe_text import shorten

__all__ = ["ActionConfig", "PluginConfig", "parse_config"]

_SETTINGS = frozenset({"env", "runtime_env"})
_MOST_LOOKED_AT = 100_000


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow", coerce_numbers_to_str=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_means_default(cls, data: Any) -> Any:
        # ``env:`` with nothing behind it is null in YAML, and means that there are none.
        if not isinstance(data, Mapping):
            return data
        return {key: value for key, value in data.items() if value is not None or key not in cls.model_fields}


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
    method: RunMethod | str | None = Field(default=None, union_mode="left_to_right")
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
    category: PluginCategory | str | None = Field(default=None, union_mode="left_to_right")
    description: str | None = None
    readme: str | None = None
    env: dict[str, Any] = Field(default_factory=dict, repr=False)
    runtime_env: dict[str, Any] = Field(default_factory=dict, repr=False)
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
        problems = []
        for found in merge_findings(error.errors(include_url=False), file.data):
            line = file.line_of(*found.path) or 1
            key = ".".join(map(str, found.path))
            given = HIDDEN if _is_secret(found) else shorten(found.given, 60)
            problems.append((line, f"{file.path}:{line}: {key}: {_in_words(found)} (found: {given})"))
        problems.sort()
        text = "\n".join(problem for _, problem in problems)
        failure = ConfigError(text, path=str(file.path), line=problems[0][0])
    else:
        return config, list(_near_misses(file, config))
    raise failure  # outside of the handler: pydantic's own error, which shows every value, is not its context


def _is_secret(found: Finding) -> bool:
    names = [str(part) for part in found.path]
    return (
        not _SETTINGS.isdisjoint(names)
        or any(map(looks_secret, names))
        or holds_secret(found.given)
        or looks_secret_value(shorten(found.given, _MOST_LOOKED_AT))
        or _holds_settings(found.given)
    )


def _holds_settings(value: Any) -> bool:
    if isinstance(value, Mapping):
        return not _SETTINGS.isdisjoint(value) or any(map(_holds_settings, value.values()))
    return isinstance(value, list) and any(map(_holds_settings, value))


def _in_words(found: Finding) -> str:
    """Say what was expected in the words of YAML, which has no instances and no enumerations."""
    if found.type in ("model_type", "dict_type", "mapping_type"):
        found.rules[0] = "Input should be a mapping"
    if found.type == "enum" and len(found.rules) > 1:  # a vocabulary that is open to other words
        found.rules.pop(0)
    return found.rule


def _near_misses(file: ConfigFile, config: PluginConfig) -> Iterator[str]:
    places: list[tuple[tuple[str, ...], BaseModel]] = [((), config)]
    for name, action in config.actions.items():
        places.append((("actions", name), action))
        if action.resources is not None:
            places.append((("actions", name, "resources"), action.resources))
    for path, model in places:
        for key in model.__pydantic_extra__ or {}:
            if hint := nearest(key.lower().replace("-", "_"), type(model).model_fields):
                where = ".".join((*path, key))
                yield f"{file.path}:{file.line_of(*path, key)}: unknown key {where!r} is kept and has no effect.{hint}"
