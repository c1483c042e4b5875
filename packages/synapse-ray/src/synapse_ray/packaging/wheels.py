"""The wheels that travel with a plugin, and which of them fit the nodes."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from synapse_core.errors import ConfigError

__all__ = ["below", "find_wheels", "refuse_foreign_wheels"]


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
        _parsed_wheel(wheel.name, wheel)
    return tuple(wheel.name if inside == "." else f"{inside}/{wheel.name}" for wheel in wheels)


def refuse_foreign_wheels(wheels: Iterable[str], tags: Collection[Tag]) -> tuple[str, ...]:
    """Return those wheels that the nodes can install; others may lie beside them for other platforms.

    Args:
        wheels: Paths, as `find_wheels` gives them.
        tags: What the nodes take, the best first, as `packaging.tags.sys_tags` gives them there.

    Raises:
        ConfigError: A distribution has wheels, and none of them fits.
    """
    rank = {tag: place for place, tag in reversed(list(enumerate(tags)))}
    best: dict[tuple[str, str], tuple[int, str]] = {}
    all_of: dict[tuple[str, str], list[str]] = {}
    for wheel in wheels:
        name, version, _, wheel_tags = _parsed_wheel(wheel.rpartition("/")[2], wheel)
        distribution = (str(name), str(version))
        all_of.setdefault(distribution, []).append(wheel)
        fitting = min((rank[tag] for tag in wheel_tags if tag in rank), default=None)
        if fitting is not None:
            best[distribution] = min(best.get(distribution, (fitting, wheel)), (fitting, wheel))
    foreign = [found for distribution, found in all_of.items() if distribution not in best]
    if foreign:
        first = next(iter(tags), None)
        named = "; ".join(", ".join(found) for found in foreign)
        raise ConfigError(
            f"the cluster's nodes cannot install {named}: made for another Python or platform than theirs "
            f"({first}, among others); build these for the nodes, or put a pure wheel (py3-none-any) beside them"
        )
    return tuple(sorted(wheel for _, wheel in best.values()))


def _parsed_wheel(name: str, where: object) -> tuple[object, object, object, frozenset[Tag]]:
    try:
        return parse_wheel_filename(name)
    except InvalidWheelFilename as error:
        raise ConfigError(
            f"{where} does not have the name of a wheel ({str(error).splitlines()[0]}); keep the name that it "
            "was built with, name-version-python-abi-platform.whl",
            path=str(where),
        ) from None


def below(path: Path, folder: Path) -> str | None:
    """Return the relative path of something that lies in a folder, or ``None``."""
    for one, other in ((path, folder.absolute()), (path.resolve(), folder.resolve())):
        if one.is_relative_to(other):
            return one.relative_to(other).as_posix()
    return None
