"""One comparison: ours and the alternative, measured in turns, reported as a ratio of medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Comparison", "compare", "markdown_table"]


@dataclass(frozen=True)
class Comparison:
    """What came of one comparison.

    Attributes:
        ours: Median seconds of ours.
        theirs: Median seconds of the alternative.
        bound: Largest ratio that is acceptable.
        rounds: How often each was measured.
        unit: What was measured, where it is no time in seconds.
    """

    name: str
    alternative: str
    ours: float
    theirs: float
    bound: float
    rounds: int
    unit: str = "s"

    @property
    def ratio(self) -> float:
        """Ours divided by the alternative; smaller is better."""
        return self.ours / self.theirs

    @property
    def holds(self) -> bool:
        """Whether the ratio is within the bound."""
        return self.ratio <= self.bound

    def __str__(self) -> str:
        ours, theirs = _amount(self.ours, self.unit), _amount(self.theirs, self.unit)
        return f"{self.name}: {ours}, {self.ratio:.2f}× {self.alternative} ({theirs})"


def compare(
    name: str,
    alternative: str,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    bound: float,
    rounds: int,
    calls: int = 1,
) -> Comparison:
    """Measure both in turns, so that whatever else the machine does hits both alike.

    Args:
        name: What ours does.
        alternative: What the alternative does.
        ours: One call of ours.
        theirs: One call of the alternative.
        bound: Largest ratio that is acceptable.
        rounds: How many times to measure each.
        calls: Calls in one measurement.
    """
    ours(), theirs()
    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(rounds):
        for key, function in (("theirs", theirs), ("ours", ours)):
            started = time.perf_counter()
            for _ in range(calls):
                function()
            seconds[key].append((time.perf_counter() - started) / calls)
    return Comparison(
        name, alternative, statistics.median(seconds["ours"]), statistics.median(seconds["theirs"]), bound, rounds
    )


def markdown_table(comparisons: list[Comparison]) -> str:
    """Return a table of all comparisons."""
    lines = [
        "| measured | ours | alternative | | ratio | bound | |",
        "| --- | ---: | --- | ---: | ---: | ---: | --- |",
    ]
    lines += [
        f"| {c.name} | {_amount(c.ours, c.unit)} | {c.alternative} | {_amount(c.theirs, c.unit)} "
        f"| **{c.ratio:.2f}×** | {c.bound:g}× | {'holds' if c.holds else 'MISSED'} |"
        for c in comparisons
    ]
    return "\n".join(lines)


def _amount(value: float, unit: str) -> str:
    return _time(value) if unit == "s" else f"{value:.0f} {unit}"


def _time(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.2f} µs"
