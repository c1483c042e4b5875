"""Ray's ``runtime_env``, made from what an executor was given."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from synapse_core.errors import ConfigError
from synapse_core.model.enums import PackageManager
from synapse_core.redaction import looks_secret, looks_secret_value
from synapse_ray.requirements import (
    Requirements,
    find_wheels,
    hide_passwords,
    holds_password,
    read_lines,
    read_requirements,
    wheel_lines,
)

__all__ = [
    "BuiltRuntimeEnv",
    "RuntimeEnvRequest",
    "build_runtime_env",
    "local_py_modules",
    "local_working_dir",
]

_OPTIONS_KEY = {PackageManager.PIP: "pip_install_options", PackageManager.UV: "uv_pip_install_options"}
_DEFAULT_OPTIONS = {PackageManager.PIP: ["--upgrade"], PackageManager.UV: ["--no-cache"]}

# Where each would install is not the environment that the worker runs in.
_LEAVING = {"--system", "--user", "--break-system-packages"}
_LEAVING_WITH_VALUE = {"--target", "-t", "--prefix", "--root", "--python", "-p"}
# Paths are read on the node, from a folder that nobody knows: as lines they are turned into paths of the package.
_LINE_OPTIONS = {"-r", "--requirement", "-c", "--constraint", "-f", "--find-links", "-e", "--editable"}
# Older Ray, like 2.51, empties these for workers without such devices, whoever has set them, unless it is told not to.
_DEVICES = {"CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ONEAPI_DEVICE_SELECTOR", "TPU_VISIBLE_CHIPS"}
_KEEP_DEVICES = "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"
_OWN_ENVIRONMENT = ("conda", "container", "image_uri")


@dataclass(frozen=True, slots=True)
class RuntimeEnvRequest:
    """What an executor was given.

    Attributes:
        runtime_env: The caller's own; never changed.
        working_dir: The plugin's folder on this machine, or the address of a zip.
        requirements_file: A requirements file; else ``requirements.txt`` of the working directory, where there is one.
        package_manager: ``pip`` (default) or ``uv``, where `runtime_env` names none.
        package_manager_options: Options for its ``install`` command, in place of the default ones.
        wheels_dir: Folder in the working directory whose wheels are installed.
    """

    runtime_env: Mapping[str, Any] | None = None
    working_dir: Path | str | None = None
    requirements_file: Path | str | None = None
    package_manager: PackageManager | str | None = None
    package_manager_options: Sequence[str] | None = None
    wheels_dir: str = "wheels"


@dataclass(frozen=True, slots=True)
class BuiltRuntimeEnv:
    """What Ray is given.

    Attributes:
        runtime_env: Shown to everybody who can open Ray's dashboard.
        secrets: Variables that look like secrets; they are set in the worker by another channel.
        travelling: Files and folders that the installer needs of the package; see `Package.require`.
    """

    runtime_env: dict[str, Any]
    secrets: dict[str, str] = field(repr=False)
    travelling: tuple[str, ...] = ()


def build_runtime_env(
    request: RuntimeEnvRequest,
    *,
    package_uri: str | None,
    py_module_uris: Sequence[str] = (),
) -> BuiltRuntimeEnv:
    """Return the runtime environment for a request.

    Args:
        request: What was asked for.
        package_uri: Address of the package of `local_working_dir`, if there is one.
        py_module_uris: Addresses for `local_py_modules`, in their order.

    Raises:
        ConfigError: Something is of a wrong type, contradicts something else, is missing, or would show a password.
    """
    given = _given(request)
    folder = local_working_dir(request)
    result = {str(key): _copied(value) for key, value in given.items() if key not in ("pip", "uv")}
    if package_uri is not None:
        result["working_dir"] = package_uri
        result.pop("excludes", None)  # the package was made with them
    elif folder is None and request.working_dir is not None:
        result["working_dir"] = str(request.working_dir)
    elif isinstance(result.get("working_dir"), os.PathLike):
        result["working_dir"] = str(result["working_dir"])  # Ray takes text only
    if given.get("py_modules") is not None:
        result["py_modules"] = _with_uris(given, py_module_uris)
    shown = {key: value for key, value in result.items() if key != "env_vars"}  # whose secrets take another way
    for path, text in _texts(shown, "runtime_env"):
        _refuse_password(text, path)
    secrets: dict[str, str] = {}
    if result.get("env_vars") is not None:
        result["env_vars"], secrets = _split_env_vars(result["env_vars"])
    if not result.get("env_vars"):
        result.pop("env_vars", None)
    manager, installed, travelling = _installed(request, given, folder)
    if installed is not None:
        result[manager.value] = installed
    return BuiltRuntimeEnv(result, secrets, travelling)


# -- folders ----------------------------------------------------------------------------------


def local_working_dir(request: RuntimeEnvRequest) -> Path | None:
    """Return the folder of this machine that is to be packaged, or ``None`` where there is none.

    Raises:
        ConfigError: `working_dir` and ``runtime_env['working_dir']`` name different things.
    """
    inner = _given(request).get("working_dir")
    if inner is not None and not isinstance(inner, (str, os.PathLike)):
        raise ConfigError(f"runtime_env['working_dir']: expected a path or an address, found a {type(inner).__name__}")
    outer = request.working_dir
    if inner is None or outer is None:
        one = outer if inner is None else inner
        return None if one is None or _is_address(one) else _folder(one)
    same = (
        str(inner) == str(outer) if _is_address(inner) or _is_address(outer) else _same(_folder(inner), _folder(outer))
    )
    if not same:
        raise ConfigError(
            f"the working directory is named twice: working_dir={hide_passwords(str(outer))!r} and "
            f"runtime_env['working_dir']={hide_passwords(str(inner))!r}; leave one of them out"
        )
    return None if _is_address(outer) else _folder(outer)


def local_py_modules(runtime_env: Mapping[str, Any] | None) -> list[Path]:
    """Return the folders and files of this machine that ``runtime_env['py_modules']`` names; see `pack_module`.

    Raises:
        ConfigError: It is no list, or holds something that is no path, address or module.
    """
    modules = (runtime_env or {}).get("py_modules") or ()
    return [place for place in map(_place_of, _checked_modules(modules)) if isinstance(place, Path)]


def _with_uris(given: Mapping[str, Any], uris: Sequence[str]) -> list[str]:
    places = [_place_of(module) for module in _checked_modules(given["py_modules"])]
    local = [place for place in places if isinstance(place, Path)]
    if uris and len(uris) != len(local):
        raise ValueError(f"py_module_uris: {len(uris)} addresses for {len(local)} local modules")
    remaining: Iterator[str] = iter(uris or [str(place) for place in local])
    return [next(remaining) if isinstance(place, Path) else place for place in places]


def _checked_modules(modules: object) -> Sequence[object]:
    if isinstance(modules, (str, bytes)) or not isinstance(modules, Sequence):
        raise ConfigError(f"runtime_env['py_modules']: expected a list, found a {type(modules).__name__}")
    return modules


def _place_of(module: object) -> Path | str:
    """Return where a module lies on this machine, or its address."""
    if isinstance(module, ModuleType):
        file = next(iter(getattr(module, "__path__", ())), None) or module.__file__
        if file is None:
            raise ConfigError(f"runtime_env['py_modules']: the module {module.__name__} has no file; name a folder")
        return _folder(file)
    if isinstance(module, (str, os.PathLike)):
        return str(module) if _is_address(module) else _folder(module)
    raise ConfigError(
        f"runtime_env['py_modules']: expected paths, addresses or modules, found a {type(module).__name__}"
    )


def _is_address(path: str | os.PathLike[str]) -> bool:
    return isinstance(path, str) and "://" in path


def _folder(path: str | os.PathLike[str]) -> Path:
    return Path(path).expanduser().absolute()


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


# -- what is installed ------------------------------------------------------------------------


def _installed(
    request: RuntimeEnvRequest, given: Mapping[str, Any], folder: Path | None
) -> tuple[PackageManager, dict[str, Any] | None, tuple[str, ...]]:
    """Return the package manager, the value of its key or ``None``, and the files that it needs."""
    manager, named = _manager(request, given)
    settings, lines = _own_list(manager, named, folder)
    install_options, further = _options(manager, settings, request.package_manager_options, folder)
    asked = [lines, further]
    found = [_found_file(request, folder)]
    if folder is not None:
        wheels = find_wheels(folder, request.wheels_dir)
        wanted = {path for part in [*asked, *found] for path in part.travelling}
        found.append(wheel_lines(folder, [wheel for wheel in wheels if wheel not in wanted]))
    parts = [*asked, *found]
    packages = list(dict.fromkeys(line for part in parts for line in part.packages))
    if not packages:
        return manager, None, ()
    other = next((key for key in _OWN_ENVIRONMENT if given.get(key) is not None), None)
    if other is not None and named is None:
        names = ", ".join(hide_passwords(line.partition("  # ")[0]) for line in packages[:5])
        raise ConfigError(
            f"runtime_env[{other!r}] brings its own environment, in which Ray installs nothing further, and the plugin "
            f"asks for {names}. Put these into that environment and name an empty requirements_file and wheels_dir, or "
            f"leave {other!r} out"
        )
    options = list(dict.fromkeys(line for part in parts for line in part.options))
    value = {**settings, "packages": [*options, *packages], _OPTIONS_KEY[manager]: install_options}
    return manager, value, tuple(dict.fromkeys(path for part in parts for path in part.travelling))


def _manager(request: RuntimeEnvRequest, given: Mapping[str, Any]) -> tuple[PackageManager, Any]:
    """Return the package manager, and what `runtime_env` has under its name."""
    named = [manager for manager in PackageManager if given.get(manager.value) is not None]
    if len(named) > 1:
        raise ConfigError("runtime_env names both 'pip' and 'uv', and one of them installs; move one list to the other")
    known = ", ".join(repr(manager.value) for manager in PackageManager)
    asked = request.package_manager
    try:
        default = PackageManager.PIP if asked is None else PackageManager(asked)
    except ValueError:
        raise ConfigError(f"package_manager: expected one of {known}, found {asked!r}") from None
    return (named[0], given[named[0].value]) if named else (default, None)


def _own_list(manager: PackageManager, value: object, folder: Path | None) -> tuple[dict[str, Any], Requirements]:
    """Return the settings and the requirements in the value of ``runtime_env['pip']`` or ``['uv']``."""
    what = f"runtime_env[{manager.value!r}]"
    settings: dict[str, Any] = {}
    if isinstance(value, Mapping):
        settings = {str(key): _copied(item) for key, item in value.items() if key != "packages"}
        value, what = value.get("packages"), f"{what}['packages']"
    if value is None:
        return settings, Requirements()
    if isinstance(value, (str, os.PathLike)):
        return settings, read_requirements(value, working_dir=folder)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return settings, read_lines(value, what, working_dir=folder)
    raise ConfigError(
        f"{what}: expected a list of requirements or the path of a requirements file, found a {type(value).__name__}"
    )


def _found_file(request: RuntimeEnvRequest, folder: Path | None) -> Requirements:
    if request.requirements_file is not None:
        return read_requirements(request.requirements_file, working_dir=folder)
    if folder is not None and (folder / "requirements.txt").is_file():
        return read_requirements(folder / "requirements.txt", working_dir=folder)
    return Requirements()


def _options(
    manager: PackageManager, settings: Mapping[str, Any], options: Sequence[str] | None, folder: Path | None
) -> tuple[list[str], Requirements]:
    """Return the options of the ``install`` command, and those that are lines of a requirements file instead."""
    own = settings.get(_OPTIONS_KEY[manager])
    if own is None and options is None:
        return list(_DEFAULT_OPTIONS[manager]), Requirements()
    words: list[str] = []
    lines: list[str] = []
    for value, what in (
        (own, f"runtime_env[{manager.value!r}][{_OPTIONS_KEY[manager]!r}]"),
        (options, "package_manager_options"),
    ):
        remaining = iter(_split_words(value, what))
        for word in remaining:
            _refuse_password(word, what)
            name = word.partition("=")[0]
            if re.match(r"-[a-zA-Z].", name):
                name = name[:2]
            if name in _LEAVING:
                continue
            if name not in _LEAVING_WITH_VALUE | _LINE_OPTIONS:
                words.append(word)
                continue
            text = f"{word} {next(remaining, '')}" if word == name else word
            if name in _LINE_OPTIONS:
                lines.append(text)
    return words, read_lines(lines, "package_manager_options", working_dir=folder)


def _split_words(options: object, what: str) -> list[str]:
    """Return options as the single words that a command takes."""
    if options is None:
        return []
    if isinstance(options, (str, bytes)) or not isinstance(options, Sequence):
        raise ConfigError(f"{what}: expected a list such as ['--no-deps'], found a {type(options).__name__}")
    words: list[str] = []
    for index, option in enumerate(options):
        if not isinstance(option, str):
            raise ConfigError(f"{what}[{index}]: expected text, found a {type(option).__name__}")
        # One text for an option and its value, as it is typed in a shell, would be an option of that long name.
        words += shlex.split(option) if re.match(r"--?[\w-]+\s", option) else [option]
    return words


def _refuse_password(text: str, what: str) -> None:
    if holds_password(text) or looks_secret_value(text):
        raise ConfigError(
            f"{what}: a password or token stands here, and Ray shows the runtime environment in clear text, in its "
            "dashboard and to every client. Remove it, and give it to the nodes: in pip.conf or uv.toml, in ~/.netrc "
            "or by a keyring"
        )


# -- variables and texts ----------------------------------------------------------------------


def _given(request: RuntimeEnvRequest) -> Mapping[str, Any]:
    given = request.runtime_env
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigError(f"runtime_env: expected a dict, found a {type(given).__name__}")
    return given


def _split_env_vars(env_vars: object) -> tuple[dict[str, str], dict[str, str]]:
    """Return the variables that Ray may show, and those that look like secrets."""
    what = "runtime_env['env_vars']"
    if not isinstance(env_vars, Mapping):
        raise ConfigError(f"{what}: expected a dict, found a {type(env_vars).__name__}")
    shown: dict[str, str] = {}
    secrets: dict[str, str] = {}
    problems: list[str] = []
    for key, value in env_vars.items():
        if not isinstance(key, str) or not key:
            problems.append(f"{what}: the name of a variable is a text, found {key!r}")
        elif value is None:
            problems.append(f"{what}[{key!r}] is None; leave the variable out, or set it to ''")
        elif not isinstance(value, (str, int, float)):
            problems.append(f"{what}[{key!r}]: expected text or a number, found a {type(value).__name__}")
        else:
            text = str(value)
            (secrets if looks_secret(key) or looks_secret_value(text) else shown)[key] = text
    if problems:
        raise ConfigError("\n".join(problems))
    if _DEVICES & shown.keys():
        shown.setdefault(_KEEP_DEVICES, "0")
    return shown, secrets


def _copied(value: Any) -> Any:
    """Return a copy of nested dicts and lists; modules, which `copy.deepcopy` refuses, stay themselves."""
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copied(item) for item in value]
    return value


def _texts(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, f"{path}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _texts(item, f"{path}[{index}]")
