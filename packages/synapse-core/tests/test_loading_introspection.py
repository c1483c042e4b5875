"""What looks at code finds a plugin's real files, and what resolves names in modules finds the plugin's."""

import bdb
import dataclasses
import importlib
import inspect
import linecache
import sys
import textwrap
import traceback
import typing

import pytest

from synapse_core.loading import load_plugin_code


def load(folder, **modules):
    for name, text in modules.items():
        (folder / "plugin").mkdir(parents=True, exist_ok=True)
        (folder / "plugin" / f"{name}.py").write_text(textwrap.dedent(text))
    return load_plugin_code(folder, folder.name)


def test_source_and_file_names_are_those_of_the_plugin_folder(tmp_path):
    code = load(
        tmp_path / "looked_at",
        main='''
        """What it does."""
        class Action:
            def execute(self):
                return 1

        def function():
            return 2
        ''',
    )
    module = code.import_module("plugin.main")
    file = str(tmp_path / "looked_at" / "plugin" / "main.py")
    assert module.__file__ == module.__spec__.origin == module.function.__code__.co_filename == file
    assert inspect.getsourcefile(module.Action) == inspect.getfile(module.function) == file
    assert inspect.getsource(module.function) == "def function():\n    return 2\n"
    assert inspect.getsource(module.Action).startswith("class Action:\n    def execute(self)")
    assert inspect.getmodule(module.function) is module
    assert linecache.getline(file, 8) == "    return 2\n"
    assert list(importlib.import_module(module.__package__).__path__) == [str(tmp_path / "looked_at" / "plugin")]


def test_a_traceback_through_late_imports_shows_the_plugins_lines_only(tmp_path):
    code = load(
        tmp_path / "traced",
        main="def run():\n    import plugin.middle\n",
        middle="from plugin import inner\n",
        inner="def fail():\n    raise LookupError('deep')\nfail()\n",
    )
    run = code.import_entrypoint("plugin.main:run")
    with pytest.raises(LookupError) as caught:
        run()
    frames = [(frame.filename, frame.line) for frame in traceback.extract_tb(caught.value.__traceback__)[1:]]
    folder = tmp_path / "traced" / "plugin"
    assert frames == [
        (str(folder / "main.py"), "import plugin.middle"),
        (str(folder / "middle.py"), "from plugin import inner"),
        (str(folder / "inner.py"), "fail()"),
        (str(folder / "inner.py"), "raise LookupError('deep')"),
    ]


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("import plugin.nothing", ModuleNotFoundError),
        ("import plugin.broken", SyntaxError),
        ("from plugin.main import nothing", ImportError),
        ("import nothing_installed", ModuleNotFoundError),
    ],
)
def test_a_failed_import_ends_its_traceback_at_the_import_statement(tmp_path, statement, error):
    run = load(tmp_path / "ends", main=f"def run():\n    {statement}\n", broken="x = = 1\n").import_entrypoint(
        "plugin.main:run"
    )
    with pytest.raises(error) as caught:
        run()
    assert [frame.line for frame in traceback.extract_tb(caught.value.__traceback__)[1:]] == [statement]
    if error is SyntaxError:
        assert caught.value.filename == str(tmp_path / "ends" / "plugin" / "broken.py")


def test_a_breakpoint_set_by_file_and_line_is_hit(tmp_path):
    code = load(tmp_path / "debugged", main="def run():\n    x = 1\n    return x\n")
    hits = []

    class Debugger(bdb.Bdb):
        def user_line(self, frame):
            if self.break_here(frame):
                hits.append((frame.f_lineno, dict(frame.f_locals)))
            self.set_continue()

    debugger = Debugger()
    assert debugger.set_break(str(tmp_path / "debugged" / "plugin" / "main.py"), 3) is None
    debugger.runcall(code.import_entrypoint("plugin.main:run"))
    debugger.clear_all_breaks()
    assert hits == [(3, {"x": 1})]


def test_pydantic_models_resolve_forward_references_across_modules(tmp_path):
    code = load(
        tmp_path / "modelled",
        main="""
        from __future__ import annotations
        from typing import Optional
        from pydantic import BaseModel
        from plugin.parts import Part
        import plugin.parts

        class Params(BaseModel):
            later: Later
            parent: Optional["Params"] = None
            parts: list[Part]
            named: plugin.parts.Part | None = None

        class Later(BaseModel):
            n: int
        """,
        parts="from pydantic import BaseModel\nclass Part(BaseModel):\n    size: float\n",
    )
    params = code.import_entrypoint("plugin.main:Params")
    value = params.model_validate({"later": {"n": "3"}, "parts": [{"size": 1}], "named": {"size": "2"}})
    assert (value.later.n, value.parts[0].size, value.named.size) == (3, 1.0, 2.0)
    assert type(value.named) is code.import_entrypoint("plugin.parts:Part")
    assert params.model_json_schema()["$defs"]["Params"]["properties"]["later"] == {"$ref": "#/$defs/Later"}


def test_dataclasses_and_type_hints_with_text_annotations_resolve(tmp_path):
    code = load(
        tmp_path / "hinted",
        main="""
        from __future__ import annotations
        import dataclasses
        from dataclasses import InitVar, dataclass
        from typing import TYPE_CHECKING, ClassVar

        if TYPE_CHECKING:
            from plugin.heavy import Heavy

        from plugin.parts import Part

        @dataclass
        class Row:
            part: Part
            other: Row | None = None
            count: ClassVar[int] = 0
            seed: InitVar[int] = 0

        def f(row: Row, part: "Part") -> list[Row]: ...
        def g(heavy: Heavy) -> None: ...
        """,
        parts="class Part: ...\n",
        heavy="raise RuntimeError('imported although only type checkers need it')\n",
    )
    row, f, g = (code.import_entrypoint(f"plugin.main:{name}") for name in ("Row", "f", "g"))
    part = code.import_entrypoint("plugin.parts:Part")
    assert [field.name for field in dataclasses.fields(row)] == ["part", "other"]
    assert typing.get_type_hints(row)["part"] is part
    assert typing.get_type_hints(f) == {"row": row, "part": part, "return": list[row]}
    assert g.__annotations__ == {"heavy": "Heavy", "return": "None"}


def test_reload_runs_the_file_as_it_is_now_inside_its_plugin(tmp_path):
    code = load(
        tmp_path / "reloaded",
        main="import importlib\nimport plugin.part\ndef again():\n    return importlib.reload(plugin.part).N\n",
        part="N = 1\n",
        other="M = 10\n",
    )
    module = code.import_module("plugin.part")
    (tmp_path / "reloaded" / "plugin" / "part.py").write_text("from plugin.other import M\nN = 2 + M\n")
    assert code.import_entrypoint("plugin.main:again")() == 12
    assert module.N == 12
    (tmp_path / "reloaded" / "plugin" / "part.py").write_text("N = 3\n")
    assert importlib.reload(module).N == 3


def test_an_edit_of_equal_size_in_the_same_second_is_not_hidden_by_bytecode(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for n in range(1, 6):
        assert load(tmp_path / "fast", part=f"N = {n}\n", main="").import_entrypoint("plugin.part:N") == n


def test_bytecode_is_written_beside_the_sources_as_usual(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    module = load(tmp_path / "compiled", main="X = 1\n").import_module("plugin.main")
    assert module.__cached__ == str(next((tmp_path / "compiled" / "plugin" / "__pycache__").glob("main.*.pyc")))


def test_modules_know_themselves_by_their_own_name(tmp_path):
    code = load(tmp_path / "itself", main="import sys\ndef run():\n    return sys.modules[__name__]\n")
    assert code.import_entrypoint("plugin.main:run")() is sys.modules[f"{code.name}.plugin.main"]
