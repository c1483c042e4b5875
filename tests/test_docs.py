"""The documentation says what the code does: names, signatures, keys, options, links, and examples that run."""

import contextlib
import dataclasses
import doctest
import inspect
import io
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest

import synapse_core
import synapse_dask
import synapse_ray
from synapse_cli import kit
from synapse_cli.exit_codes import ExitCode, exit_code_of
from synapse_cli.main import cli, main
from synapse_core import config as config_models, errors
from synapse_core.event_text import event_text
from synapse_core.model.resources import Resources
from synapse_core.plugins import descriptions, hookspecs
from synapse_core.runner import PreparedRun, prepare_run
from synapse_local import (
    AsyncEngine,
    ConsoleLogger,
    LocalExecutor,
    ProcessEngine,
    SerialEngine,
    ThreadEngine,
)
from synapse_ray.job_info import JobInfo
from synapse_testing import pytest_plugin, ray_fixtures
from synapse_testing.plugin_fixtures import run_recorded

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
PATTERNS = ["*.md", "docs/**/*.md", "packages/*/README.md", "compat/*/README.md", "examples/**/*.md", "benchmarks/*.md"]
PAGES = sorted({path for pattern in PATTERNS for path in ROOT.glob(pattern) if ".venv" not in path.parts})


# -- reading Markdown -------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block: ``python run`` has the language ``python`` and the mark ``run``."""

    page: Path
    line: int
    language: str
    marks: str
    text: str

    @property
    def title(self) -> str | None:
        found = re.search(r'title="([^"]+)"', self.marks)
        return found[1] if found else None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)(?P=fence) *$", re.M | re.S
)


@cache
def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> Iterator[Block]:
    text = read(page)
    for found in FENCE.finditer(text):
        language, _, marks = found["info"].strip().partition(" ")
        line = text.count("\n", 0, found.start()) + 2
        yield Block(page, line, language, marks, textwrap.dedent(found["text"]))


def prose(page: Path) -> str:
    return FENCE.sub("", read(page))


def headings(page: Path) -> list[str]:
    return [found[2].strip() for found in re.finditer(r"^(#{1,6}) (.+)$", prose(page), re.M)]


def anchors(page: Path) -> set[str]:
    slugs: dict[str, int] = {}
    for heading in headings(page):
        text = re.sub(r"\[([^\]]*)\](\([^)]*\))?", r"\1", heading).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        slugs[slug] = slugs.get(slug, -1) + 1
    return {slug if n == 0 else f"{slug}-{n}" for slug, count in slugs.items() for n in range(count + 1)}


def section(page: Path, heading: str) -> str:
    """Return what stands under a heading, down to the next one of the same or a higher level."""
    outside = [found.span() for found in FENCE.finditer(read(page))]
    lines: list[str] = []
    level, position = 0, 0
    for line in read(page).splitlines(keepends=True):
        in_block = any(start <= position < end for start, end in outside)
        position += len(line)
        mark = None if in_block else re.match(r"(#{1,6}) (.+)", line)
        if level and mark and len(mark[1]) <= level:
            break
        if level:
            lines.append(line)
        elif mark and mark[2].strip() == heading:
            level = len(mark[1])
    assert level, f"{page.relative_to(ROOT)} has no heading {heading!r}; it has: {headings(page)}"
    return "".join(lines)


def rows(text: str) -> list[list[str]]:
    """Return the cells of the tables in `text`, heading and rule lines left out."""
    table = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))] for line in table]
    rules = {i for i, row in enumerate(cells) if all(re.fullmatch(r":?-+:?", cell) for cell in row)}
    return [row for i, row in enumerate(cells) if i not in rules and i + 1 not in rules]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


BLOCKS = [block for page in PAGES for block in blocks(page)]


def of(*languages: str) -> list[Any]:
    return [pytest.param(block, id=str(block)) for block in BLOCKS if block.language in languages]


each_page = pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])


def test_the_pages_are_found() -> None:
    names = {str(page.relative_to(ROOT)) for page in PAGES}
    assert {"README.md", "docs/index.md", "packages/synapse-core/README.md", "examples/digits/README.md"} <= names


# -- pages ------------------------------------------------------------------------------------


@each_page
def test_links_resolve(page: Path) -> None:
    broken = []
    text = prose(page)
    for found in re.finditer(r"\]\((?P<inline>[^)\s]+)\)|^\[[^\]]+\]: (?P<reference>\S+)$", text, re.M):
        target = found["inline"] or found["reference"]
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = page if not path else (page.parent / path).resolve()
        missing = not there.exists() or not there.is_relative_to(ROOT)
        if missing or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


@each_page
def test_every_page_has_one_title(page: Path) -> None:
    assert len(re.findall(r"^# ", prose(page), re.M)) == 1


@each_page
def test_no_page_names_private_places(page: Path) -> None:
    private = re.compile(r"(?:\.\./)+shared\b|(?<![\w.…/])/(?:work|root|home)/\w")
    assert private.findall(read(page)) == []


def test_every_page_can_be_reached_from_the_index() -> None:
    reached, todo = set(), [ROOT / "docs" / "index.md"]
    while todo:
        page = todo.pop()
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose(page))
        todo += [(page.parent / target).resolve() for target in targets if ":" not in target]
    assert [str(page) for page in (ROOT / "docs").glob("**/*.md") if page not in reached] == []


# -- examples ---------------------------------------------------------------------------------


@pytest.mark.parametrize("block", of("python"))
def test_python_blocks_compile(block: Block) -> None:
    compile(block.text, str(block), "exec", dont_inherit=True)


@pytest.fixture
def beside_the_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIGITS_HOME", str(tmp_path / "digits"))
    return tmp_path


RUNNABLE = [param for param in of("python") if param.values[0].marks.split()[:1] == ["run"]]


@pytest.mark.parametrize("block", RUNNABLE)
def test_runnable_python_blocks_run(block: Block, beside_the_examples: Path) -> None:
    exec(compile(block.text, str(block), "exec", dont_inherit=True), {"__name__": "__main__"})


@pytest.mark.parametrize("block", of("pycon"))
def test_doctests_give_the_documented_output(block: Block, beside_the_examples: Path) -> None:
    parsed = doctest.DocTestParser().get_doctest(block.text, {}, str(block), str(block.page), block.line)
    assert parsed.examples
    output: list[str] = []
    failed = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(parsed, out=output.append).failed
    assert not failed, "".join(output)


def test_blocks_have_known_languages() -> None:
    known = {
        "python", "pycon", "bash", "console", "text", "yaml", "toml", "json", "csv", "ini", "mermaid", "diff", "",
    }  # fmt: skip
    assert {str(block): block.language for block in BLOCKS if block.language not in known} == {}


# -- commands ---------------------------------------------------------------------------------


def commands(block: Block) -> Iterator[list[str]]:
    """Yield the words of each command of a shell block."""
    text = block.text.replace("\\\n", " ")
    for line in text.splitlines():
        if block.language == "console":
            if not line.startswith("$ "):
                continue
            line = line[2:]
        words = shlex.split(line, comments=True)
        command: list[str] = []
        for word in [*words, ";"]:
            if word in ("&&", "||", ";", "|", ">", ">>", "<"):
                yield command
                command = []
                if word in (">", ">>", "<"):
                    command = ["(file)"]
            else:
                command.append(word)


def synapse_commands(block: Block) -> Iterator[list[str]]:
    for words in commands(block):
        words = words[2:] if words[:2] == ["uv", "run"] else words
        if words[:1] == ["synapse"]:
            yield words[1:]


def parse(arguments: list[str]) -> None:
    """Parse a command line as `synapse` does, without running the command."""
    command: click.Command = cli
    ctx = click.Context(cli, info_name="synapse")
    while isinstance(command, click.Group):
        if not arguments or arguments[0] in ("--help", "-h", "--version"):
            return
        _, found, arguments = command.resolve_command(ctx, arguments)
        assert found is not None
        command, ctx = found, click.Context(found, info_name=found.name, parent=ctx)
    with contextlib.suppress(click.exceptions.Exit), contextlib.redirect_stdout(io.StringIO()):
        command.make_context(command.name, list(arguments), parent=ctx.parent)


SHELL = [param for param in of("bash", "console") if any(synapse_commands(param.values[0]))]


@pytest.mark.parametrize("block", SHELL)
def test_shell_blocks_name_commands_and_options_that_exist(block: Block) -> None:
    contributed = {title for other in blocks(block.page) if (title := other.title)}
    for arguments in synapse_commands(block):
        if "pyproject.toml" in contributed and arguments[0] not in cli.list_commands(click.Context(cli)):
            continue  # the command that this page adds
        parse(arguments)


@each_page
def test_commands_in_running_text_exist(page: Path) -> None:
    for span in re.findall(r"`(?:uv run )?synapse ([a-z-][^`…]*)`", prose(page)):
        words = shlex.split(span)
        if any(word.isupper() or word in ("|", ">") for word in words):
            continue
        if words[:1] == ["plugin"] and len(words) == 3 and words[1] in ("run", "list", "show") and "=" in words[2]:
            continue
        complete = (
            words if words[:2] not in (["plugin", "run"], ["plugin", "show"]) or len(words) > 2 else [*words, "x"]
        )
        parse(complete)


@pytest.mark.parametrize("words", [["plugin", "run", "x", "--parms", "{}"], ["plugn", "list"], ["plugin", "list", "x"]])
def test_a_command_that_does_not_exist_is_found_out(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse(words)


@pytest.mark.parametrize("block", of("bash", "console"))
def test_shell_blocks_name_files_that_exist(block: Block) -> None:
    words = [word for command in commands(block) for word in command]
    paths = [word.removeprefix("./") for word in words if word.startswith(("./", "examples/", "CLONE/"))]
    paths = [path.removeprefix("CLONE/").partition("[")[0] for path in paths]  # an extra stands behind the folder
    assert [path for path in paths if not (ROOT / path).exists()] == []


# -- walk-throughs ----------------------------------------------------------------------------


def write_titled_files(page: Path, folder: Path) -> None:
    for block in blocks(page):
        if block.title:
            path = folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")


def run_synapse(arguments: list[str]) -> tuple[int, str]:
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0), output.getvalue()


def run_pytest(folder: Path) -> str:
    """Run the tests in a folder, in another process; return the summary."""
    arguments = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:hypothesispytest",
        "-c",
        os.devnull,
        "--rootdir",
        str(folder),
    ]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, str(folder)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stdout.strip().splitlines()[-1].partition(" in ")[0] if run.returncode == 0 else run.stdout


def comparable(output: str) -> str:
    return re.sub(r"\b\d\d:\d\d:\d\d\b", "00:00:00", output).strip()


def same_output(expected: str, found: str) -> bool:
    pattern = re.escape(comparable(expected)).replace("…", ".*")
    return re.fullmatch(pattern, comparable(found), re.S) is not None


def console_runs(block: Block) -> Iterator[tuple[str, int, str]]:
    """Yield command, expected exit code and expected output."""
    for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
        command, _, expected = part.partition("\n")
        exit_code = re.search(r"# exits with (\d+)$", command)
        yield command, int(exit_code[1]) if exit_code else 0, expected


def test_the_tutorial_works_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ROOT / "docs" / "tutorial" / "first-plugin.md"
    folder = tmp_path / "prices"
    write_titled_files(page, folder)
    (folder / "plugin" / "__init__.py").touch()
    monkeypatch.chdir(folder)
    for block in blocks(page):
        if block.language == "console":
            for command, exit_code, expected in console_runs(block):
                found_code, found = run_synapse(shlex.split(command, comments=True)[1:])
                assert found_code == exit_code, found
                assert same_output(expected, found), f"{block}\n{found}"
    assert run_pytest(folder) == "3 passed"


def test_output_that_differs_is_found_out() -> None:
    assert same_output("12:00:00 a …\nb", "13:11:10 a long line\nb\n")
    assert not same_output("a\nb", "a\nc")


def test_the_command_page_works_as_written(tmp_path: Path) -> None:
    page = ROOT / "docs" / "how-to" / "add-a-command.md"
    write_titled_files(page, tmp_path)
    (tmp_path / "acme_synapse" / "__init__.py").touch()
    installed = tmp_path / "acme_synapse-1.0.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-synapse\nVersion: 1.0.0\n")
    import tomllib

    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    lines = [
        f"[{group}]\n{name} = {value}\n" for group, e in project["entry-points"].items() for name, value in e.items()
    ]
    (installed / "entry_points.txt").write_text("".join(lines))

    def synapse(*arguments: str) -> str:
        program = "from synapse_cli.main import main; main()"
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return subprocess.run(
            [sys.executable, "-c", program, *arguments], env=environment, capture_output=True, text=True, check=True
        ).stdout

    promised = next(block.text for block in blocks(page) if block.text.startswith("Commands:"))
    # What the packages of this workspace add is not there for those who have installed synapse-cli alone.
    assert promised in re.sub(r"^  (job|flow) .*\n", "", synapse("--help"), flags=re.M)
    assert "plugin/train.py" in synapse("sizes", str(ROOT / "examples" / "digits"))
    assert '"bytes"' in synapse("sizes", str(ROOT / "examples" / "digits"), "--json")


def test_documented_test_files_pass(tmp_path: Path) -> None:
    for page in ("docs/reference/testing.md", "packages/synapse-testing/README.md"):
        write_titled_files(ROOT / page, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["test_add.py", "test_context.py", "test_folder.py"]
    assert run_pytest(tmp_path) == "3 passed"


def test_the_engine_page_works_as_written(tmp_path: Path) -> None:
    write_titled_files(ROOT / "docs" / "how-to" / "write-a-record-engine.md", tmp_path)
    assert re.fullmatch(r"\d+ passed", run_pytest(tmp_path))
    described = tmp_path / "turns_plugin.py"
    found: dict[str, Any] = {}
    exec(described.read_text(encoding="utf-8"), found)
    (engine,) = found["synapse_engines"]()
    assert engine.target == "turns:TurnsEngine"


# -- signatures -------------------------------------------------------------------------------


class _Text:
    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _shown(value: Any) -> Any:
    if isinstance(value, Enum):
        return _Text(f"{type(value).__name__}.{value.name}")
    if isinstance(value, str) or value is None or value is inspect.Parameter.empty:
        return value
    return _Text("...") if callable(value) or type(value) is object else value


def signature(function: Any, name: str | None = None) -> str:
    """Return ``def name(…) -> …: ...`` as it is written in the reference."""
    whole = inspect.signature(function)
    parameters = [
        parameter.replace(
            annotation=_Text(parameter.annotation) if isinstance(parameter.annotation, str) else parameter.annotation,
            default=_shown(parameter.default),
        )
        for parameter in whole.parameters.values()
        if parameter.name not in ("self", "cls")
    ]
    returns = whole.return_annotation
    returns = _Text(returns) if isinstance(returns, str) else returns
    text = str(whole.replace(parameters=parameters, return_annotation=returns))
    word = "async def" if inspect.iscoroutinefunction(function) else "def"
    return f"{word} {name or function.__name__}{text}: ..."


def public_members(cls: type) -> dict[str, Any]:
    members = {name: inspect.getattr_static(cls, name) for name in dir(cls) if not name.startswith("_")}
    return {name: getattr(member, "__func__", member) for name, member in members.items()}


def python_lines(text: str) -> list[str]:
    return [
        line
        for found in FENCE.finditer(text)
        if found["info"].startswith("python")
        for line in found["text"].splitlines()
    ]


CONTEXT = public_members(synapse_core.RuntimeContext)


@pytest.mark.parametrize("name", CONTEXT)
def test_every_method_of_the_context_is_documented_with_its_signature(name: str) -> None:
    lines = python_lines(section(REFERENCE / "context-methods.md", name))
    member = CONTEXT[name]
    if inspect.isfunction(member):
        expected = signature(member)
    elif isinstance(member, property):
        expected = f"{name}: {member.fget.__annotations__['return']}"
    else:
        expected = f"{name}: Any"
    assert lines == [expected]


def test_the_context_page_documents_nothing_that_is_gone() -> None:
    documented = {
        *re.findall(r"^### (.+)$", section(REFERENCE / "context-methods.md", "Reports"), re.M),
        *re.findall(r"^### (.+)$", section(REFERENCE / "context-methods.md", "What is there to read"), re.M),
    }
    assert documented == set(CONTEXT)


def test_the_reporting_methods_are_on_the_action_too() -> None:
    reports = re.findall(r"^### (.+)$", section(REFERENCE / "context-methods.md", "Reports"), re.M)
    assert [name for name in [*reports, "is_cancelled"] if not hasattr(synapse_core.BaseAction, name)] == []


RAY_EXECUTORS = [synapse_ray.RayActorExecutor, synapse_ray.RayJobExecutor, synapse_ray.RayJobsApiExecutor]


def public_methods(cls: type) -> list[Any]:
    return [member for member in public_members(cls).values() if inspect.isfunction(member)]


SIGNATURES = [
    ("context-methods.md", "Make one yourself", synapse_core.RuntimeContext.__init__, "RuntimeContext"),
    ("environment.md", "PluginEnvironment", synapse_core.PluginEnvironment.__init__, "PluginEnvironment"),
    ("python-api.md", "run_plugin", synapse_core.run_plugin, None),
    ("python-api.md", "discover", synapse_core.discover, None),
    ("python-api.md", "LocalExecutor", LocalExecutor.__init__, "LocalExecutor"),
    ("python-api.md", "execute", LocalExecutor.execute, None),
    ("python-api.md", "execute_async", LocalExecutor.execute_async, None),
    ("python-api.md", "BaseAction", synapse_core.BaseAction.__init__, "BaseAction"),
    ("python-api.md", "ConsoleLogger", ConsoleLogger.__init__, "ConsoleLogger"),
    ("testing.md", "run_action", run_recorded, "run_action"),
    *(
        ("environment.md", "PluginEnvironment", member, None)
        for name, member in public_members(synapse_core.PluginEnvironment).items()
        if name not in ("get", "items", "keys", "values")  # those of Mapping
    ),
    *(("python-api.md", "PluginDiscovery", member, None) for member in public_methods(synapse_core.PluginDiscovery)),
    ("python-api.md", "prepare_run", prepare_run, None),
    ("python-api.md", "event_text", event_text, None),
    ("python-api.md", "FollowableExecutor", synapse_core.FollowableExecutor.follow, None),
    *(
        ("python-api.md", "Record engines", cls.__init__, cls.__name__)
        for cls in (ThreadEngine, ProcessEngine, AsyncEngine, synapse_ray.RayEngine, synapse_dask.DaskEngine)
    ),
    ("python-api.md", "Record engines", SerialEngine.run, None),
    *(
        ("python-api.md", cls.__name__, cls.__init__, cls.__name__)
        for cls in (synapse_ray.BaseRayExecutor, *RAY_EXECUTORS)
    ),
    *(("python-api.md", cls.__name__, member, None) for cls in RAY_EXECUTORS for member in public_methods(cls)),
]


@pytest.mark.parametrize(("page", "heading", "function", "name"), SIGNATURES)
def test_signatures_are_those_of_the_code(page: str, heading: str, function: Any, name: str | None) -> None:
    assert signature(function, name) in python_lines(section(REFERENCE / page, heading))


@pytest.mark.parametrize("cls", RAY_EXECUTORS)
def test_nothing_is_documented_of_a_ray_executor_that_is_gone(cls: Any) -> None:
    lines = python_lines(section(REFERENCE / "python-api.md", cls.__name__))
    expected = {signature(cls.__init__, cls.__name__), *(signature(member) for member in public_methods(cls))}
    assert set(lines) == expected


@pytest.mark.parametrize("cls", RAY_EXECUTORS)
def test_the_claims_of_a_ray_executor_are_documented(cls: Any) -> None:
    text = section(REFERENCE / "python-api.md", cls.__name__)
    claims = re.search(r"^Claims ([^.]+)\.", text, re.M)
    assert claims
    same_as = [other for other in RAY_EXECUTORS if f"the same as `{other.__name__}`" in claims[1]]
    documented = same_as[0].capabilities.names() if same_as else tuple(code(claims[1]))
    assert documented == cls.capabilities.names()


def test_the_arguments_that_ray_executors_share_are_documented() -> None:
    table = rows(section(REFERENCE / "python-api.md", "BaseRayExecutor"))
    documented = [name for row in table if not row[0].startswith("[") for name in code(row[0])]
    shared = list(inspect.signature(synapse_ray.BaseRayExecutor.__init__).parameters)[1:]
    assert documented[: len(shared)] == shared


@pytest.mark.parametrize(("heading", "cls"), [("JobInfo", JobInfo), ("prepare_run", PreparedRun)])
def test_the_fields_of_a_value_are_documented(heading: str, cls: Any) -> None:
    table = rows(section(REFERENCE / "python-api.md", heading))
    assert [code(row[0])[0] for row in table] == [field.name for field in dataclasses.fields(cls)]


def test_the_oldest_ray_is_the_one_that_the_package_asks_for() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "packages" / "synapse-ray" / "pyproject.toml").read_text())["project"]
    (oldest,) = [found[1] for asked in project["dependencies"] if (found := re.fullmatch(r"ray\S*>=(\S+)", asked))]
    for page in ("docs/how-to/run-on-ray.md", "packages/synapse-ray/README.md"):
        assert f"Ray {oldest} " in read(ROOT / page)


def test_events_are_documented_with_their_fields() -> None:
    table = {
        code(row[1])[0]: (code(row[2]), code(row[3]))
        for row in rows(section(REFERENCE / "context-methods.md", "Events"))
    }
    kinds = {
        cls.__name__: cls for cls in synapse_core.Event.__subclasses__() if cls.__module__.startswith("synapse_core")
    }
    found = {}
    for name, cls in kinds.items():
        own = [field.name for field in dataclasses.fields(cls) if field.name not in ("job_id", "time")]
        found[name] = ([cls.kind], [*own, *(["fraction"] if hasattr(cls, "fraction") else [])])
    assert table == found


def test_attributes_of_actions_are_documented_with_their_defaults() -> None:
    table = {code(row[0])[0]: row[1].strip("`") for row in rows(section(REFERENCE / "python-api.md", "BaseAction"))}
    action = synapse_core.BaseAction
    stated = {name: getattr(action, name) for name in vars(action)["__annotations__"]}
    assert table.keys() == stated.keys()
    inferred = {"params_model", "result_model"}
    defaults = {name: value.replace('"', "'") for name, value in table.items() if name not in inferred}
    assert defaults == {name: repr(value) for name, value in stated.items() if name not in inferred}


def test_arguments_of_the_action_decorator_are_documented() -> None:
    documented = [name for row in rows(section(REFERENCE / "python-api.md", "action")) for name in code(row[0])]
    assert set(documented) == set(synapse_core.actions.ActionInfo.__dataclass_fields__)


# -- errors -----------------------------------------------------------------------------------

ERRORS: dict[str, type[errors.PluginError]] = {
    name: cls
    for name in errors.__all__
    if inspect.isclass(cls := getattr(errors, name)) and issubclass(cls, errors.PluginError)
}
ERRORS_PAGE = REFERENCE / "errors.md"


def drawn_tree(text: str) -> dict[str, tuple[str, ...]]:
    """Return the bases of each error in a drawn tree, its parent first."""
    bases: dict[str, tuple[str, ...]] = {}
    open_at: list[tuple[int, str]] = []
    for line in text.splitlines():
        found = re.match(r"([\s│├└─]*)(\w+Error)\b(?:\s+\((\w+)\))?", line)
        if not found:
            continue
        depth = len(found[1])
        while open_at and open_at[-1][0] >= depth:
            open_at.pop()
        parent = open_at[-1][1] if open_at else "Exception"
        bases[found[2]] = (parent, *([found[3]] if found[3] else []))
        open_at.append((depth, found[2]))
    return bases


@pytest.mark.parametrize("tree", ["the page", "the module"])
def test_the_drawn_tree_is_that_of_the_classes(tree: str) -> None:
    text = next(blocks(ERRORS_PAGE)).text if tree == "the page" else inspect.getdoc(errors) or ""
    assert drawn_tree(text) == {name: tuple(base.__name__ for base in cls.__bases__) for name, cls in ERRORS.items()}


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_is_documented_with_its_attributes_and_exit_code(name: str) -> None:
    text = section(ERRORS_PAGE, name)
    error = ERRORS[name]("message")
    assert f"Exit code {int(exit_code_of(error))}." in " ".join(text.split())
    base = ERRORS[name].__mro__[1]
    inherited = vars(base("message")).keys() if base in ERRORS.values() else set()
    assert {code(row[0])[0] for row in rows(text)} == vars(error).keys() - inherited


def test_field_problems_are_documented() -> None:
    documented = [code(row[0])[0] for row in rows(section(ERRORS_PAGE, "FieldProblem"))]
    assert documented == list(errors.FieldProblem.__dataclass_fields__)


def test_the_errors_page_documents_nothing_that_is_gone() -> None:
    assert set(re.findall(r"^### (.+)$", prose(ERRORS_PAGE), re.M)) == {*ERRORS, "FieldProblem"}


def test_every_exit_code_is_documented() -> None:
    documented = [(int(row[0]), code(row[1])[0]) for row in rows(prose(REFERENCE / "exit-codes.md"))]
    assert documented == [(member.value, member.name) for member in ExitCode]


# -- config.yaml ------------------------------------------------------------------------------

CONFIG_MODELS = [
    ("The plugin", config_models.PluginConfig),
    ("An action", config_models.ActionConfig),
    ("Resources", Resources),
]


@pytest.mark.parametrize(("heading", "model"), CONFIG_MODELS)
def test_every_config_key_is_documented_with_its_default(heading: str, model: Any) -> None:
    documented = {code(row[0])[0]: row[2] for row in rows(section(REFERENCE / "config-keys.md", heading))}
    expected = {}
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        expected[name] = "none" if default is None else f"`{shown}`"
    assert documented == expected


def test_every_category_is_documented() -> None:
    row = next(row for row in rows(section(REFERENCE / "config-keys.md", "The plugin")) if row[0] == "`category`")
    assert set(code(row[1])) == set(synapse_core.PluginCategory)


def test_the_documented_config_messages_are_those_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = REFERENCE / "config-keys.md"
    promised = {block.text.split(":")[0]: block.text for block in blocks(page) if block.language == "text"}
    config = tmp_path / "config.yaml"
    config.write_text("code: x\nactions:\n  train:\n    entrypoint: a:B\n    methd: job\n")
    with pytest.warns(synapse_core.ConfigWarning) as warned:
        synapse_core.PluginDiscovery.from_path(config)
    assert f"warning: {warned[0].message}\n".replace(f"{tmp_path}/", "") == promised["warning"]
    config.write_text("code: x\nactions:\n  train:\n    retries: -1\n")
    exit_code, output = run_synapse(["plugin", "show", "train"])
    assert (exit_code, output.replace(f"{tmp_path}/", "")) == (2, promised["error"])


# -- the command line -------------------------------------------------------------------------

CLI_PAGE = REFERENCE / "cli.md"


def all_commands(command: click.Command = cli, path: str = "synapse") -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            found = command.get_command(ctx, name)
            assert found is not None
            yield from all_commands(found, f"{path} {name}")


COMMANDS = dict(all_commands())


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_of_every_command_is_documented(path: str) -> None:
    below = [f"## {other}\n" for other in COMMANDS if other != path]
    text = section(CLI_PAGE, path)
    for heading in below:  # commands have headings of one level
        assert heading not in text
    documented = {span.split()[0] for row in rows(text) for span in code(row[0])}
    expected = set()
    for parameter in COMMANDS[path].params:
        if isinstance(parameter, click.Argument):
            expected.add(parameter.human_readable_name.upper())
        else:
            expected |= {*parameter.opts, *parameter.secondary_opts}
    if path == "synapse":
        expected |= {"-h", "--help"}
    assert documented == expected


def test_the_command_page_documents_nothing_that_is_gone() -> None:
    assert set(re.findall(r"^## (synapse.*)$", prose(CLI_PAGE), re.M)) == set(COMMANDS)


def test_everything_in_the_kit_is_documented() -> None:
    page = ROOT / "docs" / "how-to" / "add-a-command.md"
    table = rows(section(page, "What is in synapse_cli.kit"))
    assert {span.partition("(")[0] for row in table for span in code(row[0])} == set(kit.__all__)


# -- hooks, descriptions, fixtures, tagged data -----------------------------------------------

HOOKS = [name for name in hookspecs.__all__ if name.startswith("synapse_")]


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_documented_with_its_signature(name: str) -> None:
    assert python_lines(section(REFERENCE / "hooks.md", name)) == [signature(getattr(hookspecs, name))]


def test_every_field_of_a_description_is_documented_with_its_default() -> None:
    documented = {
        (code(row[0])[0], row[1].strip("`"), row[2].strip("`"))
        for row in rows(section(REFERENCE / "hooks.md", "Descriptions"))
    }
    expected = set()
    for name in descriptions.__all__:
        cls = getattr(descriptions, name)
        if not inspect.isclass(cls):
            continue
        base = (
            set()
            if cls is descriptions.Description
            else {field.name for field in dataclasses.fields(descriptions.Description)}
        )
        for field in dataclasses.fields(cls):
            if field.name in base:
                continue
            default = field.default
            if callable(field.default_factory):
                default = f"{field.default_factory.__name__}()"
            elif default is dataclasses.MISSING:
                default = ""
            else:
                default = repr(default).replace("'", '"')
            expected.add((field.name, "all" if cls is descriptions.Description else name, default))
    assert documented == expected


def test_every_fixture_is_documented() -> None:
    fixtures = [
        name
        for name, value in vars(pytest_plugin).items()
        if type(value).__name__ == "FixtureFunctionDefinition" and not name.startswith("_")
    ]
    assert fixtures
    for name in fixtures:
        section(REFERENCE / "testing.md", name)


def test_every_ray_fixture_is_documented() -> None:
    table = rows(section(REFERENCE / "testing.md", "On a Ray cluster"))
    fixtures = {name for name in ray_fixtures.__all__ if name.islower()}
    assert {code(row[0])[0] for row in table} == fixtures


def test_every_kind_of_tagged_data_is_documented() -> None:
    with pytest.raises(ValueError, match="known") as refused:
        synapse_core.decode({"$type": "no such kind"})
    known = set(str(refused.value).partition("known: ")[2].split(", "))
    table = rows(section(REFERENCE / "tagged-data.md", "What has this form"))
    assert {span for row in table for span in code(row[0])} == known


# -- other tables -----------------------------------------------------------------------------


def test_every_flat_name_for_a_documented_path_is_the_same_object() -> None:
    page = ROOT / "docs" / "how-to" / "come-from-synapse-sdk.md"
    checked = 0
    for path, home in rows(prose(page)):
        if home.startswith("not in"):
            continue
        module, *names = code(path)
        here = __import__(module, fromlist=["x"])
        there = __import__(code(home)[0], fromlist=["x"])
        for name in names:
            assert getattr(here, name) is getattr(there, name)
            checked += 1
    assert checked > 15


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"\]\((\d{4}-[^)]+)\)", read(folder / "README.md"))
    assert listed == sorted(path.name for path in folder.glob("[0-9]*.md"))


def test_every_package_is_listed_in_the_readme() -> None:
    names = [path.parent.name for path in ROOT.glob("packages/*/pyproject.toml")]
    table = section(ROOT / "README.md", "Packages")
    assert [name for name in names if f"(packages/{name}/README.md)" not in table] == []


def test_every_file_of_core_is_in_the_architecture() -> None:
    core = ROOT / "packages" / "synapse-core" / "src" / "synapse_core"
    table = section(ROOT / "ARCHITECTURE.md", "synapse_core, file by file")
    named = {span.rstrip("/") for row in rows(table) for span in code(row[0])}
    missing = [name for name in named if not (core / name).exists()]
    folders = {path.name for path in core.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert missing == []
    assert folders <= named
