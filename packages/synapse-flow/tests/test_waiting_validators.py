"""Threads are used where something may wait for something else, and only there."""

import sys
import threading
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, PlainSerializer, field_validator

from synapse_flow import AsyncIOExecutor, IterableInputAdapter, MemoryOutputAdapter, Pipe, ThreadExecutor
from synapse_flow.validation.python_code import calls_python

TOGETHER = 4
EXECUTORS: dict[str, Any] = {
    "threads": lambda model: ThreadExecutor(model, max_workers=TOGETHER),
    "asyncio": lambda model: AsyncIOExecutor(model, concurrency=TOGETHER),
}
_meeting = threading.Barrier(TOGETHER, timeout=30)


class Meets(BaseModel):
    """A record that is valid when as many others are validated at the same time."""

    id: int

    @field_validator("id")
    @classmethod
    def meet(cls, value: int) -> int:
        try:
            _meeting.wait()
        except threading.BrokenBarrierError as error:
            raise ValueError("nobody else came") from error
        return value


class Plain(BaseModel):
    id: int
    name: str = Field(min_length=1)
    balance: Decimal | None = None
    born: Annotated[date, Field(le=date(2100, 1, 1))] = date(2000, 1, 1)


class Nested(BaseModel):
    plains: list[Plain]


class InsideNested(BaseModel):
    records: dict[str, list[Meets]]


class AfterInit(BaseModel):
    id: int

    def model_post_init(self, context: Any) -> None: ...


class OwnInit(BaseModel):
    def __init__(self, **data: Any) -> None:
        super().__init__(**data)


class Factory(BaseModel):
    id: int = Field(default_factory=lambda: 1)


class Serialized(BaseModel):
    id: Annotated[int, PlainSerializer(lambda value: value)]


class Tree(BaseModel):
    children: "list[Tree]"


@pytest.mark.parametrize("name", EXECUTORS)
def test_validators_wait_together(name: str) -> None:
    _meeting.reset()
    good = MemoryOutputAdapter()
    report = Pipe(IterableInputAdapter([{"id": n} for n in range(4 * TOGETHER)]), EXECUTORS[name](Meets), good).run()
    assert (report.success_count, report.error_count) == (4 * TOGETHER, 0)
    assert [entry["validated_data"]["id"] for entry in good.results] == list(range(4 * TOGETHER))


@pytest.mark.parametrize("name", EXECUTORS)
@pytest.mark.skipif(not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="threads compute at once")
def test_what_only_computes_has_no_threads(name: str) -> None:
    seen = set()

    def rows() -> Any:
        for n in range(30_000):
            seen.update(thread.name for thread in threading.enumerate())
            yield {"id": n, "name": "x"}

    report = Pipe(IterableInputAdapter(rows), EXECUTORS[name](Plain)).run()
    assert report.success_count == 30_000
    assert not [name for name in seen if name.startswith("synapse-engine")]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (None, False),
        (Plain, False),
        (Nested, False),
        (Tree, False),
        (dict[str, int], False),
        (Meets, True),
        (InsideNested, True),
        (AfterInit, True),
        (OwnInit, True),
        (Factory, True),
        (Serialized, True),
        (Annotated[int, AfterValidator(abs)], True),
        (Annotated[int, BeforeValidator(int)], True),
        (object(), True),
    ],
)
def test_it_is_known_which_models_call_python(model: Any, expected: bool) -> None:
    assert calls_python(model) is expected
