"""Whole processes: what a person waits for after pressing return."""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.comparison import Comparison, compare

__all__ = ["compare_processes"]

_ROUNDS = 31
_ACTION = """
from pydantic import BaseModel

from synapse_core import BaseAction


class Params(BaseModel):
    number: int = 1


class OneAction(BaseAction[Params]):
    def execute(self):
        return self.params.number
"""


def compare_processes(folder: Path) -> Iterator[Comparison]:
    """Compare commands and imports with the bare imports that they cannot do without."""
    _compile_everything()
    plugin = _write_plugin(folder)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["SYNAPSE_CACHE_DIR"] = str(folder / "cache")

    def process(*command: str) -> Callable[[], object]:
        return lambda: subprocess.run(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
        )

    def python(code: str) -> Callable[[], object]:
        return process(sys.executable, "-c", code)

    synapse = str(Path(sys.executable).with_name("synapse"))
    flat = "from synapse_core import BaseAction, PluginDiscovery, PluginEnvironment, RuntimeContext, run_plugin"
    bare = "from pydantic import BaseModel; import yaml"
    rows = [
        ("synapse --help", process(synapse, "--help"), "import click", 1.7),
        ("synapse plugin list", process(synapse, "plugin", "list", "--path", plugin), "import click, yaml", 1.7),
        ("synapse plugin run, trivial action", process(synapse, "plugin", "run", "one", "--path", plugin), bare, 2.0),
        ("import synapse_core", python("import synapse_core"), f"{bare}, pluggy", 1.3),
        ("import of what plugins and scripts use", python(flat), f"{bare}, pluggy", 1.3),
    ]
    for name, ours, code, bound in rows:
        yield compare(name, f"`{code}`", ours, python(code), bound=bound, rounds=_ROUNDS)


def _compile_everything() -> None:
    """Write the bytecode that installers leave out, for both sides alike."""
    root = Path(__file__).parents[1]
    for place in (sysconfig.get_path("purelib"), *root.glob("packages/*/src"), *root.glob("compat/*/src")):
        compileall.compile_dir(str(place), quiet=2)


def _write_plugin(folder: Path) -> str:
    plugin = folder / "plugin-folder"
    (plugin / "plugin").mkdir(parents=True)
    (plugin / "config.yaml").write_text("code: bench\nactions:\n  one: {entrypoint: plugin.one:OneAction}\n")
    (plugin / "plugin" / "one.py").write_text(_ACTION)
    return str(plugin)
