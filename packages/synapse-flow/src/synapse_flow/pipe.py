"""The pipe: an input, hooks, a model, an engine, outputs."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from threading import Lock, Thread
from types import TracebackType

from synapse_core.errors import ExecutionError
from synapse_core.whole_numbers import whole_number_or_none
from synapse_flow.checkpoint import Checkpoint
from synapse_flow.entries import EntryTypedDict
from synapse_flow.executors.base import BaseExecutor
from synapse_flow.executors.sync_fifo import SyncFifoExecutor
from synapse_flow.hooks.base import BaseHook
from synapse_flow.hooks.steps import in_order
from synapse_flow.inputs.base import BaseInputAdapter
from synapse_flow.outputs.base import BaseOutputAdapter
from synapse_flow.outputs.memory import DummyOutputAdapter, GeneratorOutputAdapter
from synapse_flow.pipe_parts import check_executor, check_input, check_output
from synapse_flow.report import FlowReport, FlowStatus
from synapse_flow.running import Run

__all__ = ["Pipe"]


class Pipe:
    """Pushes the records of an input through hooks and validation to an output.

    Example::

        pipe = Pipe(
            input_adapter=CSVInputAdapter("people.csv"),
            executor=MultiProcessingExecutor(Person),
            output_adapter=JSONOutputAdapter("people.jsonl"),
            error_output_adapter=JSONOutputAdapter("errors.jsonl"),
        )
        print(pipe.run())

    Args:
        input_adapter: Where records come from.
        executor: With which model, and on which engine. Default: in order, in this process, without a model.
        output_adapter: Where valid records go. Default: nowhere; they are counted.
        error_output_adapter: Where failed records go. Default: nowhere; they are counted.
        pre_validation_hooks: See raw data. Those of the input come first, those of the output last, and all are
            sorted by priority.
        post_validation_hooks: See validated data, in the same order.
        logger: Told of a run's beginning and end, as INFO, and of why one failed, as DEBUG. Default: ``synapse.flow``.
        max_bytes_in_flight: Bytes of input that are read and not yet written, at most, where the input is files of
            text, Parquet or Arrow; of others the number of records alone is bounded.
        max_hook_chunk_size: Entries in one call of a hook, at most.
        loop: An event loop for an executor that uses one and was not given any.
        checkpoint: File that holds how far the run is, so that one that was killed goes on there.
        limit: Records to read, at most.

    Raises:
        ValidationError: A part is none, or a number makes no sense.
    """

    def __init__(
        self,
        input_adapter: BaseInputAdapter,
        executor: BaseExecutor | None = None,
        output_adapter: BaseOutputAdapter | None = None,
        error_output_adapter: BaseOutputAdapter | None = None,
        pre_validation_hooks: Iterable[BaseHook] | None = None,
        post_validation_hooks: Iterable[BaseHook] | None = None,
        logger: logging.Logger | None = None,
        max_bytes_in_flight: int | None = None,
        max_hook_chunk_size: int | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        limit: int | None = None,
    ) -> None:
        check_input(input_adapter)
        check_output("output_adapter", output_adapter)
        check_output("error_output_adapter", error_output_adapter)
        if executor is not None:
            check_executor(executor)
        self.input_adapter = input_adapter
        self.executor = executor if executor is not None else SyncFifoExecutor()
        self.output_adapter = output_adapter
        self.error_output_adapter = error_output_adapter
        self.pre_validation_hooks = list(pre_validation_hooks or ())
        self.post_validation_hooks = list(post_validation_hooks or ())
        self.logger = logger or logging.getLogger("synapse.flow")
        self.max_bytes_in_flight = whole_number_or_none("max_bytes_in_flight", max_bytes_in_flight)
        self.max_hook_chunk_size = whole_number_or_none("max_hook_chunk_size", max_hook_chunk_size)
        self.checkpoint = None if checkpoint is None else Checkpoint(checkpoint)
        self.limit = whole_number_or_none("limit", limit, least=0)
        if loop is not None and getattr(self.executor, "loop", False) is None:
            self.executor.loop = loop  # type: ignore[attr-defined]
        self.report = FlowReport()
        self._lock = Lock()
        self._started = False
        self._thread: Thread | None = None

    def run(self, *, raise_on_error: bool = True) -> FlowReport:
        """Run in the foreground, and return the report.

        Raises:
            ExecutionError: The pipe is running already.
            ValidationError: Two of its places are one file.
            Exception: What made the run fail, unless `raise_on_error` is false.
        """
        report = self._begin()
        self._go(report, self.output_adapter)
        report.wait(raise_on_error=raise_on_error)
        return report

    def start(self) -> FlowReport:
        """Run in the background, and return the report, which is true while the run goes on.

        Raises:
            ExecutionError: The pipe is running already.
        """
        report = self._begin()
        self._thread = Thread(target=self._go, args=(report, self.output_adapter), name="synapse-flow", daemon=True)
        self._thread.start()
        return report

    def check_places(self) -> None:
        """Refuse what would destroy files; each run begins with it, before it opens anything.

        Raises:
            ValidationError: Two of the input, the outputs and the checkpoint are one file.
            ExecutionError: An output is a folder, or below a file.
        """
        written = (self.output_adapter, self.error_output_adapter)
        if self.checkpoint is None and all(getattr(each, "path", None) is None for each in written):
            return
        from synapse_flow.same_places import check_places  # which not every pipe needs

        check_places(self.input_adapter, self.output_adapter, self.error_output_adapter, self.checkpoint)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end, and return whether it has come."""
        return self.report.wait(timeout)

    def shutdown(self) -> None:
        """Abort what runs, and wait until its files are closed."""
        if self._started:
            self.report.abort()
            self.report.wait()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Pipe:
        """Return the pipe; it runs when it is told to, or at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait for the end; abort, where the block raised."""
        if kind is not None:
            self.shutdown()
            return
        if not self._started:
            self.run()
        self.report.wait(raise_on_error=True)

    def __iter__(self) -> Iterator[EntryTypedDict]:
        """Run, and yield each valid entry; what the output adapter takes is not written.

        Raises:
            Exception: What made the run fail, after the entries before it.
        """
        report = self._begin()
        entries = GeneratorOutputAdapter()
        self._thread = Thread(target=self._go, args=(report, entries), name="synapse-flow", daemon=True)
        entries.open()
        self._thread.start()
        try:
            yield from entries
            report.wait(raise_on_error=True)
        finally:
            report.abort()
            self._thread.join()

    def _begin(self) -> FlowReport:
        with self._lock:
            if self._started and not self.report.is_finished:
                raise ExecutionError("the pipe is already running; wait for its end, or shut it down")
            self._started = True
            self.report = FlowReport()
            return self.report

    def _go(self, report: FlowReport, output: BaseOutputAdapter | None) -> None:
        output = output if output is not None else DummyOutputAdapter()
        errors = self.error_output_adapter if self.error_output_adapter is not None else DummyOutputAdapter()
        try:
            self.check_places()
            run = Run(
                source=self.input_adapter,
                executor=self.executor,
                output=output,
                errors=errors,
                pre_hooks=in_order([*self.input_adapter.pre_hooks, *self.pre_validation_hooks, *output.pre_hooks]),
                post_hooks=in_order([*self.input_adapter.post_hooks, *self.post_validation_hooks, *output.post_hooks]),
                report=report,
                logger=self.logger,
                max_bytes_in_flight=self.max_bytes_in_flight,
                max_hook_chunk_size=self.max_hook_chunk_size,
                checkpoint=self.checkpoint,
                limit=self.limit,
            )
        except Exception as error:  # or an adapter that has not called its base, and so has no hooks
            for adapter in (output, errors):
                with suppress(Exception):
                    adapter.discard()
            report._finish(FlowStatus.FAILED, error)
            return
        run.go()
