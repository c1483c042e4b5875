"""What is different where no hook is called: no threads, and processes may be forks where no other code is called."""

import pickle
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from flow_parts import Drawn, Person
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    HttpUrl,
    PlainSerializer,
    RootModel,
    SecretStr,
    StringConstraints,
    Tag,
    computed_field,
    field_validator,
    model_validator,
)  # fmt: skip

from synapse_flow import (
    AsyncIOExecutor,
    IterableInputAdapter,
    MemoryOutputAdapter,
    MultiProcessingExecutor,
    Pipe,
    ThreadExecutor,
)  # fmt: skip
from synapse_flow.chunks import Records
from synapse_flow.collecting import RowCollector
from synapse_flow.inputs.row_decoding import RowDecoder
from synapse_flow.validation.compiled import is_compiled
from synapse_flow.work import ChunkWork, sent


@pytest.mark.parametrize("executor", [ThreadExecutor, AsyncIOExecutor])
@pytest.mark.skipif(not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="threads compute at once")
def test_threads_that_would_only_take_turns_are_not_started(executor: Any) -> None:
    seen = set()

    def rows() -> Any:
        for n in range(30_000):
            seen.update(thread.name for thread in threading.enumerate())
            yield {"id": n, "name": "x", "age": 1}

    report = Pipe(IterableInputAdapter(rows), executor(Person)).run()
    assert report.success_count == 30_000
    assert not [name for name in seen if name.startswith("synapse-engine")]


class Flat(BaseModel):
    model_config = ConfigDict(str_strip_whitespace=True)

    id: UUID
    name: Annotated[str, StringConstraints(min_length=1, to_upper=True)] = Field(alias="n", default="x")
    balance: Decimal | None = None
    born: Annotated[date, Field(le=date(2100, 1, 1))] = date(2000, 1, 1)
    kind: Literal["a", "b"] = "a"
    tags: list[str] = []  # pydantic copies it


class Nested(BaseModel):
    records: dict[str, list[Flat]]


class Tree(BaseModel):
    children: "list[Tree]"


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Tagged(BaseModel):
    animal: Annotated[Cat | Dog, Field(discriminator="kind")]


class Colour(Enum):
    RED = "red"


class Coloured(BaseModel):
    colour: Colour


class Guessed(Enum):
    RED = "red"

    @classmethod
    def _missing_(cls, value: object) -> "Guessed":
        return cls.RED


class WithGuessed(BaseModel):
    colour: Guessed


class Validated(BaseModel):
    config: int  # a name that schemas have, too

    @field_validator("config")
    @classmethod
    def check(cls, value: int) -> int:
        return value


class InsideNested(BaseModel):
    records: list[Validated]


class WholeValidated(BaseModel):
    @model_validator(mode="after")
    def check(self) -> "WholeValidated":
        return self


class AfterInit(BaseModel):
    def model_post_init(self, context: Any) -> None: ...


class OwnInit(BaseModel):
    def __init__(self, **data: Any) -> None:
        super().__init__(**data)


class OwnNew(BaseModel):
    def __new__(cls, *args: Any, **kwargs: Any) -> "OwnNew":
        return super().__new__(cls)


class NestedNew(BaseModel):
    inner: OwnNew


class Factory(BaseModel):
    id: int = Field(default_factory=lambda: 1)


class Serialized(BaseModel):
    id: Annotated[int, PlainSerializer(lambda value: value)]


class Computed(BaseModel):
    @computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> int:
        return 2


class CalledTag(BaseModel):
    animal: Annotated[Annotated[Cat, Tag("cat")] | Annotated[Dog, Tag("dog")], Discriminator(lambda raw: raw["kind"])]


class Meta(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return True


class Any1(metaclass=Meta): ...


class Checked(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    one: Any1


@dataclass
class AfterInitData:
    id: int

    def __post_init__(self) -> None: ...


COMPILED = (None, Flat, Nested, Tree, Tagged, Coloured, Person, dict[str, int])
CALLING = (
    Validated, InsideNested, WholeValidated, AfterInit, OwnInit, OwnNew, NestedNew, Factory, Serialized, Computed,
    CalledTag, WithGuessed, RootModel[list[int]], Checked, AfterInitData, SecretStr, HttpUrl, Annotated[int, AfterValidator(abs)], object(),
)  # fmt: skip


@pytest.mark.parametrize("model", COMPILED)
def test_models_without_code_of_their_own_are_known(model: Any) -> None:
    assert is_compiled(model)


@pytest.mark.parametrize("model", CALLING)
def test_others_are_taken_to_call_code(model: Any) -> None:
    assert not is_compiled(model)


_IN_A_WORKER = """
import pickle, sys
from synapse_flow.chunks import Chunk
work = pickle.load(sys.stdin.buffer)
result = work(Chunk(0, 0, 2, [{"id": "00000000-0000-0000-0000-000000000001"}, {"id": "a"}]))
assert (result.written, result.failed) == (1, 1), result
print(sorted({name.partition(".")[0] for name in sys.modules} & {"pydantic", "pydantic_core", "cloudpickle", "asyncio"}))
"""


def test_a_worker_needs_little_of_pydantic_for_a_model_without_code_of_its_own() -> None:
    work = sent(ChunkWork(RowDecoder(), Flat, [], [], RowCollector(), RowCollector()))
    run = subprocess.run(
        [sys.executable, "-c", _IN_A_WORKER], input=pickle.dumps(work), capture_output=True, check=True
    )
    assert run.stdout.split() == [b"['pydantic_core']"]


class OwnDecoder:
    def decode(self, chunk: Any) -> Any:
        yield Records(chunk.payload)


def test_work_may_be_forked_where_all_its_code_is_known() -> None:
    def work(model: Any, decoder: Any) -> Any:
        return sent(ChunkWork(decoder, model, [], [], RowCollector(), RowCollector()))

    assert work(Flat, RowDecoder()).may_fork
    assert not work(Validated, RowDecoder()).may_fork
    assert not work(Flat, OwnDecoder()).may_fork


def test_processes_draw_numbers_of_their_own() -> None:
    good = MemoryOutputAdapter()
    Pipe(IterableInputAdapter([{} for _ in range(40_000)]), MultiProcessingExecutor(Drawn, max_workers=2), good).run()
    assert len({entry["validated_data"]["number"] for entry in good.results}) == 40_000
