"""The arguments that all Ray executors share, checked once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from synapse_core.model.enums import PackageManager

__all__ = ["MOST_RETRIES", "RayOptions", "check_resource", "check_together"]

MOST_RETRIES = 2
"""How often an idempotent action is run again after its worker died, in modes ``task`` and ``ray-job`` alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RayOptions:
    """What a Ray executor was made with. Nothing in it is ever changed, the caller's dicts included.

    Attributes:
        env: Values for ``ctx.env``, above the worker's own ``os.environ``.
        job_id: Identity of every execution, or the default id of a job.
        address: The cluster.
        runtime_env: Ray's runtime environment, as the caller wrote it.
        working_dir: Folder to ship: the plugin's.
        requirements_file: A requirements.txt. Default: the one in `working_dir`.
        package_manager: ``pip`` or ``uv``.
        package_manager_options: Options of the installer; ``None`` for the documented defaults.
        wheels_dir: Folder of wheels to install, relative to `working_dir`.
        num_cpus: CPU cores; fractions allowed.
        num_gpus: GPUs; fractions allowed.
        memory: Bytes.
        include_sdk: Whether to ship the Synapse packages of this environment.

    Raises:
        TypeError: Arguments are wrong, and some are of a wrong type; one error names all of them.
        ValueError: Arguments are wrong, and all are of the right type.
    """

    env: Mapping[str, Any] | None = None
    job_id: str | None = None
    address: str = "auto"
    runtime_env: Mapping[str, Any] | None = None
    working_dir: Path | None = None
    requirements_file: Path | None = None
    package_manager: PackageManager | str = PackageManager.PIP
    package_manager_options: Sequence[str] | None = None
    wheels_dir: str = "wheels"
    num_cpus: float | None = None
    num_gpus: float | None = None
    memory: int | None = None
    include_sdk: bool = False

    def __post_init__(self) -> None:
        check_together(
            *(partial(_check_mapping, name, getattr(self, name)) for name in ("env", "runtime_env")),
            partial(_check_package_manager, self.package_manager),
            partial(_check_options, self.package_manager_options),
            *(partial(check_resource, name, getattr(self, name)) for name in ("num_cpus", "num_gpus", "memory")),
        )
        object.__setattr__(self, "package_manager", PackageManager(self.package_manager))

    def resources(self) -> dict[str, Any]:
        """Return the resource arguments for Ray; those that were not given are left to it."""
        wanted = {"num_cpus": self.num_cpus, "num_gpus": self.num_gpus, "memory": self.memory}
        return {name: value for name, value in wanted.items() if value is not None}


def check_resource(name: str, value: float | None) -> None:
    """Raise where `value` is no amount of a resource.

    Raises:
        TypeError: It is no number.
        ValueError: It is negative or not finite; or more than one GPU, and not whole, which Ray cannot place.
    """
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} has to be a number, not a {type(value).__name__}")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} has to be 0 or more, not {value}")
    if name == "num_gpus" and value > 1 and value != int(value):
        raise ValueError(f"num_gpus={value}: more than one GPU has to be a whole number; Ray places no others")


def check_together(*checks: Callable[[], None]) -> None:
    """Make all checks, and raise what they find as one error.

    Raises:
        TypeError: One of them found a wrong type.
        ValueError: They found other things only.
    """
    found: list[TypeError | ValueError] = []
    for check in checks:
        try:
            check()
        except (TypeError, ValueError) as error:
            found.append(error)
    if len(found) == 1:
        raise found[0]
    if found:
        kind = TypeError if any(isinstance(error, TypeError) for error in found) else ValueError
        raise kind("\n".join(["several arguments are wrong:", *(f"  {_lines(error)}" for error in found)]))


def _lines(error: Exception) -> str:
    return str(error).removeprefix("several arguments are wrong:\n  ")


def _check_mapping(name: str, value: Any) -> None:
    if value is not None and not isinstance(value, Mapping):
        raise TypeError(f"{name} has to be a mapping, not a {type(value).__name__}")


def _check_package_manager(value: Any) -> None:
    try:
        PackageManager(value)
    except ValueError:
        known = ", ".join(repr(str(name)) for name in PackageManager)
        raise ValueError(f"package_manager={value!r} is not known; known are {known}") from None


def _check_options(value: Any) -> None:
    if isinstance(value, str):
        raise TypeError(f"package_manager_options is a list of options, not one string: {value.split()!r}")
