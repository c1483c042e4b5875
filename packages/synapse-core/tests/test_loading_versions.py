"""Versions of one plugin side by side: edited, copied, moved, deleted."""

import json
import logging
import os
import pickle
import shutil
import subprocess
import sys
import textwrap

import pytest

from synapse_core.loading import load_plugin_code

MAIN = """
VERSION = {version}

class Thing:
    version = VERSION
    def __eq__(self, other):
        return type(other) is type(self)
    def late(self):
        import plugin.late
        return plugin.late.VERSION

def file():
    return __file__
"""


def plugin(folder, version):
    (folder / "plugin").mkdir(parents=True, exist_ok=True)
    (folder / "plugin" / "main.py").write_text(MAIN.format(version=version))
    (folder / "plugin" / "late.py").write_text(f"VERSION = {version}\n")
    return folder


def load(folder, code="versioned"):
    return load_plugin_code(folder, code)


def thing(code):
    return code.import_entrypoint("plugin.main:Thing")()


def python(tmp_path, script, *args, check=True):
    file = tmp_path / "script.py"
    file.write_text(textwrap.dedent(script))
    command = [sys.executable, file, *map(str, args)]
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    if not check:
        return done
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_unchanged_sources_are_one_version_however_often_they_are_loaded(tmp_path):
    folder = plugin(tmp_path / "same", 1)
    first = thing(load(folder))
    (folder / "data.csv").write_text("1,2")  # no source
    assert type(thing(load(folder))) is type(first)
    (tmp_path / "link").symlink_to(folder)
    assert type(thing(load(tmp_path / "link"))) is type(first)


def test_an_edited_plugin_is_new_code_beside_the_old_and_both_pickle(tmp_path):
    folder = plugin(tmp_path / "edited", 1)
    old = thing(load(folder))
    new = thing(load(plugin(folder, 2)))
    assert (old.version, new.version) == (1, 2)
    assert pickle.loads(pickle.dumps([old, new])) == [old, new]
    back = thing(load(plugin(folder, 1)))
    assert type(back) is type(old)


@pytest.mark.parametrize("change", ["edit", "delete", "delete_all", "replace_by_package"])
def test_a_late_import_gets_the_version_that_was_loaded(tmp_path, change):
    folder = plugin(tmp_path / change, 1)
    old = thing(load(folder))
    if change == "edit":
        plugin(folder, 2)
    elif change == "delete_all":
        shutil.rmtree(folder)
    else:
        (folder / "plugin" / "late.py").unlink()
    if change == "replace_by_package":
        (folder / "plugin" / "late").mkdir()
        (folder / "plugin" / "late" / "__init__.py").write_text("VERSION = 2\n")
    assert old.late() == 1
    assert sys.modules[f"{type(old).__module__.removesuffix('main')}late"].__file__ == str(
        folder / "plugin" / "late.py"
    )


def test_without_a_cache_folder_a_late_import_gets_the_file_as_it_is(tmp_path, monkeypatch):
    from synapse_core.cache import cache_folder

    monkeypatch.setenv("SYNAPSE_CACHE_DIR", "/dev/null/nowhere")
    cache_folder.cache_clear()
    folder = plugin(tmp_path / "uncached", 1)
    old = thing(load(folder))
    plugin(folder, 2)
    assert (old.version, old.late(), thing(load(folder)).version) == (1, 2, 2)


def test_a_copy_beside_the_original_has_classes_and_files_of_its_own(tmp_path):
    original = plugin(tmp_path / "original", 1)
    copy = shutil.copytree(original, tmp_path / "copy")
    codes = load(original), load(copy)
    assert [code.import_entrypoint("plugin.main:file")() for code in codes] == [
        str(folder / "plugin" / "main.py") for folder in (original, copy)
    ]
    things = [thing(code) for code in codes]
    assert type(things[0]) is not type(things[1])
    assert pickle.loads(pickle.dumps(things)) == things


def test_a_moved_plugin_loads_and_objects_from_before_still_work(tmp_path):
    before = plugin(tmp_path / "before", 1)
    old = thing(load(before))
    after = tmp_path / "after"
    shutil.move(before, after)
    code = load(after)
    assert code.import_entrypoint("plugin.main:file")() == str(after / "plugin" / "main.py")
    assert thing(code).late() == old.late() == 1
    assert pickle.loads(pickle.dumps(old)) == old


OPEN = """
    import json, pickle, sys
    from pathlib import Path
    from synapse_core.loading import load_plugin_code

    stored, loads_first, loads_then = sys.argv[1], sys.argv[2], sys.argv[3]
    def thing(folder):
        return load_plugin_code(folder, "versioned").import_entrypoint("plugin.main:Thing")()
    first = thing(loads_first) if loads_first else None
    opened = pickle.loads(Path(stored).read_bytes())
    then = thing(loads_then) if loads_then else None
    print(json.dumps({
        "version": opened.version,
        "file": sys.modules[type(opened).__module__].__file__,
        "is_first": opened == first,
        "then": then and [then.version, then.late(), then == opened],
    }))
"""


def store(tmp_path, code):
    stored = tmp_path / "thing.pickle"
    stored.write_bytes(pickle.dumps(thing(code)))
    return stored


def test_a_stored_pickle_opens_with_the_code_as_it_is_now_once_that_is_loaded(tmp_path):
    folder = plugin(tmp_path / "now", 1)
    stored = store(tmp_path, load(folder))
    plugin(folder, 2)
    assert python(tmp_path, OPEN, stored, folder, "") == {
        "version": 2,
        "file": str(folder / "plugin" / "main.py"),
        "is_first": True,
        "then": None,
    }


def test_a_stored_pickle_opens_with_its_own_version_where_no_other_is_loaded(tmp_path):
    folder = plugin(tmp_path / "own", 1)
    stored = store(tmp_path, load(folder))
    plugin(folder, 2)
    found = python(tmp_path, OPEN, stored, "", folder)
    assert (found["version"], found["then"]) == (1, [2, 2, False])


def test_versions_in_one_pickle_open_side_by_side_where_none_is_loaded(tmp_path):
    folder = plugin(tmp_path / "both", 1)
    old = thing(load(folder))
    new = thing(load(plugin(folder, 2)))
    (tmp_path / "things").write_bytes(pickle.dumps([new, old]))
    script = """
        import json, pickle, sys
        import synapse_core.loading
        things = pickle.load(open(sys.argv[1], "rb"))
        print(json.dumps([[one.version, one.late()] for one in things]))
    """
    assert python(tmp_path, script, tmp_path / "things") == [[2, 2], [1, 1]]


def test_the_real_version_takes_its_name_back_from_one_that_stood_in_for_it(tmp_path):
    folder = plugin(tmp_path / "back", 101)  # of no other test, so that its name is not taken here
    stored = store(tmp_path, load(folder))
    kept = shutil.copytree(folder, tmp_path / "of_old")
    plugin(folder, 2)
    found = python(tmp_path, OPEN, stored, folder, kept)
    assert (found["version"], found["then"]) == (2, [101, 101, False])


def test_a_pickle_from_a_second_copy_opens_with_that_copy_in_a_process_that_has_only_it(tmp_path):
    original = plugin(tmp_path / "original", 1)
    copy = shutil.copytree(original, tmp_path / "copy")
    load(original)
    stored = store(tmp_path, load(copy))
    found = python(tmp_path, OPEN, stored, copy, "")
    assert (found["is_first"], found["file"]) == (True, str(copy / "plugin" / "main.py"))


def test_a_pickle_of_another_folder_with_the_same_code_opens_with_that_folder(tmp_path):
    stored = store(tmp_path, load(plugin(tmp_path / "theirs", 1)))
    found = python(tmp_path, OPEN, stored, plugin(tmp_path / "ours", 2), "")
    assert (found["version"], found["file"]) == (1, str(tmp_path / "theirs" / "plugin" / "main.py"))


def test_a_pickle_opens_where_the_plugin_was_moved_to(tmp_path):
    before = plugin(tmp_path / "before", 1)
    stored = store(tmp_path, load(before))
    after = tmp_path / "after"
    shutil.move(before, after)
    found = python(tmp_path, OPEN, stored, after, "")
    assert (found["is_first"], found["file"]) == (True, str(after / "plugin" / "main.py"))


def test_a_version_that_is_nowhere_is_served_by_a_loaded_one_with_a_warning(tmp_path, caplog):
    code = load(plugin(tmp_path / "known", 5), code="foreign")
    data = pickle.dumps(thing(code)).replace(code.name.encode(), f"{code.name[:-16]}{'0' * 16}".encode())
    with caplog.at_level(logging.WARNING, logger="synapse"):
        assert type(pickle.loads(data)) is type(thing(code))
    assert f"{'0' * 16} is not on this machine; using {code.name}" in caplog.text


def test_a_plugin_that_is_nowhere_is_a_module_that_is_not_found(tmp_path):
    name = f"_synapse_plugin_never_{'0' * 16}"
    with pytest.raises(ModuleNotFoundError, match=name):
        pickle.loads(f"c{name}.plugin.main\nThing\n.".encode())


def test_a_lost_version_says_which_folder_was_changed_and_what_to_do(tmp_path, own_cache_folder):
    folder = plugin(tmp_path / "lost", 1)
    stored = store(tmp_path, load(folder))
    plugin(folder, 2)
    for kept in (own_cache_folder / "plugins" / "sources").glob("*/plugin/main.py"):
        kept.write_text("raise SystemExit('a damaged copy was run')")
    done = python(tmp_path, OPEN, stored, "", "", check=False)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert f"{folder} was edited, moved or deleted" in last
    assert last.endswith("load the plugin again")


def test_objects_of_an_edited_plugin_find_their_data_files_beside_the_real_file(tmp_path):
    folder = plugin(tmp_path / "with_data", 1)
    (folder / "plugin" / "__init__.py").write_text("")
    (folder / "plugin" / "late.py").write_text(
        "from importlib.resources import files\nfrom pathlib import Path\nimport plugin\n"
        "VERSION = [Path(__file__).with_name('labels.txt').read_text(), (files('plugin') / 'labels.txt').read_text(),\n"
        "           Path(plugin.__path__[0], 'labels.txt').read_text()]\n"
    )
    (folder / "plugin" / "labels.txt").write_text("cat")
    stored = store(tmp_path, load(folder))
    for file in (folder / "plugin").glob("*.py"):
        file.write_text(file.read_text() + "# edited\n")
    script = """
        import json, pickle, sys
        import synapse_core.loading
        print(json.dumps(pickle.load(open(sys.argv[1], "rb")).late()))
    """
    assert python(tmp_path, script, stored) == ["cat"] * 3
    assert not [name for _, names, _ in os.walk(os.environ["SYNAPSE_CACHE_DIR"]) for name in names if "pyc" in name]
