"""A backend that Synapse does not know of: built, installed in an empty environment, tested there, and documented."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BACKEND = ROOT / "examples" / "subprocess-backend"
HOW_TO = ROOT / "docs" / "how-to" / "write-a-backend.md"
OURS = [ROOT / "packages" / "synapse-core", ROOT / "packages" / "synapse-testing"]
QUOTED = re.findall(
    r'^```\w+ title="([^"]+)"\n(.*?)^```$', HOW_TO.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)


def _run(*command: object, cwd: Path) -> str:
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment with the backend; names of ours come from built wheels only."""
    folder = tmp_path_factory.mktemp("third-party")
    for project in [*OURS, BACKEND]:
        _run("uv", "build", "--wheel", "--quiet", "--out-dir", folder / "wheels", project, cwd=folder)
    wheels = sorted((folder / "wheels").glob("*.whl"))
    assert len(wheels) == len(OURS) + 1
    _run("uv", "venv", "--quiet", "--python", sys.executable, folder / "venv", cwd=folder)
    interpreter = folder / "venv" / "bin" / "python"
    # A wheel that is named by path is the only source of its name, also as a dependency of another one.
    _run("uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", interpreter, *wheels, cwd=folder)
    return interpreter


@pytest.mark.slow
def test_the_mode_is_listed_once_the_package_is_installed(python: Path, tmp_path: Path) -> None:
    code = (
        "from synapse_core.plugins.registry import registry\n"
        "for row in registry.rows(fresh=True):\n"
        "    print(row.name, row.distribution, row.version, *row.description.capabilities.names(), row.error or 'ok')"
    )
    claims = "returns_result isolated parallel environment events"
    assert _run(python, "-c", code, cwd=tmp_path).splitlines() == [f"subprocess synapse-subprocess 0.1.0 {claims} ok"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_installed_backend_keeps_every_promise(python: Path, tmp_path: Path) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    for file in (BACKEND / "tests").glob("*.py"):  # away from the workspace, so that only what is installed is there
        (tests / file.name).write_bytes(file.read_bytes())
    # Each call starts a process; of the table of values one will do outside the campaign.
    one_value = "not test_a_value_keeps_its_type and not test_params_keep_their_types or tuple"
    chosen = [] if os.environ.get("SYNAPSE_CAMPAIGN") else ["-k", one_value]
    printed = _run(python, "-m", "pytest", "-q", "--rootdir", tmp_path, tests, *chosen, cwd=tmp_path)
    assert re.search(r"\d{2,} passed", printed), printed


@pytest.mark.parametrize(("path", "block"), QUOTED, ids=[path for path, _ in QUOTED])
def test_the_how_to_quotes_the_real_files(path: str, block: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    whole = path.endswith(".py")
    assert (block == text) if whole else (block in text), f"{HOW_TO.name} differs from {path}"


def test_every_block_of_the_how_to_is_a_quotation() -> None:
    fences = [
        line for line in HOW_TO.read_text(encoding="utf-8").splitlines() if line.startswith("```") and line != "```"
    ]
    assert len(fences) == len(QUOTED) >= 5


def test_the_executor_is_about_as_long_as_the_how_to_says() -> None:
    source = (BACKEND / "src" / "synapse_subprocess" / "executor.py").read_text(encoding="utf-8")
    body = source[source.index("class SubprocessExecutor") :]
    code = [line for line in body.splitlines() if line.strip() and not line.strip().startswith(("#", '"""'))]
    assert len(code) <= 50, f"{len(code)} lines"


def test_the_backend_is_no_member_of_the_workspace() -> None:
    assert BACKEND.parent.name not in ("packages", "compat")
    assert "subprocess" not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
