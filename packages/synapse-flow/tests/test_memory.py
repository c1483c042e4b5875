"""Memory stays what it is, however many rows there are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, resource, sys
sys.path.insert(0, {tests!r})
from flow_parts import Person
from synapse_flow import *

def main():
    executor = {{
        "in order": lambda: SyncFifoExecutor(Person),
        "threads": lambda: ThreadExecutor(Person, max_workers=4),
        "asyncio": lambda: AsyncIOExecutor(Person),
        "processes": lambda: MultiProcessingExecutor(Person, max_workers=2),
    }}[sys.argv[1]]()
    source, folder = sys.argv[2], sys.argv[3]
    report = Pipe(
        CSVInputAdapter(source), executor, JSONOutputAdapter(folder + "/good.jsonl"), JSONOutputAdapter(folder + "/bad.jsonl")
    ).run()
    # Not ru_maxrss, which a process has from the one that it was forked from.
    own = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) // 1024
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(json.dumps({{"rows": report.read_count, "own": own, "worker": worker}}))

if __name__ == "__main__":
    main()
"""


def table(path: Path, rows: int) -> Path:
    with path.open("w") as file:
        file.write("id,name,age,balance,born\n")
        for start in range(0, rows, 1000):
            file.write(
                "".join(
                    f"{i},name {i},{200 if i % 100 == 0 else 7},1.50,2000-01-02\n" for i in range(start, start + 1000)
                )
            )
    return path


def peaks(program: Path, name: str, source: Path) -> tuple[int, int, int]:
    process = subprocess.run(
        [sys.executable, str(program), name, str(source), str(program.parent)],
        capture_output=True,
        text=True,
        timeout=3000,
    )
    assert process.returncode == 0, process.stderr
    told = json.loads(process.stdout)
    return told["rows"], told["own"], told["worker"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is not there elsewhere")
@pytest.mark.parametrize(
    "name",
    ["in order", pytest.param("threads", marks=pytest.mark.campaign), pytest.param("asyncio", marks=pytest.mark.campaign),
     "processes"],
)  # fmt: skip
def test_memory_is_flat_within_a_tenth(name, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(tests=str(Path(__file__).parent)))
    few = 100_000
    many = 10_000_000 if os.environ.get("SYNAPSE_CAMPAIGN") else 300_000
    rows, own, worker = peaks(program, name, table(tmp_path / "few.csv", few))
    assert rows == few
    rows, own_many, worker_many = peaks(program, name, table(tmp_path / "many.csv", many))
    assert rows == many
    print(f"{name}: {own} → {own_many} MB, worker {worker} → {worker_many} MB, {few:,} → {many:,} rows")
    assert own_many <= 1.1 * own
    assert worker_many <= 1.1 * worker
    assert own_many < 100
    if name == "processes":
        assert own_many + 2 * worker_many < 250
