"""Pickling that does not copy large bytes: they go beside the pickle, and are sent as they are (PEP 574)."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, TypeAlias

__all__ = ["Blob", "Pickled", "pickled", "unpickled"]

Pickled: TypeAlias = "list[Blob]"
"""A pickle, and what lies beside it, in its order."""


class Blob:
    """Bytes that are not copied when they are pickled together with others, as `pickled` does it, or Ray, or Dask.

    Args:
        data: Bytes, or whatever has them, such as a view of another process's memory.
    """

    __slots__ = ("_data",)

    def __init__(self, data: Any) -> None:
        self._data = data

    def __bytes__(self) -> bytes:
        """Return the bytes."""
        return self._data if isinstance(self._data, bytes) else bytes(memoryview(self._data))

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Travel beside the pickle, where its protocol knows that."""
        return Blob, (pickle.PickleBuffer(self._data) if protocol >= 5 else bytes(self),)

    def __sizeof__(self) -> int:
        """Return what it takes of memory, with the bytes, which is how Dask learns when a worker has too much."""
        return object.__sizeof__(self) + memoryview(self._data).nbytes

    @property
    def buffer(self) -> Any:
        """What has the bytes."""
        return self._data


def pickled(value: Any, dumps: Callable[..., bytes] = pickle.dumps) -> Pickled:
    """Return a value pickled, and the blobs in it beside that.

    What else could lie there, such as arrays of numpy, is in the pickle: it could not be changed where it arrives.

    Args:
        value: What is pickled.
        dumps: Pickles; takes what `pickle.dumps` takes.
    """
    beside: list[Blob] = []

    def is_inside(buffer: pickle.PickleBuffer) -> bool:
        if not isinstance(memoryview(buffer).obj, (bytes, bytearray)):
            return True
        beside.append(Blob(buffer))
        return False

    whole = dumps(value, protocol=5, buffer_callback=is_inside)
    return [Blob(whole), *beside]


def unpickled(parts: Pickled) -> Any:
    """Return what was pickled."""
    whole, *beside = (blob.buffer for blob in parts)
    return pickle.loads(whole, buffers=beside)
