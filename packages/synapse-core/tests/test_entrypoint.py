"""Entrypoints name what they mean in both forms, and say what is wrong where they do not."""

import os
import pickle

import pytest

import synapse_core
from synapse_core.entrypoint import _OWN_FOLDER, import_entrypoint, split_entrypoint
from synapse_core.errors import ActionLoadError
from synapse_core.loading import load_plugin_code

FILES = {
    "train.py": "class Train:\n    class Inner:\n        pass\nclass train:\n    pass\n",
    "raises.py": "def check():\n    raise ValueError('bad weights')\ncheck()\n",
    "chained.py": (
        "import importlib\ntry:\n    importlib.import_module('plugin.raises')\nexcept ValueError as error:\n    raise RuntimeError('no model') from error\n"
    ),
    "imports_raises.py": "def later():\n    from plugin import raises\nlater()\n",
    "syntax.py": "X = 1\ndef run(:\n    pass\n",
    "exits.py": "import sys\nsys.exit(3)\n",
    "exits_quietly.py": "raise SystemExit\n",
    "interrupted.py": "raise KeyboardInterrupt\n",
    "needs.py": "import a_package_that_is_not_installed\n",
    "needs_own.py": "from plugin.trian import Train\n",
    "needs_name.py": "from plugin.train import Trian\n",
    "lazy.py": "def __getattr__(name):\n    if name == 'Lazy':\n        return 7\n    raise AttributeError(name)\n",
    "lazily_broken.py": "def __getattr__(name):\n    import a_package_that_is_not_installed\n",
    "silent.py": "class Silent(Exception):\n    def __str__(self):\n        raise RuntimeError\nraise Silent\n",
    "grouped.py": "raise ExceptionGroup('all', [KeyError('one')])\n",
    "deep/er.py": "def Action(): pass\n",
}


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "named" / "plugin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "named"


@pytest.fixture
def load(folder):
    return load_plugin_code(folder, "named").import_entrypoint


@pytest.fixture
def failure(load):
    def fail(entrypoint):
        with pytest.raises(ActionLoadError) as caught:
            load(entrypoint)
        assert caught.value.entrypoint == entrypoint
        assert "_synapse_plugin_" not in str(caught.value) + caught.value.traceback
        again = pickle.loads(pickle.dumps(caught.value))
        assert (str(again), again.traceback) == (str(caught.value), caught.value.traceback)
        return caught.value

    return fail


@pytest.mark.parametrize(
    ("entrypoint", "qualname"),
    [
        ("plugin.train:Train", "Train"),
        ("plugin.train.Train", "Train"),
        (" plugin.train:Train ", "Train"),
        ("plugin.train:Train.Inner", "Train.Inner"),
        ("plugin.train.Train.Inner", "Train.Inner"),
        ("plugin.train.train", "train"),
        ("plugin.deep.er.Action", "Action"),
        ("plugin.deep.er:Action", "Action"),
    ],
)
def test_both_forms_import_and_names_may_be_nested(load, entrypoint, qualname):
    assert load(entrypoint).__qualname__ == qualname


def test_an_entrypoint_may_name_what_a_module_makes_on_demand(load):
    assert load("plugin.lazy:Lazy") == 7


def test_an_entrypoint_may_name_an_installed_package(load):
    assert load("json:dumps") is import_entrypoint("json.dumps")
    assert load("json.decoder.JSONDecoder.decode").__qualname__ == "JSONDecoder.decode"


def test_the_dot_form_prefers_the_longest_module(load):
    assert list(split_entrypoint("a.b.C.D")) == [("a.b.C", "D"), ("a.b", "C.D"), ("a", "b.C.D")]
    assert list(split_entrypoint("a.b:C.D")) == [("a.b", "C.D")]


@pytest.mark.parametrize(
    "text", ["", "train", "plugin/train.py:Train", "plugin.train:", ":Train", "a..b", "a.b:c:d", "a.1"]
)
def test_what_has_neither_form_is_refused_with_both_of_them(text):
    with pytest.raises(ActionLoadError, match=r"'package\.module:Name' or 'package\.module\.Name'"):
        import_entrypoint(text)


def test_an_error_in_a_module_shows_the_plugins_own_traceback_only(folder, failure):
    error = failure("plugin.imports_raises:Train")
    plugin = folder / "plugin"
    assert str(error).endswith("does not import: ValueError: bad weights")
    lines = error.traceback.splitlines(keepends=True)
    assert "".join(line for line in lines if line.strip("~^ \n")) == (  # without the marks of Python 3.13
        "Traceback (most recent call last):\n"
        f'  File "{plugin}/imports_raises.py", line 3, in <module>\n    later()\n'
        f'  File "{plugin}/imports_raises.py", line 2, in later\n    from plugin import raises\n'
        f'  File "{plugin}/raises.py", line 3, in <module>\n    check()\n'
        f"  File \"{plugin}/raises.py\", line 2, in check\n    raise ValueError('bad weights')\n"
        "ValueError: bad weights\n"
    )
    assert isinstance(error.__cause__, ValueError)


def test_the_traceback_of_a_cause_is_the_plugins_own_too(failure):
    text = failure("plugin.chained:Train").traceback
    assert "direct cause" in text
    assert text.index("bad weights") < text.index("RuntimeError: no model")
    assert text.count("  File ") == 4
    assert "synapse_core" not in text
    assert "<frozen importlib" not in text


def test_a_plugin_beside_the_sources_of_synapse_keeps_its_frames(tmp_path, monkeypatch):
    own = _OWN_FOLDER.replace(os.path.dirname(synapse_core.__file__), f"{tmp_path}/synapse_core")
    monkeypatch.setattr("synapse_core.entrypoint._OWN_FOLDER", own)
    (tmp_path / "synapse_core_plugin").mkdir()
    (tmp_path / "synapse_core_plugin" / "main.py").write_text("1 / 0\n")
    with pytest.raises(ActionLoadError) as caught:
        load_plugin_code(tmp_path / "synapse_core_plugin", "beside").import_entrypoint("main:x")
    assert f'"{tmp_path}/synapse_core_plugin/main.py", line 1' in caught.value.traceback


def test_a_syntax_error_shows_file_and_line(folder, failure):
    error = failure("plugin.syntax:run")
    file = folder / "plugin" / "syntax.py"
    assert str(error).endswith(f"does not import: SyntaxError: invalid syntax ({file}, line 2)")
    assert f'File "{file}", line 2' in error.traceback
    assert "def run(:" in error.traceback


@pytest.mark.parametrize(("module", "call"), [("exits", "sys.exit(3)"), ("exits_quietly", "sys.exit()")])
def test_a_module_that_exits_does_not_end_the_process(failure, module, call):
    error = failure(f"plugin.{module}:run")
    assert str(error) == f"entrypoint 'plugin.{module}:run' does not import: it calls {call} while it is imported"
    assert f"{module}.py" in error.traceback


def test_ctrl_c_while_a_module_is_imported_stays_ctrl_c(load):
    with pytest.raises(KeyboardInterrupt):
        load("plugin.interrupted:run")


def test_ctrl_c_while_a_suggestion_is_looked_for_stays_ctrl_c():
    asked = []

    def importer(name):
        asked.append(name)
        if name == "package":
            raise KeyboardInterrupt
        raise ModuleNotFoundError(name="package.missing")

    with pytest.raises(KeyboardInterrupt):
        import_entrypoint("package.missing:run", importer)
    assert asked == ["package.missing", "package"]


def test_an_error_without_a_text_is_named_by_its_type(failure):
    error = failure("plugin.silent:run")
    assert "Silent: <Silent whose text cannot be made: RuntimeError>" in str(error)
    assert 'silent.py", line 4' in error.traceback


def test_a_group_of_errors_shows_its_members(failure):
    assert "KeyError: 'one'" in failure("plugin.grouped:run").traceback


@pytest.mark.parametrize(
    ("entrypoint", "asked", "hint"),
    [
        ("plugin.train:Trian", "Trian", "Train"),
        ("plugin.train.Trian", "Trian", "Train"),
        ("plugin.train:Train.Iner", "Iner", "Inner"),
        ("plugin.train.Train.Iner", "Iner", "Inner"),
    ],
)
def test_a_missing_name_suggests_the_nearest(folder, failure, entrypoint, asked, hint):
    place = folder / "plugin" / "train.py"
    assert str(failure(entrypoint)) == f"entrypoint {entrypoint!r}: {place} has no {asked!r}. Did you mean {hint!r}?"


def test_a_missing_module_suggests_the_nearest(folder, failure):
    assert str(failure("plugin.trian:Train")).endswith("No module named 'plugin.trian'. Did you mean 'plugin.train'?")
    message = str(failure("plugin.trian.Train"))
    assert message == f"entrypoint 'plugin.trian.Train': {folder / 'plugin'} has no 'trian'. Did you mean 'train'?"


def test_a_missing_package_is_the_whole_message(failure):
    error = failure("nothing_here.train:Train")
    assert str(error).endswith("does not import: ModuleNotFoundError: No module named 'nothing_here'")
    assert error.traceback == ""


@pytest.mark.parametrize(
    ("module", "message", "line"),
    [
        ("needs", "No module named 'a_package_that_is_not_installed'", "import a_package_that_is_not_installed"),
        ("needs_own", "No module named 'plugin.trian'", "from plugin.trian import Train"),
        ("needs_name", "cannot import name 'Trian' from 'plugin.train'", "from plugin.train import Trian"),
    ],
)
@pytest.mark.parametrize("form", ["plugin.{}:Train", "plugin.{}.Train"])
def test_what_a_module_itself_cannot_import_is_told_with_its_line(failure, form, module, message, line):
    error = failure(form.format(module))
    assert message in str(error)
    assert error.traceback.count("  File ") == 1
    assert f"    {line}\n" in error.traceback


def test_a_module_that_fails_when_it_is_asked_for_a_name_says_so(failure):
    error = failure("plugin.lazily_broken:Lazy")
    assert "No module named 'a_package_that_is_not_installed'" in str(error)
    assert "lazily_broken.py" in error.traceback


def test_one_broken_module_does_not_spoil_the_others(load, failure):
    failure("plugin.raises:x")
    assert load("plugin.train:Train").__name__ == "Train"
    failure("plugin.raises:x")
