"""What the quick commands may load. A heavy import that creeps in is named here, not felt later."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, runpy, sys
sys.argv = ["synapse", *{arguments!r}]
try:
    {code}
except SystemExit:
    pass
print("\\n" + json.dumps(sorted(sys.modules)), file=sys.stderr)
"""

RUN_SYNAPSE = "from synapse_cli.main import main; main()"
HEAVY = {
    "asyncio", "concurrent.futures", "email", "hashlib", "http", "importlib.metadata", "logging", "multiprocessing",
    "numpy", "pluggy", "pydantic", "pydantic_core", "ray", "rich", "sklearn", "tempfile", "tqdm", "yaml",
}  # fmt: skip


def loaded_by(code: str, *arguments: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(code=code, arguments=list(arguments))],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(run.stderr.strip().splitlines()[-1]))


@pytest.fixture(scope="module")
def plugin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "config.yaml").write_text("code: quick\nactions:\n  one: plugin.one:One\n")
    (folder / "plugin").mkdir()
    (folder / "plugin" / "one.py").write_text("raise AssertionError('listing imports no plugin code')\n")
    return folder


@pytest.fixture(scope="module", autouse=True)
def _warm_table() -> None:
    """The table of installed backends is made once and read from disk afterwards."""
    loaded_by(RUN_SYNAPSE, "--help")


def test_importing_core_loads_nothing_but_its_lazy_exports() -> None:
    bare = loaded_by("pass")
    assert {m for m in loaded_by("import synapse_core") - bare if m.startswith("synapse_")} == {
        "synapse_core",
        "synapse_core.lazy",
    }
    assert sorted(loaded_by("import synapse_core") & HEAVY) == []


def test_help_loads_neither_pydantic_nor_yaml_nor_any_backend() -> None:
    loaded = loaded_by(RUN_SYNAPSE, "--help")
    assert sorted(loaded & HEAVY) == []
    ours = {module for module in loaded if module.startswith("synapse_")}
    assert ours == {
        "synapse_cli",
        "synapse_cli.lazy_group",
        "synapse_cli.main",
        "synapse_core",
        "synapse_core.cache",
        "synapse_core.errors",
        "synapse_core.lazy",
        "synapse_core.plugins",
        "synapse_core.plugins.descriptions",
        "synapse_core.plugins.registry",
        "synapse_core.plugins.rows",
        "synapse_core.plugins.table",
        "synapse_core.ports",
        "synapse_core.ports.executor",
        "synapse_core.rebuilding",
        "synapse_core.safe_text",
    }


def test_listing_a_plugin_loads_yaml_and_no_pydantic(plugin_folder: Path) -> None:
    loaded = loaded_by(RUN_SYNAPSE, "plugin", "list", "--path", str(plugin_folder))
    assert sorted(loaded & HEAVY) == ["yaml"]


def test_importing_all_of_core_loads_no_engine_and_no_event_loop() -> None:
    loaded = loaded_by("import synapse_core; [getattr(synapse_core, name) for name in synapse_core.__all__]")
    assert sorted(loaded & {"ray", "tqdm", "click", "asyncio", "multiprocessing", "numpy"}) == []


def test_the_host_module_of_a_backend_loads_no_engine_and_no_pydantic() -> None:
    loaded = loaded_by("import synapse_local_plugin")
    assert sorted(loaded & (HEAVY - {"pluggy", "importlib.metadata", "email", "tempfile"})) == []
    assert {module for module in loaded if module.startswith("synapse_local")} == {
        "synapse_local",
        "synapse_local.capabilities",
        "synapse_local_plugin",
    }
