"""Chunks: what goes to a worker, what comes back, and how large they are."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from synapse_flow.entries import RecordError

__all__ = [
    "Chunk",
    "ChunkResult",
    "ChunkSizes",
    "Decoder",
    "Records",
    "joined_records",
    "lines_of_part",
    "rows_at_once",
]

_SHORTEST = 0.005

# What is made of so many values, from their text to their JSON, stays in the second cache of a core; ten times as many
# take half as long again (decision 0018).
_VALUES_AT_ONCE = 1024
_FEWEST_AT_ONCE = 16


@dataclass(slots=True)
class Chunk:
    """Some records that follow each other.

    Attributes:
        number: Of this chunk in the run, from 0.
        position: Of its first record in the input, from 0.
        count: Records in it; 0 for one that only passes the time.
        payload: What the input's decoder makes records of; packed, where a worker is another process.
        line: Line of the file where it begins, from 1, where there is one.
        ids: One for each record, where the input has a generator of ids.
        positions: What outputs are told instead of the positions in this input, where the records come from another
            one, such as those that failed and are run again.
    """

    number: int
    position: int
    count: int
    payload: Any
    line: int | None = None
    ids: list[Any] | None = None
    positions: list[int | None] | None = None


@dataclass(slots=True)
class ChunkResult:
    """What became of a chunk.

    Attributes:
        added: Entries that hooks made.
        filtered: Entries that hooks left out.
        good: What the output takes: finished bytes, rows, or entries.
        bad: The same for the output of errors.
        error_types: How many errors there were of each type.
        seconds: Time that the work took.
    """

    number: int
    position: int
    read: int
    added: int = 0
    written: int = 0
    failed: int = 0
    filtered: int = 0
    good: Any = None
    bad: Any = None
    error_types: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(slots=True)
class Records:
    """Records that follow each other in a chunk, decoded.

    Attributes:
        raws: One dict for each record.
        problems: Index of a record that cannot be read → why.
        line_of: Index of a record → its line in the file.
    """

    raws: Sequence[dict[str, Any]]
    problems: dict[int, list[RecordError]] = field(default_factory=dict)
    line_of: Callable[[int], int | None] = lambda index: None


class Decoder(Protocol):
    """Makes records of a chunk's payload, on a worker. Picklable."""

    def decode(self, chunk: Chunk) -> Iterator[Records]:
        """Yield the records in parts, as many as the chunk counts; the same again where it is called again."""
        ...


def rows_at_once(columns: int) -> int:
    """Return how many records are best decoded, validated and rendered before the next ones are looked at."""
    return max(_FEWEST_AT_ONCE, _VALUES_AT_ONCE // max(1, columns))


def lines_of_part(lines: Callable[[], Sequence[int]], begin: int, first: int) -> Callable[[int], int]:
    """Return what tells the line of each record of a part.

    Args:
        lines: Returns the line within the chunk of each of its records, from 0; called when the first one is asked for.
        begin: Line of the file where the chunk begins.
        first: Index in the chunk of the part's first record.
    """
    return lambda index: begin + lines()[first + index]


def joined_records(parts: Iterable[Records]) -> Records:
    """Return the records of all parts."""
    first, *others = [*parts] or [Records([])]
    raws = list(first.raws)
    if not others:
        first.raws = raws
        return first
    whole, begins = Records(raws, dict(first.problems)), [0]
    for part in others:
        begin = len(raws)
        begins.append(begin)
        raws += part.raws
        whole.problems |= {begin + index: errors for index, errors in part.problems.items()}

    def line_of(index: int) -> int | None:
        number = bisect_right(begins, index) - 1
        return (first, *others)[number].line_of(index - begins[number])

    whole.line_of = line_of
    return whole


class ChunkSizes:
    """How many records the next chunk should have.

    Large chunks are cheap, small ones spread work that waits; so the size follows the time that
    chunks take, between 5 ms and `longest` each, unless it is fixed.

    Args:
        rows: Records to begin with.
        most: Records at most.
        fixed: Whether `rows` stays as it is.
        most_bytes: Bytes of input in a chunk, at most, unless one record is larger.
        longest: Seconds that a chunk should take, at most.

    Attributes:
        left: Records that the run still wants, or None for all there are; `rows` is never more.
    """

    def __init__(
        self, rows: int, *, most: int, fixed: bool = False, most_bytes: int = 1 << 18, longest: float = 0.1
    ) -> None:
        self.most_bytes = most_bytes
        self.left: int | None = None
        self._rows = min(rows, most)
        self._most = most
        self._fixed = fixed
        self._longest = longest

    @property
    def rows(self) -> int:
        """Records that the next chunk should have, at most."""
        return self._rows if self.left is None else max(1, min(self._rows, self.left))

    def learn(self, result: ChunkResult) -> None:
        """Take the time of a finished chunk into account."""
        if self._fixed or not result.read:
            return
        if result.seconds < _SHORTEST and result.read >= self.rows:
            self._rows = min(self._most, self._rows * 2)
        elif result.seconds > self._longest and result.read <= self.rows:
            self._rows = max(1, self._rows // 2)
