"""What is installed is found by name; whatever is broken is a row with its error and breaks nothing else."""

import importlib.metadata
import json
import os
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from synapse_core.errors import BackendError, BackendLoadError, BackendMissingError, UnknownBackendError
from synapse_core.plugins.descriptions import EngineDescription, ExecutorDescription, RunStoreDescription
from synapse_core.plugins.registry import Registry
from synapse_core.plugins.rows import Row
from synapse_core.ports.events import MessageEvent, RecordingSink
from synapse_core.ports.executor import Capabilities

HEAD = """
from synapse_core.plugins.descriptions import *
from synapse_core.plugins.hookspecs import hookimpl
from synapse_core.ports.executor import Capabilities
"""


def executors(*descriptions: str) -> str:
    return HEAD + f"@hookimpl\ndef synapse_executors():\n    return [{', '.join(descriptions)}]\n"


def executor(name: str, more: str = "") -> str:
    return f"ExecutorDescription(name={name!r}, target='json:loads'{more})"


class Environment:
    """A folder on ``sys.path`` in which distributions can be installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, name: str, code: str | None, version: str = "1.0", entry: str | None = None) -> Path:
        module = f"{name.replace('-', '_')}_entry"
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[synapse.backends]\n{entry or f'{name} = {module}'}\n")
        if code is not None:
            self.write(module, code)
        return info

    def write(self, module: str, code: str) -> Path:
        file = self.folder / f"{module}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(textwrap.dedent(code))
        sys.modules.pop(module, None)
        importlib.invalidate_caches()
        return file


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An environment in which nothing of Synapse's is installed."""
    before = set(sys.modules)
    site = tmp_path / "site"
    site.mkdir()
    without = [place for place in sys.path if not any(Path(place or ".").glob("synapse_*.dist-info"))]
    monkeypatch.setattr(sys, "path", [str(site), *without])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two edits in one second have one timestamp in bytecode
    yield Environment(site)
    for name in set(sys.modules) - before:
        if name.endswith("_entry"):
            del sys.modules[name]


def rows() -> dict[str, Row]:
    found = Registry().rows()
    assert len({row.name for row in found}) == len(found)
    return {row.name: row for row in found}


def test_nothing_installed_is_no_error(environment: Environment) -> None:
    assert Registry().rows() == []
    assert "local" in Registry().executor_names()


def test_every_kind_of_description_is_found_and_loaded(environment: Environment) -> None:
    environment.install(
        "acme-backend",
        executors(executor("acme", ", aliases=('acme-two',), help='h', capabilities=Capabilities(gpu=True)"))
        + "@hookimpl\ndef synapse_engines():\n    return [EngineDescription(name='fast', target='json:loads')]\n"
        + "@hookimpl\ndef synapse_run_stores():\n    return [RunStoreDescription(name='s', target='a:b', schemes=('x',))]\n"
        + "@hookimpl\ndef synapse_sinks():\n    return [SinkDescription(name='console', target='acme_sink:Sink')]\n"
        + "@hookimpl\ndef synapse_commands():\n    return (CommandDescription(name='c', target='a:b'),)\n"
        + "@hookimpl\ndef synapse_checks():\n    return [CheckDescription(name='k', target='a:b')]\n",
    )
    for registry in (Registry(), Registry()):  # asked, and from the table on disk
        found = registry.find_executor("acme")
        assert isinstance(found, ExecutorDescription)
        assert found.capabilities == Capabilities(gpu=True)
        assert registry.find_executor("ACME_two") is found
        assert registry.load(found) is json.loads
        assert isinstance(registry.find_engine("fast"), EngineDescription)
        assert registry.run_stores() == [RunStoreDescription(name="s", target="a:b", schemes=("x",))]
        assert [
            len(kind) for kind in (registry.commands(), registry.checks(), registry.engines(), registry.sinks())
        ] == [1, 1, 1, 1]
        assert {(row.distribution, row.version, row.error) for row in registry.rows()} == {("acme-backend", "1.0", "")}
        assert "acme" in registry.executor_names()


def test_a_sink_is_opened_by_its_name_and_told_whether_to_debug(environment: Environment) -> None:
    environment.install(
        "acme-sink",
        "from synapse_core import RecordingSink, SinkDescription, hookimpl\n"
        "class Sink(RecordingSink):\n"
        "    def __init__(self, *, debug):\n        super().__init__()\n        self.debug = debug\n"
        "@hookimpl\ndef synapse_sinks():\n"
        "    return [SinkDescription(name='console', target=__name__ + ':Sink')]\n",
    )
    sink: Any = Registry().open_sink("console", debug=False)
    assert isinstance(sink, RecordingSink)
    assert sink.debug is False
    assert Registry().open_sink("console") is not sink


def test_where_no_package_provides_a_sink_reports_go_to_the_standard_librarys_logger(
    environment: Environment, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="synapse"):
        Registry().open_sink("console").emit(MessageEvent(job_id="j", message="half way"))
    assert "half way" in caplog.text


def test_a_name_may_be_written_in_any_case(environment: Environment) -> None:
    environment.install("acme", executors(executor("Big_Machine")))
    assert Registry().find_executor("big-machine").name == "Big_Machine"
    assert Registry().find_executor("Big_Machine").name == "Big_Machine"


BROKEN = {
    "raises": "1 / 0",
    "exits": "import sys\nsys.exit(3)",
    "needs-more": "import not_installed_at_all",
    "wrong-syntax": "def",
    "unknown-hook": HEAD + "@hookimpl\ndef synapse_executor():\n    return []",
    "wrong-arguments": HEAD + "@hookimpl\ndef synapse_executors(x):\n    return []",
    "hook-raises": HEAD + "@hookimpl\ndef synapse_executors():\n    raise ValueError('in hook')",
    "hook-exits": HEAD + "@hookimpl\ndef synapse_executors():\n    raise SystemExit(3)",
    "no-list": HEAD + f"@hookimpl\ndef synapse_executors():\n    return {executor('x')}",
    "text": HEAD + "@hookimpl\ndef synapse_executors():\n    return 'acme'",
    "wrong-item": executors("5"),
    "bad-repr": HEAD + "class B:\n    def __repr__(self): raise ValueError\n" + executors("B()")[len(HEAD) :],
    "other-kind": executors("EngineDescription(name='other-kind', target='a:b')"),
}
FIELDS = {
    "target": "target='json'",
    "no-object": "target='json:'",
    "no-target": "target=None",
    "old-api": "target='a:b', api_version=0",
    "new-api": "target='a:b', api_version=99",
    "alias-list": "target='a:b', aliases=['x']",
    "one-option": "target='a:b', options='env'",
    "capabilities": "target='a:b', capabilities={'gpu': True}",
    "run-with": "target='a:b', run_with='magic'",
    "help": "target='a:b', help=object()",
}


@pytest.mark.parametrize("name", [*BROKEN, *FIELDS])
def test_a_broken_package_is_a_row_with_its_error_and_breaks_no_other(environment: Environment, name: str) -> None:
    code = BROKEN.get(name) or executors(f"ExecutorDescription(name={name!r}, {FIELDS[name]})")
    environment.install("aaa-first", executors(executor("first")))
    environment.install(name, code)
    environment.install("zzz-last", executors(executor("last")))
    registry = Registry()
    (broken,) = [row for row in registry.rows() if row.error]
    assert (broken.name, broken.distribution, broken.version) == (name, name, "1.0")
    assert [found.name for found in registry.executors()] == ["first", "last"]
    with pytest.raises(BackendLoadError, match=f"mode '{name}' is provided by {name} 1.0, which is broken") as caught:
        registry.find_executor(name)
    assert broken.error in str(caught.value)


def test_an_entry_point_to_nothing_and_metadata_that_cannot_be_read_break_no_other(environment: Environment) -> None:
    environment.install("acme", executors(executor("acme")))
    environment.install("gone", None)
    environment.install("garbled", None, entry="this is no entry point")
    environment.install("nameless", None)
    (environment.folder / "nameless-1.0.dist-info" / "METADATA").unlink()
    registry = Registry()
    assert [found.name for found in registry.executors()] == ["acme"]
    assert {row.name for row in registry.rows() if row.error} >= {"gone", "garbled"}


def test_one_bad_description_spoils_only_itself(environment: Environment) -> None:
    environment.install("acme", executors(executor("good"), "5", executor("fine"), executor("old", ", api_version=0")))
    assert [found.name for found in Registry().executors()] == ["good", "fine"]
    assert [row.error != "" for row in Registry().rows()] == [False, True, False, True]


def test_a_name_that_two_packages_register_is_refused_naming_both(environment: Environment) -> None:
    environment.install("acme-one", executors(executor("same"), executor("mine")))
    environment.install("acme-two", executors(executor("other", ", aliases=('same',)")), version="2.0")
    registry = Registry()
    with pytest.raises(BackendError, match=r"'same' is registered twice, by acme-one 1\.0 and acme-two 2\.0"):
        registry.find_executor("same")
    assert registry.find_executor("mine").name == "mine"
    assert registry.find_executor("other").name == "other"


def test_a_documented_mode_belongs_to_its_own_package(environment: Environment) -> None:
    environment.install("squatter", executors(executor("task", ", help='theirs'")))
    environment.install("synapse-ray", executors(executor("task", ", help='ours'")))
    assert Registry().find_executor("task").help == "ours"


@pytest.mark.parametrize(
    ("mode", "install"),
    [("task", "pip install synapse-ray"), ("remote", "pip install synapse-remote"), ("pipeline", "pip install 'synapse-pipeline[ray]'")],
)  # fmt: skip
def test_a_known_mode_that_is_not_installed_names_the_install_line(
    environment: Environment, mode: str, install: str
) -> None:
    with pytest.raises(BackendMissingError) as caught:
        Registry().find_executor(mode)
    assert caught.value.install == install
    assert str(caught.value).endswith(install)


def test_a_broken_package_of_a_known_mode_is_not_called_missing(environment: Environment) -> None:
    environment.install("synapse-ray", "1 / 0", entry="ray = synapse_ray_entry")
    with pytest.raises(BackendLoadError, match=r"synapse-ray 1\.0, which is broken: .*ZeroDivisionError"):
        Registry().find_executor("task")


def test_an_unknown_mode_lists_the_known_ones_and_the_nearest(environment: Environment) -> None:
    environment.install("acme", executors(executor("acme")))
    with pytest.raises(UnknownBackendError) as caught:
        Registry().find_executor("lcoal")
    assert "unknown mode 'lcoal'. Did you mean 'local'? Known modes: acme, job, local, pipeline" in str(caught.value)
    assert "acme" in caught.value.known
    with pytest.raises(UnknownBackendError, match="Known engines: "):
        Registry().find_engine("x")


@pytest.mark.parametrize("target", ["no_such_module_x:y", "json:nothing", "json:loads.more"])
def test_a_target_that_does_not_load_says_what_to_install(target: str) -> None:
    description = ExecutorDescription(name="x", target=target, install="pip install x")
    with pytest.raises(
        BackendLoadError, match=r"'x' cannot be loaded from .* Install what it needs with: pip install x"
    ):
        Registry([]).load(description)


# -- the table on disk ------------------------------------------------------------------------


def asked_times(environment: Environment) -> int:
    """Return how often the backend's module was run."""
    file = environment.folder / "asked"
    return len(file.read_text()) if file.exists() else 0


COUNT = "from pathlib import Path\nwith Path(__file__).with_name('asked').open('a') as f: f.write('x')\n"


def test_packages_are_asked_once_and_not_even_imported_again(environment: Environment) -> None:
    environment.install("acme", COUNT + executors(executor("acme")))
    for _ in range(3):
        assert list(rows()) == ["acme"]
        sys.modules.pop("acme_entry", None)
    assert asked_times(environment) == 1
    assert [row.name for row in Registry().rows(fresh=True)] == ["acme"]
    assert asked_times(environment) == 2


def test_what_is_installed_upgraded_and_removed_is_noticed(environment: Environment) -> None:
    one = environment.install("acme", executors(executor("acme")))
    assert list(rows()) == ["acme"]
    two = environment.install("other", executors(executor("other")))
    assert set(rows()) == {"acme", "other"}
    one.rename(one.with_name("acme-2.0.dist-info"))
    (one.with_name("acme-2.0.dist-info") / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 2.0\n")
    assert rows()["acme"].version == "2.0"
    for file in two.iterdir():
        file.unlink()
    two.rmdir()
    assert list(rows()) == ["acme"]


def test_a_touched_metadata_folder_is_read_again(environment: Environment) -> None:
    info = environment.install("acme", COUNT + executors(executor("acme")))
    rows()
    os.utime(info, ns=(1, 1))
    sys.modules.pop("acme_entry", None)
    rows()
    assert asked_times(environment) == 2


def test_an_edited_backend_module_is_read_again(environment: Environment) -> None:
    environment.install("acme", executors(executor("before")))
    assert list(rows()) == ["before"]
    file = environment.write("acme_entry", executors(executor("after")))
    os.utime(file, ns=(1, 1))
    assert list(rows()) == ["after"]


def test_a_mended_backend_module_is_noticed(environment: Environment) -> None:
    environment.install("acme", "1 / 0")
    assert rows()["acme"].error
    environment.write("acme_entry", executors(executor("acme")))
    assert not rows()["acme"].error


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"format": 1}', b"\xff", b'{"format":1,"state":[],"modules":[],"rows":[]}']
)
def test_a_damaged_table_is_made_again(environment: Environment, own_cache_folder: Path, content: bytes) -> None:
    environment.install("acme", executors(executor("acme")))
    rows()
    (table,) = own_cache_folder.glob("backends/*.json")
    table.write_bytes(content)
    assert list(rows()) == ["acme"]
    assert len(table.read_bytes()) > 60


def test_without_a_writable_cache_everything_is_found(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from synapse_core.cache import cache_folder

    monkeypatch.setenv("SYNAPSE_CACHE_DIR", "/proc/none")
    cache_folder.cache_clear()
    environment.install("acme", executors(executor("acme")))
    assert list(rows()) == ["acme"]
