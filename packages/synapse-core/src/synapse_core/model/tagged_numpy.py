"""Numpy arrays and scalars as tagged data. Numpy itself is imported only where there is one to read."""

from __future__ import annotations

import base64
import math
import sys
from typing import Any

__all__ = ["decode_array", "encode_array", "numpy_tag"]

_LONGEST_TYPE = 40  # numpy reads the names of types with a parser of its own


def numpy_tag(value: Any) -> str | None:
    """Return the tag of a numpy array or scalar that has an exact form as data, else ``None``."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, (numpy.ndarray, numpy.generic)):
        return None
    dtype = value.dtype
    # Objects, structured types, and types of other packages, whose code numpy itself does not know.
    if dtype.hasobject or dtype.fields is not None or numpy.dtype(dtype.str) != dtype:
        return None
    if type(value) is numpy.ndarray:
        return "ndarray"
    # A subclass, such as a masked array, is more than its numbers.
    return "numpy-scalar" if type(value) is dtype.type else None


def encode_array(value: Any, tag: str) -> dict[str, Any]:
    """Return bytes, type and shape as JSON types."""
    raw = base64.b64encode(value.tobytes()).decode()
    return {"$type": tag, "value": raw, "dtype": value.dtype.str, "shape": list(value.shape)}


def decode_array(data: dict[str, Any]) -> Any:
    """Return the array or scalar.

    Raises:
        ImportError: Numpy is not installed.
        ValueError: Type, shape and bytes are none that `encode_array` writes; numpy itself would trust them.
    """
    import numpy

    written, shape = data["dtype"], data["shape"]
    if not isinstance(written, str) or len(written) > _LONGEST_TYPE:
        raise ValueError(f"the type of an array is a short text, not {type(written).__name__}")
    dtype = numpy.dtype(written)
    if dtype.hasobject or dtype.fields is not None or dtype.subdtype is not None or numpy.dtype(dtype.str) != dtype:
        raise ValueError(f"an array of type {written!r} is more than its numbers")
    if not isinstance(shape, list) or not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError(f"the shape of an array is a list of lengths, not {str(shape)[:80]}")
    if shape and data["$type"] == "numpy-scalar":
        raise ValueError("a scalar has no shape")
    raw = bytearray(base64.b64decode(data["value"]))
    if len(raw) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{len(raw)} bytes are no array of type {written!r} and shape {shape}")
    array: Any = numpy.ndarray(tuple(shape), dtype=dtype, buffer=raw)
    return array[()] if data["$type"] == "numpy-scalar" else array
