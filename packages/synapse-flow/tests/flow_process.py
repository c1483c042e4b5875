"""A flow as a process of its own, which tests kill: ``python flow_process.py FOLDER EXECUTOR [SECONDS PER CHUNK]``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from flow_parts import Person, Upper

from synapse_flow import (
    BaseHook,
    CSVInputAdapter,
    JSONOutputAdapter,
    MultiProcessingExecutor,
    Pipe,
    SyncFifoExecutor,
    ThreadExecutor,
)


class Slow(BaseHook):
    """Takes its time, and notes which chunk it was given."""

    def __init__(self, journal: Path, seconds: float) -> None:
        super().__init__()
        self.journal, self.seconds = journal, seconds

    def execute(self, entries, store):
        with open(self.journal, "a") as file:
            file.write(f"{entries[0]['position']} {len(entries)}\n")
        time.sleep(self.seconds)


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
    }[name]()


def main(folder: Path, name: str, seconds: float) -> None:
    pipe = Pipe(
        CSVInputAdapter(folder / "in.csv"),
        executor(name),
        JSONOutputAdapter(folder / "good.jsonl.gz"),
        JSONOutputAdapter(folder / "bad.json"),
        pre_validation_hooks=[Upper(), Slow(folder / "journal", seconds)],
        checkpoint=folder / "checkpoint",
        max_hook_chunk_size=500,
    )
    report = pipe.run()
    # Ray, too, prints: of workers that die, say.
    print("report", report.resumed_at, report.read_count, report.success_count, report.error_count)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 0.0)
