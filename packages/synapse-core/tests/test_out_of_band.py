"""Large bytes are not copied where a value is pickled, and arrive whichever way it is pickled."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import numpy
import pytest
from hypothesis import given, strategies as st

from synapse_core.out_of_band import Blob, pickled, unpickled


def _plain(value: Any) -> Any:
    if isinstance(value, Blob):
        return bytes(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value


VALUES = st.recursive(
    st.none() | st.integers() | st.binary(max_size=9) | st.binary(max_size=9).map(Blob),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=9,
)


@given(VALUES, st.integers(2, pickle.HIGHEST_PROTOCOL))
def test_what_was_pickled_comes_back_also_where_its_parts_are_pickled_again_and_again(
    value: Any, protocol: int
) -> None:
    parts = pickled(value)
    for _ in range(2):  # as a scheduler does
        parts = unpickled(pickled(parts))
        parts = pickle.loads(pickle.dumps(parts, protocol=protocol))
    assert _plain(unpickled(parts)) == _plain(value)


def test_bytes_are_not_copied() -> None:
    data = b"x" * 100_000
    parts = pickled({"some": [Blob(data)]})
    assert len(bytes(parts[0])) < 200
    assert memoryview(unpickled(parts)["some"][0].buffer).obj is data


def test_arrays_can_be_changed_where_they_arrive() -> None:
    read_only = [Blob(bytes(part)) for part in pickled({"array": numpy.arange(1000)})]
    array = unpickled(read_only)["array"]
    array += 1
    assert array.tolist() == list(range(1, 1001))


@pytest.mark.parametrize("data", [b"abc", bytearray(b"abc"), memoryview(b"abc"), pickle.PickleBuffer(b"abc")])
def test_whatever_has_bytes_gives_them(data: Any) -> None:
    assert bytes(Blob(data)) == b"abc"
    assert bytes(unpickled(pickled(Blob(data)))) == b"abc"
    assert sys.getsizeof(Blob(data)) == sys.getsizeof(Blob(b"")) + 3
