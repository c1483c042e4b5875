"""Every value opens again as it was, whichever way it crosses."""

import dataclasses
import pickle
import subprocess
import sys
import threading
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel

from synapse_core.errors import ExecutionError
from synapse_core.model.outcome import Outcome
from synapse_ray.wire import is_plain, pack, pack_outcome, unpack, unpack_outcome


class Point(BaseModel):
    x: int = 1


@dataclasses.dataclass
class Pair:
    left: Any
    right: Any


class Rest:
    """Has no form as data."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rest)

    __hash__ = None  # type: ignore[assignment]


class Words(list):
    pass


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner)
)


@given(values)
def test_plain_values_cross_as_they_are(value: Any) -> None:
    kind, carried = pack(value)
    assert kind == "plain"
    assert carried is value
    assert unpack(pickle.loads(pickle.dumps((kind, carried)))) == value


@pytest.mark.parametrize(
    "value",
    [Point(x=3), Pair(1, {2}), {"deep": [Point()]}, datetime(2026, 1, 2, tzinfo=ZoneInfo("Europe/Berlin"))],
)
def test_what_has_a_form_as_data_crosses_as_data(value: Any) -> None:
    packed = pack(value)
    assert packed[0] == "data"
    assert unpack(pickle.loads(pickle.dumps(packed))) == value


@pytest.mark.parametrize("value", [Rest(), [Rest()], Words([1])])
def test_anything_else_is_pickled(value: Any) -> None:
    packed = pack(value)
    assert packed[0] == "pickle"
    assert unpack(packed) == value
    assert type(unpack(packed)) is type(value)


def test_what_cannot_be_pickled_is_named() -> None:
    with pytest.raises(TypeError, match="pickling it fails"):
        pack({"lock": threading.Lock()})


def test_arrays_cross_as_they_are_unless_they_hold_objects() -> None:
    assert is_plain({"a": np.arange(3)})
    assert not is_plain(np.array([Rest()], dtype=object))
    assert not is_plain(np.ma.array([1]))


def test_a_value_that_contains_itself_is_not_plain() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert not is_plain(loop)


def test_a_subclass_never_loses_its_type() -> None:
    class Text(str):
        pass

    assert not is_plain(Text("x"))
    assert is_plain([datetime(2026, 1, 1, tzinfo=UTC), Decimal(1), Path("x")])


@pytest.mark.parametrize("value", [1, {"a": Point()}, Rest()])
def test_an_outcome_crosses_with_its_value(value: Any) -> None:
    packed = pickle.loads(pickle.dumps(pack_outcome(Outcome.of_value(value, allow_pickle=True))))
    assert unpack_outcome(packed).unwrap() == value


def test_an_outcome_crosses_with_its_error() -> None:
    error = ExecutionError("no", original_type="ValueError", remote_traceback="Traceback …")
    with pytest.raises(ExecutionError) as caught:
        unpack_outcome(pack_outcome(Outcome.of_error(error))).unwrap()
    assert (caught.value.original_type, caught.value.remote_traceback) == ("ValueError", "Traceback …")


def test_packing_plain_values_needs_no_import_of_ray() -> None:
    code = "import sys; from synapse_ray.wire import pack; pack({'a': [1]}); assert 'ray' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_arrays_are_writable_wherever_ray_has_opened_them_read_only() -> None:
    read_only = np.arange(3)
    read_only.flags.writeable = False
    opened = unpack(("plain", {"list": [read_only, 1], "tuple": ("a", read_only), "deep": {"array": read_only}}))
    opened["list"][0][0] = opened["tuple"][1][0] = opened["deep"]["array"][0] = 7
    assert [opened["list"][0][0], opened["tuple"][1][0], opened["deep"]["array"][0]] == [7, 7, 7]
    assert read_only[0] == 0
    writable = np.arange(3)
    assert unpack(("plain", writable)) is writable
