"""A flow as a process of its own, which tests kill: ``python flow_process.py FOLDER EXECUTOR [SECONDS PER CHUNK]``.

``forks`` are processes for a flow without hooks: its model does what hooks do in the others.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import ClassVar

sys.path.insert(0, str(Path(__file__).parent))

from flow_parts import Person, Upper
from pydantic import field_validator

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


class SlowPerson(Person):
    """A person whose validation does what the hooks do, for each 500th record what `Slow` does for a chunk."""

    journal: ClassVar[Path]
    seconds: ClassVar[float]

    @field_validator("name", mode="before")
    @classmethod
    def upper(cls, name: str) -> str:
        return name.upper()

    @field_validator("id", mode="before")
    @classmethod
    def slow(cls, given: str) -> str:
        if int(given) % 500 == 0:
            with open(cls.journal, "a") as file:
                file.write(f"{given} 500\n")
            time.sleep(cls.seconds)
        return given


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
        "forks": lambda: MultiProcessingExecutor(SlowPerson, max_workers=2),
    }[name]()


def main(folder: Path, name: str, seconds: float) -> None:
    SlowPerson.journal, SlowPerson.seconds = folder / "journal", seconds
    pipe = Pipe(
        CSVInputAdapter(folder / "in.csv"),
        executor(name),
        JSONOutputAdapter(folder / "good.jsonl.gz"),
        JSONOutputAdapter(folder / "bad.json"),
        pre_validation_hooks=[] if name == "forks" else [Upper(), Slow(folder / "journal", seconds)],
        checkpoint=folder / "checkpoint",
        max_hook_chunk_size=500,
        max_bytes_in_flight=SIZE_OF_500 * 5 if name == "forks" else None,
    )
    report = pipe.run()
    # Ray, too, prints: of workers that die, say.
    print("report", report.resumed_at, report.read_count, report.success_count, report.error_count)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 0.0)
