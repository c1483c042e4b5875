"""The work on a chunk: decode, hooks, validation, hooks, collect. The same on every engine."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from uuid import UUID

from synapse_flow.chunks import Chunk, ChunkResult, Decoder, Records, joined_records
from synapse_flow.collecting import Collector
from synapse_flow.entries import EntryStatus, EntryTypedDict, RecordError
from synapse_flow.hooks.base import BaseHook
from synapse_flow.hooks.driving import HookDriver, drive, drive_async
from synapse_flow.hooks.steps import Call, Passed, copied, fail, pass_through
from synapse_flow.json_lines import json_value
from synapse_flow.packing import Packing, UnpackableValueError
from synapse_flow.unwritable import NOT_SERIALIZABLE, unwritable
from synapse_flow.validation.validators import validator_of

__all__ = ["ChunkWorker", "FlowParts", "process_chunk"]


@dataclass
class FlowParts:
    """What is done with chunks.

    Attributes:
        decoder: Makes records of a chunk's payload.
        model: What they are validated with; None for nothing.
        pre_hooks: In the order in which they run.
        post_hooks: In the order in which they run.
        good: Makes what the output takes.
        bad: Makes what the output of errors takes.
        hook_chunk: Entries in one call of a hook, at most.
        packing: How payloads and results travel; None where they do not.
    """

    decoder: Decoder
    model: Any
    pre_hooks: list[BaseHook]
    post_hooks: list[BaseHook]
    good: Collector
    bad: Collector
    hook_chunk: int | None = None
    packing: Packing | None = None
    hooks: list[BaseHook] = field(init=False)

    def __post_init__(self) -> None:
        seen: dict[int, BaseHook] = {id(hook): hook for hook in (*self.pre_hooks, *self.post_hooks)}
        self.hooks = list(seen.values())


def process_chunk(worker: ChunkWorker, chunk: Chunk) -> ChunkResult:
    """Unpack a chunk, run the hooks before the validation, validate, run those after it, and collect.

    This is what every executor runs for every chunk.

    Args:
        worker: The one of this process, thread or task.
        chunk: The records.
    """
    result: ChunkResult = drive(worker.steps(chunk), worker.driver)
    return result


class ChunkWorker:
    """What one worker has: its validator, its store, its loop.

    Args:
        work: What is done with chunks.

    Attributes:
        driver: Sets up, calls and tears down the hooks.
    """

    def __init__(self, work: FlowParts) -> None:
        self.work = work
        self.driver = HookDriver(work.hooks)
        self.validator = validator_of(work.model)

    def process(self, chunk: Chunk) -> ChunkResult:
        """Work on one chunk."""
        return process_chunk(self, chunk)

    async def process_async(self, chunk: Chunk) -> ChunkResult:
        """Work on one chunk, on an event loop."""
        return await drive_async(self.steps(chunk), self.driver)

    def steps(self, chunk: Chunk) -> Generator[Call, Any, ChunkResult]:
        """Yield the calls of hooks that the work on a chunk needs, be sent their answers, and return the result."""
        started = time.perf_counter()
        result = ChunkResult(chunk.number, chunk.position, chunk.count)
        if chunk.count:
            if self.work.packing is not None:
                chunk.payload = self.work.packing.unpack(chunk.payload)
            if self.work.hooks or self.work.good.sees_entries:
                yield from self._by_entries(chunk, result)
            else:
                self._by_values(chunk, result)
        result.seconds = time.perf_counter() - started
        return result

    # -- entries: of all records, or of those that failed --

    def _entry(self, chunk: Chunk, records: Records, index: int) -> EntryTypedDict:
        return self._entries(chunk, records, range(index, index + 1))[0]

    def _entries(self, chunk: Chunk, records: Records, indexes: Sequence[int]) -> list[EntryTypedDict]:
        # Hooks change copies: what was read is written, and run again, where a record fails; and may be the caller's.
        raws = [copied(records.raws[index]) for index in indexes] if self.work.hooks else None
        entries: list[EntryTypedDict] = [
            {
                "position": chunk.position + index,
                "status": EntryStatus.PENDING,
                "raw_data": raw,
                "validated_data": None,
                "errors": [],
                "metadata": {},
            }
            for index, raw in zip(indexes, raws or [records.raws[index] for index in indexes], strict=True)
        ]
        if chunk.ids is not None:
            for entry, index in zip(entries, indexes, strict=True):
                entry["id"] = chunk.ids[index]
        elif self.work.hooks or self.work.good.sees_entries:
            random = os.urandom(16 * len(entries))  # in one call, which costs more than the rest
            for number, entry in enumerate(entries):
                entry["id"] = UUID(bytes=random[16 * number : 16 * number + 16], version=4)
        return entries

    # -- without entries, for records that nobody looks at --

    def _by_values(self, chunk: Chunk, result: ChunkResult) -> None:
        parts: list[Any] = []
        failed: list[EntryTypedDict] = []
        bad: set[int] = set()
        read = 0
        for records in self.work.decoder.decode(chunk):
            _check_count(chunk, read + len(records.raws), more_may_come=True)
            values, problems = self._validated(records.raws, records.problems)
            if problems:
                part = _part(chunk, read, len(records.raws))
                found = [self._failed_entry(part, records, index, problems[index]) for index in sorted(problems)]
                self._complete(part, records, found)
                failed += found
                bad.update(read + index for index in problems)
            valid = (_position(chunk, read + index) for index in range(len(records.raws)) if index not in problems)
            parts.append(self._collected(values, None, valid))
            read += len(records.raws)
        _check_count(chunk, read)
        result.written = read - len(failed)
        self._finish_good(parts, self._valid_entries(chunk, bad), failed, result)
        self._finish_failed(failed, result)

    def _valid_entries(self, chunk: Chunk, bad: set[int]) -> Callable[[int], EntryTypedDict]:
        """Return what makes the entry of a valid record. All are decoded again then: hardly ever is there a need."""

        @cache
        def valid() -> tuple[Records, list[int]]:
            records = joined_records(self.work.decoder.decode(chunk))
            return records, [index for index in range(chunk.count) if index not in bad]

        def entry_of(number: int) -> EntryTypedDict:
            records, indexes = valid()
            entry = self._entry(chunk, records, indexes[number])
            self._complete(chunk, records, [entry])
            return entry

        return entry_of

    def _validated(
        self, raws: Sequence[Any], known: dict[int, list[RecordError]]
    ) -> tuple[list[Any], dict[int, list[RecordError]]]:
        """Return what those became that are valid, and the errors of the others, by index."""
        if not known:
            return self.validator.validate(raws)
        readable = [index for index in range(len(raws)) if index not in known]
        values, problems = self.validator.validate([raws[index] for index in readable])
        return values, known | {readable[index]: errors for index, errors in problems.items()}

    def _failed_entry(self, chunk: Chunk, records: Records, index: int, errors: list[RecordError]) -> EntryTypedDict:
        entry = self._entry(chunk, records, index)
        entry["status"] = EntryStatus.FAILED
        entry["errors"] = errors
        return entry

    # -- with entries, for hooks and envelopes --

    def _by_entries(self, chunk: Chunk, result: ChunkResult) -> Generator[Call, Any, None]:
        work = self.work
        records = joined_records(work.decoder.decode(chunk))
        _check_count(chunk, len(records.raws))
        failed = [self._failed_entry(chunk, records, i, errors) for i, errors in records.problems.items()]
        indexes = [i for i in range(chunk.count) if i not in records.problems] if failed else range(chunk.count)
        entries = self._entries(chunk, records, indexes)
        before = yield from self._passed(entries, work.pre_hooks, result, failed)
        values = self._validate_entries(before, failed)
        entries = [entry for entry in before if entry["status"] != EntryStatus.FAILED]
        if work.post_hooks:
            of_entry = {id(entry): value for entry, value in zip(entries, values, strict=True)}
            entries = yield from self._passed(entries, work.post_hooks, result, failed)
            entries = [entry for entry in entries if self._has_data(entry, failed)]
            values = [
                self.validator.from_dict(entry["validated_data"] or {}, of_entry.get(id(entry))) for entry in entries
            ]
        shown = entries if chunk.positions is None else [_renumbered({**entry}, chunk) for entry in entries]
        result.written = len(values)
        parts = [self._collected(values, shown, (entry.get("position") for entry in shown))]
        self._finish_good(parts, lambda number: entries[number], failed, result)
        failed.sort(key=lambda entry: position if (position := entry.get("position")) is not None else chunk.position)
        self._complete(chunk, records, failed)
        self._finish_failed(failed, result)

    def _passed(
        self,
        entries: list[EntryTypedDict],
        hooks: Sequence[BaseHook],
        result: ChunkResult,
        failed: list[EntryTypedDict],
    ) -> Generator[Call, Any, list[EntryTypedDict]]:
        if not hooks:
            return entries
        passed: Passed = yield from pass_through(entries, hooks, self.work.hook_chunk)
        result.added += passed.added
        result.filtered += passed.filtered
        failed += passed.failed
        return passed.entries

    def _validate_entries(self, entries: list[EntryTypedDict], failed: list[EntryTypedDict]) -> list[Any]:
        """Fill in `validated_data`, and return the values of those that are valid."""
        values, problems = self.validator.validate([entry.get("raw_data") for entry in entries])
        valid = iter(values)
        for index, entry in enumerate(entries):
            if index in problems:
                entry["status"] = EntryStatus.FAILED
                entry.setdefault("errors", []).extend(problems[index])
                failed.append(entry)
            else:
                entry["status"] = EntryStatus.VALIDATED
                entry["validated_data"] = self.validator.to_dict(next(valid))
        return values

    def _has_data(self, entry: EntryTypedDict, failed: list[EntryTypedDict]) -> bool:
        if isinstance(entry.get("validated_data"), dict):
            return True
        found = type(entry.get("validated_data")).__name__
        failed.append(fail(entry, "HookError", f"a hook left validated_data as {found}; it has to be a dict"))
        return False

    # -- what goes back --

    def _collected(
        self, values: list[Any], entries: Sequence[EntryTypedDict] | None, positions: Iterable[int | None]
    ) -> Any:
        """Return what the output makes of values; `positions` are theirs, and asked for where one has no JSON form."""
        try:
            return self.work.good.of_values(values, entries, self.validator)
        except NOT_SERIALIZABLE as error:
            raise unwritable(error, values, positions, self.validator) from error

    def _finish_good(
        self,
        parts: list[Any],
        entry_of: Callable[[int], EntryTypedDict],
        failed: list[EntryTypedDict],
        result: ChunkResult,
    ) -> None:
        """Put together what was made of valid records; of those, one that cannot be packed fails."""
        result.good = self.work.good.joined(parts)
        if self.work.packing is None:
            return
        try:
            result.good = self.work.packing.pack(result.good)
        except UnpackableValueError:
            kept = []
            for number, item in enumerate(result.good):
                try:
                    self.work.packing.pack(item)
                except UnpackableValueError as error:
                    failed.append(fail(entry_of(number), "PackingError", str(error)))
                else:
                    kept.append(item)
            result.written = len(kept)
            result.good = self.work.packing.pack(kept)

    def _complete(self, chunk: Chunk, records: Records, failed: list[EntryTypedDict]) -> None:
        """Fill in what is told of records that failed."""
        for entry in failed:
            entry["status"] = EntryStatus.FAILED
            if chunk.ids is None and not self.work.bad.sees_entries:
                entry.pop("id", None)  # a random one, by which nobody finds anything
            position = entry.get("position")
            if position is not None and 0 <= position - chunk.position < chunk.count:
                if "made_by" not in entry:
                    entry["raw_data"] = records.raws[position - chunk.position]
                line = records.line_of(position - chunk.position)
                if line is not None:
                    entry["line"] = line
            _renumbered(entry, chunk)

    def _finish_failed(self, failed: list[EntryTypedDict], result: ChunkResult) -> None:
        result.failed = len(failed)
        result.error_types = dict(
            Counter(error.get("type", "") for entry in failed for error in entry.get("errors", []))
        )
        result.bad = self.work.bad.of_failed(failed) if failed else None
        if self.work.packing is None:
            return
        try:
            result.bad = self.work.packing.pack(result.bad)
        except UnpackableValueError:
            result.bad = self.work.packing.pack([json_value(each) for each in result.bad])


def _part(chunk: Chunk, first: int, count: int) -> Chunk:
    """Return a chunk of some of a chunk's records, which are decoded already."""
    return replace(
        chunk,
        position=chunk.position + first,
        count=count,
        payload=None,
        ids=chunk.ids[first : first + count] if chunk.ids is not None else None,
        positions=chunk.positions[first : first + count] if chunk.positions is not None else None,
    )


def _check_count(chunk: Chunk, found: int, *, more_may_come: bool = False) -> None:
    if found > chunk.count or (found < chunk.count and not more_may_come):
        raise RuntimeError(
            f"the input counted {chunk.count} records from position {chunk.position} on, and {found} were decoded; "
            "this is a mistake of the input adapter, and nothing of the chunk is written"
        )


def _renumbered(entry: EntryTypedDict, chunk: Chunk) -> EntryTypedDict:
    """Give an entry the position that its record brought along, where the chunk has such positions."""
    position = entry.get("position")
    if chunk.positions is not None and position is not None:
        index = position - chunk.position
        if 0 <= index < chunk.count:
            entry["position"] = _position(chunk, index)
    return entry


def _position(chunk: Chunk, index: int) -> int:
    """Return the position of a record of a chunk: the one that it brought along, where it has one."""
    own = None if chunk.positions is None else chunk.positions[index]
    return chunk.position + index if own is None else own
