"""Ask every installed backend package what it offers. The only caller of pluggy."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import fields
from typing import Any

import pluggy

from synapse_core.errors import PluginError
from synapse_core.plugins import hookspecs
from synapse_core.plugins.descriptions import (
    API_VERSION,
    CheckDescription,
    CommandDescription,
    Description,
    EngineDescription,
    ExecutorDescription,
    RunStoreDescription,
    SinkDescription,
)
from synapse_core.plugins.rows import Row
from synapse_core.ports.executor import Capabilities
from synapse_core.safe_text import safe_str, shorten

__all__ = ["scan_backends"]

_HOOKS: dict[str, type[Description]] = {
    "synapse_executors": ExecutorDescription,
    "synapse_engines": EngineDescription,
    "synapse_run_stores": RunStoreDescription,
    "synapse_sinks": SinkDescription,
    "synapse_commands": CommandDescription,
    "synapse_checks": CheckDescription,
}


def scan_backends() -> tuple[list[Row], list[str]]:
    """Load every entry point, each on its own, and ask it; returns rows and the modules' files.

    A broken package becomes a row with its error.
    """
    rows: list[Row] = []
    files: list[str] = []
    for found in _entry_points():
        if isinstance(found, Row):
            rows.append(found)
            continue
        entry_point, distribution, version = found
        try:
            with redirect_stdout(sys.stderr):  # stdout is data, and theirs is talk
                module = entry_point.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # importing runs their code, which may even call sys.exit
            text = f"{entry_point.value} does not import: {type(error).__name__}: {safe_str(error)}"
            rows.append(Row(entry_point.name, "", distribution, version, error=text))
            continue
        if file := getattr(module, "__file__", None):
            files.append(file)
        rows.extend(
            Row(name, hook, distribution, version, description, error)
            for name, hook, description, error in _ask(module, entry_point.name)
        )
    return rows, files


def _entry_points() -> Iterator[tuple[importlib.metadata.EntryPoint, str, str] | Row]:
    """Yield entry point, distribution and version, or a row for a distribution whose metadata is broken.

    One by one: ``importlib.metadata.entry_points()`` fails for all where one cannot be read.
    """
    seen: set[str] = set()
    for distribution in importlib.metadata.distributions():
        place = str(getattr(distribution, "_path", distribution))
        try:
            text = distribution.read_text("entry_points.txt") or ""
            if hookspecs.ENTRY_POINT_GROUP not in text:
                # It still hides one of the same name that is further down the path.
                seen.add(_name_from(place))
                continue
            metadata = distribution.metadata
            if "Name" not in metadata or "Version" not in metadata:
                raise ValueError("its metadata has no name or no version")
            name, version = metadata["Name"], metadata["Version"]
            normal = name.lower().replace("_", "-").replace(".", "-")
            if normal in seen:
                continue
            seen.add(normal)
            for entry_point in distribution.entry_points:
                if entry_point.group == hookspecs.ENTRY_POINT_GROUP:
                    yield entry_point, name, version
        except Exception as error:  # a half removed package, a file that no tool wrote
            yield Row(
                _name_from(place),
                "",
                _name_from(place),
                "?",
                error=f"{place}: {type(error).__name__}: {safe_str(error)}",
            )


def _name_from(place: str) -> str:
    """Return the normal form of the name in a path such as ``…/synapse_ray-1.0.dist-info``."""
    return re.split(r"-(?=\d)|\.(?:dist|egg)-info$", os.path.basename(place))[0].lower().replace("_", "-")


def _ask(module: Any, entry_name: str) -> Iterator[tuple[str, str, Description | None, str]]:
    # One manager per package: pluggy stops at the first implementation that raises.
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module)
        manager.check_pending()
    except Exception as error:
        yield entry_name, "", None, f"its hooks cannot be used: {type(error).__name__}: {safe_str(error)}"
        return
    for hook, kind in _HOOKS.items():
        try:
            answers = getattr(manager.hook, hook)()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            yield entry_name, hook, None, f"{hook}() failed: {type(error).__name__}: {safe_str(error)}"
            continue
        for answer in answers:
            if not isinstance(answer, (list, tuple)):
                yield entry_name, hook, None, f"{hook}() returned {shorten(answer)}; expected a list of {kind.__name__}"
                continue
            for item in answer:
                name = item.name if isinstance(item, Description) and isinstance(item.name, str) else entry_name
                try:
                    yield name, hook, _checked(item, kind), ""
                except PluginError as error:
                    yield name, hook, None, f"{hook}(): {error}"


def _checked(item: Any, kind: type[Description]) -> Description:
    if not isinstance(item, kind):
        raise PluginError(f"returned {shorten(item)}; expected a {kind.__name__}")
    wrong = [
        f"{field.name} is {shorten(getattr(item, field.name))}"
        for field in fields(item)
        if not _fits(getattr(item, field.name), field.name)
    ]
    if wrong:
        raise PluginError(f"{shorten(item.name)} has fields of a wrong type: {'; '.join(wrong)}")
    module, colon, attribute = item.target.partition(":")
    if not (item.name and colon and module and attribute):
        raise PluginError(f"{item.name!r} has the target {item.target!r}; expected 'module:object'")
    if item.api_version != API_VERSION:
        raise PluginError(
            f"{item.name!r} implements version {item.api_version} of the port; this synapse-core has {API_VERSION}"
        )
    return item


def _fits(value: Any, field: str) -> bool:
    """Say whether a field of a description is what `Row` can write down and read again."""
    if field in ("aliases", "options", "schemes"):
        return isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    if field == "capabilities":
        return isinstance(value, Capabilities)
    if field == "run_with":
        return value in ("execute", "submit")
    return isinstance(value, int if field == "api_version" else str)
