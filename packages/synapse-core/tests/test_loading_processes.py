"""Objects of a plugin cross to other processes: children of every kind, and ones that know nothing of it."""

import json
import os
import pickle
import subprocess
import sys
import textwrap

import pytest

from synapse_core.loading import load_plugin_code

MODEL = """
from dataclasses import dataclass
from pydantic import BaseModel

@dataclass
class Point:
    x: int
    def who(self):
        from plugin import names
        return names.WHO, self.x

class Net(BaseModel):
    size: int
    class Inner:
        pass

class Trouble(Exception):
    pass

def double(point):
    return Point(point.x * 2)

def refuse(point):
    raise Trouble(point.x)
"""

MAIN = """
import concurrent.futures
import multiprocessing
from plugin.model import Net, Point, Trouble, double, refuse

def _put(queue, point, function, net):
    queue.put((function(point), point.who(), net, Net.Inner))

def run(method):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    child = context.Process(target=_put, args=(queue, Point(4), double, Net(size=3)))
    child.start()
    point, who, net, inner = queue.get(timeout=60)
    child.join()
    assert child.exitcode == 0
    assert type(point) is Point and type(net) is Net and inner is Net.Inner
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        doubled = list(pool.map(double, [Point(1), Point(2)]))
        failed = pool.submit(refuse, Point(9)).exception()
    assert type(failed) is Trouble
    return [point.x, *who, net.size, [one.x for one in doubled], failed.args[0]]

def point():
    return Point(5)
"""


def plugin(folder, *, code=None, **changes):
    files = {"names": f"WHO = {folder.name!r}\n", "model": MODEL, "main": MAIN, **changes}
    for name, text in files.items():
        (folder / "plugin").mkdir(parents=True, exist_ok=True)
        (folder / "plugin" / f"{name}.py").write_text(textwrap.dedent(text))
    actions = "actions:\n  run: plugin.main:run\n  point: plugin.main:point\n"
    (folder / "config.yaml").write_text(f"code: {code or folder.name}\n{actions}")
    return folder


def python(tmp_path, script, *args, **env):
    """Run a script of the user's in a fresh process elsewhere; returns the JSON that it prints."""
    file = tmp_path / "user" / "script.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(textwrap.dedent(script))
    done = subprocess.run(
        [sys.executable, file, *map(str, args)],
        cwd=file.parent,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


STARTS_CHILDREN = """
    if __name__ == "__main__":  # so that children know nothing of Synapse
        import json, sys
        from synapse_core.discovery import PluginDiscovery

        *folders, method = sys.argv[1:]
        runs = [PluginDiscovery.from_path(folder).get_action_class("run") for folder in folders]
        print(json.dumps([run(method) for run in runs]))
"""

OPENS = """
    import json, pickle, sys
    from pathlib import Path
    import synapse_core.discovery
    if sys.argv[2:]:
        synapse_core.discovery.PluginDiscovery.from_path(sys.argv[2])
    point = pickle.loads(Path(sys.argv[1]).read_bytes())
    print(json.dumps([*point.who(), sys.modules[type(point).__module__].__file__]))
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_children_that_an_action_starts_take_objects_and_functions_of_two_plugins(tmp_path, method):
    folders = plugin(tmp_path / "one"), plugin(tmp_path / "two")
    found = python(tmp_path, STARTS_CHILDREN, *folders, method)
    assert found == [[8, name, 4, 3, [2, 4], 9] for name in ("one", "two")]


def test_children_of_children_find_the_plugin_too(tmp_path):
    deeper = """
        import multiprocessing
        from plugin.model import Point

        def _nested(depth, point):
            if depth == 0:
                return point.who()
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                return pool.apply(_nested, (depth - 1, point))

        def run(method):
            import concurrent.futures
            context = multiprocessing.get_context(method)
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
                return pool.submit(_nested, 1, Point(6)).result()
    """
    assert python(tmp_path, STARTS_CHILDREN, plugin(tmp_path / "deep", main=deeper), "spawn") == [["deep", 6]]


def test_a_pickle_opens_in_a_fresh_process_that_has_found_the_plugin_but_loaded_nothing(tmp_path):
    folder = plugin(tmp_path / "stored")
    stored = tmp_path / "point.pickle"
    stored.write_bytes(pickle.dumps(load_plugin_code(folder, "stored").import_entrypoint("plugin.main:point")()))
    file = str(folder / "plugin" / "model.py")
    assert python(tmp_path, OPENS, stored, folder) == ["stored", 5, file]
    assert python(tmp_path, OPENS, stored) == ["stored", 5, file]


def test_a_pickle_opens_on_a_machine_that_has_only_the_plugins_folder(tmp_path):
    stored = tmp_path / "point.pickle"
    here = plugin(tmp_path / "here", code="shipped", names="WHO = 'shipped'")
    stored.write_bytes(pickle.dumps(load_plugin_code(here, "shipped").import_entrypoint("plugin.main:point")()))
    there = plugin(tmp_path / "there", code="shipped", names="WHO = 'shipped'")
    script = """
        import json, pickle, sys
        from pathlib import Path
        from synapse_core.discovery import PluginDiscovery
        point = PluginDiscovery.from_path(sys.argv[2]).get_action_class("point")()
        again = pickle.loads(Path(sys.argv[1]).read_bytes())
        print(json.dumps([again == point, type(again) is type(point), again.who()]))
    """
    for cache in (tmp_path / "another", "/dev/null/nowhere"):  # the second is a place that cannot be written to
        found = python(tmp_path, script, stored, there, SYNAPSE_CACHE_DIR=str(cache))
        assert found == [True, True, ["shipped", 5]]


def test_plugin_code_stores_and_opens_its_own_objects(tmp_path):
    main = """
        import pickle
        from plugin.model import Point
        def save(path):
            with open(path, "wb") as file:
                pickle.dump([Point(1), Point], file)
        def open_again(path):
            with open(path, "rb") as file:
                point, cls = pickle.load(file)
            return isinstance(point, Point) and cls is Point and pickle.loads(pickle.dumps(point)) == point
    """
    folder = plugin(tmp_path / "keeps", main=main)
    load_plugin_code(folder, "keeps").import_entrypoint("plugin.main:save")(tmp_path / "kept")
    assert load_plugin_code(folder, "keeps").import_entrypoint("plugin.main:open_again")(tmp_path / "kept") is True
    (folder / "plugin" / "names.py").write_text("WHO = 'edited'\n")
    script = """
        import json, sys
        from synapse_core.loading import load_plugin_code
        print(json.dumps(load_plugin_code(sys.argv[1], "keeps").import_entrypoint("plugin.main:open_again")(sys.argv[2])))
    """
    assert python(tmp_path, script, folder, tmp_path / "kept") is True


def test_plugin_code_opens_pickles_that_were_made_by_its_own_scripts_outside_of_synapse(tmp_path):
    main = """
        import pickle
        from pickle import loads
        from plugin.model import Point
        def run(path):
            with open(path, "rb") as file:
                data = file.read()
            with open(path, "rb") as file:
                points = pickle.load(file), loads(data), pickle.Unpickler(open(path, "rb")).load()
            return all(type(point) is Point for point in points)
    """
    folder = plugin(tmp_path / "outside", main=main)
    weights = tmp_path / "weights.pickle"
    train = "import pickle, sys\nfrom plugin.model import Point\npickle.dump(Point(3), open(sys.argv[1], 'wb'))\n"
    (folder / "train.py").write_text(train)
    subprocess.run([sys.executable, "train.py", weights], cwd=folder, check=True)
    assert load_plugin_code(folder, "outside").import_entrypoint("plugin.main:run")(weights) is True


def test_children_take_functions_of_a_module_that_the_action_has_just_written(tmp_path):
    main = """
        import concurrent.futures, multiprocessing
        from pathlib import Path
        def run(method):
            Path(__file__).with_name("generated.py").write_text("def triple(x):\\n    return x * 3\\n")
            from plugin.generated import triple
            context = multiprocessing.get_context(method)
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
                return pool.submit(triple, 5).result()
    """
    assert python(tmp_path, STARTS_CHILDREN, plugin(tmp_path / "writes", main=main), "spawn") == [15]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_children_of_a_process_that_loaded_an_older_version_get_that_version(tmp_path, method):
    main = """
        import concurrent.futures, multiprocessing
        from pathlib import Path
        from plugin.model import Point
        def run(method):
            here = Path(__file__).parent
            (here / "names.py").write_text("WHO = 'edited'")
            (here / "model.py").unlink()
            (here / "model").mkdir()
            (here / "model" / "__init__.py").write_text("class Point: pass")
            context = multiprocessing.get_context(method)
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
                return [*pool.submit(Point.who, Point(1)).result(), *Point(2).who()]
    """
    folder = plugin(tmp_path / "older", main=main)
    assert python(tmp_path, STARTS_CHILDREN, folder, method) == [["older", 1, "older", 2]]


def test_children_find_the_plugin_when_its_folder_is_gone(tmp_path):
    main = """
        import concurrent.futures, multiprocessing, shutil
        from pathlib import Path
        from plugin.model import Point, double
        def run(method):
            shutil.rmtree(Path(__file__).parents[1])
            context = multiprocessing.get_context(method)
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
                return pool.submit(double, Point(4)).result().who()
    """
    assert python(tmp_path, STARTS_CHILDREN, plugin(tmp_path / "gone", main=main), "spawn") == [["gone", 8]]
