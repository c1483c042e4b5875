"""Flows as ``config.yaml`` describes them, below ``flows``; checked without importing the plugin's code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError as PydanticValidationError, model_validator

from synapse_core.config_file import ConfigFile
from synapse_core.entrypoint import split_entrypoint
from synapse_core.errors import ActionLoadError, ConfigError, UnknownBackendError, ValidationError, nearest
from synapse_core.field_paths import merge_findings
from synapse_flow.adapter_types import ADAPTER_TYPES, AdapterType, adapter_type, place_name, type_by_place
from synapse_flow.arguments import FittedArguments, fit_arguments
from synapse_flow.config_problems import ConfigProblems, Keys
from synapse_flow.executors.by_name import fit_executor_arguments
from synapse_flow.urls import shown_url

__all__ = [
    "AdapterConfig",
    "ExecutorConfig",
    "FlowConfig",
    "HookConfig",
    "InputConfig",
    "OutputConfig",
    "adapter_problems",
    "flow_names",
    "parse_flow",
]

_SETTING = re.compile(r"\$\{(\w+)\}")
_PLACES = ("", "source", "target", "url", "database")
_OF_FLOW = frozenset({"pre_hooks", "post_hooks", "schema_model", "loop"})  # arguments that a flow has keys for, or none
_COUNTS = {"max_workers", "max_inflight", "concurrency", "chunksize"}  # arguments of executors

M = TypeVar("M", bound=BaseModel)


class AdapterConfig(BaseModel):
    """An input or an output; a text stands for its place. Further keys are arguments of its class.

    Attributes:
        type: Kind of it. Default: by the suffix of its place.
    """

    model_config = ConfigDict(extra="allow")
    role: ClassVar[str] = "input"

    type: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"": value} if isinstance(value, str) else value

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of its class, as they were written; the key of a place alone is empty."""
        return dict(self.model_extra or {})

    @property
    def place(self) -> str:
        """Path or URL, as far as that is known without its class."""
        found = [self.arguments[key] for key in _PLACES if key in self.arguments]
        return found[0] if found and isinstance(found[0], str) else ""

    def kind(self) -> AdapterType:
        """Return the kind.

        Raises:
            ValidationError: Neither `type` nor the place says which one it is.
        """
        if self.type is not None:
            return adapter_type(self.type)
        found = type_by_place(self.place)
        if found is None:
            raise ValidationError(
                f"{shown_url(self.place) or 'it'} does not say what it is by its suffix; write type: … "
                f"Types: {', '.join(ADAPTER_TYPES)}"
            )
        return found

    def fitted(self) -> FittedArguments:
        """Return the arguments by the words of the file, and what is wrong with them.

        Raises:
            ValidationError: It is of no known kind.
        """
        return self._fitted()[1]

    def settled(self) -> tuple[Any, dict[str, Any]]:
        """Return the class and its arguments, without those that do not fit.

        Raises:
            ValidationError: It is of no known kind.
        """
        cls, fitted = self._fitted()
        words = {self.kind().place_word(self.role): place_name(cls)}
        return cls, {words.get(word, word): value for word, value in fitted.values.items()}

    def _fitted(self) -> tuple[Any, FittedArguments]:
        kind = self.kind()
        cls, word = kind.load(self.role), kind.place_word(self.role)
        given = self.arguments
        if "" in given:
            given = {word: given.pop(""), **given}
        entrypoint = given.get("id_generator")
        if isinstance(entrypoint, str):  # and what it names, which is imported later, has to be callable
            given["id_generator"] = _imported_later
        fitted = fit_arguments(cls, {**kind.arguments, **given}, hidden=_OF_FLOW, words={place_name(cls): word})
        if "id_generator" in fitted.values:
            fitted.values["id_generator"] = entrypoint
        return cls, fitted

    def at(self, place: str) -> Self:
        """Return the same at another place: with all arguments, unless the new place's suffix means another kind."""
        there, here = type_by_place(place), self.kind()
        if there is not None and there.name != here.name:
            return type(self).model_validate(place)
        word = here.place_word(self.role)
        more = {name: value for name, value in self.arguments.items() if name not in ("", word)}
        return type(self).model_validate({"type": here.name, word: place, **more})


def _imported_later() -> None:
    """Stand where a function will be."""


class InputConfig(AdapterConfig):
    """An input; a relative place is below the plugin's folder."""

    role: ClassVar[str] = "input"


class OutputConfig(AdapterConfig):
    """An output; a relative place is below the current folder."""

    role: ClassVar[str] = "output"


class HookConfig(BaseModel):
    """A hook; a text stands for its entrypoint.

    Attributes:
        entrypoint: ``package.module:Name`` of a class, or of a hook itself.
        args: Keyword arguments of the class.
    """

    model_config = ConfigDict(extra="forbid")

    entrypoint: str
    args: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"entrypoint": value} if isinstance(value, str) else value


class ExecutorConfig(BaseModel):
    """An executor; a text stands for its type. Further keys are arguments of its class.

    Attributes:
        type: Its name: ``serial``, ``threads``, ``processes``, ``asyncio``, ``dask``, ``ray``, or that of any
            engine that is installed.
    """

    model_config = ConfigDict(extra="allow")

    type: str

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"type": value} if isinstance(value, str) else value

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of its class, as they were written."""
        return dict(self.model_extra or {})

    def fitted(self) -> FittedArguments:
        """Return the arguments, and what is wrong with them.

        Raises:
            UnknownBackendError: There is no such executor.
        """
        return fit_executor_arguments(self.type, self.arguments, hidden=_OF_FLOW)


class FlowConfig(BaseModel):
    """One entry below ``flows``.

    Attributes:
        description: One line for people.
        model: Entrypoint of the model that records are validated with; none for no validation.
        input: Where records come from.
        output: Where valid records go; they are only counted where it is left out.
        errors: Where failed records go; they are only counted where it is left out.
        pre_hooks: Hooks before the validation.
        post_hooks: Hooks after the validation.
        executor: What it runs on.
        limit: Records to read, at most.
        checkpoint: Whether a run that was killed can go on, where its outputs allow that.
        max_bytes_in_flight: Bytes of input that are read and not yet written, at most, of an input that counts them:
            CSV, JSON, Parquet, Arrow, DuckDB, and files of errors. Others count records only.
        max_hook_chunk_size: Entries in one call of a hook, at most.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    description: str | None = None
    model: str | None = None
    input: InputConfig
    output: OutputConfig | None = None
    errors: OutputConfig | None = None
    pre_hooks: list[HookConfig] = Field(default_factory=list)
    post_hooks: list[HookConfig] = Field(default_factory=list)
    executor: ExecutorConfig = Field(default_factory=lambda: ExecutorConfig(type="serial"))
    limit: int | None = Field(default=None, ge=0)
    checkpoint: bool = True
    max_bytes_in_flight: int | None = Field(default=None, gt=0)
    max_hook_chunk_size: int | None = Field(default=None, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _empty_means_default(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {key: value for key, value in data.items() if value is not None or key not in cls.model_fields}


_PARTS: dict[str, Any] = {
    "input": InputConfig,
    "output": OutputConfig,
    "errors": OutputConfig,
    "executor": ExecutorConfig,
}
_HOOKS = ("pre_hooks", "post_hooks")


def flow_names(file: ConfigFile) -> list[str]:
    """Return the names of the flows of a config file; nothing below them is looked at.

    Raises:
        ConfigError: There are none.
    """
    described = file.data.get("flows")
    if not isinstance(described, dict) or not described:
        raise _no_flows(file, described)
    return list(map(str, described))


def parse_flow(file: ConfigFile, name: str, settings: Mapping[str, Any]) -> FlowConfig:
    """Validate one flow of a config file; whatever is wrong with the others is left alone.

    Args:
        file: The plugin's ``config.yaml``.
        name: One of `flow_names`.
        settings: What ``${NAME}`` stands for in inputs, outputs and executors.

    Raises:
        ConfigError: One error with all problems, each with file, line, key and what is known.
    """
    key, data = next((key, data) for key, data in file.data["flows"].items() if str(key) == name)
    problems = ConfigProblems(file)
    flow = _parse_flow(key, data, settings, problems)
    problems.raise_any()
    assert flow is not None
    return flow


def _no_flows(file: ConfigFile, described: Any) -> ConfigError:
    if described is not None and described != {}:
        line = file.line_of("flows")
        return ConfigError(
            f"{file.path}:{line}: flows: Input should be a mapping of names to flows", path=str(file.path), line=line
        )
    hint = nearest("flows", [key for key in file.data if key != "flows"])
    return ConfigError(
        f"{file.path}: there are no flows.{hint} Describe one below 'flows', such as\n"
        "  flows:\n    people:\n      model: people.model:Person\n      input: people.csv\n      output: people.jsonl",
        path=str(file.path),
    )


def _parse_flow(name: Any, data: Any, settings: Mapping[str, Any], problems: ConfigProblems) -> FlowConfig | None:
    before = len(problems)
    keys: Keys = ("flows", name)
    if isinstance(data, Mapping):
        data = dict(data)
        for part in _PARTS:
            if part in data:
                data[part] = _with_settings(data[part], settings, (*keys, part), problems)
    flow = None
    try:
        flow = FlowConfig.model_validate(data)
    except PydanticValidationError as error:
        for found in merge_findings(error.errors(include_url=False), data):
            problems.add((*keys, *found.path), _shape_rule(found.type, found.path, found.rule))
    for path, rule in _content_problems(data if isinstance(data, Mapping) else {}):
        problems.add((*keys, *path), rule)
    return flow if len(problems) == before else None


def _shape_rule(kind: str, path: Keys, rule: str) -> str:
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        has_short_form = (len(path) == 1 and path[0] in _PARTS) or (len(path) == 2 and path[0] in _HOOKS)
        return f"Input should be {'a text or ' if has_short_form else ''}a mapping"
    if kind == "extra_forbidden":
        known = list(HookConfig.model_fields if len(path) > 1 else FlowConfig.model_fields)
        return f"unknown key.{nearest(str(path[-1]), known)} Keys: {', '.join(known)}"
    return rule


def _content_problems(data: Mapping[str, Any]) -> Iterator[tuple[Keys, str]]:
    """Yield what is wrong with those parts of a flow that have the right shape, whatever shape the others have."""
    for part, config in _PARTS.items():
        found = _shaped(config, data.get(part))
        if found is None:
            continue
        check = _executor_problems if isinstance(found, ExecutorConfig) else adapter_problems
        for path, rule in check(found):
            yield (part, *path), rule
    yield from _entrypoint_problem(("model",), data.get("model"))
    for key in _HOOKS:
        hooks = data.get(key)
        for index, each in enumerate(hooks if isinstance(hooks, list) else ()):
            hook = _shaped(HookConfig, each)
            yield from _entrypoint_problem((key, index), None if hook is None else hook.entrypoint)


def _shaped(config: type[M], value: Any) -> M | None:
    if value is None:
        return None
    try:
        return config.model_validate(value)
    except PydanticValidationError:  # which is said of the flow as a whole
        return None


def _with_settings(value: Any, settings: Mapping[str, Any], keys: Keys, problems: ConfigProblems) -> Any:
    """Return `value` with each ``${NAME}`` replaced."""
    if isinstance(value, dict):
        return {key: _with_settings(item, settings, (*keys, key), problems) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_settings(item, settings, (*keys, index), problems) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    for name in dict.fromkeys(_SETTING.findall(value)):
        if settings.get(name) is None:
            hint = nearest(name, map(str, settings))
            problems.add(keys, f"{name} is not set; set it in the environment, or below 'env'" + (hint and f".{hint}"))
    return _SETTING.sub(lambda found: str(settings.get(found[1], found[0])), value)


def adapter_problems(adapter: AdapterConfig) -> Iterator[tuple[Keys, str]]:
    """Yield what is wrong with a description, and at which of its keys."""
    try:
        fitted = adapter.fitted()
    except ValidationError as error:
        odd = [key for key in _PLACES if not isinstance(adapter.arguments.get(key, ""), (str, list))]
        if odd and adapter.type is None:
            yield (odd[0],), "Input should be a text"
        else:
            yield ("type",) if adapter.type is not None else (), str(error)
        return
    for problem in fitted.problems:
        if problem.is_missing:
            yield (), f"{problem.name!r} is missing: {problem.rule}"
        else:
            yield (problem.name,), problem.rule


def _executor_problems(executor: ExecutorConfig) -> Iterator[tuple[Keys, str]]:
    try:
        fitted = executor.fitted()
    except UnknownBackendError as error:
        yield ("type",) if executor.arguments else (), str(error)
        return
    for problem in fitted.problems:
        yield (problem.name,), problem.rule
    for name, value in fitted.values.items():
        if name in _COUNTS and isinstance(value, int) and value < 1:
            yield (name,), "it has to be a whole number from 1 on"


def _entrypoint_problem(path: Keys, entrypoint: Any) -> Iterator[tuple[Keys, str]]:
    if isinstance(entrypoint, str):
        try:
            next(split_entrypoint(entrypoint))
        except ActionLoadError as error:
            yield path, str(error)
