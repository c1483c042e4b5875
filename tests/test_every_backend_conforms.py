"""Every executor that this repository registers has a conformance class in it."""

from __future__ import annotations

import ast
import importlib.metadata
from collections.abc import Iterator
from pathlib import Path

import pytest

from synapse_core.plugins.descriptions import ExecutorDescription
from synapse_core.plugins.registry import Registry

ROOT = Path(__file__).parent.parent
ENTRY_POINTS = importlib.metadata.entry_points(group="synapse.backends")
EXECUTORS: list[ExecutorDescription] = Registry().executors()


def _tested_names() -> Iterator[str]:
    """Yield every name that the ``executor`` fixture of a conformance class in the repository uses."""
    for path in [*ROOT.glob("packages/*/tests/**/test_*.py"), *ROOT.glob("tests/**/test_*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.ClassDef)
                and node.name.startswith("Test")
                and "ExecutorConformance" in _bases(node)
            ):
                for method in node.body:
                    if isinstance(method, ast.FunctionDef) and method.name == "executor":
                        yield from (part.id for part in ast.walk(method) if isinstance(part, ast.Name))


def _bases(node: ast.ClassDef) -> set[str]:
    return {base.id for base in node.bases if isinstance(base, ast.Name)}


def test_there_are_backends_to_look_at() -> None:
    assert {"local", "ray"} <= {entry_point.name for entry_point in ENTRY_POINTS}
    assert {"local", "task", "job", "ray-job"} <= {description.name for description in EXECUTORS}


def test_every_backend_of_the_workspace_is_registered() -> None:
    """A backend package without an entry point would never be looked at."""
    declared = {path.name.removesuffix("_plugin.py") for path in ROOT.glob("packages/*/src/*_plugin.py")}
    registered = {entry_point.value.removesuffix("_plugin") for entry_point in ENTRY_POINTS}
    assert declared <= registered


@pytest.mark.parametrize("description", EXECUTORS, ids=lambda description: description.name)
def test_an_executor_has_a_conformance_class(description: ExecutorDescription) -> None:
    name = description.target.rpartition(":")[2]
    assert name in set(_tested_names()), (
        f"no class TestX(ExecutorConformance) in packages/*/tests has an executor fixture that makes a {name}"
    )
