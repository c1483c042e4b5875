"""Every executor and every record engine that this repository registers has a conformance class in it."""

from __future__ import annotations

import ast
import importlib.metadata
from collections.abc import Iterator
from pathlib import Path

import pytest

from synapse_core.plugins.descriptions import Description
from synapse_core.plugins.registry import Registry

ROOT = Path(__file__).parent.parent
ENTRY_POINTS = importlib.metadata.entry_points(group="synapse.backends")
REGISTRY = Registry()
EXECUTORS = REGISTRY.executors()
ENGINES = REGISTRY.engines()
SUITES = {"executor": {"ExecutorConformance"}, "engine": {"RecordEngineConformance", "ProcessEngineConformance"}}


def _tested_names(fixture: str) -> Iterator[str]:
    """Yield every name that the fixture of a conformance class in the repository uses: ``executor`` or ``engine``."""
    for path in [*ROOT.glob("packages/*/tests/**/test_*.py"), *ROOT.glob("tests/**/test_*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and node.name.startswith("Test") and SUITES[fixture] & _bases(node):
                for method in node.body:
                    if isinstance(method, ast.FunctionDef) and method.name == fixture:
                        yield from (part.id for part in ast.walk(method) if isinstance(part, ast.Name))


def _bases(node: ast.ClassDef) -> set[str]:
    return {base.id for base in node.bases if isinstance(base, ast.Name)}


def test_there_are_backends_to_look_at() -> None:
    assert {"local", "ray", "dask"} <= {entry_point.name for entry_point in ENTRY_POINTS}
    assert {"local", "task", "job", "ray-job"} <= {description.name for description in EXECUTORS}
    assert {"serial", "threads", "processes", "asyncio", "ray", "dask"} <= {description.name for description in ENGINES}


def test_every_backend_of_the_workspace_is_registered() -> None:
    """A backend package without an entry point would never be looked at."""
    declared = {path.name.removesuffix("_plugin.py") for path in ROOT.glob("packages/*/src/*_plugin.py")}
    registered = {entry_point.value.removesuffix("_plugin") for entry_point in ENTRY_POINTS}
    assert declared <= registered


@pytest.mark.parametrize(
    ("fixture", "description"),
    [*(("executor", found) for found in EXECUTORS), *(("engine", found) for found in ENGINES)],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_backend_has_a_conformance_class(fixture: str, description: Description) -> None:
    name = description.target.rpartition(":")[2]
    assert name in set(_tested_names(fixture)), (
        f"no class TestX({' or '.join(SUITES[fixture])}) in packages/*/tests has a fixture {fixture} that makes a {name}"
    )
