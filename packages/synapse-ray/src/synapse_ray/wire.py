"""Values as they travel within one cluster: as they are where that is safe, as data, or pickled.

Ray pickles what it is given. Objects of a plugin may not go that way, for the receiving process has to attach
the plugin before it opens them; and values of plain Python and numpy types need no other form. So every value
crosses as one of three kinds, and `unpack` tells them apart.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

from synapse_core.model.outcome import Outcome
from synapse_core.model.tagged import UnencodableError, decode, encode
from synapse_core.safe_text import safe_str

__all__ = ["Packed", "is_plain", "pack", "pack_outcome", "unpack", "unpack_outcome"]

Packed: TypeAlias = "tuple[str, Any]"
"""How a value was packed (``plain``, ``data`` or ``pickle``), and what it became."""

_ATOMS = frozenset(
    {
        type(None), bool, int, float, complex, str, bytes, date, timedelta, timezone,
        Decimal, UUID, pathlib.PosixPath, pathlib.WindowsPath, pathlib.PurePosixPath, pathlib.PureWindowsPath,
    }
)  # fmt: skip
_GROUPS = frozenset({list, tuple, set, frozenset})
_OF_A_ZONE = frozenset({datetime, time})
_DEEPEST = 100


def pack(value: Any) -> Packed:
    """Return `value` in a form that any process of the cluster can open with `unpack`.

    Raises:
        TypeError: It has no form as data, and cannot be pickled either.
    """
    if is_plain(value):
        return "plain", value
    try:
        return "data", encode(value)
    except UnencodableError as unencodable:
        from ray import cloudpickle  # importing Ray takes half a second, and most values need none of it

        try:
            return "pickle", cloudpickle.dumps(value)  # type: ignore[no-untyped-call]
        except Exception as unpicklable:  # pickling runs the user's code
            raise TypeError(f"{unencodable}, and pickling it fails: {safe_str(unpicklable)}") from unpicklable


def unpack(packed: Packed) -> Any:
    """Return what `pack` was given."""
    kind, value = packed
    if kind == "plain":
        return _writable(value)
    if kind == "data":
        return decode(value)
    from ray import cloudpickle

    return cloudpickle.loads(value)


def _writable(value: Any) -> Any:
    """Return a plain value with its arrays as they were: Ray opens large ones read-only, in the memory of its node."""
    numpy = sys.modules.get("numpy")
    if numpy is None or type(value) in _ATOMS:
        return value
    kind = type(value)
    if kind is numpy.ndarray:
        return value if value.flags.writeable else value.copy()
    if kind is dict:
        for key, item in value.items():
            if type(item) not in _ATOMS and (made := _writable(item)) is not item:
                value[key] = made
    elif kind is list:
        for index, item in enumerate(value):
            if type(item) not in _ATOMS and (made := _writable(item)) is not item:
                value[index] = made
    elif kind is tuple and any(type(item) not in _ATOMS for item in value):
        return tuple(map(_writable, value))
    return value


def pack_outcome(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as plain types; within the cluster only, for it may hold a pickle."""
    error = None if outcome.error is None else outcome.error.to_dict()
    return {"value": outcome.value, "stand_in": outcome.stand_in, "pickled": outcome.pickled, "error": error}


def unpack_outcome(packed: dict[str, Any]) -> Outcome:
    """Read what `pack_outcome` wrote."""
    pickled = packed["pickled"]
    if pickled is None:
        return Outcome.from_dict(packed)
    return Outcome(value=packed["value"], pickled=pickled)


def is_plain(value: Any, depth: int = 0) -> bool:
    """Say whether Ray's pickle opens `value` anywhere, exactly as it is; no subclass, nothing of a user's."""
    kind = type(value)
    if kind in _ATOMS:
        return True
    if kind in _OF_A_ZONE:
        return value.tzinfo is None or type(value.tzinfo) is timezone
    if depth > _DEEPEST:  # it may contain itself; `encode` says so
        return False
    if kind is dict:
        return _are_plain(value, depth + 1) and _are_plain(value.values(), depth + 1)
    if kind in _GROUPS:
        return _are_plain(value, depth + 1)
    numpy = sys.modules.get("numpy")
    return numpy is not None and kind is numpy.ndarray and value.dtype.isbuiltin == 1 and not value.dtype.hasobject


def _are_plain(values: Iterable[Any], depth: int) -> bool:
    for value in values:  # noqa: SIM110  # every call of a warm actor comes by here, and a generator takes twice as long
        if type(value) not in _ATOMS and not is_plain(value, depth):
            return False
    return True
