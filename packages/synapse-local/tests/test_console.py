"""What the console shows, on real pseudo-terminals and on none."""

import io
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from synapse_core import RuntimeContext
from synapse_local import ConsoleLogger, LocalExecutor

Terminal = Callable[..., pexpect.spawn]


@pytest.fixture
def lines() -> tuple[RuntimeContext, Callable[[], list[str]]]:
    """Return a context on a console without a terminal, and its lines without their times."""
    stream = io.StringIO()
    return RuntimeContext(sink=ConsoleLogger(stream)), lambda: [
        line.partition(" ")[2] for line in stream.getvalue().splitlines()
    ]


def test_every_kind_of_report_is_a_line(lines: Any) -> None:
    ctx, shown = lines
    ctx.log("saved", {"size": 3}, file="model.bin")
    ctx.set_metrics({"loss": 0.123456789}, "train")
    ctx.log_metric("digit", "3", 0.5, recall=1)
    ctx.log_visualization("plots", "confusion", 0, "plot.png")
    ctx.log_message("careful", "warning")
    ctx.log_message("plain")
    ctx.log_dev_event("inner", {"a": 1})
    ctx.logger.error("from %s", "logging")
    assert shown() == [
        "saved size=3 file=model.bin",
        "metrics train loss=0.123457",
        "metric digit 3=0.5 recall=1",
        "visualization plots/confusion[0] plot.png",
        "warning: careful",
        "plain",
        "dev: inner a=1",
        "error: from logging",
    ]


def test_developer_events_are_for_debug_mode() -> None:
    stream = io.StringIO()
    RuntimeContext(sink=ConsoleLogger(stream, debug=False)).log_dev_event("inner")
    assert stream.getvalue() == ""


def test_progress_without_a_terminal_is_at_most_a_line_a_percent(lines: Any) -> None:
    ctx, shown = lines
    for done in range(10_000):
        ctx.set_progress(done + 1, 10_000, "rows")
    assert len(shown()) == 101
    assert shown()[0] == "progress rows 1/10000 (0%)"
    assert shown()[-1] == "progress rows 10000/10000 (100%)"


def test_an_execution_shows_its_progress_even_if_another_one_showed_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    executor = LocalExecutor()
    for _ in range(3):
        executor.execute(lambda params, ctx: ctx.set_progress(1, 1, "s"), {})
    assert capsys.readouterr().err.count("progress s 1/1 (100%)") == 3


def test_every_line_is_out_before_the_call_returns(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with file.open("w", buffering=1 << 20) as stream:
        RuntimeContext(sink=ConsoleLogger(stream)).log_message("at once")
        assert "at once" in file.read_text()


def test_a_console_that_is_not_utf8_loses_no_line() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    RuntimeContext(sink=ConsoleLogger(stream)).log_message("größer")
    assert b"gr\\xf6" in raw.getvalue()


# -- on a terminal ----------------------------------------------------------------------------


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """Return a function that runs the body of an action on a pseudo-terminal of 24 lines by 80 columns."""
    children: list[pexpect.spawn] = []

    def run(body: str, **env: str) -> pexpect.spawn:
        script = tmp_path / "script.py"
        script.write_text(
            "from synapse_local import LocalExecutor\n\n\ndef action(params, ctx):\n"
            + textwrap.indent(textwrap.dedent(body), "    ")
            + "\n\nprint('result', LocalExecutor().execute(action, {}))\n"
        )
        unwanted = {"CI", "NO_COLOR", "PYTHONBREAKPOINT"}
        clean = {key: value for key, value in os.environ.items() if key not in unwanted}
        child = pexpect.spawn(
            sys.executable, [str(script)], env={**clean, "TERM": "xterm", **env}, dimensions=(24, 80),
            encoding="utf-8", timeout=20,
        )  # fmt: skip
        children.append(child)
        return child

    yield run
    for child in children:
        child.close(force=True)


def everything(child: pexpect.spawn) -> str:
    child.expect(pexpect.EOF)
    return str(child.before)


LOOP = """
for n in range(1, 4):
    ctx.log("epoch", {"n": n})
    ctx.set_progress(n, 3, "train")
ctx.log_message("careful", "warning")
return "done"
"""


def test_a_terminal_gets_a_bar_and_colors(terminal: Terminal) -> None:
    shown = everything(terminal(LOOP))
    assert "train: 100%|" in shown
    assert "\x1b[33m" in shown
    assert "progress train" not in shown


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"CI": "true"}])
def test_a_dumb_terminal_and_ci_get_plain_lines(terminal: Terminal, env: dict[str, str]) -> None:
    shown = everything(terminal(LOOP, **env))
    assert "progress train 3/3 (100%)" in shown
    assert "|" not in shown
    assert "\x1b" not in shown


def test_no_color_keeps_the_bar(terminal: Terminal) -> None:
    shown = everything(terminal(LOOP, NO_COLOR="1"))
    assert "train: 100%|" in shown
    assert "\x1b[3" not in shown


def test_the_bar_clears_before_anything_else_is_printed(terminal: Terminal) -> None:
    shown = everything(terminal("ctx.set_progress(1, 3)\nprint('PRINTED')\nctx.set_progress(3, 3)\n"))
    before = shown[: shown.index("PRINTED")]
    assert before.endswith("\r")
    assert before.rstrip("\r").endswith(" " * 20)


def test_each_step_leaves_its_bar(terminal: Terminal) -> None:
    shown = everything(terminal("ctx.set_progress(3, 3, 'load')\nctx.set_progress(1, 1, 'train')\n"))
    assert "load: 100%|" in shown
    assert "train: 100%|" in shown


@pytest.mark.parametrize("stop", ["breakpoint()", "import pdb; pdb.set_trace()"])
def test_a_debugger_has_the_terminal_to_itself(terminal: Terminal, stop: str) -> None:
    child = terminal(
        f"ctx.set_progress(1, 3, 'train')\nsecret = 40 + 2\n{stop}\nctx.set_progress(2, 3, 'train')\nreturn secret\n"
    )
    child.expect(r"\(Pdb\) ")
    assert "%|" not in str(child.before).rpartition("\r")[2]  # the prompt does not stand on the bar's line
    child.sendline("p secret")
    child.expect("42")
    child.expect(r"\(Pdb\) ")
    child.sendline("next")
    # A plain line while the debugger has the screen. Python 3.13 stops at the call itself, and needs one step more.
    if child.expect(["progress train 2/3", r"\(Pdb\) "]) == 1:
        child.sendline("next")
        child.expect("progress train 2/3")
    child.expect(r"\(Pdb\) ")
    child.sendline("continue")
    child.expect("result 42")


def test_leaving_the_debugger_is_a_cancelled_execution(terminal: Terminal) -> None:
    child = terminal("breakpoint()\nreturn 1\n")
    child.expect(r"\(Pdb\) ")
    child.sendline("quit")
    assert "ExecutionCancelledError" in everything(child)


def test_input_works_inside_an_action(terminal: Terminal) -> None:
    child = terminal("ctx.set_progress(1, 2)\nreturn input('name? ')\n")
    child.expect(r"name\? ")
    child.sendline("Ada")
    child.expect("result Ada")


def test_the_streams_are_given_back(terminal: Terminal) -> None:
    child = terminal("import sys\nctx.set_progress(1, 2)\nreturn type(sys.stdout).__name__\n")
    child.expect("result _StepsAside")
    script = Path(child.args[1].decode() if isinstance(child.args[1], bytes) else child.args[1])
    assert script.exists()
    child.expect(pexpect.EOF)


def test_consoles_that_overlap_give_the_streams_back(terminal: Terminal) -> None:
    body = """
    import sys
    from synapse_core import RuntimeContext
    from synapse_local import ConsoleLogger
    for _ in range(3):
        one, two = ConsoleLogger(), ConsoleLogger()
        RuntimeContext(sink=one).set_progress(1, 2)
        RuntimeContext(sink=two).set_progress(1, 2)
        one.close()
        two.close()
    return f"{type(sys.stdout).__name__} {type(sys.stderr).__name__}"
    """
    assert "result TextIOWrapper TextIOWrapper" in everything(terminal(body))


def test_a_second_execution_beside_the_bar_shows_lines(terminal: Terminal) -> None:
    body = """
    from synapse_local import LocalExecutor
    ctx.set_progress(1, 2, "outer")
    executor = LocalExecutor()
    inner = lambda params, ctx: (ctx.set_progress(1, 4, "inner"), ctx.log_message("inside"))
    executor.execute(inner, {})
    ctx.set_progress(2, 2, "outer")
    """
    shown = everything(terminal(body))
    assert "outer: 100%|" in shown
    assert "inside" in shown


def test_threads_that_print_and_report_disturb_nobody(terminal: Terminal) -> None:
    body = """
    import threading
    def work():
        for n in range(50):
            print("line")
            ctx.set_progress(n + 1, 50, threading.current_thread().name)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return "fine"
    """
    shown = everything(terminal(body))
    assert "result fine" in shown
    assert "Traceback" not in shown
