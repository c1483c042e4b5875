"""One way through the rows, as a process of its own: ours, or by hand. Prints what it took as a line of JSON.

``python -m benchmarks.flow_work WAY TABLE FOLDER``
"""

from __future__ import annotations

import csv
import importlib
import json
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError


class Person(BaseModel):
    """A row of the table."""

    id: int
    name: str = Field(min_length=1)
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    age: int = Field(ge=0, le=130)
    city: str
    balance: Decimal
    born: date
    active: bool


def by_hand(table: Path, folder: Path) -> int:
    """The loop that everybody writes."""
    rows = 0
    errors = []
    with (
        table.open(encoding="utf-8", newline="") as source,
        (folder / "good.jsonl").open("w", encoding="utf-8") as good,
    ):
        for row in csv.DictReader(source):
            try:
                good.write(Person.model_validate(row).model_dump_json() + "\n")
            except ValidationError as error:
                errors.append({"position": rows, "raw_data": row, "errors": error.errors(include_url=False)})
            rows += 1
    (folder / "bad.json").write_text(json.dumps(errors, default=str))
    return rows


def ours(executor: Any, table: Path, folder: Path, pre_hooks: list[Any] | None = None) -> int:
    from synapse_flow import CSVInputAdapter, JSONOutputAdapter, Pipe

    report = Pipe(
        CSVInputAdapter(table),
        executor,
        JSONOutputAdapter(folder / "good.jsonl"),
        JSONOutputAdapter(folder / "bad.jsonl"),
        pre_validation_hooks=pre_hooks,
    ).run()
    return report.read_count


def _waits() -> Any:
    from synapse_flow import BaseHook

    class Waits(BaseHook):
        def execute(self, entries: Any, store: Any) -> None:
            for _ in entries:
                time.sleep(0.02)

    return Waits()


def _awaits() -> Any:
    import asyncio

    from synapse_flow import BaseHook

    class Awaits(BaseHook):
        async def execute(self, entries: Any, store: Any) -> None:
            for _ in entries:
                await asyncio.sleep(0.02)

    return Awaits()


def _reads() -> Any:
    from synapse_flow import BaseHook

    class Reads(BaseHook):
        def execute(self, entries: Any, store: Any) -> None:
            for entry in entries:
                entry["raw_data"]["city"]

    return Reads()


def _executor(name: str, **options: Any) -> Any:
    import synapse_flow

    return getattr(synapse_flow, name)(Person, **options)


def _ray() -> AbstractContextManager[Any]:
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    nap = ray.remote(lambda: time.sleep(0.5))
    ray.get([nap.remote() for _ in range(2)])  # its first processes have started, as those of a running cluster
    return nullcontext()


def _dask() -> AbstractContextManager[Any]:
    from distributed import Client, LocalCluster

    Client(LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None))
    return nullcontext()


WAYS: dict[str, Callable[[Path, Path], int]] = {
    "by hand": by_hand,
    "in order": lambda *at: ours(_executor("SyncFifoExecutor"), *at),
    "in order, a hook": lambda *at: ours(_executor("SyncFifoExecutor"), *at, [_reads()]),
    "two processes": lambda *at: ours(_executor("MultiProcessingExecutor", max_workers=2), *at),
    "threads": lambda *at: ours(_executor("ThreadExecutor", max_workers=2), *at),
    "asyncio": lambda *at: ours(_executor("AsyncIOExecutor"), *at),
    "Ray": lambda *at: ours(_executor("RayExecutor"), *at),
    "Dask": lambda *at: ours(_executor("DaskExecutor"), *at),
    "waiting, in order": lambda *at: ours(_executor("SyncFifoExecutor"), *at, [_waits()]),
    "waiting, ten threads": lambda *at: ours(_executor("ThreadExecutor", max_workers=10), *at, [_waits()]),
    "waiting, asyncio": lambda *at: ours(_executor("AsyncIOExecutor", concurrency=20), *at, [_awaits()]),
}


def main() -> None:
    way, table, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if way != "by hand":
        importlib.import_module("synapse_flow.pipe")
    {"Ray": _ray, "Dask": _dask}.get(way, nullcontext)()  # a cluster that is there already
    started = time.perf_counter()
    rows = WAYS[way](table, folder)
    print(json.dumps({"seconds": time.perf_counter() - started, "rows": rows}))


if __name__ == "__main__":
    main()
