"""Each package builds as a wheel and works alone in an empty environment, with its declared dependencies only."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Distribution → our distributions that it needs → what it has to be able to do alone.
PACKAGES = {
    "synapse-core": (
        [],
        "import synapse_core; [getattr(synapse_core, name) for name in synapse_core.__all__]",
    ),
    "synapse-local": (
        ["synapse-core"],
        "from synapse_core import run_plugin; print(run_plugin('x', 'x', {'a': 1}, action_cls=lambda p, ctx: p['a']))",
    ),
    "synapse-ray": (
        ["synapse-core"],
        "import synapse_ray; [getattr(synapse_ray, name) for name in synapse_ray.__all__]",
    ),
    "synapse-dask": (
        ["synapse-core"],
        "import synapse_dask; [getattr(synapse_dask, name) for name in synapse_dask.__all__]",
    ),
    "synapse-flow": (
        ["synapse-core", "synapse-local"],
        "import synapse_flow; [getattr(synapse_flow, name) for name in synapse_flow.__all__]; "
        "open('in.csv', 'w').write('a,b\\n1,2\\n'); from synapse_flow import *; "
        "print(Pipe(CSVInputAdapter('in.csv'), None, JSONOutputAdapter('out.jsonl')).run()); "
        'assert open(\'out.jsonl\').read() == \'{"a":"1","b":"2"}\\n\'',
    ),
    "synapse-cli": (
        ["synapse-core", "synapse-local"],
        "import subprocess, sys; cli = [sys.executable, '-m', 'synapse_cli']; "
        "subprocess.run([*cli, 'executors'], check=True); "
        "run = subprocess.run([*cli, 'plugin', 'run', 'x', '--mode', 'task'], capture_output=True, text=True); "
        "assert run.returncode == 2 and 'pip install synapse-ray' in run.stderr, run",
    ),
    "synapse-testing": (
        ["synapse-core"],
        "import synapse_testing; [getattr(synapse_testing, name) for name in synapse_testing.__all__]",
    ),
    "zoopipe-compat": (
        ["synapse-core", "synapse-local", "synapse-flow"],
        "import zoopipe; [getattr(zoopipe, name) for name in zoopipe.__all__]",
    ),
    "synapse-sdk-compat": (
        ["synapse-core"],
        "from synapse_sdk.plugins.action import BaseAction; import synapse_sdk.plugins.executors.local, "
        "synapse_sdk.plugins.executors.ray",
    ),
}

pytestmark = pytest.mark.slow


def run(*command: str | Path) -> str:
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build every member of the workspace."""
    folder = tmp_path_factory.mktemp("wheels")
    run("uv", "build", "--quiet", "--all-packages", "--wheel", "--out-dir", folder)
    built = {wheel.name.partition("-")[0].replace("_", "-"): wheel for wheel in folder.glob("*.whl")}
    assert set(built) == set(PACKAGES)
    return built


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_works_alone(name: str, wheels: dict[str, Path], tmp_path: Path) -> None:
    needs, program = PACKAGES[name]
    run("uv", "venv", "--quiet", "--python", sys.executable, tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    # Our names come from these files only: on an index, some of them belong to others.
    run("uv", "pip", "install", "--quiet", "--python", python, *(wheels[package] for package in [name, *needs]))
    subprocess.run([python, "-c", program], cwd=tmp_path, check=True)
    installed = json.loads(run("uv", "pip", "list", "--python", python, "--format", "json"))
    ours = {package["name"] for package in installed if package["name"] in PACKAGES}
    assert ours == {name, *needs}


def test_core_needs_pydantic_pyyaml_and_pluggy_and_nothing_else(wheels: dict[str, Path], tmp_path: Path) -> None:
    run("uv", "venv", "--quiet", "--python", sys.executable, tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run("uv", "pip", "install", "--quiet", "--python", python, wheels["synapse-core"])
    program = "import importlib.metadata as m; print(*sorted(m.requires('synapse-core')))"
    requires = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert [requirement.partition(">")[0] for requirement in requires] == ["pluggy", "pydantic", "pyyaml"]


@pytest.mark.parametrize("name", PACKAGES)
def test_a_wheel_says_that_it_is_typed(name: str, wheels: dict[str, Path]) -> None:
    listing = run(sys.executable, "-m", "zipfile", "-l", wheels[name])
    assert "/py.typed" in listing
    assert "/tests/" not in listing
