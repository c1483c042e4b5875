"""A mistake in reporting becomes a warning and never kills the action."""

import json
import logging
import math
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel

from synapse_core.actions import BaseAction
from synapse_core.context import RuntimeContext
from synapse_core.json_types import to_json_types
from synapse_core.model.enums import LogLevel
from synapse_core.ports.events import (
    DevEvent,
    Event,
    LogEvent,
    MessageEvent,
    MetricEvent,
    MetricsEvent,
    ProgressEvent,
    RecordingSink,
    VisualizationEvent,
)


class Idle(BaseAction[Any]):
    def execute(self) -> None:
        pass


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture(params=["context", "action"])
def reporter(request: pytest.FixtureRequest, sink: RecordingSink) -> Any:
    """The context, and an action: both report in the same way."""
    ctx = RuntimeContext(sink, job_id="j")
    return ctx if request.param == "context" else Idle({}, ctx)


def warnings_of(sink: RecordingSink) -> list[str]:
    return [event.message for event in sink.events if isinstance(event, MessageEvent) and event.level == "warning"]


def reports_of(sink: RecordingSink) -> list[Event]:
    return [event for event in sink.events if not isinstance(event, MessageEvent)]


def test_every_method_makes_its_event(reporter: Any, sink: RecordingSink) -> None:
    reporter.log("epoch", {"loss": 0.5}, file=Path("a.png"), level="error")
    reporter.set_progress(1, 4, "epochs")
    reporter.set_metrics({"loss": 0.5}, "training")
    reporter.log_metric("loss", "train", 0.5, epoch=1)
    reporter.log_visualization("images", "val", 2, Path("b.png"), label="cat")
    reporter.log_message("hello", LogLevel.CRITICAL)
    reporter.log_dev_event("look", {"a": 1})
    times = [event.time for event in sink.events]
    assert times == sorted(times)
    assert sink.events == [
        LogEvent(job_id="j", time=times[0], event="epoch", data={"loss": 0.5}, file="a.png", level="error"),
        ProgressEvent(job_id="j", time=times[1], current=1, total=4, step="epochs"),
        MetricsEvent(job_id="j", time=times[2], values={"loss": 0.5}, step="training"),
        MetricEvent(job_id="j", time=times[3], category="loss", key="train", value=0.5, metrics={"epoch": 1}),
        VisualizationEvent(
            job_id="j", time=times[4], category="images", group="val", index=2, image="b.png", meta={"label": "cat"}
        ),
        MessageEvent(job_id="j", time=times[5], message="hello", level="critical"),
        DevEvent(job_id="j", time=times[6], message="look", data={"a": 1}),
    ]
    assert [Event.from_dict(json.loads(json.dumps(event.to_dict()))) for event in sink.events] == sink.events


def test_a_step_for_metrics_is_required(reporter: Any) -> None:
    with pytest.raises(TypeError, match="step"):
        reporter.set_metrics({"a": 1})


class Broken:
    def __str__(self) -> str:
        raise ZeroDivisionError

    __repr__ = __str__

    def item(self) -> Any:
        raise ZeroDivisionError


class Endless:
    def item(self) -> Any:
        return self


@pytest.mark.parametrize(
    ("current", "total"),
    [
        (0, 0), (1, 0), (1, -1), (math.nan, 1), (1, math.nan), (1, math.inf), (math.inf, math.inf),
        ("1", "2"), (None, 1), (1, None), ([], 1), (1j, 2), (10**400, 10**401), (Broken(), 1), (1, Endless()),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_progress_that_says_nothing_is_a_warning(reporter: Any, sink: RecordingSink, current: Any, total: Any) -> None:
    reporter.set_progress(current, total)
    reporter.set_progress(1, 2)
    assert len(warnings_of(sink)) == 1
    assert "set_progress(" in warnings_of(sink)[0]
    assert len(reports_of(sink)) == 1


@pytest.mark.parametrize(("current", "total", "fraction"), [(5, 4, 1), (-1, 4, 0), (math.nextafter(4, 5), 4, 1)])
def test_progress_beyond_its_ends_is_cut_off_with_a_warning(
    reporter: Any, sink: RecordingSink, current: float, total: float, fraction: float
) -> None:
    reporter.set_progress(current, total)
    (event,) = reports_of(sink)
    assert isinstance(event, ProgressEvent)
    assert event.fraction == fraction
    assert len(warnings_of(sink)) == 1


@pytest.mark.parametrize("number", [1, 1.0, True, Decimal("1"), Fraction(1)], ids=lambda value: type(value).__name__)
def test_any_real_number_is_progress(reporter: Any, sink: RecordingSink, number: Any) -> None:
    reporter.set_progress(number, 2)
    (event,) = reports_of(sink)
    assert isinstance(event, ProgressEvent)
    assert event.fraction == 0.5
    assert type(event.current) in (int, float)
    assert not warnings_of(sink)


@given(st.floats() | st.integers(), st.floats() | st.integers())
def test_a_reported_fraction_is_always_between_0_and_1(current: float, total: float) -> None:
    sink = RecordingSink()
    RuntimeContext(sink).set_progress(current, total)
    for event in reports_of(sink):
        assert isinstance(event, ProgressEvent)
        assert 0 <= event.fraction <= 1


def test_the_same_mistake_in_a_loop_is_said_once_and_many_different_ones_end(sink: RecordingSink) -> None:
    ctx = RuntimeContext(sink)
    for _ in range(1000):
        ctx.set_progress(0, 0)
    assert len(warnings_of(sink)) == 1
    for n in range(1000):
        ctx.set_progress(n, 0)
    assert len(warnings_of(sink)) == 100


@pytest.mark.parametrize("value", [None, 5, "x", [("a", 1)], Broken()], ids=lambda value: type(value).__name__)
def test_metrics_that_are_no_mapping_are_a_warning(reporter: Any, sink: RecordingSink, value: Any) -> None:
    reporter.set_metrics(value, "s")
    assert not reports_of(sink)
    assert "have to be a mapping" in warnings_of(sink)[0]


def test_names_and_texts_of_any_kind_are_taken(reporter: Any, sink: RecordingSink) -> None:
    for odd in (None, 5, Broken(), b"x"):
        reporter.log(odd, file=odd, level=odd)
        reporter.set_progress(1, 2, odd)
        reporter.set_metrics({"a": 1}, odd)
        reporter.log_metric(odd, odd, odd)
        reporter.log_visualization(odd, odd, odd, odd)
        reporter.log_message(odd)
        reporter.log_dev_event(odd, odd)
    assert len(reports_of(sink)) == 24
    json.dumps([event.to_dict() for event in sink.events], allow_nan=False)


@pytest.mark.parametrize(
    ("level", "word"),
    [
        ("INFO", "info"), ("Warn", "warning"), ("fatal", "critical"), (LogLevel.ERROR, "error"),
        (logging.WARNING, "warning"), (logging.DEBUG, "debug"),
    ],
)  # fmt: skip
def test_levels_are_taken_as_people_write_them(reporter: Any, sink: RecordingSink, level: Any, word: str) -> None:
    reporter.log_message("x", level)
    assert [(event.level, event.message) for event in sink.events] == [(word, "x")]  # type: ignore[attr-defined]


@pytest.mark.parametrize("level", ["loud", None, Broken(), 2.5])
def test_an_unknown_level_is_info_and_a_warning_that_lists_the_known_ones(
    reporter: Any, sink: RecordingSink, level: Any
) -> None:
    reporter.log_message("x", level)
    assert [event.level for event in sink.events] == ["warning", "info"]  # type: ignore[attr-defined]
    assert "debug, info, warning, error, critical" in warnings_of(sink)[0]


# -- values that are not JSON -----------------------------------------------------------------


class Size(Enum):
    BIG = 3


class Model(BaseModel):
    at: date
    loss: float = math.nan


@dataclass
class Row:
    a: int
    path: Path


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": (1, {2})}, {"a": [1, [2]]}),
        (MappingProxyType({1: "x", Size.BIG: 2}), {"1": "x", "3": 2}),
        (Path("a/b"), "a/b"),
        (datetime(2024, 1, 2), "2024-01-02T00:00:00"),
        (Size.BIG, 3),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.50"), "1.50"),
        (Row(1, Path("x")), {"a": 1, "path": "x"}),
        (10**30, 10**30),
        (True, True),
        ([None, "ü"], [None, "ü"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_an_obvious_json_form_takes_it_without_a_word(value: Any, expected: Any) -> None:
    problems: list[str] = []
    assert to_json_types(value, problems) == expected
    assert not problems


@pytest.mark.parametrize(
    "value", [object(), b"x", 1j, Broken(), len, Path, Model, Row, {"a": [object()]}, ValueError("x")]
)
def test_anything_else_is_reported_as_text_with_a_warning(reporter: Any, sink: RecordingSink, value: Any) -> None:
    reporter.log("e", value)
    (event,) = reports_of(sink)
    json.dumps(event.to_dict(), allow_nan=False)
    assert "not JSON" in warnings_of(sink)[0]


def test_nan_and_the_infinities_become_text_and_the_warning_names_the_key(reporter: Any, sink: RecordingSink) -> None:
    reporter.set_metrics({"loss": math.nan, "best": [-math.inf]}, "training")
    (event,) = reports_of(sink)
    assert isinstance(event, MetricsEvent)
    assert event.values == {"loss": "NaN", "best": ["-Infinity"]}
    assert "loss is nan; best[0] is -inf" in warnings_of(sink)[0]
    assert to_json_types(Model(at=date(2024, 1, 1)), []) == {"at": "2024-01-01", "loss": "NaN"}


def test_data_that_contains_itself_twice_over_is_cut_off_at_once(reporter: Any, sink: RecordingSink) -> None:
    loop: dict[str, Any] = {}
    loop.update(left=loop, right=[loop, {"again": loop}])
    reporter.log("e", loop)
    (event,) = reports_of(sink)
    assert isinstance(event, LogEvent)
    assert event.data == {"left": "…", "right": ["…", {"again": "…"}]}
    assert "contains itself" in warnings_of(sink)[0]


def test_the_same_object_twice_is_no_loop(reporter: Any, sink: RecordingSink) -> None:
    shared = [1]
    reporter.log("e", [shared, shared])
    assert reports_of(sink)[0].data == [[1], [1]]  # type: ignore[attr-defined]
    assert not warnings_of(sink)


def test_very_deep_data_is_cut_off(reporter: Any, sink: RecordingSink) -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    reporter.log("e", deep)
    json.dumps(reports_of(sink)[0].to_dict())
    assert "nested deeper" in warnings_of(sink)[0]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)))  # fmt: skip
def test_json_itself_is_reported_as_it_is(value: Any) -> None:
    problems: list[str] = []
    assert to_json_types(value, problems) == value
    assert not problems


def test_numpy_numbers_and_arrays_are_fine(reporter: Any, sink: RecordingSink) -> None:
    numpy = pytest.importorskip("numpy")
    reporter.set_progress(numpy.int64(1), numpy.float32(2))
    reporter.set_progress(numpy.float64(0.5), numpy.array([1]))
    reporter.set_metrics({"a": numpy.float64(0.5), "b": numpy.bool_(True), "c": numpy.arange(2)}, numpy.str_("s"))
    assert not warnings_of(sink)
    first, second, third = reports_of(sink)
    assert (first.fraction, second.fraction) == (0.5, 0.5)  # type: ignore[attr-defined]
    assert third.values == {"a": 0.5, "b": True, "c": [0, 1]}  # type: ignore[attr-defined]
    assert json.loads(json.dumps([event.to_dict() for event in sink.events]))
