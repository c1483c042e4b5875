"""Every documented import path gives the very object that the flat name gives, and the document's examples run."""

from __future__ import annotations

import asyncio
import http.server
import importlib
import json
import pkgutil
import threading
from pathlib import Path

import pytest
from pydantic import BaseModel

import synapse_flow.chunk_worker
import zoopipe

MODULES = sorted(module.name for module in pkgutil.walk_packages(zoopipe.__path__, "zoopipe."))
DOCUMENTED = {
    "zoopipe": ["Pipe"],
    "zoopipe.executor.base": ["BaseExecutor"],
    "zoopipe.executor.sync_fifo": ["SyncFifoExecutor"],
    "zoopipe.executor.multiprocessing": ["MultiProcessingExecutor", "MultiprocessingExecutor"],
    "zoopipe.executor.thread": ["ThreadExecutor"],
    "zoopipe.executor.asyncio": ["AsyncIOExecutor"],
    "zoopipe.executor.dask": ["DaskExecutor"],
    "zoopipe.executor.ray": ["RayExecutor"],
    "zoopipe.hooks.base": ["BaseHook", "HookStore"],
    "zoopipe.input_adapter.csv": ["CSVInputAdapter"],
    "zoopipe.input_adapter.json": ["JSONInputAdapter"],
    "zoopipe.input_adapter.arrow": ["ArrowInputAdapter"],
    "zoopipe.input_adapter.queue": ["QueueInputAdapter", "AsyncQueueInputAdapter"],
    "zoopipe.input_adapter.sqlalchemy": ["SQLAlchemyInputAdapter"],
    "zoopipe.input_adapter.duckdb": ["DuckDBInputAdapter"],
    "zoopipe.output_adapter.memory": ["MemoryOutputAdapter"],
    "zoopipe.output_adapter.generator": ["GeneratorOutputAdapter"],
    "zoopipe.output_adapter.dummy": ["DummyOutputAdapter"],
    "zoopipe.report": ["FlowReport", "FlowStatus", "EntryStatus"],
}


class Person(BaseModel):
    id: int
    name: str
    enriched: dict | None = None


@pytest.mark.parametrize("path", MODULES)
def test_a_module_has_what_it_lists_and_no_code_of_its_own(path):
    module = importlib.import_module(path)
    for name in module.__all__:
        assert getattr(module, name).__module__.startswith("synapse_flow.")
        assert getattr(synapse_flow, name) is getattr(module, name)


def test_documented_names_are_there():
    for path, names in DOCUMENTED.items():
        assert set(names) <= set(importlib.import_module(path).__all__)


# -- the examples of the document, with its calls ----------------------------------------------------


def run(executor, rows=None, **hooks):
    from zoopipe import Pipe
    from zoopipe.input_adapter.iterable import IterableInputAdapter
    from zoopipe.output_adapter.memory import MemoryOutputAdapter

    output = MemoryOutputAdapter()
    rows = rows or [{"id": str(number), "name": f"name {number}"} for number in range(300)]
    pipe = Pipe(input_adapter=IterableInputAdapter(rows), output_adapter=output, executor=executor, **hooks)
    report = pipe.start()
    assert report.wait(120)
    assert report.exception is None
    assert report.success_count == len(rows)
    return output.results


def test_in_order():
    from zoopipe.executor.sync_fifo import SyncFifoExecutor

    assert run(SyncFifoExecutor(Person))[7]["validated_data"] == {"id": 7, "name": "name 7", "enriched": None}


def test_processes():
    from zoopipe.executor.multiprocessing import MultiProcessingExecutor

    executor = MultiProcessingExecutor(schema_model=synapse_person(), max_workers=4, chunksize=100, compression="lz4")
    assert len(run(executor)) == 300


def synapse_person():
    """Return a model that is sent by value: this module is not importable elsewhere."""

    class Sent(BaseModel):
        id: int
        name: str

    return Sent


def test_threads():
    from zoopipe.executor.thread import ThreadExecutor

    assert len(run(ThreadExecutor(schema_model=Person, max_workers=10, chunksize=1))) == 300


def test_asyncio():
    from zoopipe.executor.asyncio import AsyncIOExecutor

    assert len(run(AsyncIOExecutor(schema_model=Person, concurrency=10, max_workers=4))) == 300


@pytest.fixture
def api():
    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"path": self.path}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_hook_that_asks_an_api_with_coroutines(api):
    aiohttp = pytest.importorskip("aiohttp")
    from zoopipe.executor.asyncio import AsyncIOExecutor
    from zoopipe.hooks.base import BaseHook

    class Enriches(BaseHook):
        async def execute(self, entries, store):
            async with aiohttp.ClientSession() as session:
                for entry in entries:
                    async with session.get(f"{api}/{entry['raw_data']['id']}") as answer:
                        entry["raw_data"]["enriched"] = await answer.json()
            return entries

    rows = [{"id": str(number), "name": "x"} for number in range(40)]
    found = run(AsyncIOExecutor(schema_model=Person, concurrency=20), rows, pre_validation_hooks=[Enriches()])
    assert [entry["validated_data"]["enriched"] for entry in found] == [{"path": f"/{n}"} for n in range(40)]


def test_a_loop_of_ones_own():
    from zoopipe.executor.asyncio import AsyncIOExecutor

    loop = asyncio.new_event_loop()
    assert len(run(AsyncIOExecutor(schema_model=Person, loop=loop))) == 300
    loop.close()


@pytest.mark.timeout(280)
def test_ray_with_its_documented_arguments(ray_cluster, ray_environment):
    import ray

    from zoopipe.executor.ray import RayExecutor

    executor = RayExecutor(schema_model=synapse_person(), compression="lz4", max_inflight=20)
    assert len(run(executor)) == 300
    assert not ray.is_initialized()  # what the executor has connected to, it leaves


@pytest.mark.timeout(280)
def test_dask_with_its_documented_arguments(tmp_path: Path):
    from distributed import LocalCluster

    from zoopipe.executor.dask import DaskExecutor

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, local_directory=tmp_path) as cluster:
        executor = DaskExecutor(schema_model=synapse_person(), address=cluster.scheduler_address, compression="lz4")
        assert len(run(executor)) == 300


def test_the_work_on_a_chunk_is_one_function_for_all():
    from zoopipe.executor.base import BaseExecutor

    functions = {cls.process_chunk_on_worker for cls in (BaseExecutor, *BaseExecutor.__subclasses__())}
    assert functions == {synapse_flow.chunk_worker.process_chunk}
