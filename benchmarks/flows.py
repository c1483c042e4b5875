"""Record flows beside the plain loop, zoopipe and Polars: CSV → model → JSON lines, each way a process of its own."""

from __future__ import annotations

import contextlib
import csv
import importlib
import json
import os
import random
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic

from benchmarks.comparison import Comparison

__all__ = ["compare_flows"]

ROWS = int(os.environ.get("SYNAPSE_BENCHMARK_ROWS", "1000000"))
# One takes a fifth more or less than the next, where others use the machine too.
ROUNDS = int(os.environ.get("SYNAPSE_BENCHMARK_ROUNDS", "7"))
WAITING_ROUNDS = 3
WAITING_ROWS = 1200
BATCHES = (250, 1000, 4000)
PEERS = ("zoopipe==2026.2.2", "polars", f"pydantic=={pydantic.VERSION}")

OURS = ("in order", "in order, a hook", "two processes", "threads", "asyncio", "Ray", "Dask")
WAITING = ("waiting, in order", "waiting, ten threads", "waiting, asyncio")


@dataclass
class Measured:
    """What a way took, in each round.

    Attributes:
        seconds: Of each round.
        peak: Largest resident memory of the process and its children together, in MB, in a round of its own.
        good: Lines written.
        bad: Lines of errors written.
    """

    seconds: list[float] = field(default_factory=list)
    peak: float = 0.0
    good: int = 0
    bad: int = 0

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def compare_flows(folder: Path) -> Iterator[Comparison]:
    """Measure all ways in turns, print rates, and yield what is asked of them."""
    table, short = folder / "people.csv", folder / "short.csv"
    _write(table, ROWS)
    _write(short, WAITING_ROWS)
    python = _peers(folder / "peers")
    batch = min(BATCHES, key=lambda size: _run(_theirs(python, f"zoopipe 1 {size}"), table, folder)[0])
    peers = {
        "zoopipe, one thread": f"zoopipe 1 {batch}",
        "zoopipe, two processes": f"zoopipe 2 {batch}",
        "Polars": "polars",
    }
    commands = {"by hand": _mine("by hand"), **{way: _mine(way) for way in OURS}}
    commands |= {name: _theirs(python, way) for name, way in peers.items()}
    found = _measure(commands, table, folder, ROUNDS)
    waiting = _measure({way: _mine(way) for way in WAITING}, short, folder, WAITING_ROUNDS)
    _print_rates(found, batch)

    def beside(way: str, alternative: str, faster: float, times: dict[str, Measured] = found) -> Comparison:
        return Comparison(
            way, alternative, times[way].median, times[alternative].median, 1 / faster, len(times[way].seconds)
        )

    yield beside("in order", "by hand", 1.4)
    yield beside("in order", "zoopipe, one thread", 1.4)
    yield beside("two processes", "in order", 1.35)
    yield beside("two processes", "by hand", 1.9)
    yield beside("two processes", "zoopipe, two processes", 1.1)
    yield beside("threads", "in order", 0.85)
    yield beside("asyncio", "in order", 0.85)
    for cluster in ("Ray", "Dask"):
        yield beside(cluster, "in order", 1)
        yield beside(cluster, "two processes", 0.8)
    yield beside("waiting, ten threads", "waiting, in order", 8, waiting)
    yield beside("waiting, asyncio", "waiting, in order", 15, waiting)
    yield Comparison("memory in order", "100 MB", found["in order"].peak, 100, 1, ROUNDS, "MB")
    yield Comparison("memory of two processes, all three", "250 MB", found["two processes"].peak, 250, 1, ROUNDS, "MB")


def _measure(commands: dict[str, list[str]], table: Path, folder: Path, rounds: int) -> dict[str, Measured]:
    """Measure all ways in turns, in another order each time: a run leaves pages to be written, and a hot CPU.

    Memory is that of a round of its own. To ask ten processes of a cluster for theirs takes a tenth of a CPU.
    """
    found = {name: Measured() for name in commands}
    names = list(commands)
    for number in range(rounds):
        random.Random(number).shuffle(names)
        for name in names:
            seconds, _ = _run(commands[name], table, folder)
            found[name].seconds.append(seconds)
            print(f"  {name}: {seconds:.2f} s", file=sys.stderr)
    for name, measured in found.items():
        _, measured.peak = _run(commands[name], table, folder, watched=True)
        measured.good, measured.bad = _lines(folder / "good.jsonl"), _lines(folder / "bad.jsonl")
        print(f"  {name}: {measured.peak:.0f} MB", file=sys.stderr)
    return found


def _run(command: list[str], table: Path, folder: Path, *, watched: bool = False) -> tuple[float, float]:
    """Return the seconds that a way says it took, and the memory of its processes at their largest if it is watched."""
    for name in ("good.jsonl", "bad.jsonl"):
        (folder / name).unlink(missing_ok=True)
    process = subprocess.Popen(
        [*command, str(table), str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    peak = [0.0]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            peak[0] = max(peak[0], sum(map(_resident, _tree(process.pid))))

    watcher = threading.Thread(target=watch)
    if watched:
        watcher.start()
    out, err = process.communicate()
    ended.set()
    if watched:
        watcher.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{err}")
    told = json.loads(out.splitlines()[-1])
    if told["rows"] != (rows := _lines(table) - 1):
        raise RuntimeError(f"{' '.join(command)} read {told['rows']:,} of {rows:,} rows:\n{err}")
    return told["seconds"], peak[0]


def _tree(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def _resident(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def _mine(way: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.flow_work", way]


def _theirs(python: Path, way: str) -> list[str]:
    return [str(python), str(Path(__file__).with_name("flow_peers.py")), way]


def _write(table: Path, rows: int) -> None:
    """Write the rows of the example, one in a hundred bad."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "examples" / "people"))
    generate: Any = importlib.import_module("people.generate")
    people = generate.People(rows, 0.01, 1)
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(generate.COLUMNS)
        for start in range(0, rows, 10_000):
            for row in people.some(start, min(start + 10_000, rows)):
                # A row that lacks a field fails at ours, and ends the whole run of zoopipe.
                writer.writerow(row if len(row) == len(generate.COLUMNS) else [*row, "perhaps"])


def _peers(folder: Path) -> Path:
    """Make an environment of its own for what others publish, and return its interpreter."""
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run(["uv", "pip", "install", "--quiet", "--python", str(python), *PEERS], check=True)
    return python


def _print_rates(found: dict[str, Measured], batch: int) -> None:
    by_hand = found["by hand"].median
    print(f"{ROWS:,} rows of 8 columns, 1 % bad; zoopipe with batches of {batch}\n")
    print("| way | rows/s | × by hand | memory | good lines | error lines |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, each in found.items():
        print(
            f"| {name} | {ROWS / each.median:,.0f} | {by_hand / each.median:.2f}× | {each.peak:.0f} MB | "
            f"{each.good:,} | {each.bad:,} |"
        )
    hook = (found["in order, a hook"].median - found["in order"].median) / ROWS * 1e6
    print(f"\nA hook that looks at one field costs {hook:.1f} µs a row.\n")
