"""A flow as a process of its own, which tests kill: ``python flow_process.py FOLDER EXECUTOR [SECONDS PER CHUNK]``.

``forks`` are processes for a flow without hooks: its model and its input do what hooks do in the others.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

sys.path.insert(0, str(Path(__file__).parent))

from flow_parts import Person, Upper
from pydantic import StringConstraints

from synapse_flow import (
    BaseHook,
    CSVInputAdapter,
    JSONOutputAdapter,
    MultiProcessingExecutor,
    Pipe,
    SyncFifoExecutor,
    ThreadExecutor,
)

SIZE_OF_500 = 13_000  # bytes of so many records of the tests, about


class Slow(BaseHook):
    """Takes its time, and notes which chunk it was given."""

    def __init__(self, journal: Path, seconds: float) -> None:
        super().__init__()
        self.journal, self.seconds = journal, seconds

    def execute(self, entries, store):
        with open(self.journal, "a") as file:
            file.write(f"{entries[0]['position']} {len(entries)}\n")
        time.sleep(self.seconds)


class UpperPerson(Person):
    """A person whose validation does what `Upper` does."""

    name: Annotated[str, StringConstraints(min_length=1, to_upper=True)]


class SlowInput(CSVInputAdapter):
    """Does what `Slow` does, for each block."""

    def __init__(self, path: Path, journal: Path, seconds: float) -> None:
        super().__init__(path)
        self.journal, self.seconds = journal, seconds

    def blocks(self, sizes, start):
        position = start.position
        for block in super().blocks(sizes, start):
            with open(self.journal, "a") as file:
                file.write(f"{position} {block.count}\n")
            time.sleep(self.seconds / 2)  # of those at work on two chunks
            position += block.count
            yield block


def executor(name: str):
    if name == "dask":
        from synapse_flow import DaskExecutor

        return DaskExecutor(Person, chunksize=500)
    if name == "ray":
        from synapse_flow import RayExecutor

        return RayExecutor(Person, chunksize=500)
    return {
        "in-order": lambda: SyncFifoExecutor(Person),
        "threads": lambda: ThreadExecutor(Person, max_workers=2, chunksize=500),
        "processes": lambda: MultiProcessingExecutor(Person, max_workers=2, chunksize=500),
        "forks": lambda: MultiProcessingExecutor(UpperPerson, max_workers=2),
    }[name]()


def main(folder: Path, name: str, seconds: float) -> None:
    table, journal = folder / "in.csv", folder / "journal"
    pipe = Pipe(
        SlowInput(table, journal, seconds) if name == "forks" else CSVInputAdapter(table),
        executor(name),
        JSONOutputAdapter(folder / "good.jsonl.gz"),
        JSONOutputAdapter(folder / "bad.json"),
        pre_validation_hooks=[] if name == "forks" else [Upper(), Slow(journal, seconds)],
        checkpoint=folder / "checkpoint",
        max_hook_chunk_size=500,
        max_bytes_in_flight=SIZE_OF_500 * 5 if name == "forks" else None,
    )
    report = pipe.run()
    # Ray, too, prints: of workers that die, say.
    print("report", report.resumed_at, report.read_count, report.success_count, report.error_count)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 0.0)
