"""The line that says how far a flow is."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from synapse_flow import FlowReport
from synapse_flow.chunks import ChunkResult
from synapse_flow.live_line import LiveLine, progress_text


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Time as the line sees it; a test moves it."""
    now = [1000.0]
    monkeypatch.setattr("synapse_flow.live_line.time.monotonic", lambda: now[0])
    return now


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    return Terminal()


def running(done: tuple[int, int] | None = (1, 4)) -> FlowReport:
    report = FlowReport()
    report._start(lambda: done)
    count(report)
    return report


def count(report: FlowReport) -> None:
    report._count(ChunkResult(0, 0, 1200, written=1190, failed=10))


def test_the_text_has_records_failures_rate_and_the_time_that_is_left() -> None:
    text = progress_text("people", running())
    assert text.startswith("people: 25%, 1,200 records, 10 failed, ")
    assert text.endswith(" left")
    assert "%" not in progress_text("people", running(None))


def test_elsewhere_than_on_a_terminal_there_is_a_line_every_ten_seconds(clock: Any) -> None:
    stream, report = io.StringIO(), running()
    with LiveLine("people", stream) as line:
        for _ in range(25):
            clock[0] += 1
            count(report)
            line.show(report)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert all("people: 25%" in each and "\x1b" not in each for each in lines)


def test_what_has_to_start_is_said_until_the_first_records_are_done(clock: Any, terminal: Terminal) -> None:
    for stream in (io.StringIO(), terminal):
        report = FlowReport()
        report._start(lambda: (1, 4))
        with LiveLine("people", stream, starts="ray") as line:
            for second in range(25):
                clock[0] += 1
                if second > 20:
                    count(report)
                line.show(report)
        said = stream.getvalue()
        assert "people: starting ray; no record is done yet" in said
        assert " 0 records" not in said
        assert "400 records, " in said
    report = FlowReport()
    report._continue_from({"success_count": 1190, "read_count": 1190})
    assert "starting ray" in progress_text("people", report, "ray")


def test_on_a_terminal_it_is_redrawn_where_something_has_changed_and_is_never_too_wide(
    clock: Any, terminal: Terminal
) -> None:
    report = running()
    with LiveLine("people", terminal) as line:
        for _ in range(3):
            clock[0] += 1
            line.show(report)
        assert terminal.getvalue().count("people:") == 1
        count(report)
        clock[0] += 1
        line.show(report)
        assert terminal.getvalue().count("people:") == 2
    drawn = terminal.getvalue().split("\r\x1b[K")
    assert all(len(each) < 60 for each in drawn)
    assert drawn[-1] == ""


def test_it_makes_room_for_what_others_write(clock: Any, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    with LiveLine("people", terminal) as line:
        clock[0] += 1
        line.show(running())
        print("said by a hook", file=sys.stderr)
    assert "\r\x1b[Ksaid by a hook\n" in terminal.getvalue()
    assert sys.stderr is terminal


def test_ci_has_no_line_that_moves(clock: Any, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with LiveLine("people", terminal) as line:
        clock[0] += 11
        line.show(running())
    assert "\x1b" not in terminal.getvalue()
    assert terminal.getvalue().endswith("left\n")
