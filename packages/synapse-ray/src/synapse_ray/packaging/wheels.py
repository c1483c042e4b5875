"""The wheels that travel with a plugin."""

from __future__ import annotations

import os
from pathlib import Path

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from synapse_core.errors import ConfigError

__all__ = ["below", "find_wheels"]


def find_wheels(working_dir: Path, wheels_dir: str) -> tuple[str, ...]:
    """Return the wheels in a folder of the working directory, as sorted paths relative to it.

    Raises:
        ConfigError: `wheels_dir` is no folder inside of `working_dir`, or a wheel's name is not that of a wheel.
    """
    folder = Path(os.path.normpath(working_dir / wheels_dir))
    inside = below(folder, working_dir)
    if inside is None:
        raise ConfigError(
            f"wheels_dir: {wheels_dir!r} leads out of {working_dir}, and only what lies in it travels; "
            "name a folder in it"
        )
    if not folder.exists():
        return ()
    if not folder.is_dir():
        raise ConfigError(f"wheels_dir: {folder} is a file; name the folder that the wheels lie in", path=str(folder))
    wheels = sorted(file for file in folder.iterdir() if file.suffix == ".whl" and file.is_file())
    for wheel in wheels:
        _refuse_other_names(wheel)
    return tuple(wheel.name if inside == "." else f"{inside}/{wheel.name}" for wheel in wheels)


def _refuse_other_names(wheel: Path) -> None:
    try:
        parse_wheel_filename(wheel.name)
    except InvalidWheelFilename as error:
        raise ConfigError(
            f"{wheel} does not have the name of a wheel ({str(error).splitlines()[0]}); keep the name that it "
            "was built with, name-version-python-abi-platform.whl",
            path=str(wheel),
        ) from None


def below(path: Path, folder: Path) -> str | None:
    """Return the relative path of something that lies in a folder, or ``None``."""
    for one, other in ((path, folder.absolute()), (path.resolve(), folder.resolve())):
        if one.is_relative_to(other):
            return one.relative_to(other).as_posix()
    return None
