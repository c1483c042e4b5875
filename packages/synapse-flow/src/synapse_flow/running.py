"""One run of a pipe, from the opening of its input to the publication of its outputs."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Generator, Iterator
from typing import Any

from synapse_core.errors import ConfigError, ExecutionError, PluginError, ValidationError, WorkerLostError
from synapse_core.safe_text import safe_str, shorten
from synapse_flow.checkpoint import Checkpoint, Commit
from synapse_flow.chunks import Chunk, ChunkResult, ChunkSizes
from synapse_flow.executors.base import BaseExecutor
from synapse_flow.hooks.base import BaseHook
from synapse_flow.identity import identity_of_model, identity_of_part, ran
from synapse_flow.inputs.base import BaseInputAdapter, Block, Start
from synapse_flow.inputs.row_decoding import UNSENDABLE
from synapse_flow.missing_columns import check_columns
from synapse_flow.outputs.base import BaseOutputAdapter
from synapse_flow.packing import UnpackableValueError
from synapse_flow.places import is_nowhere, place_of
from synapse_flow.report import FlowReport, FlowStatus

__all__ = ["Run"]


_OF_STATES = (AttributeError, LookupError, OSError, TypeError, ValueError)
"""What adapters raise of a state that was never one of theirs."""


class _Aborted(Exception):
    """Somebody has aborted the run."""


class Run:
    """Takes chunks from the input, sends them through the engine, and writes what comes back.

    Args:
        limit: Records to read, at most.
        report: Is kept true while the run goes on.
    """

    def __init__(
        self,
        *,
        source: BaseInputAdapter,
        executor: BaseExecutor,
        output: BaseOutputAdapter,
        errors: BaseOutputAdapter,
        pre_hooks: list[BaseHook],
        post_hooks: list[BaseHook],
        report: FlowReport,
        logger: logging.Logger,
        max_bytes_in_flight: int | None = None,
        max_hook_chunk_size: int | None = None,
        checkpoint: Checkpoint | None = None,
        limit: int | None = None,
    ) -> None:
        self.source = source
        self.executor = executor
        self.output = output
        self.errors = errors
        self.pre_hooks = pre_hooks
        self.post_hooks = post_hooks
        self.report = report
        self.logger = logger
        self.max_bytes_in_flight = max_bytes_in_flight
        self.max_hook_chunk_size = max_hook_chunk_size
        self.checkpoint = checkpoint
        self.limit = limit
        self._cursors: dict[int, tuple[int, int, Any, int]] = {}  # begin, end, where that is, ids made
        self._opened: list[BaseOutputAdapter] = []
        self._closed: list[BaseOutputAdapter] = []
        self._start = Start()
        self._ids_made = 0
        self._identity: Any = None  # asked for once: whoever replaces the input later does not change what is read
        self._parts: list[tuple[Any, dict[str, str]]] = []
        self._committed = False

    def go(self) -> None:
        """Run to the end; how it ended is in the report."""
        self.report._start(self.source.done)
        self.logger.info("the flow begins")
        for adapter in self._outputs:
            self.report._when_aborted(adapter.abandon)
        status = FlowStatus.COMPLETED
        problem: BaseException | None = None
        try:
            self._go()
        except _Aborted:
            status = FlowStatus.CANCELLED
        except KeyboardInterrupt as error:
            status, problem = FlowStatus.CANCELLED, error
        except BaseException as error:
            status, problem = FlowStatus.FAILED, error
            self.logger.debug("the flow failed", exc_info=True)
        finally:
            self._end_outputs()
            ran(self._parts)
            self.logger.info(
                "the flow %s: %d records read, %d written, %d failed, %d filtered",
                status.value,
                self.report.read_count,
                self.report.success_count,
                self.report.error_count,
                self.report.filtered_count,
            )
            self.report._finish(status, problem)

    def results(self) -> Generator[ChunkResult]:
        """Run, and yield each result after it was written."""
        work = self.executor.work(
            decoder=self.source.decoder(),
            model=self.executor.schema_model,
            pre_hooks=self.pre_hooks,
            post_hooks=self.post_hooks,
            good=self.output.collector(),
            bad=self.errors.collector(),
            hook_chunk=self.executor.hook_chunk(self.max_hook_chunk_size),
        )
        hooks = bool(work.hooks)
        sizes = self.executor.sizes(hooks=hooks or work.good.sees_entries, max_bytes_in_flight=self.max_bytes_in_flight)
        engine = self.executor.engine(hooks=hooks)
        stream = engine.run(self.executor.sent(work), self._chunks(sizes), ordered=self.executor.ordered)
        with contextlib.closing(stream), self._naming_lost_records():
            for result in stream:
                if result.read:
                    self._take(result)
                    sizes.learn(result)
                yield result
                self._look_for_abort()

    @contextlib.contextmanager
    def _naming_lost_records(self) -> Iterator[None]:
        """Say which records workers had when they died; the engine knows chunks only."""
        try:
            yield
        except WorkerLostError as error:
            if self._cursors and "same chunk" in str(error):  # and not that none could begin
                first = min(begin for begin, _, _, _ in self._cursors.values())
                last = max(end for _, end, _, _ in self._cursors.values()) - 1
                which = f"at position {first}" if first == last else f"among those at positions {first} to {last}"
                error.args = (f"{error.args[0]}\nThe record is {which} of the input, from 0", *error.args[1:])
            raise

    # -- its course --

    def _go(self) -> None:
        with contextlib.closing(self.source):
            self.source.open()
            if not self.pre_hooks:  # which may rename what was read
                check_columns(self.executor.schema_model, self.source.columns())
            commit = self._load()
            self._open_outputs(commit)
            if commit is None or not commit.publishing:
                for _ in self.results():
                    pass
                self._check_sum()
                self._finish()
            self._publish()

    @property
    def _outputs(self) -> tuple[BaseOutputAdapter, BaseOutputAdapter]:
        return self.output, self.errors

    def _load(self) -> Commit | None:
        """Return where an earlier run stopped, and go on there."""
        if self.checkpoint is None:
            return None
        commit = self.checkpoint.load()
        self._check_resumable()
        identified: list[tuple[Any, dict[str, str]]] = []
        self._identity = self._identify(identified)
        if commit is not None:
            self.checkpoint.check(commit, self._identity, self.limit)
            self._start = Start(commit.position, commit.cursor)
            self._committed = True
            self.report._continue_from(commit.counts)
            self._pass_over_ids(commit.ids)
        self._parts = identified  # of a run that is refused they do not run
        return commit

    def _pass_over_ids(self, count: int) -> None:
        """Draw the ids that an earlier run has given to its records, so that none is given twice."""
        self._ids_made = count
        if self.source.id_generator is not None:
            for _ in range(count):
                self.source.id_generator()

    def _open_outputs(self, commit: Commit | None) -> None:
        columns = None if self.pre_hooks or self.post_hooks else self.source.columns()
        for adapter, state, model in (
            (self.output, commit and commit.output, self.executor.schema_model),
            (self.errors, commit and commit.errors, None),
        ):
            adapter.begin(model, columns if adapter is self.output else None)
            if commit is not None:
                self._resume(adapter, state)
            else:
                adapter.open()
            self._opened.append(adapter)
            is_file = place_of(adapter) is not None and not is_nowhere(adapter)
            if self.checkpoint is not None and is_file:  # which nobody else writes now
                self.checkpoint.forget_what_is_not_continued()

    def _resume(self, adapter: BaseOutputAdapter, state: Any) -> None:
        assert self.checkpoint is not None
        try:
            adapter.resume(state)
        except PluginError:
            raise
        except _OF_STATES as error:
            raise self._damaged(adapter, state, error) from error

    def _first(self, blocks: Iterator[Block]) -> Block | None:
        try:
            return next(blocks, None)
        except PluginError:
            raise
        except _OF_STATES as error:
            if self._start.cursor is None:
                raise
            raise self._damaged(self.source, self._start.cursor, error) from error

    def _damaged(self, adapter: Any, state: Any, error: Exception) -> ConfigError:
        assert self.checkpoint is not None
        what = f"{type(adapter).__name__} cannot go on at {shorten(state)}"
        return self.checkpoint.damaged(f"{what}: {type(error).__name__}: {safe_str(error)}")

    def _finish(self) -> None:
        """Write all that is left; where that fails nothing is published, and behind it nothing is written any more."""
        for adapter in self._outputs:
            adapter.finish()
        self._look_for_abort()  # the last time: from here on the run comes to its end
        if self.checkpoint is not None:
            self._commit(self.report.read_count, None, self._ids_made, publishing=True)

    def _publish(self) -> None:
        # Those that are no files first: what they do in close() may fail, and a file only gets its name there.
        for adapter in sorted((self.errors, self.output), key=lambda each: each.resumable):
            adapter.close()
            self._closed.append(adapter)
        if self.checkpoint is not None:
            self.checkpoint.remove()

    def _end_outputs(self) -> None:
        """Tell every output that is not closed that the run is over, also one that was not opened yet."""
        for adapter in self._outputs:
            if any(adapter is each for each in self._closed):
                continue
            opened = any(adapter is each for each in self._opened)
            with contextlib.suppress(Exception):
                adapter.keep() if self.checkpoint is not None and (self._committed or not opened) else adapter.discard()

    # -- chunks --

    def _chunks(self, sizes: ChunkSizes) -> Iterator[Chunk]:
        position, number = self._start.position, 0
        left = None if self.limit is None else self.limit - position
        sizes.left = left
        with contextlib.closing(self.source.blocks(sizes, self._start)) as blocks:
            while left is None or left > 0:
                self._look_for_abort()
                yield from self._pause(position)
                block = next(blocks, None) if number else self._first(blocks)
                if block is None:
                    return
                self._look_for_abort()
                chunk = Chunk(
                    number,
                    position,
                    block.count,
                    block.payload,
                    block.line,
                    self._ids(block.count, block.ids),
                    block.positions,
                )
                position += block.count
                number += 1
                if left is not None:
                    left -= block.count
                    sizes.left = left
                if block.count:
                    self._cursors[chunk.number] = (chunk.position, position, block.cursor, self._ids_made)
                    yield self._packed(chunk)
                elif self._cursors:  # something is on its way, and may be ready
                    yield chunk

    def _ids(self, count: int, own: list[Any] | None) -> list[Any] | None:
        if own is not None or self.source.id_generator is None:
            return own
        self._ids_made += count
        return [self.source.id_generator() for _ in range(count)]

    def _packed(self, chunk: Chunk) -> Chunk:
        packing = self.executor.packing
        if packing is None:
            return chunk
        try:
            chunk.payload = packing.pack(chunk.payload)
        except UnpackableValueError:
            chunk.payload = packing.pack([_packable(packing, raw) for raw in chunk.payload])
        return chunk

    def _pause(self, position: int) -> Iterator[Chunk]:
        while not self.report._go.is_set():
            if self._cursors:
                yield Chunk(-1, position, 0, [])
            self.report._go.wait(0.01)

    def _look_for_abort(self) -> None:
        if self.report._aborted.is_set():
            raise _Aborted

    # -- results --

    def _take(self, result: ChunkResult) -> None:
        _, position, cursor, ids = self._cursors.pop(result.number)
        packing = self.executor.packing
        if packing is not None:
            result.good = packing.unpack(result.good, as_view=self.output.takes_views)
            result.bad = packing.unpack(result.bad, as_view=self.errors.takes_views)
        self.output.write_chunk(result.good)
        if result.failed:
            self.errors.write_chunk(result.bad)
        self.report._count(result)
        if self.checkpoint is not None:
            self._commit(position, cursor, ids)

    def _commit(self, position: int, cursor: Any, ids: int, *, publishing: bool = False) -> None:
        assert self.checkpoint is not None
        output, errors = self.output.state(), self.errors.state()
        commit = Commit(position, cursor, output, errors, self.report._counts(), self._identity, ids, publishing)
        self.checkpoint.save(commit)
        self._committed = True

    # -- checks --

    def _check_sum(self) -> None:
        report = self.report
        if report.read_count + report.added_count != report.total_processed:
            raise ExecutionError(
                f"records do not add up: {report.read_count} read and {report.added_count} made by hooks, but "
                f"{report.success_count} written, {report.error_count} failed and {report.filtered_count} filtered. "
                "Nothing is published; this is a mistake of the engine or of an adapter"
            )

    def _check_resumable(self) -> None:
        for adapter in self._outputs:
            if not adapter.resumable:
                raise ValidationError(
                    f"{type(adapter).__name__} cannot go on where a run stopped; leave checkpoint= out, or write to a "
                    "file of lines"
                )
        if not self.executor.ordered:
            raise ValidationError("checkpoint= needs the order of the input; leave ordered=False out")

    def _identify(self, parts: list[tuple[Any, dict[str, str]]]) -> Any:
        def identified(part: Any) -> dict[str, str]:
            found = identity_of_part(part)
            parts.append((part, found))
            return found

        identity = {
            "input": self.source.identity(),
            "model": identity_of_model(self.executor.schema_model),
            "hooks": [[identified(hook) for hook in hooks] for hooks in (self.pre_hooks, self.post_hooks)],
            "outputs": [
                {"place": getattr(adapter, "path", type(adapter).__name__), "state": identified(adapter)["state"]}
                for adapter in self._outputs
            ],
        }
        return json.loads(json.dumps(identity, default=str))  # as it comes back from the file


def _packable(packing: Any, raw: Any) -> Any:
    """Return a record, or, where it cannot be packed, what fails for that reason."""
    try:
        packing.pack(raw)
    except UnpackableValueError as error:
        return UNSENDABLE, str(error), shorten(raw)
    return raw
