"""What loading leaves in the cache folder, and that it does without one."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from synapse_core.cache import cache_folder
from synapse_core.loading import load_plugin_code


def plugin(folder, version=1):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "main.py").write_text(f"VERSION = {version}\n")
    return folder


def kept(cache, code):
    return sorted(path for path in (cache / "plugins" / "sources").iterdir() if path.name[:-17].endswith(code))


def version_of(folder):
    return int((folder / "main.py").read_text().split("=")[1])


@pytest.mark.parametrize("place", ["below_a_file", "a_file"])
def test_a_plugin_runs_where_the_chosen_cache_folder_is_unusable(tmp_path, monkeypatch, place):
    (tmp_path / "a_file").write_text("")
    chosen = tmp_path / "a_file" / ("below" if place == "below_a_file" else "")
    monkeypatch.setenv("SYNAPSE_CACHE_DIR", str(chosen))
    cache_folder.cache_clear()
    before = list(sys.path)
    assert load_plugin_code(plugin(tmp_path / "plugin"), "uncached").import_entrypoint("main:VERSION") == 1
    assert cache_folder() is None
    assert sys.path == before


def test_a_plugin_runs_where_the_cache_cannot_be_written_any_more(tmp_path, own_cache_folder, caplog):
    (own_cache_folder / "plugins").write_text("a file where a folder is needed")
    assert load_plugin_code(plugin(tmp_path / "plugin"), "full").import_entrypoint("main:VERSION") == 1
    assert "child processes may not find plugin classes" in caplog.text


def test_a_plugin_runs_for_a_user_without_a_home(tmp_path):
    unset = {"SYNAPSE_CACHE_DIR", "XDG_CACHE_HOME"}
    env = {key: value for key, value in os.environ.items() if key not in unset}
    script = (
        "import sys; from synapse_core.loading import load_plugin_code\n"
        "from synapse_core.cache import cache_folder\n"
        "print(load_plugin_code(sys.argv[1], 'homeless').import_entrypoint('main:VERSION'), cache_folder())\n"
    )
    (tmp_path / "tmp").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", script, plugin(tmp_path / "plugin")],
        env={**env, "HOME": "/dev/null/nobody", "TMPDIR": str(tmp_path / "tmp")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["1", str(tmp_path / "tmp" / f"synapse-{os.getuid()}")]


def test_the_newest_versions_are_kept_and_one_in_use_counts_as_new(tmp_path, own_cache_folder):
    folder = tmp_path / "plugin"
    load_plugin_code(plugin(folder, 0), "many")
    for version in range(1, 15):
        load_plugin_code(plugin(folder, version), "many")
    load_plugin_code(plugin(folder, 0), "many")
    for version in range(15, 30):
        load_plugin_code(plugin(folder, version), "many")
    expected = {0, *range(11, 30)}
    assert {version_of(path) for path in kept(own_cache_folder, "many")} == expected
    stubs = list((own_cache_folder / "plugins" / "paths").glob("*/*/__init__.py"))
    assert len(stubs) == len(expected)


def test_forgetting_versions_of_one_plugin_leaves_those_of_others(tmp_path, own_cache_folder):
    load_plugin_code(plugin(tmp_path / "other"), "a_b")
    for version in range(25):
        load_plugin_code(plugin(tmp_path / "plugin", version), "a")
    names = [path.name for path in (own_cache_folder / "plugins" / "sources").iterdir()]
    assert len([name for name in names if name.startswith("a_b_")]) == 1
    assert len(names) == 21


def test_loads_by_many_threads_and_processes_leave_one_whole_copy_and_nothing_half(tmp_path, own_cache_folder):
    folder = plugin(tmp_path / "plugin", 7)
    for n in range(50):
        (folder / f"part_{n}.py").write_text(f"N = {n}\n")
    script = "import sys; from synapse_core.loading import load_plugin_code\nload_plugin_code(sys.argv[1], 'raced')\n"
    children = [subprocess.Popen([sys.executable, "-c", script, folder]) for _ in range(3)]
    with ThreadPoolExecutor(8) as pool:
        assert len({code.name for code in pool.map(lambda _: load_plugin_code(folder, "raced"), range(16))}) == 1
    assert [child.wait(timeout=60) for child in children] == [0, 0, 0]
    (copy,) = (own_cache_folder / "plugins" / "sources").iterdir()
    assert len(list(copy.iterdir())) == 51
    assert not [name for _, _, names in os.walk(own_cache_folder) for name in names if "writing" in name]


def test_loading_leaves_nothing_in_the_plugins_folder(tmp_path):
    folder = plugin(tmp_path / "plugin")
    load_plugin_code(folder, "clean")
    assert [path.name for path in folder.rglob("*")] == ["main.py"]
