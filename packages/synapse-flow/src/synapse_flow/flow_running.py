"""Runs a flow in the background while somebody looks on: with a checkpoint, and with an end that can be asked for."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from types import FrameType
from typing import Any

from synapse_flow.checkpoint import Checkpoint
from synapse_flow.flow import Flow
from synapse_flow.pipe import Pipe
from synapse_flow.places import is_nowhere, place_of
from synapse_flow.report import FlowReport

__all__ = ["EndSignal", "FlowRun", "default_checkpoint", "run_in_background"]


def default_checkpoint(pipe: Pipe) -> Path | None:
    """Return the checkpoint's path beside the output, or None where a run that was killed cannot go on.

    It can where all outputs are resumable, on this machine, and in the order of the input.
    """
    outputs = [each for each in (pipe.output_adapter, pipe.error_output_adapter) if each is not None]
    places = [place_of(each) for each in outputs if not is_nowhere(each)]
    if not pipe.executor.ordered or not all(each.resumable for each in outputs):
        return None
    if any(place is not None and "://" in place for place in places):
        return None
    first = next((place for place in places if place is not None), None)
    return None if first is None else Path(first + ".checkpoint")


class FlowRun:
    """One run of a flow.

    Args:
        flow: What runs; its pipe gets a checkpoint beside its output, unless it has one or the flow wants none.
        fresh: Whether to forget an unfinished run, rather than to go on with it.

    Attributes:
        report: Of the run.
    """

    def __init__(self, flow: Flow, *, fresh: bool = False) -> None:
        self.flow = flow
        pipe = flow.pipe
        if pipe.checkpoint is None and flow.resumes and (path := default_checkpoint(pipe)) is not None:
            pipe.checkpoint = Checkpoint(path)
        if fresh and pipe.checkpoint is not None:
            pipe.checkpoint.start_afresh()
        self.report = pipe.report

    @property
    def checkpoint(self) -> Checkpoint | None:
        """Where it is kept how far the run is; None where a run that is killed begins anew."""
        return self.flow.pipe.checkpoint

    @property
    def kept_at(self) -> int | None:
        """The record at which an unfinished run would go on; None where there is none."""
        commit = None if self.checkpoint is None else self.checkpoint.load()
        return None if commit is None else commit.position

    def go(
        self,
        look: Callable[[FlowReport], None],
        *,
        every: float = 0.1,
        interrupted: Callable[[], None] = lambda: None,
    ) -> FlowReport:
        """Run to the end, whatever it is, and return the report.

        Args:
            look: Called every now and then while it runs, and once at its end.
            every: Seconds between two calls.
            interrupted: Called at Ctrl-C, and at what does the same, before what is at work is waited for.

        Raises:
            KeyboardInterrupt: Ctrl-C; the run is over, and its files are closed, unless it came twice.
        """
        self.report = run_in_background(self.flow.pipe)
        try:
            while not self.report.wait(every):
                look(self.report)
        except BaseException:
            self.report.abort()
            interrupted()
            while not self.report.wait(every):  # never for long, so that another Ctrl-C is heard
                pass
            raise
        look(self.report)
        return self.report


class EndSignal:
    """Makes SIGTERM do what Ctrl-C does, while it is entered; containers and services end processes with it.

    Attributes:
        came: Whether it has come.
    """

    def __init__(self) -> None:
        self.came = False
        self._before: Any = None

    def __enter__(self) -> EndSignal:
        """Begin; other threads than the first one get no signals."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signal back, unless it has come: the process has to say how it ended."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN if self.came else self._before)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        raise KeyboardInterrupt


def run_in_background(pipe: Pipe) -> FlowReport:
    """Start a pipe so that Ctrl-C is this thread's alone: its processes finish what they have."""
    if pipe.executor.engine_name in ("processes", "dask"):
        # Whichever thread starts the tracker has its interrupts let through again afterwards.
        resource_tracker.ensure_running()
    with _interrupts_held():
        return pipe.start()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Have threads and processes that are started inside not be interrupted; they inherit it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
