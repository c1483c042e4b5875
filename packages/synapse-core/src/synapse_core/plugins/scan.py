"""Ask every installed backend package what it offers. The only caller of pluggy."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
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
)
from synapse_core.plugins.rows import Row
from synapse_core.safe_text import safe_str

__all__ = ["scan_backends"]

_HOOKS: dict[str, type[Description]] = {
    "synapse_executors": ExecutorDescription,
    "synapse_engines": EngineDescription,
    "synapse_run_stores": RunStoreDescription,
    "synapse_commands": CommandDescription,
    "synapse_checks": CheckDescription,
}


def scan_backends() -> tuple[list[Row], list[str]]:
    """Load every entry point, each on its own, and ask it; returns rows and the modules' files.

    A broken package becomes a row with its error.
    """
    rows: list[Row] = []
    files: list[str] = []
    for entry_point in importlib.metadata.entry_points(group=hookspecs.ENTRY_POINT_GROUP):
        distribution = entry_point.dist.name if entry_point.dist else "?"
        version = entry_point.dist.version if entry_point.dist else "?"
        try:
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
            items = [item for items in getattr(manager.hook, hook)() for item in items]
        except Exception as error:
            yield entry_name, hook, None, f"{hook}() failed: {type(error).__name__}: {safe_str(error)}"
            continue
        for item in items:
            try:
                yield item.name, hook, _checked(item, kind), ""
            except (PluginError, AttributeError) as error:
                yield str(getattr(item, "name", entry_name)), hook, None, f"{hook}(): {error}"


def _checked(item: Any, kind: type[Description]) -> Description:
    if not isinstance(item, kind):
        raise PluginError(f"returned {item!r}; expected a {kind.__name__}")
    module, colon, attribute = item.target.partition(":")
    if not (item.name and colon and module and attribute):
        raise PluginError(f"{item.name!r} has the target {item.target!r}; expected 'module:object'")
    if item.api_version != API_VERSION:
        raise PluginError(
            f"{item.name!r} implements version {item.api_version} of the port; this synapse-core has {API_VERSION}"
        )
    return item
