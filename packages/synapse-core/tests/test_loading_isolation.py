"""No plugin sees another one's modules, and each sees its own by every way of importing."""

import importlib.util
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from synapse_core.discovery import PluginDiscovery
from synapse_core.loading import load_plugin_code


def plugin(folder: Path, files: dict[str, str]) -> Path:
    for name, text in {"config.yaml": f"code: {folder.name}\n", **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return folder


WAYS = {
    "import_at_top": "import plugin.sub.mod\nanswer = lambda: plugin.sub.mod.WHO",
    "import_in_function": "def answer():\n    import plugin.sub.mod\n    return plugin.sub.mod.WHO",
    "from_package": "from plugin.sub import mod\nanswer = lambda: mod.WHO",
    "from_package_in_function": "def answer():\n    from plugin.sub import mod\n    return mod.WHO",
    "from_module": "from plugin.sub.mod import WHO\nanswer = lambda: WHO",
    "star": "from plugin.sub.mod import *\nanswer = lambda: WHO",
    "import_as": "import plugin.sub.mod as m\nanswer = lambda: m.WHO",
    "relative": "from .sub import mod\nanswer = lambda: mod.WHO",
    "relative_in_function": "def answer():\n    from .sub.mod import WHO\n    return WHO",
    "import_module": "import importlib\nanswer = lambda: importlib.import_module('plugin.sub.mod').WHO",
    "import_module_beside_submodule": (
        "import importlib.machinery\nanswer = lambda: importlib.import_module('plugin.sub.mod').WHO"
    ),
    "from_importlib": "from importlib import import_module\nanswer = lambda: import_module('plugin.sub.mod').WHO",
    "import_module_relative": (
        "from importlib import import_module\nanswer = lambda: import_module('.sub.mod', __package__).WHO"
    ),
    "import_module_relative_to_name": (
        "from importlib import import_module\nanswer = lambda: import_module('.sub.mod', package='plugin').WHO"
    ),
    "dunder_import": "answer = lambda: __import__('plugin.sub.mod').sub.mod.WHO",
    "exec": "def answer():\n    scope = {}\n    exec('from plugin.sub.mod import WHO', scope)\n    return scope['WHO']",
    "resolve_name": "import pkgutil\nanswer = lambda: pkgutil.resolve_name('plugin.sub.mod:WHO')",
    "find_spec": (
        "from importlib.util import find_spec\n"
        "answer = lambda: find_spec('plugin.sub.mod').loader.get_source(find_spec('plugin.sub.mod').name)[7:-2]"
    ),
    "root_helper": "import helper\nanswer = lambda: helper.WHO",
    "root_helper_in_function": "def answer():\n    from helper import WHO\n    return WHO",
}


def same_named_plugin(folder: Path, *, with_init: bool) -> Path:
    who = f"WHO = {folder.name!r}\n"
    files = {"plugin/sub/mod.py": who, "helper.py": who}
    files |= {f"plugin/{way}.py": code + "\n" for way, code in WAYS.items()}
    if with_init:
        files |= {"plugin/__init__.py": "", "plugin/sub/__init__.py": ""}
    return plugin(folder, files)


@pytest.mark.parametrize("inits", [(True, True), (False, False), (True, False)], ids=str)
def test_two_plugins_with_a_package_of_one_name_see_only_their_own_by_every_way_of_importing(tmp_path, inits):
    names = ("one", "two")
    codes = [
        load_plugin_code(same_named_plugin(tmp_path / name, with_init=with_init), name)
        for name, with_init in zip(names, inits, strict=True)
    ]
    functions = {
        (way, name): code.import_entrypoint(f"plugin.{way}:answer")
        for way in WAYS
        for name, code in zip(names, codes, strict=True)
    }
    assert {key: function() for key, function in functions.items()} == {(way, name): name for way, name in functions}
    assert not {"plugin", "helper"} & set(sys.modules)


def test_late_imports_from_many_threads_at_once_stay_inside_their_own_plugin(tmp_path):
    lines = [f"def late_{n}():\n    from plugin.part_{n} import WHO\n    return WHO\n" for n in range(20)]
    functions = []
    for name in ("left", "right"):
        files = {f"plugin/part_{n}.py": f"WHO = {name!r}" for n in range(20)}
        code = load_plugin_code(plugin(tmp_path / name, {**files, "plugin/main.py": "".join(lines)}), name)
        functions += [(name, code.import_entrypoint(f"plugin.main:late_{n}")) for n in range(20)] * 3
    start = threading.Barrier(16)

    def work(share):
        start.wait(timeout=30)
        return [(name, function()) for name, function in share]

    with ThreadPoolExecutor(16) as pool:
        found = [pair for pairs in pool.map(work, [functions[n::16] for n in range(16)]) for pair in pairs]
    assert len(found) == 120
    assert all(expected == got for expected, got in found)


def test_concurrent_first_loads_run_each_module_once(tmp_path):
    folder = plugin(
        tmp_path / "once",
        {"counted.py": "import builtins\nRUNS = []\n", "plugin/main.py": "import counted\ncounted.RUNS.append(1)\n"},
    )
    start = threading.Barrier(12)

    def load(_):
        start.wait(timeout=30)
        return load_plugin_code(folder, "once").import_module("plugin.main").counted

    with ThreadPoolExecutor(12) as pool:
        modules = set(pool.map(load, range(12)))
    assert len(modules) == 1
    assert modules.pop().RUNS == [1]


def test_a_plugin_runs_from_any_working_directory_without_edits_of_the_search_path(tmp_path):
    folder = same_named_plugin(tmp_path / "anywhere", with_init=False)
    (folder / "config.yaml").write_text("code: anywhere\nactions:\n  who: plugin.relative:answer\n")
    script = tmp_path / "elsewhere" / "main.py"
    script.parent.mkdir()
    script.write_text(
        "import sys\nfrom synapse_core.discovery import PluginDiscovery\n"
        "before = list(sys.path)\n"
        "print(PluginDiscovery.from_path(sys.argv[1]).get_action_class('who')())\n"
        "assert not any(place.startswith(sys.argv[1]) for place in sys.path)\n"
        "assert sys.path[:len(before)] == before\n"
    )
    for cwd in (tmp_path, folder, Path("/")):
        done = subprocess.run([sys.executable, script, folder], cwd=cwd, capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("anywhere\n", "")


@pytest.mark.parametrize("is_plugin", [True, False])
def test_the_working_directory_does_not_win_over_a_folder_without_init(tmp_path, monkeypatch, is_plugin):
    other = same_named_plugin(tmp_path / "other", with_init=True)
    if not is_plugin:
        (other / "config.yaml").unlink()
    mine = same_named_plugin(tmp_path / "mine", with_init=False)
    monkeypatch.syspath_prepend(str(other))
    monkeypatch.chdir(other)
    assert load_plugin_code(mine, "mine").import_entrypoint("plugin.import_at_top:answer")() == "mine"


def test_a_folder_that_is_itself_a_package_is_imported_by_its_own_name(tmp_path):
    folder = plugin(
        tmp_path / "whole",
        {
            "__init__.py": "CONST = 'root'\n",
            "helper.py": "VALUE = 'helper'\n",
            "train.py": "from whole import CONST\nfrom whole.helper import VALUE\nimport whole.helper as again\n",
        },
    )
    for entrypoint in ("whole.train:CONST", "train:CONST"):
        assert load_plugin_code(folder, "whole").import_entrypoint(entrypoint) == "root"
    assert load_plugin_code(folder, "whole").import_entrypoint("train.again.VALUE") == "helper"


def test_a_folder_that_is_itself_a_package_answers_to_the_code_of_the_plugin_under_another_name(tmp_path):
    files = {"config.yaml": "code: my-plugin\n", "__init__.py": "", "train.py": "from my_plugin import helper\n"}
    folder = plugin(tmp_path / "_ray_pkg_0123", {**files, "helper.py": "VALUE = 1\n"})
    assert load_plugin_code(folder, "my-plugin").import_entrypoint("my_plugin.train:helper.VALUE") == 1


def test_a_stray_init_beside_the_config_does_not_hide_a_package_named_like_the_plugin(tmp_path):
    folder = plugin(tmp_path / "plugin", {"__init__.py": "", "plugin/train.py": "WHO = 'inner'\n"})
    assert load_plugin_code(folder, "plugin").import_entrypoint("plugin.train:WHO") == "inner"


@pytest.mark.parametrize("content", ["rows.csv", "convert.py", "deep/script.py"])
def test_a_folder_named_like_an_installed_package_does_not_hide_the_package(tmp_path, content):
    main = "import yaml, json\nfrom yaml import safe_load\nPARSED = safe_load('a: 1')\nPLACE = yaml.__file__\n"
    files = {f"{name}/{content}": "SCRIPT = 1\n" for name in ("yaml", "json", "synapse_core")}
    main += "from synapse_core import BaseAction\n"
    code = load_plugin_code(plugin(tmp_path / "shadow", {**files, "plugin/main.py": main}), "shadow")
    assert code.import_entrypoint("plugin.main:PARSED") == {"a": 1}
    assert code.import_entrypoint("plugin.main:PLACE") == importlib.util.find_spec("yaml").origin


def test_an_entrypoint_into_a_folder_named_like_an_installed_package_is_the_plugins(tmp_path):
    code = load_plugin_code(
        plugin(tmp_path / "named", {"yaml/run.py": "import yaml\nLOAD = yaml.safe_load\n"}), "named"
    )
    assert code.import_entrypoint("yaml.run:LOAD")("[1]") == [1]


def test_a_module_named_like_one_of_the_standard_library_is_seen_by_its_plugin_only(tmp_path):
    files = {"queue.py": "WHO = 'mine'\n", "types.py": "WHO = 'mine too'\n"}
    main = """\
        import queue, types, concurrent.futures, logging.handlers
        FOUND = queue.WHO, types.WHO
        def run():
            with concurrent.futures.ThreadPoolExecutor(1) as pool:  # needs the real queue
                return pool.submit(lambda: 7).result()
    """
    shadowing = load_plugin_code(plugin(tmp_path / "shadowing", {**files, "main.py": main}), "shadowing")
    plain = load_plugin_code(plugin(tmp_path / "plain", {"main.py": "from queue import Queue\n"}), "plain")
    assert shadowing.import_entrypoint("main:FOUND") == ("mine", "mine too")
    assert shadowing.import_entrypoint("main:run")() == 7
    assert plain.import_entrypoint("main:Queue").__module__ == "queue"


def test_builtin_modules_come_before_files_of_their_name_as_in_python(tmp_path):
    files = {"time.py": "raise RuntimeError('a script of the user')\n", "main.py": "from time import monotonic\n"}
    assert load_plugin_code(plugin(tmp_path / "timed", files), "timed").import_entrypoint("main:monotonic")() > 0


def test_circular_imports_inside_a_plugin_work_as_in_python(tmp_path):
    files = {
        "plugin/__init__.py": "from plugin import a\nfrom .b import B\n",
        "plugin/a.py": "import plugin.b\nfrom plugin import b\nclass A:\n    other = lambda self: plugin.b.B\n",
        "plugin/b.py": "from plugin import a\nclass B:\n    other = lambda self: a.A\n",
    }
    code = load_plugin_code(plugin(tmp_path / "circle", files), "circle")
    a, b = code.import_entrypoint("plugin.a:A"), code.import_entrypoint("plugin.b:B")
    assert a().other() is b
    assert b().other() is a


MISSING = {
    "import plugin.nothing": "plugin.nothing",
    "from plugin.nothing import x": "plugin.nothing",
    "from .nothing import x": "plugin.nothing",
    "from plugin.present.deeper import x": "plugin.present.deeper",
    "import nothing_at_all": "nothing_at_all",
    "import importlib; importlib.import_module('plugin.nothing')": "plugin.nothing",
    "from importlib import import_module; import_module('.nothing', __package__)": "plugin.nothing",
}


@pytest.mark.parametrize("statement", MISSING)
def test_a_missing_module_is_named_as_the_plugin_names_it(tmp_path, statement):
    files = {"plugin/present.py": "", "plugin/main.py": f"def run():\n    {statement}\n"}
    run = load_plugin_code(plugin(tmp_path / "missing", files), "missing").import_entrypoint("plugin.main:run")
    with pytest.raises(ModuleNotFoundError) as caught:
        run()
    assert caught.value.name == MISSING[statement]
    assert f"No module named {MISSING[statement]!r}" in str(caught.value)
    assert "_synapse_plugin_" not in str(caught.value)


@pytest.mark.parametrize("statement", ["from plugin.present import nam", "from .present import nam"])
def test_a_missing_name_is_told_as_python_tells_it(tmp_path, statement):
    files = {"plugin/present.py": "name = 1\n", "plugin/main.py": f"def run():\n    {statement}\n"}
    folder = plugin(tmp_path / "names", files)
    with pytest.raises(ImportError) as caught:
        load_plugin_code(folder, "names").import_entrypoint("plugin.main:run")()
    file = folder / "plugin" / "present.py"
    assert str(caught.value) == f"cannot import name 'nam' from 'plugin.present' ({file})"
    assert (caught.value.name, caught.value.path) == ("plugin.present", str(file))


def test_a_module_that_an_action_writes_is_imported_at_once(tmp_path):
    main = """\
        import importlib
        import os
        from importlib.util import find_spec
        from pathlib import Path

        def run(n):
            here = Path(__file__).parent
            for name in (f'generated_{n}', f'plugin.generated_{n}'):
                assert find_spec(name) is None
                try:
                    importlib.import_module(name)
                except ModuleNotFoundError as error:
                    assert error.name == name
                else:
                    raise AssertionError(name)
            for folder, value in (here, n), (here.parent, n * 10):
                before = folder.stat()
                (folder / f'generated_{n}.py').write_text(f'N = {value}')
                os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))  # as within one tick of the clock
            scope = {'__package__': __package__, '__name__': __name__}
            exec(f'from plugin.generated_{n} import N as inner; from generated_{n} import N as outer', scope)
            return scope['inner'], scope['outer']
    """
    files = {"plugin/__init__.py": "", "plugin/main.py": main}
    run = load_plugin_code(plugin(tmp_path / "writes", files), "writes").import_entrypoint("plugin.main:run")
    assert [run(n) for n in range(20)] == [(n, n * 10) for n in range(20)]


@pytest.mark.filterwarnings("ignore:.*is deprecated. Use files:DeprecationWarning")
def test_resources_of_a_plugin_are_found_by_its_own_names(tmp_path):
    main = """\
        import importlib.resources
        import pkgutil
        from importlib import resources
        from importlib.resources import files

        def run():
            yield (files('plugin') / 'labels.txt').read_text()
            yield importlib.resources.files('plugin').joinpath('labels.txt').read_text()
            yield resources.read_text('plugin', 'labels.txt')
            yield pkgutil.get_data('plugin', 'labels.txt').decode()
            yield (files(__package__) / 'labels.txt').read_text()
    """
    for with_init in (True, False):
        found = {"plugin/__init__.py": ""} if with_init else {}
        folder = plugin(tmp_path / f"data{with_init}", {**found, "plugin/labels.txt": "cat", "plugin/main.py": main})
        run = load_plugin_code(folder, "data").import_entrypoint("plugin.main:run")
        ways = 5 if with_init else 3  # pkgutil and the old functions want a package with __init__.py
        lines = run()
        assert [next(lines) for _ in range(ways)] == ["cat"] * ways


def test_plugins_see_the_rest_of_importlib_unchanged(tmp_path):
    main = """\
        import importlib, importlib.util, importlib.resources, pickle
        import importlib.metadata as metadata
        SAME = importlib.import_module('json') is __import__('json')
        UTIL = importlib.util.module_from_spec, metadata.version
        NAMES = importlib.__name__, importlib.__spec__.name, 'reload' in dir(importlib), pickle.PickleError.__name__
    """
    code = load_plugin_code(plugin(tmp_path / "seen", {"main.py": main}), "seen")
    assert code.import_entrypoint("main:SAME") is True
    assert code.import_entrypoint("main:UTIL") == (importlib.util.module_from_spec, importlib.metadata.version)
    assert code.import_entrypoint("main:NAMES") == ("importlib", "importlib", True, "PickleError")


def test_two_copies_of_one_folder_keep_their_own_files(tmp_path):
    files = {
        "config.yaml": "code: copied\nactions: {here: 'plugin.main:here'}\n",
        "plugin/main.py": "def here():\n    import plugin.main\n    return plugin.main.__file__\n",
    }
    found = [PluginDiscovery.from_path(plugin(tmp_path / name, files)) for name in ("first", "second")]
    places = [one.get_action_class("here")() for one in found]
    assert places == [str(tmp_path / name / "plugin" / "main.py") for name in ("first", "second")]


def test_links_locks_and_unreadable_files_do_not_keep_a_plugin_from_loading(tmp_path):
    folder = plugin(tmp_path / "messy", {"plugin/main.py": "OK = True\n"})
    (folder / "plugin" / ".#main.py").symlink_to("user@host.123:456")
    (folder / "broken.py").symlink_to(folder / "nowhere.py")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe.py")
    code = load_plugin_code(folder, "messy")
    assert code.import_entrypoint("plugin.main:OK") is True
    (folder / "plugin" / ".#other.py").write_text("an editor's")
    assert load_plugin_code(folder, "messy").name == code.name


def test_a_plugin_delivered_as_bytecode_is_isolated_too(tmp_path):
    import py_compile

    for name in ("alpha", "beta"):
        folder = plugin(tmp_path / name, {"plugin/mod.py": f"WHO = {name!r}\n", "plugin/main.py": WAYS_TO_MOD})
        for file in (folder / "plugin").glob("*.py"):
            py_compile.compile(str(file), cfile=str(file.with_suffix(".pyc")))
            file.unlink()
    who = [load_plugin_code(tmp_path / name, name).import_entrypoint("plugin.main:who")() for name in ("alpha", "beta")]
    assert who == ["alpha", "beta"]


WAYS_TO_MOD = "def who():\n    import plugin.mod\n    return plugin.mod.WHO\n"
