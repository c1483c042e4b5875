"""Numpy arrays and scalars come back with type, shape and bytes, or are refused."""

import json
import math
from typing import Any

import pytest

from synapse_core.model.tagged import UnencodableError, decode, encode

numpy = pytest.importorskip("numpy")


def round_trip(value: Any) -> Any:
    return decode(json.loads(json.dumps(encode(value), allow_nan=False)))


ARRAYS = [
    numpy.arange(6).reshape(2, 3),
    numpy.arange(12).reshape(3, 4)[::2, ::-1].T,
    numpy.asfortranarray(numpy.ones((2, 3), dtype="f4")),
    numpy.array(5.5),
    numpy.zeros((0, 3)),
    numpy.array([], dtype="U1"),
    numpy.array([1, 2], dtype=">i4"),
    numpy.array([True, False]),
    numpy.array(["2024-01-01", "NaT"], dtype="datetime64[ns]"),
    numpy.array([3], dtype="timedelta64[ms]"),
    numpy.array(["ü", "한글", ""]),
    numpy.array([b"a\x00b", b"c"]),
    numpy.array([math.nan, math.inf, -0.0]),
    numpy.array([1 + 2j]),
    numpy.array([1, 2], dtype="f2"),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}-{array.shape}")
def test_an_array_comes_back_with_its_type_and_shape_and_can_be_written_to(array: Any) -> None:
    back = round_trip({"a": [array]})["a"][0]
    assert (type(back), back.dtype, back.shape) == (numpy.ndarray, array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()
    back[...] = back


@pytest.mark.parametrize("array", [array for array in ARRAYS if array.size], ids=lambda array: str(array.dtype))
def test_a_numpy_scalar_comes_back_as_the_same_kind_of_scalar(array: Any) -> None:
    scalar = array.ravel()[0]
    back = round_trip(scalar)
    assert type(back) is type(scalar)
    assert back.tobytes() == scalar.tobytes()


@pytest.mark.parametrize(
    "value",
    [
        numpy.array([object()]),
        numpy.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        numpy.ma.masked_array([1, 2], mask=[True, False]),
        numpy.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])[0],
        numpy.array([[1]]).view(type("Own", (numpy.ndarray,), {})),
    ],
    ids=lambda value: f"{type(value).__name__}-{value.dtype}",
)
def test_an_array_that_is_more_than_its_numbers_is_refused(value: Any) -> None:
    with pytest.raises(UnencodableError):
        encode([value])
