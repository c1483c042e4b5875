"""Whatever flows, every executor writes what the one in order writes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from flow_parts import Adds, AsyncAdds, Doubles, Drops, FailsOn, FailsOnOnce, Keeps, Loose, Person, Upper
from hypothesis import HealthCheck, given, settings, strategies as st

from synapse_flow import (
    AsyncIOExecutor,
    BaseInputAdapter,
    FlowStatus,
    MemoryOutputAdapter,
    MultiProcessingExecutor,
    Pipe,
    SyncFifoExecutor,
    ThreadExecutor,
)  # fmt: skip
from synapse_flow.executors.registered import EngineExecutor


class Rows(BaseInputAdapter):
    """Records of a list."""

    def __init__(self, rows: list[Any]) -> None:
        super().__init__(id_generator=iter(range(10**9)).__next__)
        self.rows = rows

    @property
    def generator(self) -> list[Any]:
        return self.rows


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=4), st.binary(max_size=4),
        st.dates(), st.just(Decimal("1.50")), st.uuids(),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=4,
)  # fmt: skip
RECORDS = st.one_of(
    st.fixed_dictionaries(
        {"id": st.integers(0, 30).map(str), "name": st.sampled_from(["a", "b", ""])},
        optional={
            "age": st.sampled_from([1, "2", 200, "x"]), "balance": st.sampled_from(["1.5", "?"]), "more": VALUES,
            "when": st.one_of(st.dates(), st.just("2024-02-29"), st.just("no")),
            "tags": st.one_of(st.sets(st.integers()), st.just([1, 1])),
        },
    ),
    st.integers(),
)  # fmt: skip
PRE = st.lists(
    st.sampled_from([Upper(), FailsOn(1, 2, 3), FailsOn(7, priority=0), Drops(), Doubles(), Keeps()]),
    max_size=3,
    unique=True,
)
POST = st.lists(st.sampled_from([Adds(), AsyncAdds(), Keeps(), Drops()]), max_size=2, unique=True)
SIZES = st.one_of(st.none(), st.integers(1, 40))


def flow(executor: Any, rows: list[Any], pre: list[Any], post: list[Any], **more: Any) -> tuple[Any, Any, Any]:
    good, bad = MemoryOutputAdapter(), MemoryOutputAdapter()
    pipe = Pipe(Rows(rows), executor, good, bad, pre_validation_hooks=pre, post_validation_hooks=post, **more)
    report = pipe.run()
    assert report.status is FlowStatus.COMPLETED
    counts = {name: value for name, value in report.to_dict().items() if name.endswith(("_count", "_type"))}
    return counts, plain(good.results), plain(bad.results)


def plain(entries: list[Any]) -> list[dict[str, Any]]:
    """Return entries without the random ids of those that hooks made."""
    return [{key: value for key, value in entry.items() if key != "id" or isinstance(value, int)} for entry in entries]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(RECORDS, max_size=60), PRE, POST, st.sampled_from([Person, Loose, None]), SIZES, SIZES)
def test_executors_of_this_process_agree(rows, pre, post, model, chunksize, most):
    if model is not Person:
        post = [hook for hook in post if isinstance(hook, (Keeps, Drops))]
    expected = flow(SyncFifoExecutor(model), rows, pre, post)
    for executor in (
        ThreadExecutor(model, max_workers=3, chunksize=chunksize or 1),
        AsyncIOExecutor(model, concurrency=3, chunksize=chunksize),
        EngineExecutor("serial", model, chunksize=chunksize),  # packs what goes in and out
        EngineExecutor("threads", model, chunksize=chunksize, compression="lz4"),
    ):
        assert flow(executor, rows, pre, post, max_hook_chunk_size=most) == expected


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(RECORDS, min_size=30, max_size=200), PRE, POST, st.sampled_from([Person, Loose]), SIZES)
def test_processes_agree_too(rows, pre, post, model, chunksize):
    if model is not Person:
        post = [hook for hook in post if isinstance(hook, (Keeps, Drops))]
    expected = flow(SyncFifoExecutor(model), rows, pre, post)
    assert flow(MultiProcessingExecutor(model, max_workers=2, chunksize=chunksize or 1), rows, pre, post) == expected


@pytest.mark.parametrize("executor", [ThreadExecutor(Person, max_workers=4, ordered=False)])
def test_without_order_the_records_are_the_same(executor):
    rows = [{"id": str(i), "name": "x", "age": 1} for i in range(500)]
    counts, good, bad = flow(executor, rows, [Upper(), FailsOnOnce(10_000)], [])
    expected = flow(SyncFifoExecutor(Person), rows, [Upper(), FailsOnOnce(10_000)], [])
    assert counts == expected[0]
    assert sorted(good, key=lambda entry: entry["position"]) == expected[1]
    assert bad == []
