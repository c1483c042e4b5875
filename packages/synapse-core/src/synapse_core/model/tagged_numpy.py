"""Numpy arrays and scalars as tagged data. Numpy itself is imported only where there is one to read."""

from __future__ import annotations

import base64
import sys
from typing import Any

__all__ = ["decode_array", "encode_array", "numpy_tag"]


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
    """Return the array or scalar; raises ``ImportError`` where numpy is not installed."""
    import numpy

    raw = bytearray(base64.b64decode(data["value"]))
    array: Any = numpy.ndarray(tuple(data["shape"]), dtype=data["dtype"], buffer=raw)
    return array[()] if data["$type"] == "numpy-scalar" else array
