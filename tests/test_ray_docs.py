"""The documentation of the Ray modes runs as written, on a real cluster.

Blocks are marked: ```` ```python ray ````, ```` ```console ray ```` (the output is compared) and ```` ```bash ray ````
(the ``synapse`` commands are run). `HEAD` stands for the host of a cluster.
"""

import importlib.util
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from synapse_testing import require_service
from synapse_testing.ray_cluster import RayCluster

pytestmark = [pytest.mark.ray, pytest.mark.campaign]


def _test_docs() -> Any:
    """Load the neighbour that reads the pages: test files are no modules of one another."""
    spec = importlib.util.spec_from_file_location("reading_the_docs", Path(__file__).with_name("test_docs.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


docs = _test_docs()
ROOT, BLOCKS = docs.ROOT, docs.BLOCKS
RAY_BLOCKS = [block for block in BLOCKS if block.marks.split()[:1] == ["ray"]]
RAY_PAGES = sorted({block.page for block in RAY_BLOCKS})
RUN_WITHOUT_STREAMS = "from synapse_cli.main import main; main()"


def of(language: str) -> list[Any]:
    return [pytest.param(block, id=str(block)) for block in RAY_BLOCKS if block.language == language]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder that a reader is in, with the files of the page; every page has its own."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIGITS_HOME", str(tmp_path / "digits"))
    monkeypatch.setenv("STORE_TOKEN", "example")
    return tmp_path


@pytest.fixture
def as_here(ray_cluster: RayCluster, tmp_path: Path) -> Callable[[str], str]:
    """Give a function that puts the addresses of this cluster in place of the documented ones."""

    def replaced(text: str) -> str:
        text = text.replace("ray://HEAD:10001", ray_cluster.client_address)
        text = text.replace("http://HEAD:8265", ray_cluster.dashboard_url)
        return text.replace("s3://bucket/results", (tmp_path / "results").as_uri())

    return replaced


def test_the_pages_are_found() -> None:
    names = {str(page.relative_to(ROOT)) for page in RAY_PAGES}
    assert {"README.md", "docs/how-to/run-on-ray.md", "packages/synapse-ray/README.md"} <= names


def test_every_block_of_the_ray_pages_is_run() -> None:
    """Only files, shapes of folders and set-up commands are left out."""
    page = ROOT / "docs" / "how-to" / "run-on-ray.md"
    left_out = [block for block in docs.blocks(page) if block not in RAY_BLOCKS and not block.title]
    commands = [
        arguments
        for block in left_out
        if block.language in ("bash", "console")
        for arguments in docs.synapse_commands(block)
    ]
    assert commands == []
    assert {block.language for block in left_out} <= {"bash", "text", "yaml"}


@pytest.mark.parametrize("block", of("python"))
def test_python_blocks_run(
    block: Any,
    folder: Path,
    as_here: Callable[[str], str],
    connected_ray: ModuleType,
    run_script: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    docs.write_titled_files(block.page, folder)
    code = as_here(block.text)
    if "storage=" in code and importlib.util.find_spec("fsspec") is None:
        require_service("fsspec is not installed; `pip install 'synapse-ray[storage]'` brings it")
    if "ray://" in code:  # not beside the connection that this process has
        done = run_script(code, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
    else:
        exec(compile(code, str(block), "exec", dont_inherit=True), {"__name__": "__main__"})


@pytest.mark.parametrize("block", of("console"))
def test_console_blocks_give_the_documented_output(
    block: Any, folder: Path, as_here: Callable[[str], str], connected_ray: ModuleType
) -> None:
    docs.write_titled_files(block.page, folder)
    for command, exit_code, expected in docs.console_runs(block):
        found_code, found = synapse(as_here(command))
        assert found_code == exit_code, found
        assert docs.same_output(expected, found), f"{block}\n$ {command}\n{found}"


@pytest.mark.parametrize("block", of("bash"))
def test_commands_of_bash_blocks_succeed(
    block: Any, folder: Path, as_here: Callable[[str], str], connected_ray: ModuleType
) -> None:
    docs.write_titled_files(block.page, folder)
    for arguments in docs.synapse_commands(block):
        code, found = synapse(as_here(shlex.join(["synapse", *arguments])))
        assert code == 0, found


def synapse(command: str) -> tuple[int, str]:
    """Run a ``synapse`` command line; return exit code and both streams, as a terminal shows them."""
    words = shlex.split(command, comments=True)
    arguments = words[3:] if words[:2] == ["uv", "run"] else words[1:]
    if not any("ray://" in word for word in arguments):
        code, output = docs.run_synapse(arguments)
        return code, output
    done = subprocess.run(
        [sys.executable, "-c", RUN_WITHOUT_STREAMS, *arguments],
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    return done.returncode, done.stdout
