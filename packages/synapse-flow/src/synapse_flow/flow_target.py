"""A pipe that is written in Python: ``package.module:name``, or ``path/to/file.py:name``."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import re
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

from synapse_core.entrypoint import import_entrypoint
from synapse_core.errors import ActionLoadError, PluginNotFoundError, ValidationError
from synapse_flow.executors.base import BaseExecutor
from synapse_flow.pipe import Pipe

__all__ = ["LOCAL_ENGINES", "is_python_target", "load_pipe", "own_modules", "send_by_value"]

LOCAL_ENGINES = "synapse-local"
"""The distribution whose engines work on this machine, where code is found as it is here."""

_NOT_ONES_OWN = {"__main__", "synapse_core", "synapse_flow"}
_NO_NAME = re.compile(r"\W")
_PYTHON = re.compile(r"^(?P<place>.+\.py|[^\W\d]\w*(?:\.[^\W\d]\w*)*):(?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)$", re.S)


def is_python_target(target: str) -> bool:
    """Say whether `target` names a Python object, or a Python file."""
    return target.endswith(".py") or (_PYTHON.match(target) is not None and not Path(target).exists())


def load_pipe(target: str) -> Pipe:
    """Import a pipe, or call the function that returns one.

    Raises:
        PluginNotFoundError: There is no such file.
        ActionLoadError: It does not import, or there is no such name.
        ValidationError: It is no pipe.
    """
    found = _PYTHON.match(target)
    if found is None:
        raise ValidationError(f"{target} is a file of Python; name the pipe in it: {target}:pipe")
    place, name = found["place"], found["name"]
    if place.endswith(".py"):
        module = _FileImporter(Path(place))
        made = import_entrypoint(f"{module.name}:{name}", module.load)
    else:
        _put_on_path(os.getcwd())
        made = import_entrypoint(target)
    pipe = made
    if not isinstance(made, Pipe) and callable(made) and not isinstance(made, type):
        pipe = _called(made, target)
    if not isinstance(pipe, Pipe):
        whose = "" if pipe is made else "what it returns is "
        raise ValidationError(
            f"{target} is no Pipe: {whose}a {type(pipe).__name__}. Name a Pipe, or a function without arguments that "
            "returns one"
        )
    return pipe


def send_by_value(executor: BaseExecutor, names: Iterable[str]) -> None:
    """Send along what modules and those below them define, where the machines of the executor do not have them."""
    if not executor.crosses or executor.package == LOCAL_ENGINES:
        return
    for name in names:
        if (module := sys.modules.get(name)) is not None:
            cloudpickle.register_pickle_by_value(module)


def own_modules(pipe: Pipe) -> list[str]:
    """Return the packages and modules of the model, hooks and adapters of a pipe, and those that lie beside them.

    What is installed is none of them: it has to be installed on other machines too.
    """
    adapters = [each for each in (pipe.input_adapter, pipe.output_adapter, pipe.error_output_adapter) if each]
    hooks = [*pipe.pre_validation_hooks, *pipe.post_validation_hooks]
    for adapter in adapters:
        hooks += [*adapter.pre_hooks, *adapter.post_hooks]
    parts = [pipe.executor.schema_model, *map(type, (*adapters, *hooks))]
    tops = {str(getattr(part, "__module__", "")).partition(".")[0] for part in parts}
    folders = {_folder_of(name) for name in tops} - {None}
    return [name for name in list(sys.modules) if "." not in name and _folder_of(name) in folders]


def _folder_of(name: str) -> Path | None:
    """Return the folder that a module of one's own was imported from; None for one that is installed, or has none."""
    module = sys.modules.get(name)
    places = [*getattr(module, "__path__", ()), getattr(module, "__file__", None)]
    if name in _NOT_ONES_OWN or not isinstance(places[0], str):
        return None
    folder = Path(places[0]).absolute().parent
    paths = sysconfig.get_paths()
    installed = any(folder.is_relative_to(paths[kind]) for kind in ("stdlib", "platstdlib", "purelib", "platlib"))
    return None if installed or folder.name in ("site-packages", "dist-packages") else folder


def _called(function: Any, target: str) -> Any:
    if needed := _needed(function):
        raise ValidationError(
            f"{target} needs arguments: {', '.join(needed)}. Name a Pipe, or a function without arguments that returns "
            "one"
        )
    try:
        return function()
    except Exception as error:
        import traceback

        raise ActionLoadError(
            f"{target} raised {type(error).__name__}: {error}",
            entrypoint=target,
            traceback="".join(traceback.format_exception(error)),
        ) from error


def _needed(function: Any) -> list[str]:
    """Return the parameters of a function that have no default."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a builtin without a signature
        return []
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each.name for each in parameters if each.default is each.empty and each.kind not in variable]


def _put_on_path(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)


class _FileImporter:
    """Imports a file by its name, with the folder of its outermost package on ``sys.path``."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        if not self.path.is_file():
            near = _nearest_file(self.path)
            raise PluginNotFoundError(f"there is no file {path}{near}")
        self._top = self.path.parent
        parts = [] if self.path.stem == "__init__" else [self.path.stem]
        while (self._top / "__init__.py").is_file():
            parts.insert(0, self._top.name)
            self._top = self._top.parent
        self._has_name = all(part.isidentifier() for part in parts)
        self.name = ".".join(parts if self._has_name else ["flow_" + _NO_NAME.sub("_", self.path.stem)])

    def load(self, name: str) -> ModuleType:
        if self._has_name and not self._is_taken():
            _put_on_path(str(self._top))
            return importlib.import_module(self.name)
        # Another module has its name, or its name is none: other processes get what it defines by value.
        sys.path.append(str(self._top))  # what it imports from beside it, and nothing in place of anything else
        name = "flow_file_" + _NO_NAME.sub("_", self.path.stem)
        spec = importlib.util.spec_from_file_location(name, self.path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        cloudpickle.register_pickle_by_value(module)
        return module

    def _is_taken(self) -> bool:
        """Say whether the outermost package's name means something else already."""
        try:
            found = importlib.util.find_spec(self.name.partition(".")[0])
        except (ImportError, ValueError):
            return True  # a module that was made by hand
        if found is None:
            return False
        places = [*(found.submodule_search_locations or ()), *([found.origin] if found.origin else [])]
        return not any(Path(place).absolute().is_relative_to(self._top) for place in places)


def _nearest_file(path: Path) -> str:
    from synapse_core.errors import nearest

    there = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    return "." + nearest(path.name, there) if nearest(path.name, there) else ""
